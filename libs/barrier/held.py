"""An executor's copy of the holds of its tenants."""

from libs.contracts.holds import HoldPlaced, HoldReleased
from libs.db.names import identifier_of
from libs.db.pool import Transaction
from libs.disposition.claims import Hold
from libs.kernel.ids import TenantId


async def keep_hold(tx: Transaction, schema: str, tenant: TenantId, placed: HoldPlaced) -> None:
    """Keep what a hold preserves."""
    await tx.execute(
        f"INSERT INTO {identifier_of(schema)}.hold"
        " (tenant, hold, custodians, conversations, since, until, placed_generation)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
        (
            tenant,
            placed.hold,
            list(placed.custodians),
            list(placed.conversations),
            placed.since,
            placed.until,
            placed.generation,
        ),
    )


async def end_hold(tx: Transaction, schema: str, tenant: TenantId, released: HoldReleased) -> bool:
    """Note that a hold preserves nothing any more; False for one that was never kept."""
    ended = await tx.execute(
        f"UPDATE {identifier_of(schema)}.hold SET released_generation = %s"
        " WHERE tenant = %s AND hold = %s AND released_generation IS NULL",
        (released.generation, tenant, released.hold),
    )
    return ended == 1


async def holds_of(tx: Transaction, schema: str, tenant: TenantId) -> list[Hold]:
    """Return the tenant's holds that are not released, for `libs.disposition` to decide by.

    A transaction that destroys shares the generation first: see `share_generation`.
    """
    rows = await tx.fetch_all(
        f"SELECT hold, custodians, conversations, since, until FROM {identifier_of(schema)}.hold"
        " WHERE tenant = %s AND released_generation IS NULL ORDER BY hold",
        (tenant,),
    )
    return [
        Hold(row.hold, frozenset(row.custodians), frozenset(row.conversations), row.since, row.until)
        for row in rows
    ]
