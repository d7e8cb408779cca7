"""Reads of the conversation log, each within one tenant."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

from libs.db.pool import TenantDatabase, Transaction
from libs.kernel.ids import ConversationId, DeviceId, MessageId, PrincipalId, TenantId
from services.messaging.domain.entries import ConversationKey, ConversationKind, EntryKind
from services.messaging.domain.membership import Audiences, Members, Span, Standing, joined_spans
from services.messaging.domain.terms import DEFAULT_TERMS, Terms
from services.messaging.ports import (
    AmendedBy,
    ConversationState,
    MarkState,
    Referenced,
    ReferencedEntry,
    StoredBody,
    StoredEntry,
    StoredVersion,
)
from services.messaging.store.stretches import destroyed_by, is_hidden
from services.messaging.store.unavailable import log_unavailable
from services.messaging.store.versions import VERSIONS

_STANDINGS = """
    SELECT s.conversation, h.kind, h.last_seq, h.members_version,
           array_agg(coalesce(s.sees_from, s.from_seq) ORDER BY s.from_seq) AS from_seqs,
           array_agg(s.until_seq ORDER BY s.from_seq) AS until_seqs,
           bool_or(s.administrator AND s.until_seq IS NULL) AS administrator,
           t.announcements, t.archived, t.open_history, t.name_seq, t.topic_seq
      FROM messaging.participant_span s
      JOIN messaging.conversation_head h ON h.tenant = s.tenant AND h.conversation = s.conversation
      LEFT JOIN messaging.conversation_terms t
        ON t.tenant = s.tenant AND t.conversation = s.conversation
     WHERE s.tenant = %(tenant)s AND s.principal = %(principal)s
       AND (%(conversation)s::uuid IS NULL OR s.conversation = %(conversation)s)
     GROUP BY s.conversation, h.kind, h.last_seq, h.members_version,
              t.announcements, t.archived, t.open_history, t.name_seq, t.topic_seq
     ORDER BY s.conversation"""

_MEMBERS = """
    SELECT principal, administrator FROM messaging.participant_span
     WHERE tenant = %s AND conversation = %s AND until_seq IS NULL"""

_BODIES = f"""
    SELECT e.conversation, e.seq, e.message, e.revision, p.sealed
      FROM unnest(%s::uuid[], %s::bigint[]) AS wanted (conversation, seq)
      JOIN messaging.entry e ON e.conversation = wanted.conversation AND e.seq = wanted.seq
      JOIN messaging.payload p
        ON p.tenant = e.tenant AND p.conversation = e.conversation AND p.seq = e.seq AND p.sent_at = e.sent_at
     WHERE e.tenant = %s AND NOT {is_hidden("e")}"""

# A version that has a later one, and every version of a retracted message (6 is the retraction itself), is
# shown to no participant: here, and where evidence is taken.
_ENTRIES = f"""
    SELECT e.seq, e.kind, e.message, e.revision, e.actor, e.sent_at, e.members_version, e.subjects,
           CASE WHEN {is_hidden("e")} THEN NULL
                WHEN e.kind <> 6 AND (a.retracted_at IS NOT NULL OR a.version_seq > e.seq) THEN NULL
                ELSE p.sealed END AS sealed,
           e.body_commitment IS NOT NULL AS had_body,
           e.body_commitment IS NOT NULL AND ({is_hidden("e")} OR p.seq IS NULL) AS gone,
           m.message_seq,
           coalesce(a.version_seq > e.seq, false) AS superseded, a.retracted_at IS NOT NULL AS retracted,
           CASE WHEN m.seq IS NULL AND a.retracted_at IS NULL THEN a.version_seq END AS version_seq,
           a.version_at, a.revision AS version_revision,
           CASE WHEN NOT {is_hidden("v")} THEN v.sealed END AS version_sealed
      FROM messaging.entry e
      LEFT JOIN messaging.amendment m
        ON m.tenant = e.tenant AND m.conversation = e.conversation AND m.seq = e.seq
      LEFT JOIN messaging.amended a
        ON a.tenant = e.tenant AND a.conversation = e.conversation
       AND a.message_seq = coalesce(m.message_seq, e.seq)
      LEFT JOIN messaging.payload p
        ON p.tenant = e.tenant AND p.conversation = e.conversation AND p.seq = e.seq AND p.sent_at = e.sent_at
      LEFT JOIN messaging.payload v
        ON m.seq IS NULL AND a.retracted_at IS NULL AND v.tenant = e.tenant
       AND v.conversation = e.conversation AND v.seq = a.version_seq AND v.sent_at = a.version_at
     WHERE e.tenant = %s AND e.conversation = %s AND e.seq > %s AND e.seq <= %s
     ORDER BY e.seq LIMIT %s"""

_REFERENCED = f"""
    SELECT e.conversation, e.seq, e.kind, e.message, e.revision, e.actor, e.sent_at, e.members_version,
           e.subjects, p.sealed, e.body_commitment IS NOT NULL AS had_body,
           {is_hidden("e")} OR {destroyed_by("e")} IS NOT NULL AS hidden, m.message_seq,
           c.superseded_by, c.retracted_by,
           CASE WHEN m.seq IS NOT NULL THEN m.message_seq || c.versions END AS versions
      FROM unnest(%s::uuid[], %s::bigint[]) AS wanted (conversation, seq)
      JOIN messaging.entry e ON e.conversation = wanted.conversation AND e.seq = wanted.seq {VERSIONS}
      LEFT JOIN messaging.payload p
        ON p.tenant = e.tenant AND p.conversation = e.conversation AND p.seq = e.seq AND p.sent_at = e.sent_at
     WHERE e.tenant = %s
     ORDER BY e.conversation, e.seq"""

_SPANS = """
    SELECT s.conversation, s.principal, s.from_seq, s.until_seq FROM messaging.participant_span s
     WHERE s.tenant = %s AND s.conversation = ANY (%s) ORDER BY s.principal"""

_HEADS = """
    SELECT h.conversation, h.last_seq FROM messaging.conversation_head h
     WHERE h.tenant = %s AND (%s::uuid IS NULL OR h.conversation >= %s)
     ORDER BY h.conversation LIMIT %s"""

_ENTRIES_OF_ALL = """
    SELECT coalesce(sum(h.last_seq), 0)::bigint AS entries FROM messaging.conversation_head h
     WHERE h.tenant = %s"""

_KNOWN_PRINCIPALS = """
    SELECT principal FROM messaging.principal WHERE tenant = %s AND principal = ANY (%s) AND active"""

_MARKS = """
    SELECT principal, device, delivered_seq, read_seq, at FROM messaging.receipt
     WHERE tenant = %s AND conversation = %s ORDER BY principal, device"""


class PostgresLogReader:
    """Reads the log by the `messaging_app` role, which row-level security binds to one tenant."""

    def __init__(self, database: TenantDatabase) -> None:
        """Read from `database`."""
        self._database = database

    async def find_standing(self, key: ConversationKey, principal: PrincipalId) -> Standing | None:
        """Return how a principal stands to a conversation, or None if he never took part in it."""
        states = await self._states(key.tenant, principal, key.conversation)
        return states[0].standing if states else None

    async def standings(self, tenant: TenantId, principal: PrincipalId) -> list[ConversationState]:
        """Return every conversation that a principal takes or took part in, in the order of their ids."""
        return await self._states(tenant, principal, None)

    async def members(self, key: ConversationKey) -> Members:
        """Return who takes part in a conversation now, and who administers it."""
        async with self._begin(key.tenant) as tx:
            rows = await tx.fetch_all(_MEMBERS, key)
        return Members(
            frozenset(PrincipalId(row.principal) for row in rows),
            frozenset(PrincipalId(row.principal) for row in rows if row.administrator),
        )

    async def bodies(
        self, tenant: TenantId, places: Sequence[tuple[ConversationId, int]]
    ) -> list[StoredBody]:
        """Return what is sealed at those of these (conversation, seq) where there is something to show."""
        named = ([conversation for conversation, _ in places], [seq for _, seq in places], tenant)
        async with self._begin(tenant) as tx:
            rows = await tx.fetch_all(_BODIES, named)
        return [
            StoredBody(
                ConversationId(row.conversation), row.seq, MessageId(row.message), row.revision, row.sealed
            )
            for row in rows
        ]

    async def entries(self, key: ConversationKey, after: int, until: int, limit: int) -> list[StoredEntry]:
        """Return at most `limit` entries with `after` < seq ≤ `until`, in order."""
        async with self._begin(key.tenant) as tx:
            rows = await tx.fetch_all(_ENTRIES, (*key, after, until, limit))
        return [_shown_of(row) for row in rows]

    async def referenced(self, tenant: TenantId, places: Sequence[tuple[ConversationId, int]]) -> Referenced:
        """Return the entries at these (conversation, seq), in order, with those who took part then.

        The spans are read last: who came since comes with an event of his own.
        """
        named = ([conversation for conversation, _ in places], [seq for _, seq in places], tenant)
        async with self._begin(tenant) as tx:
            rows = await tx.fetch_all(_REFERENCED, named)
            spans = await tx.fetch_all(_SPANS, (tenant, list({row.conversation for row in rows})))
        of_conversation: dict[ConversationId, list[tuple[PrincipalId, Span]]] = {}
        for span in spans:
            taken = (PrincipalId(span.principal), Span(span.from_seq, span.until_seq))
            of_conversation.setdefault(ConversationId(span.conversation), []).append(taken)
        audiences = Audiences(of_conversation)
        entries = [
            ReferencedEntry(
                ConversationId(row.conversation),
                stored_of(row),
                audiences.place_of(ConversationId(row.conversation), row.seq),
                row.hidden,
                amendment_of(row),
                tuple(row.versions or ()),
            )
            for row in rows
        ]
        return Referenced(entries, audiences.found)

    async def heads(
        self, tenant: TenantId, since: ConversationId | None, limit: int
    ) -> list[tuple[ConversationId, int]]:
        """Return conversations by ascending id from `since` on, each with its last `seq`."""
        async with self._begin(tenant) as tx:
            rows = await tx.fetch_all(_HEADS, (tenant, since, since, limit))
        return [(ConversationId(row.conversation), row.last_seq) for row in rows]

    async def entries_of_all(self, tenant: TenantId) -> int:
        """Return how many entries the tenant's conversations have."""
        async with self._begin(tenant) as tx:
            row = await tx.fetch_one(_ENTRIES_OF_ALL, (tenant,))
        return 0 if row is None else int(row.entries)

    async def unknown_principals(
        self, tenant: TenantId, principals: Sequence[PrincipalId]
    ) -> list[PrincipalId]:
        """Return those of `principals` that are not active principals of the tenant, in their order."""
        async with self._begin(tenant) as tx:
            rows = await tx.fetch_all(_KNOWN_PRINCIPALS, (tenant, list(principals)))
        known = {row.principal for row in rows}
        return [principal for principal in principals if principal not in known]

    async def marks(self, key: ConversationKey) -> list[MarkState]:
        """Return the marks of every device in a conversation."""
        async with self._begin(key.tenant) as tx:
            rows = await tx.fetch_all(_MARKS, key)
        return [
            MarkState(
                PrincipalId(row.principal), DeviceId(row.device), row.delivered_seq, row.read_seq, row.at
            )
            for row in rows
        ]

    async def _states(
        self, tenant: TenantId, principal: PrincipalId, conversation: ConversationId | None
    ) -> list[ConversationState]:
        named = {"tenant": tenant, "principal": principal, "conversation": conversation}
        async with self._begin(tenant) as tx:
            rows = await tx.fetch_all(_STANDINGS, named)
        return [ConversationState(ConversationId(row.conversation), _standing(row)) for row in rows]

    @contextlib.asynccontextmanager
    async def _begin(self, tenant: TenantId) -> AsyncIterator[Transaction]:
        with log_unavailable():
            async with self._database.begin(tenant) as tx:
                yield tx


def amendment_of(row: Any) -> AmendedBy:
    """Return what later entries say of a row's message."""
    return AmendedBy(row.message_seq, row.superseded_by, row.retracted_by)


def _standing(row: Any) -> Standing:
    return Standing(
        kind=ConversationKind(row.kind),
        spans=joined_spans(Span(*span) for span in zip(row.from_seqs, row.until_seqs, strict=True)),
        administrator=row.administrator,
        last_seq=row.last_seq,
        members_version=row.members_version,
        terms=DEFAULT_TERMS if row.name_seq is None else _terms(row),
    )


def _terms(row: Any) -> Terms:
    return Terms(row.announcements, row.archived, row.open_history, row.name_seq, row.topic_seq)


def _shown_of(row: Any) -> StoredEntry:
    """Return a row as participants may see it."""
    version = None
    if row.version_seq is not None:
        version = StoredVersion(row.version_seq, row.version_revision, row.version_at, row.version_sealed)
    return stored_of(row)._replace(
        gone=row.gone,
        message_seq=row.message_seq,
        superseded=row.superseded,
        retracted=row.retracted,
        version=version,
    )


def stored_of(row: Any) -> StoredEntry:
    """Return a row of the log, with its payload's, as an entry."""
    return StoredEntry(
        seq=row.seq,
        kind=EntryKind(row.kind),
        message=MessageId(row.message),
        revision=row.revision,
        actor=PrincipalId(row.actor),
        sent_at=row.sent_at,
        members_version=row.members_version,
        subjects=tuple(row.subjects),
        sealed=row.sealed,
        had_body=row.had_body,
    )
