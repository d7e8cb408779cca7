"""The register of holds on PostgreSQL, as the role holds_app."""

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from typing import Final
from uuid import UUID

from libs.approvals.store import TenantApprovals
from libs.db.pool import Row, TenantDatabase, Transaction
from libs.kernel.clock import Clock
from libs.kernel.denials import Denial
from libs.kernel.ids import Ids, PrincipalId, TenantId
from services.holds.domain.holds import EXECUTORS, Hold, NoticeState, Progress, Release, Standing, Terms
from services.holds.ports.register import Outgoing
from services.holds.store.outgoing import SCHEMA, publish
from services.holds.store.unavailable import holds_unavailable

_BEGIN_AT_ZERO: Final = "INSERT INTO holds.generation (tenant) VALUES (%s) ON CONFLICT DO NOTHING"
_LOCK: Final = "SELECT generation FROM holds.generation WHERE tenant = %s FOR UPDATE"
_RAISE: Final = "UPDATE holds.generation SET generation = %s WHERE tenant = %s"
_GENERATION: Final = "SELECT generation FROM holds.generation WHERE tenant = %s"

_HOLDS: Final = """
    SELECT h.hold, h.generation, h.custodians, h.conversations, h.since, h.until, h.silent, h.reason,
           h.matter, h.placed_by, h.placed_at, f.at AS in_force_at,
           r.generation AS release_generation, r.request, r.released_by, r.released_at
      FROM holds.hold h
      LEFT JOIN holds.in_force f ON f.tenant = h.tenant AND f.hold = h.hold
      LEFT JOIN holds.release r ON r.tenant = h.tenant AND r.hold = h.hold
     WHERE h.tenant = %(tenant)s
"""
_FIND: Final = f"{_HOLDS} AND h.hold = %(hold)s"
# The newest first: by the generation, which no two holds of a tenant share.
_LISTED: Final = f"""
    {_HOLDS} AND h.generation < coalesce(
           (SELECT a.generation FROM holds.hold a WHERE a.tenant = %(tenant)s AND a.hold = %(after)s::uuid),
           CASE WHEN %(after)s::uuid IS NULL THEN 9223372036854775807 ELSE 0 END)
     ORDER BY h.generation DESC LIMIT %(limit)s
"""
# The first confirmation that reaches a hold, by the key: the later ones, however many, are not looked at.
_CONFIRMED: Final = """
    SELECT h.hold, e.executor, c.at
      FROM holds.hold h
     CROSS JOIN unnest(%s::text[]) AS e (executor)
     CROSS JOIN LATERAL (
           SELECT n.at FROM holds.confirmation n
            WHERE n.tenant = h.tenant AND n.executor = e.executor AND n.generation >= h.generation
            ORDER BY n.generation LIMIT 1) c
     WHERE h.tenant = %s AND h.hold = ANY (%s::uuid[])
"""
_NOTICES: Final = """
    SELECT n.hold, n.custodian, n.state FROM holds.notice n WHERE n.tenant = %s AND n.hold = ANY (%s::uuid[])
     ORDER BY n.hold, n.custodian
"""
_KNOWN: Final = (
    "SELECT p.principal FROM holds.principal p WHERE p.tenant = %s AND p.principal = ANY (%s::uuid[])"
)
_PROGRESS: Final = """
    SELECT DISTINCT ON (c.executor) c.executor, c.generation, c.at
      FROM holds.confirmation c WHERE c.tenant = %s ORDER BY c.executor, c.generation DESC
"""
_ADD: Final = """
    INSERT INTO holds.hold (tenant, hold, generation, custodians, conversations, since, until, silent, reason,
           matter, placed_by, placed_at)
    VALUES (%s, %s, %s, %s::uuid[], %s::uuid[], %s, %s, %s, %s, %s, %s, %s)
"""
_ADD_NOTICES: Final = """
    INSERT INTO holds.notice (tenant, hold, custodian)
    SELECT %s, %s, told.custodian FROM unnest(%s::uuid[]) AS told (custodian)
"""
_END: Final = """
    INSERT INTO holds.release (tenant, hold, generation, request, released_by, released_at)
    VALUES (%s, %s, %s, %s, %s, %s)
"""
_DENY: Final = """
    INSERT INTO holds.denial (tenant, denial, principal, act, minute, count) VALUES (%s, %s, %s, %s, %s, %s)
"""


class PostgresRegister:
    """One tenant's holds within one transaction."""

    def __init__(self, tx: Transaction, tenant: TenantId, clock: Clock, ids: Ids) -> None:
        """Work within `tx`, which is bound to `tenant`."""
        self._tx = tx
        self._tenant = tenant
        self._clock = clock
        self._ids = ids
        self.requests = TenantApprovals(SCHEMA, tx, tenant)

    async def lock_generation(self) -> int:
        """Return the tenant's generation, held to the commit."""
        await self._tx.execute(_BEGIN_AT_ZERO, (self._tenant,))
        row = await self._tx.fetch_one(_LOCK, (self._tenant,))
        return 0 if row is None else int(row.generation)

    async def raise_generation(self, generation: int) -> None:
        """Set the generation, which is locked."""
        await self._tx.execute(_RAISE, (generation, self._tenant))

    async def find(self, hold: UUID) -> Standing | None:
        """Return a hold with what has become of it."""
        rows = await self._tx.fetch_all(_FIND, {"tenant": self._tenant, "hold": hold})
        return next(iter(await self._standings(rows)), None)

    async def listed(self, after: UUID | None, limit: int) -> list[Standing]:
        """Return holds, the newest first, from behind `after` on."""
        named = {"tenant": self._tenant, "after": after, "limit": limit}
        return await self._standings(await self._tx.fetch_all(_LISTED, named))

    async def progress(self) -> Progress:
        """Return the generation, and how far each executor has come."""
        generation = await self._tx.fetch_one(_GENERATION, (self._tenant,))
        confirmed = await self._tx.fetch_all(_PROGRESS, (self._tenant,))
        return Progress(
            0 if generation is None else int(generation.generation),
            {row.executor: (row.generation, row.at) for row in confirmed},
        )

    async def add(self, hold: Hold) -> None:
        """Keep a new hold; one with notice makes a notice due for each custodian."""
        terms = hold.terms
        custodians = sorted(terms.custodians)
        await self._tx.execute(
            _ADD,
            (
                self._tenant,
                hold.hold,
                hold.generation,
                custodians,
                sorted(terms.conversations),
                terms.since,
                terms.until,
                terms.silent,
                terms.reason,
                terms.matter,
                hold.placed_by,
                hold.placed_at,
            ),
        )
        if not terms.silent and custodians:
            await self._tx.execute(_ADD_NOTICES, (self._tenant, hold.hold, custodians))

    async def end(self, hold: UUID, release: Release) -> None:
        """Keep the end of a hold."""
        await self._tx.execute(
            _END,
            (
                self._tenant,
                hold,
                release.generation,
                release.request,
                release.released_by,
                release.released_at,
            ),
        )

    async def record_denials(self, denials: Sequence[tuple[UUID, Denial]]) -> None:
        """Keep denials, each under its id."""
        for name, denial in denials:
            await self._tx.execute(
                _DENY, (self._tenant, name, denial.principal, denial.act, denial.minute, denial.count)
            )

    async def publish(self, events: Sequence[Outgoing]) -> None:
        """Append to the outbox: the last statement of the transaction."""
        await publish(self._tx, [(self._tenant, event) for event in events], self._ids, self._clock)

    async def _standings(self, rows: Sequence[Row]) -> list[Standing]:
        """Return the holds in `rows` with what executors and custodians did about them."""
        holds = [row.hold for row in rows]
        if not holds:
            return []
        confirmed = await self._tx.fetch_all(_CONFIRMED, (list(EXECUTORS), self._tenant, holds))
        notices = await self._tx.fetch_all(_NOTICES, (self._tenant, holds))
        custodians = sorted({who for row in rows for who in row.custodians})
        known = {row.principal for row in await self._tx.fetch_all(_KNOWN, (self._tenant, custodians))}
        by_executor: defaultdict[UUID, dict[str, datetime]] = defaultdict(dict)
        for row in confirmed:
            by_executor[row.hold][row.executor] = row.at
        by_custodian: defaultdict[UUID, dict[PrincipalId, NoticeState]] = defaultdict(dict)
        for row in notices:
            by_custodian[row.hold][PrincipalId(row.custodian)] = NoticeState(row.state)
        return [
            Standing(
                _hold_of(row, self._tenant),
                by_executor[row.hold],
                row.in_force_at,
                _release_of(row),
                by_custodian[row.hold],
                frozenset(PrincipalId(who) for who in row.custodians if who not in known),
            )
            for row in rows
        ]


class PostgresRegisters:
    """Begins transactions of one tenant each."""

    def __init__(self, database: TenantDatabase, clock: Clock, ids: Ids) -> None:
        """Use the pool `database`, of the role holds_app."""
        self._database = database
        self._clock = clock
        self._ids = ids

    def begin(self, tenant: TenantId) -> AbstractAsyncContextManager[PostgresRegister]:
        """Begin a transaction that commits unless its block raises. Raises HoldsUnavailable."""
        return self._begin(tenant)

    @asynccontextmanager
    async def _begin(self, tenant: TenantId) -> AsyncIterator[PostgresRegister]:
        with holds_unavailable():
            async with self._database.begin(tenant) as tx:
                yield PostgresRegister(tx, tenant, self._clock, self._ids)


def _hold_of(row: Row, tenant: TenantId) -> Hold:
    terms = Terms(
        frozenset(map(PrincipalId, row.custodians)),
        frozenset(row.conversations),
        row.since,
        row.until,
        row.silent,
        row.reason,
        row.matter,
    )
    return Hold(tenant, row.hold, row.generation, terms, PrincipalId(row.placed_by), row.placed_at)


def _release_of(row: Row) -> Release | None:
    if row.release_generation is None:
        return None
    return Release(row.release_generation, row.request, PrincipalId(row.released_by), row.released_at)
