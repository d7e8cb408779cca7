"""How many acts a service's own rows tell of, for whoever compares them with the audit log."""

from collections.abc import Mapping

from libs.contracts.internal import ActCount, ActsCounted
from libs.db.names import identifier_of
from libs.db.pool import CrossingDatabase


async def count_acts(database: CrossingDatabase, schema: str, acts: Mapping[str, str]) -> ActsCounted:
    """Return the acts by action and tenant, and the outbox heads at which that is so, of one snapshot.

    `acts` maps each action to a statement that answers (tenant, acts) from domain rows: neither from the
    outbox nor from facts, or the comparison would prove nothing. Raises DatabaseUnavailable.
    """
    async with database.begin() as tx:
        await tx.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        heads = await tx.fetch_all(f"SELECT part, position FROM {identifier_of(schema)}.outbox_head")
        counted = [
            ActCount(action=action, tenant=row.tenant, count=row.acts)
            for action, statement in acts.items()
            for row in await tx.fetch_all(statement)
        ]
    return ActsCounted(positions={row.part: row.position for row in heads}, acts=tuple(counted))
