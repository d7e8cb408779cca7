"""What executors confirmed, in PostgreSQL, as the role holds_projector."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from libs.db.pool import CrossingDatabase, Transaction
from libs.kernel.clock import Clock
from libs.kernel.ids import Ids, TenantId
from services.holds.domain.holds import EXECUTORS
from services.holds.ports.register import Confirmed, Outgoing, Waiting
from services.holds.store.outgoing import publish
from services.holds.store.unavailable import holds_unavailable

_LOCK: Final = """
    SELECT g.tenant, g.generation FROM holds.generation g
     WHERE g.tenant = ANY (%s::uuid[]) ORDER BY g.tenant FOR UPDATE
"""
_ADD: Final = """
    INSERT INTO holds.confirmation (tenant, executor, generation, at) VALUES (%s, %s, %s, %s)
    ON CONFLICT DO NOTHING
"""
_HIGHEST: Final = """
    SELECT c.executor, max(c.generation) AS generation
      FROM holds.confirmation c WHERE c.tenant = %s GROUP BY c.executor
"""
_PUT_IN_FORCE: Final = """
    INSERT INTO holds.in_force (tenant, hold, at)
    SELECT h.tenant, h.hold, %s
      FROM holds.hold h
      LEFT JOIN holds.in_force f ON f.tenant = h.tenant AND f.hold = h.hold
      LEFT JOIN holds.release r ON r.tenant = h.tenant AND r.hold = h.hold
     WHERE h.tenant = %s AND h.generation <= %s AND f.hold IS NULL AND r.hold IS NULL
    RETURNING hold
"""
# An executor that never confirmed anything owes all.
_WAITING: Final = """
    SELECT e.executor, count(h.hold) AS holds, min(h.placed_at) AS since
      FROM unnest(%s::text[]) AS e (executor)
      LEFT JOIN (
           SELECT o.tenant, o.hold, o.generation, o.placed_at
             FROM holds.hold o
             LEFT JOIN holds.in_force f ON f.tenant = o.tenant AND f.hold = o.hold
             LEFT JOIN holds.release r ON r.tenant = o.tenant AND r.hold = o.hold
            WHERE f.hold IS NULL AND r.hold IS NULL
           ) h ON NOT EXISTS (
           SELECT FROM holds.confirmation c
            WHERE c.tenant = h.tenant AND c.executor = e.executor AND c.generation >= h.generation)
     GROUP BY e.executor ORDER BY e.executor
"""


class PostgresConfirmations:
    """Confirmations within the transaction of a projector."""

    def __init__(self, tx: Transaction, clock: Clock, ids: Ids) -> None:
        """Write by `tx`, which somebody else commits."""
        self._tx = tx
        self._clock = clock
        self._ids = ids

    async def lock_generations(self, tenants: Collection[TenantId]) -> dict[TenantId, int]:
        """Return the generations, locked in the order of the tenants."""
        rows = await self._tx.fetch_all(_LOCK, (list(tenants),))
        return {TenantId(row.tenant): row.generation for row in rows}

    async def add(self, confirmed: Confirmed, at: datetime) -> None:
        """Keep a confirmation."""
        await self._tx.execute(_ADD, (confirmed.tenant, confirmed.executor, confirmed.generation, at))

    async def highest(self, tenant: TenantId) -> dict[str, int]:
        """Return the highest generation that each executor confirmed."""
        rows = await self._tx.fetch_all(_HIGHEST, (tenant,))
        return {row.executor: row.generation for row in rows}

    async def put_in_force(self, tenant: TenantId, generation: int, at: datetime) -> list[UUID]:
        """Note that the unreleased holds up to `generation` are in force; return those that were not yet."""
        rows = await self._tx.fetch_all(_PUT_IN_FORCE, (at, tenant, generation))
        return [row.hold for row in rows]

    async def publish(self, events: Sequence[tuple[TenantId, Outgoing]]) -> None:
        """Append to the outbox."""
        await publish(self._tx, events, self._ids, self._clock)


class PostgresWaitingHolds:
    """Looks over the holds of all tenants."""

    def __init__(self, database: CrossingDatabase) -> None:
        """Use the pool `database`, of the role holds_projector."""
        self._database = database

    async def waiting(self) -> list[Waiting]:
        """Return what each executor owes. Raises HoldsUnavailable."""
        with holds_unavailable():
            async with self._database.begin() as tx:
                rows = await tx.fetch_all(_WAITING, (list(EXECUTORS),))
        return [Waiting(row.executor, row.holds, row.since) for row in rows]
