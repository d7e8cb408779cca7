"""The books of eDiscovery in PostgreSQL."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final
from uuid import UUID

from libs.db.pool import TenantDatabase, Transaction
from libs.events.outbox import append
from libs.kernel.clock import Clock
from libs.kernel.denials import Denial
from libs.kernel.ids import ConversationId, Ids, PrincipalId, TenantId
from services.ediscovery.domain.matters import Bounds, Matter
from services.ediscovery.ports.books import Member, MessageViewed, Outgoing, SearchMade
from services.ediscovery.store.outgoing import records_of
from services.ediscovery.store.productions import PostgresShelf

SCHEMA: Final = "ediscovery"

_ADD_MATTER: Final = """
    INSERT INTO ediscovery.matter
           (tenant, matter, name, custodians, conversations, since, until, made_by, made_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (tenant, matter) DO NOTHING"""
_MATTER: Final = """
    SELECT m.tenant, m.matter, m.name, m.custodians, m.conversations, m.since, m.until, m.made_by, m.made_at
      FROM ediscovery.matter m WHERE m.tenant = %s AND m.matter = %s"""
_MATTERS_OF: Final = """
    SELECT m.tenant, m.matter, m.name, m.custodians, m.conversations, m.since, m.until, m.made_by, m.made_at
      FROM ediscovery.member p
      JOIN ediscovery.matter m ON m.tenant = p.tenant AND m.matter = p.matter
     WHERE p.tenant = %s AND p.principal = %s AND (%s::uuid IS NULL OR m.matter < %s)
     ORDER BY m.matter DESC LIMIT %s"""
_MEMBERS: Final = """
    SELECT p.principal, p.added_by, p.added_at FROM ediscovery.member p
     WHERE p.tenant = %s AND p.matter = %s ORDER BY p.act"""
_ADD_MEMBER: Final = """
    INSERT INTO ediscovery.member (tenant, matter, principal, act, added_by, added_at)
    VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (tenant, matter, principal) DO NOTHING"""
_SEARCH: Final = """
    INSERT INTO ediscovery.search_made (tenant, act, matter, principal, query, hits, at)
    VALUES (%s, %s, %s, %s, %s, %s, %s)"""
_VIEW: Final = """
    INSERT INTO ediscovery.message_viewed (tenant, act, matter, principal, conversation, seq, at)
    VALUES (%s, %s, %s, %s, %s, %s, %s)"""
_DENIAL: Final = """
    INSERT INTO ediscovery.denial (tenant, act, principal, denied, minute, count)
    VALUES (%s, %s, %s, %s, %s, %s)"""


class PostgresBook:
    """One tenant's books within one transaction."""

    def __init__(self, tx: Transaction, tenant: TenantId, clock: Clock, ids: Ids) -> None:
        """Speak through `tx`, which row-level security binds to `tenant`."""
        self._tx = tx
        self._tenant = tenant
        self._clock = clock
        self._ids = ids
        self.productions = PostgresShelf(tx, tenant)

    async def add_matter(self, matter: Matter) -> bool:
        """Keep a matter; False if its id was used before."""
        bounds = matter.bounds
        added = await self._tx.execute(
            _ADD_MATTER,
            (
                self._tenant,
                matter.matter,
                matter.name,
                sorted(bounds.custodians),
                sorted(bounds.conversations),
                bounds.since,
                bounds.until,
                matter.made_by,
                matter.made_at,
            ),
        )
        return added == 1

    async def find_matter(self, matter: UUID) -> Matter | None:
        """Return a matter."""
        row = await self._tx.fetch_one(_MATTER, (self._tenant, matter))
        return None if row is None else _matter_of(row)

    async def matters_of(self, member: PrincipalId, after: UUID | None, limit: int) -> list[Matter]:
        """Return the matters of which somebody is a member, the newest first, from behind `after` on."""
        rows = await self._tx.fetch_all(_MATTERS_OF, (self._tenant, member, after, after, limit))
        return list(map(_matter_of, rows))

    async def members(self, matter: UUID) -> list[Member]:
        """Return the members of a matter, in the order in which they were added."""
        rows = await self._tx.fetch_all(_MEMBERS, (self._tenant, matter))
        return [Member(PrincipalId(row.principal), PrincipalId(row.added_by), row.added_at) for row in rows]

    async def add_member(self, matter: UUID, act: UUID, member: Member) -> bool:
        """Keep a member; False if he is one already."""
        row = (self._tenant, matter, member.principal, act, member.added_by, member.added_at)
        return await self._tx.execute(_ADD_MEMBER, row) == 1

    async def record_search(self, made: SearchMade) -> None:
        """Keep that a search was made."""
        await self._tx.execute(
            _SEARCH, (self._tenant, made.act, made.matter, made.by, made.query, made.hits, made.at)
        )

    async def record_view(self, viewed: MessageViewed) -> None:
        """Keep that a message was looked at."""
        await self._tx.execute(
            _VIEW, (self._tenant, viewed.act, viewed.matter, viewed.by, *viewed.key, viewed.at)
        )

    async def record_denials(self, denials: Sequence[tuple[UUID, Denial]]) -> None:
        """Keep denials, each under its id."""
        for act, denial in denials:
            await self._tx.execute(
                _DENIAL, (self._tenant, act, denial.principal, denial.act, denial.minute, denial.count)
            )

    async def publish(self, events: Sequence[Outgoing]) -> None:
        """Append events to the outbox: the last statement. Raises TypeError for what is none."""
        await append(self._tx, SCHEMA, records_of(events, self._tenant, self._ids, self._clock))


class PostgresBooks:
    """Begins transactions of one tenant each."""

    def __init__(self, database: TenantDatabase, clock: Clock, ids: Ids) -> None:
        """Use the pool `database`, of the role ediscovery_app."""
        self._database = database
        self._clock = clock
        self._ids = ids

    def begin(self, tenant: TenantId) -> AbstractAsyncContextManager[PostgresBook]:
        """Begin a transaction that commits unless its block raises."""
        return self._begin(tenant)

    @asynccontextmanager
    async def _begin(self, tenant: TenantId) -> AsyncIterator[PostgresBook]:
        async with self._database.begin(tenant) as tx:
            yield PostgresBook(tx, tenant, self._clock, self._ids)


def _matter_of(row: Any) -> Matter:
    bounds = Bounds(
        frozenset(map(PrincipalId, row.custodians)),
        frozenset(map(ConversationId, row.conversations)),
        row.since,
        row.until,
    )
    return Matter(TenantId(row.tenant), row.matter, row.name, bounds, PrincipalId(row.made_by), row.made_at)
