"""Maps of conversations: committed by the role messaging_mapper, given again by messaging_app."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from libs.contracts.facts import Actor, Entity, MessagingFact
from libs.db.arrays import bigints, byteas, uuids
from libs.db.pool import CrossingDatabase, TenantDatabase, Transaction
from libs.events.outbox import append, record_of
from libs.evidence.completeness import CONVERSATIONS_COMMITTED, ConversationHead
from libs.kernel.clock import Clock
from libs.kernel.ids import ConversationId, Ids, PrincipalId, TenantId
from services.messaging.domain.dispositions import TYPES
from services.messaging.domain.entries import ConversationKind
from services.messaging.domain.maps import (
    CommittedMap,
    Mapped,
    MappedConversation,
    MapSpan,
    Moved,
    spans_at,
)
from services.messaging.store.unavailable import log_unavailable

_SCHEMA: Final = "messaging"
_MESSAGING: Final = Actor(kind="service", name=_SCHEMA)

_MOVED_TENANTS: Final = """
    SELECT DISTINCT h.tenant FROM messaging.conversation_head h
     WHERE h.last_seq IS DISTINCT FROM (
            SELECT m.last_seq FROM messaging.mapped_conversation m
             WHERE m.tenant = h.tenant AND m.conversation = h.conversation)
     ORDER BY h.tenant"""
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtext('muniment map'), hashtext(%s))"
_NEXT: Final = "SELECT coalesce(max(m.number), 0) + 1 AS number FROM messaging.map m WHERE m.tenant = %s"

# What is looked up is looked up by its key, in subqueries that no planner turns into joins: one that planned
# them while the tables were empty would compare each of a hundred thousand with every other ever after.
#
# One statement, so that it is one snapshot: where a conversation stands and who took part up to there
# belong together. Of what a map has already no entry is read again.
_MOVED: Final = """
    WITH moved AS MATERIALIZED (
        SELECT h.conversation, h.last_seq, m.salt, m.participants, coalesce(m.last_seq, 0) AS mapped_seq
          FROM messaging.conversation_head h
          LEFT JOIN LATERAL (
                SELECT k.salt, k.participants, k.last_seq FROM messaging.mapped_conversation k
                 WHERE k.tenant = %(tenant)s AND k.conversation = h.conversation LIMIT 1) m ON true
         WHERE h.tenant = %(tenant)s AND h.last_seq IS DISTINCT FROM m.last_seq
    ), seen AS MATERIALIZED (
        SELECT c.conversation, c.last_seq, c.salt, c.participants,
               ARRAY (SELECT t.principal
                        FROM (SELECT s.principal FROM messaging.participant_span s
                               WHERE s.tenant = %(tenant)s AND s.conversation = c.conversation
                               UNION
                              SELECT e.actor FROM messaging.entry e
                               WHERE e.tenant = %(tenant)s AND e.conversation = c.conversation
                                 AND e.seq > c.mapped_seq) t (principal)
                       WHERE (SELECT k.principal FROM messaging.mapped_participant k
                               WHERE k.tenant = %(tenant)s AND k.conversation = c.conversation
                                 AND k.principal = t.principal) IS NULL) AS joined
          FROM moved c
    )
    SELECT s.conversation, s.last_seq, s.salt, s.participants, s.joined,
           CASE WHEN cardinality(s.joined) > 0
                THEN ARRAY (SELECT k.principal FROM messaging.mapped_participant k
                             WHERE k.tenant = %(tenant)s AND k.conversation = s.conversation)
                ELSE '{}' END AS known
      FROM seen s ORDER BY s.conversation"""

_KEEP_CONVERSATIONS: Final = """
    INSERT INTO messaging.mapped_conversation (tenant, conversation, salt, last_seq, participants, hashed)
    SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::bytea[], %s::bigint[], %s::bytea[], %s::bytea[])
    ON CONFLICT (tenant, conversation) DO UPDATE
       SET last_seq = excluded.last_seq, participants = excluded.participants, hashed = excluded.hashed"""
_KEEP_HEADS: Final = """
    INSERT INTO messaging.mapped_head (tenant, conversation, map, last_seq, participants)
    SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::bigint[], %s::bigint[], %s::bytea[])"""
_KEEP_JOINED: Final = """
    INSERT INTO messaging.mapped_participant (tenant, conversation, principal, map)
    SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::bigint[])"""
_HASHES: Final = """
    SELECT count(*) AS conversations, string_agg(m.hashed, ''::bytea ORDER BY m.conversation) AS hashes
      FROM messaging.mapped_conversation m WHERE m.tenant = %s"""
_KEEP_MAP: Final = """
    INSERT INTO messaging.map (tenant, number, act, at, root, conversations)
    VALUES (%s, %s, %s, %s, %s, %s)"""

_NEWEST: Final = """
    SELECT m.number, m.act, m.at, m.root, m.conversations FROM messaging.map m
     WHERE m.tenant = %s ORDER BY m.number DESC LIMIT 1"""
_OF_ACT: Final = """
    SELECT m.number, m.act, m.at, m.root, m.conversations FROM messaging.map m
     WHERE m.tenant = %s AND m.act = %s"""
_HEADS: Final = """
    SELECT m.conversation, m.salt, h.last_seq, h.participants,
           ARRAY (SELECT p.principal FROM messaging.mapped_participant p
                   WHERE p.tenant = m.tenant AND p.conversation = m.conversation
                     AND p.map <= %(number)s) AS principals,
           (SELECT c.kind FROM messaging.conversation_head c
             WHERE c.tenant = m.tenant AND c.conversation = m.conversation) AS kind
      FROM messaging.mapped_conversation m
     CROSS JOIN LATERAL (
           SELECT g.last_seq, g.participants FROM messaging.mapped_head g
            WHERE g.tenant = m.tenant AND g.conversation = m.conversation AND g.map <= %(number)s
            ORDER BY g.map DESC LIMIT 1) h
     WHERE m.tenant = %(tenant)s AND m.conversation > %(after)s
     ORDER BY m.conversation LIMIT %(limit)s"""
_SPANS: Final = """
    SELECT s.conversation, s.principal, s.from_seq, s.until_seq FROM messaging.participant_span s
     WHERE s.tenant = %s AND s.conversation = ANY (%s)
     ORDER BY s.conversation, s.from_seq, s.principal"""
_BEGINNING: Final = UUID(int=0)


class PostgresMapUnderWay:
    """The next map of a tenant, in the transaction that commits it."""

    def __init__(self, tx: Transaction, tenant: TenantId, number: int, clock: Clock, ids: Ids) -> None:
        """Speak through `tx`, which has locked the maps of `tenant`, of which this is `number`."""
        self._tx = tx
        self._tenant = tenant
        self._number = number
        self._clock = clock
        self._ids = ids

    async def moved(self) -> list[Moved]:
        """Return what moved since the last map, as it all stands at one moment."""
        rows = await self._tx.fetch_all(_MOVED, {"tenant": self._tenant})
        return [
            Moved(
                ConversationId(row.conversation),
                row.last_seq,
                row.salt,
                row.participants,
                tuple(map(PrincipalId, row.joined)),
                tuple(map(PrincipalId, row.known)),
            )
            for row in rows
        ]

    async def keep(self, heads: Sequence[Mapped]) -> tuple[int, bytes]:
        """Keep where conversations stand; return how many there are, and the leaf hashes of all, in order."""
        tenants = uuids([self._tenant] * len(heads))
        conversations = uuids([each.head.conversation for each in heads])
        last_seqs = bigints([each.head.last_seq for each in heads])
        participants = byteas([each.head.participants for each in heads])
        salts = byteas([each.salt for each in heads])
        hashes = byteas([each.head.hashed() for each in heads])
        numbers = bigints([self._number] * len(heads))
        joined = [(each.head.conversation, principal) for each in heads for principal in each.joined]
        await self._tx.execute(
            _KEEP_CONVERSATIONS, (tenants, conversations, salts, last_seqs, participants, hashes)
        )
        await self._tx.execute(_KEEP_HEADS, (tenants, conversations, numbers, last_seqs, participants))
        await self._tx.execute(
            _KEEP_JOINED,
            (
                uuids([self._tenant] * len(joined)),
                uuids([conversation for conversation, _ in joined]),
                uuids([principal for _, principal in joined]),
                bigints([self._number] * len(joined)),
            ),
        )
        (row,) = await self._tx.fetch_all(_HASHES, (self._tenant,))
        return row.conversations, row.hashes

    async def commit(self, at: datetime, root: bytes, conversations: int) -> None:
        """Keep the map, and tell the audit log: the last act of the transaction."""
        act = self._ids.uuid7()
        await self._tx.execute(_KEEP_MAP, (self._tenant, self._number, act, at, root, conversations))
        fact = MessagingFact(
            act=act,
            action=CONVERSATIONS_COMMITTED,
            actor=_MESSAGING,
            at=at,
            entities=(Entity(kind="map", id=str(act)),),
            count=conversations,
            root=root,
        )
        await append(self._tx, _SCHEMA, [record_of(fact, self._tenant, self._ids, self._clock)])


class PostgresMaps:
    """The maps of all tenants."""

    def __init__(self, mapping: CrossingDatabase, reading: TenantDatabase, clock: Clock, ids: Ids) -> None:
        """Commit by `mapping`, of the role messaging_mapper; give again by `reading`, of messaging_app."""
        self._mapping = mapping
        self._reading = reading
        self._clock = clock
        self._ids = ids

    async def moved(self) -> list[TenantId]:
        """Return the tenants whose conversations do not stand as in their last map."""
        with log_unavailable():
            async with self._mapping.begin() as tx:
                return [TenantId(row.tenant) for row in await tx.fetch_all(_MOVED_TENANTS)]

    def begin(self, tenant: TenantId) -> AbstractAsyncContextManager[PostgresMapUnderWay]:
        """Begin the next map of a tenant; who begins another one waits for it."""
        return self._begin(tenant)

    @asynccontextmanager
    async def _begin(self, tenant: TenantId) -> AsyncIterator[PostgresMapUnderWay]:
        with log_unavailable():
            async with self._mapping.begin() as tx:
                await tx.execute(_LOCK, (str(tenant),))
                (row,) = await tx.fetch_all(_NEXT, (tenant,))
                yield PostgresMapUnderWay(tx, tenant, row.number, self._clock, self._ids)

    async def find(self, tenant: TenantId, act: UUID | None = None) -> CommittedMap | None:
        """Return the map that `act` committed, or the newest; None if there is none."""
        with log_unavailable():
            async with self._reading.begin(tenant) as tx:
                if act is None:
                    row = await tx.fetch_one(_NEWEST, (tenant,))
                else:
                    row = await tx.fetch_one(_OF_ACT, (tenant, act))
        if row is None:
            return None
        return CommittedMap(row.number, row.act, row.at, row.root, row.conversations)

    async def heads(
        self, tenant: TenantId, number: int, after: UUID | None, limit: int
    ) -> list[MappedConversation]:
        """Return at most `limit` conversations of the map `number`, from behind `after` on."""
        page = {"tenant": tenant, "number": number, "after": after or _BEGINNING, "limit": limit}
        with log_unavailable():
            async with self._reading.begin(tenant) as tx:
                rows = await tx.fetch_all(_HEADS, page)
                spans = await tx.fetch_all(_SPANS, (tenant, [row.conversation for row in rows]))
        of_conversation: dict[UUID, list[MapSpan]] = {}
        for span in spans:
            shown = MapSpan(PrincipalId(span.principal), span.from_seq, span.until_seq)
            of_conversation.setdefault(span.conversation, []).append(shown)
        return [_conversation_of(row, tuple(of_conversation.get(row.conversation, ()))) for row in rows]


def _conversation_of(row: Any, spans: tuple[MapSpan, ...]) -> MappedConversation:
    return MappedConversation(
        ConversationHead(row.conversation, row.last_seq, row.participants),
        TYPES[ConversationKind(row.kind)],
        row.salt,
        tuple(map(PrincipalId, sorted(row.principals))),
        spans_at(spans, row.last_seq),
    )
