"""The generation of a tenant's holds in an executor's own database: a row that is shared or raised.

Whoever destroys shares the row to his commit; whoever takes in a change of holds raises it, and so waits
until all that was being destroyed is committed or undone, while nothing new can begin. What was confirmed
after that is true of every transaction there is and will be.
"""

from libs.barrier.errors import GenerationPassed, GenerationSkipped, GenerationUnknown
from libs.db.names import identifier_of
from libs.db.pool import Transaction
from libs.kernel.ids import TenantId


async def share_generation(tx: Transaction, schema: str, tenant: TenantId, ordered: int) -> None:
    """Let `tx` destroy something of `tenant` by an order of the generation `ordered`; call it first of all.

    The holds that it reads afterwards in `tx`, in READ COMMITTED, are those of that generation, to the
    commit. A tenant that never had a hold is at 0. A transaction destroys what belongs to one tenant, so
    that two never wait for each other in a circle. Raises GenerationPassed and GenerationUnknown: then
    nothing may be destroyed.
    """
    current = await share_present_generation(tx, schema, tenant)
    if current < ordered:
        raise GenerationUnknown(ordered, current)
    if current > ordered:
        raise GenerationPassed(ordered, current)


async def share_present_generation(tx: Transaction, schema: str, tenant: TenantId) -> int:
    """Share the tenant's generation as it stands, to the commit of `tx`, and return it.

    For who ends what was destroyed behind the barrier elsewhere, and by which no hold can be kept any more:
    he goes on when holds came after, yet none is confirmed here while he does.
    """
    current = await _shared(tx, schema, tenant)
    if current is None:
        # Without a row there is nothing to share: it is made, and nobody can raise it before the commit.
        await _begin_at_zero(tx, schema, tenant)
        current = await _shared(tx, schema, tenant)
    return current or 0


async def raise_generation(tx: Transaction, schema: str, tenant: TenantId, generation: int) -> bool:
    """Raise the tenant's generation by one to `generation`, after all destruction under way has ended.

    False when it was reached before: a repeat. Raises GenerationSkipped, when a change is missing.
    """
    await _begin_at_zero(tx, schema, tenant)
    row = await tx.fetch_one(
        f"SELECT generation FROM {identifier_of(schema)}.hold_generation WHERE tenant = %s FOR UPDATE",
        (tenant,),
    )
    current = 0 if row is None else int(row.generation)
    if generation <= current:
        return False
    if generation != current + 1:
        raise GenerationSkipped(tenant, generation, current)
    await tx.execute(
        f"UPDATE {schema}.hold_generation SET generation = %s WHERE tenant = %s", (generation, tenant)
    )
    return True


async def generation_of(tx: Transaction, schema: str, tenant: TenantId) -> int:
    """Return the generation that is committed now, for whoever makes an order; 0 without any hold ever."""
    row = await tx.fetch_one(
        f"SELECT generation FROM {identifier_of(schema)}.hold_generation WHERE tenant = %s", (tenant,)
    )
    return 0 if row is None else int(row.generation)


async def _shared(tx: Transaction, schema: str, tenant: TenantId) -> int | None:
    row = await tx.fetch_one(
        f"SELECT generation FROM {identifier_of(schema)}.hold_generation WHERE tenant = %s FOR SHARE",
        (tenant,),
    )
    return None if row is None else int(row.generation)


async def _begin_at_zero(tx: Transaction, schema: str, tenant: TenantId) -> None:
    await tx.execute(
        f"INSERT INTO {identifier_of(schema)}.hold_generation (tenant) VALUES (%s) ON CONFLICT DO NOTHING",
        (tenant,),
    )
