"""The group commit in PostgreSQL: one round trip for a batch, whatever its size, or two that lock first.

The writer's role crosses tenants. It may insert entries and payloads, advance heads and read ids; it can
read no body. The tenant of an entry is that of its locked head.
"""

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.errors import UniqueViolation

from libs.contracts.events import CommittedEntry, EntriesCommitted, encode
from libs.db.arrays import bigints, booleans, byteas, instants, integers, smallints, texts, uuids
from libs.db.errors import TransactionAborted
from libs.db.pool import CrossingDatabase
from libs.events.outbox import arrays_of, insert_records, move_heads
from libs.events.records import OutboxRecord, partition_of
from libs.kernel.clock import Clock
from libs.kernel.ids import ConversationId, Ids, MessageId, PrincipalId, TenantId
from services.messaging.domain.amendments import Amended, MessageKey
from services.messaging.domain.entries import ClientKey, ConversationKey, ConversationKind, Entry, EntryKind
from services.messaging.domain.log import Head, KnownSend
from services.messaging.domain.terms import Terms, change_of
from services.messaging.store.facts import facts_of
from services.messaging.store.unavailable import log_unavailable

IMPORTED_FROM = 1
"""Whoever speaks in an imported conversation sees it from its first entry on."""

Parameters = Callable[[Sequence[Entry], Mapping[ConversationKey, Head]], tuple[bytes, ...]]

_CREATE_HEADS = """
    INSERT INTO messaging.conversation_head (tenant, conversation, kind)
    SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::smallint[]) AS h (tenant, conversation, kind)
     ORDER BY h.tenant, h.conversation
    ON CONFLICT (tenant, conversation) DO NOTHING"""

_LOCK_HEADS = """
    SELECT h.tenant, h.conversation, h.last_seq, h.members_version
      FROM messaging.conversation_head h
      JOIN unnest(%s::uuid[], %s::uuid[]) AS k (tenant, conversation)
        ON h.tenant = k.tenant AND h.conversation = k.conversation
     ORDER BY h.tenant, h.conversation FOR UPDATE OF h"""

_FIND_SENDS = """
    SELECT s.tenant, s.principal, s.client_id, s.conversation, s.seq, s.message, s.fingerprint, m.at
      FROM messaging.client_send s
      JOIN unnest(%s::uuid[], %s::uuid[], %s::uuid[]) AS k (tenant, principal, client_id)
        ON s.tenant = k.tenant AND s.principal = k.principal AND s.client_id = k.client_id
      LEFT JOIN messaging.amendment m
        ON m.tenant = s.tenant AND m.conversation = s.conversation AND m.seq = s.seq"""

_HOLDS = "(SELECT holds FROM decided)"

# Whether the heads stand as expected is decided by the statement itself, behind their locks; then it writes
# everything or nothing. One statement: each costs the driver and the server about as much as ten rows.
_APPEND = f"""
    WITH expected AS MATERIALIZED (
        SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::bigint[], %s::bigint[])
            AS k (tenant, conversation, last_seq, members_version)
    ), locked AS MATERIALIZED (
        SELECT h.last_seq = k.last_seq AND h.members_version = k.members_version AS stands
          FROM messaging.conversation_head h
          JOIN expected k ON h.tenant = k.tenant AND h.conversation = k.conversation
         ORDER BY h.tenant, h.conversation FOR UPDATE OF h
    ), decided AS MATERIALIZED (
        SELECT (SELECT count(*) FROM locked WHERE stands) = (SELECT count(*) FROM expected) AS holds
    ), new AS MATERIALIZED (
        SELECT n.* FROM decided, unnest(
            %s::uuid[], %s::uuid[], %s::bigint[], %s::smallint[], %s::integer[], %s::uuid[], %s::uuid[],
            %s::uuid[], %s::timestamptz[], %s::bigint[], %s::text[], %s::bytea[], %s::bytea[], %s::bytea[],
            %s::uuid[], %s::bytea[], %s::uuid[], %s::bytea[], %s::uuid[])
            AS n (tenant, conversation, seq, kind, revision, message, actor, device, sent_at, members_version,
                  subjects, metadata_salt, metadata_commitment, body_commitment, client_id, fingerprint,
                  dek, sealed, commit)
         WHERE decided.holds
    ), sends AS (
        INSERT INTO messaging.client_send
               (tenant, principal, client_id, conversation, seq, message, fingerprint)
        SELECT n.tenant, n.actor, n.client_id, n.conversation, n.seq, n.message, n.fingerprint
          FROM new n WHERE n.client_id IS NOT NULL
    ), payloads AS (
        INSERT INTO messaging.payload (tenant, conversation, seq, sent_at, dek, sealed)
        SELECT n.tenant, n.conversation, n.seq, n.sent_at, n.dek, n.sealed
          FROM new n WHERE n.sealed IS NOT NULL
    ), heads AS (
        UPDATE messaging.conversation_head h
           SET last_seq = last.seq, members_version = last.members_version
          FROM (SELECT DISTINCT ON (n.tenant, n.conversation)
                       n.tenant, n.conversation, n.seq, n.members_version
                  FROM new n ORDER BY n.tenant, n.conversation, n.seq DESC) last
         WHERE h.tenant = last.tenant AND h.conversation = last.conversation
    ), entries AS (
        INSERT INTO messaging.entry (tenant, conversation, seq, kind, revision, message, actor, device,
               sent_at, members_version, subjects, metadata_salt, metadata_commitment, body_commitment,
               commit)
        SELECT n.tenant, n.conversation, n.seq, n.kind, n.revision, n.message, n.actor, n.device, n.sent_at,
               n.members_version, n.subjects::uuid[], n.metadata_salt, n.metadata_commitment,
               n.body_commitment, n.commit
          FROM new n
    ), outbox_moved AS ({move_heads("messaging", _HOLDS)}), outbox AS ({insert_records("messaging", _HOLDS)})
    SELECT holds FROM decided"""

# What who is brought in may see is settled behind the lock of the head, by the terms as they stand there.
_OPEN_SPANS = """
    INSERT INTO messaging.participant_span
           (tenant, conversation, principal, from_seq, administrator, sees_from)
    SELECT k.tenant, k.conversation, k.principal, k.seq, k.administrator,
           (SELECT 1 FROM messaging.conversation_terms t
             WHERE t.tenant = k.tenant AND t.conversation = k.conversation AND t.open_history)
      FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::bigint[], %s::boolean[])
        AS k (tenant, conversation, principal, seq, administrator)"""

_CLOSE_SPANS = """
    UPDATE messaging.participant_span s SET until_seq = k.seq
      FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::bigint[])
        AS k (tenant, conversation, principal, seq)
     WHERE s.tenant = k.tenant AND s.conversation = k.conversation AND s.principal = k.principal
       AND s.until_seq IS NULL"""

_APPOINT = """
    UPDATE messaging.participant_span s SET administrator = %s
      FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[]) AS k (tenant, conversation, principal)
     WHERE s.tenant = k.tenant AND s.conversation = k.conversation AND s.principal = k.principal
       AND s.until_seq IS NULL"""

_SETTLE = """
    INSERT INTO messaging.conversation_terms AS t
           (tenant, conversation, announcements, archived, open_history, name_seq, topic_seq)
    VALUES (%(tenant)s, %(conversation)s, coalesce(%(announcements)s::boolean, false),
            coalesce(%(archived)s::boolean, false), coalesce(%(open_history)s::boolean, false),
            coalesce(%(name_seq)s::bigint, 1), %(topic_seq)s::bigint)
    ON CONFLICT (tenant, conversation) DO UPDATE
       SET announcements = coalesce(%(announcements)s::boolean, t.announcements),
           archived = coalesce(%(archived)s::boolean, t.archived),
           open_history = coalesce(%(open_history)s::boolean, t.open_history),
           name_seq = coalesce(%(name_seq)s::bigint, t.name_seq),
           topic_seq = coalesce(%(topic_seq)s::bigint, t.topic_seq)"""

_AMENDED = """
    SELECT a.tenant, a.conversation, a.message_seq, a.revision, a.retracted_at IS NOT NULL AS retracted
      FROM messaging.amended a
      JOIN unnest(%s::uuid[], %s::uuid[], %s::bigint[]) AS k (tenant, conversation, message_seq)
        ON a.tenant = k.tenant AND a.conversation = k.conversation AND a.message_seq = k.message_seq"""

_KEEP_AMENDMENT = """
    INSERT INTO messaging.amendment (tenant, conversation, seq, message_seq, retracts, at)
    VALUES (%s, %s, %s, %s, %s, %s)"""

_REVISE = """
    INSERT INTO messaging.amended AS a (tenant, conversation, message_seq, revision, version_seq, version_at)
    VALUES (%s, %s, %s, %s, %s, %s)
    ON CONFLICT (tenant, conversation, message_seq) DO UPDATE
       SET revision = excluded.revision,
           version_seq = excluded.version_seq, version_at = excluded.version_at"""

_RETRACT = """
    INSERT INTO messaging.amended AS a (tenant, conversation, message_seq, revision, retracted_at)
    VALUES (%s, %s, %s, %s, %s)
    ON CONFLICT (tenant, conversation, message_seq) DO UPDATE
       SET revision = excluded.revision, retracted_at = excluded.retracted_at"""


class PostgresLogWriter:
    """Writes the log by the `messaging_writer` role."""

    def __init__(
        self, database: CrossingDatabase, ids: Ids, clock: Clock, *, audit_facts: bool = True
    ) -> None:
        """Write to `database`; commits and events are given ids by `ids` and times by `clock`.

        Without `audit_facts` the audit log learns nothing: for measuring what it costs, and nothing else.
        """
        self._database = database
        self._ids = ids
        self._clock = clock
        self._audit_facts = audit_facts

    async def append_where(self, entries: Sequence[Entry], heads: Mapping[ConversationKey, Head]) -> bool:
        """Commit messages in one round trip if the heads stand as said; return False if nothing was written.

        Nothing is written either when one of their client ids is known. Raises LogUnavailable as `begin`
        does.
        """
        with log_unavailable():
            async with self._database.lease() as connection:
                try:
                    cursor = await connection.execute(_APPEND, self._parameters(entries, heads), binary=True)
                    row = await cursor.fetchone()
                except UniqueViolation:
                    return False
        return bool(row and row[0])

    @contextlib.asynccontextmanager
    async def begin(self) -> AsyncIterator["PostgresLogTransaction"]:
        """Begin a group commit that locks first; COMMIT travels with the last statements.

        Raises LogUnavailable when the connection is lost. Whether it was committed may then be unknown:
        senders repeat their client ids and learn it.
        """
        with log_unavailable():
            async with self._database.lease() as connection:
                async with connection.pipeline():
                    await connection.execute("BEGIN")
                    yield PostgresLogTransaction(connection, self._parameters)
                    committed = await connection.execute("COMMIT")
                # An aborted transaction answers COMMIT with ROLLBACK and no error.
                if committed.statusmessage != "COMMIT":
                    raise TransactionAborted("messaging_writer")

    def transaction_on(self, connection: AsyncConnection[Any]) -> "PostgresLogTransaction":
        """Return the same for a transaction that another store has begun, in pipeline mode."""
        return PostgresLogTransaction(connection, self._parameters)

    def _parameters(
        self, entries: Sequence[Entry], heads: Mapping[ConversationKey, Head]
    ) -> tuple[bytes, ...]:
        commits = {tenant: self._ids.uuid7() for tenant in {entry.draft.key.tenant for entry in entries}}
        records = self._events(entries)
        if self._audit_facts:
            records += facts_of(entries, commits, self._ids, self._clock)
        return (*_columns_of_heads(heads), *_columns_of(entries, commits), *arrays_of(records))

    def _events(self, entries: Sequence[Entry]) -> list[OutboxRecord]:
        """Return one event for each conversation of the commit; it carries references, no bodies."""
        by_key: dict[ConversationKey, list[Entry]] = {}
        for entry in entries:
            by_key.setdefault(entry.draft.key, []).append(entry)
        return [self._event(key, of_key) for key, of_key in by_key.items()]

    def _event(self, key: ConversationKey, entries: Sequence[Entry]) -> OutboxRecord:
        part = partition_of(key.tenant, key.conversation)
        event = EntriesCommitted(
            conversation=key.conversation,
            partition=part,
            members_version=entries[-1].members_version,
            entries=tuple(_committed_entry(entry) for entry in entries),
        )
        body = encode(
            event,
            id=self._ids.uuid7(),
            time=self._clock.now(),
            tenant=key.tenant,
            subject=str(key.conversation),
        )
        return OutboxRecord(part, key.tenant, event.name, body)


class PostgresLogTransaction:
    """One group commit on one connection in pipeline mode."""

    def __init__(self, connection: AsyncConnection[Any], parameters: Parameters) -> None:
        """Write on `connection`, on which a transaction has begun."""
        self._connection = connection
        self._parameters = parameters
        self._heads: dict[ConversationKey, Head] = {}

    async def lock(
        self,
        keys: Sequence[ConversationKey],
        created: Mapping[ConversationKey, ConversationKind],
        clients: Sequence[ClientKey],
    ) -> tuple[dict[ConversationKey, Head], dict[ClientKey, KnownSend]]:
        """Lock the heads in their order, then read the sends that exist.

        After the lock, so that no earlier commit on these conversations can be missed.
        """
        run = self._connection.execute
        if created:
            await run(
                _CREATE_HEADS,
                (
                    uuids([key.tenant for key in created]),
                    uuids([key.conversation for key in created]),
                    smallints([*created.values()]),
                ),
            )
        heads = await run(
            _LOCK_HEADS,
            (uuids([key.tenant for key in keys]), uuids([key.conversation for key in keys])),
            binary=True,
        )
        known = await run(
            _FIND_SENDS,
            (
                uuids([client.tenant for client in clients]),
                uuids([client.principal for client in clients]),
                uuids([client.client_id for client in clients]),
            ),
            binary=True,
        )
        self._heads = {
            ConversationKey(TenantId(row[0]), ConversationId(row[1])): Head(row[2], row[3])
            for row in await heads.fetchall()
        }
        return (
            self._heads,
            {
                ClientKey(TenantId(row[0]), PrincipalId(row[1]), row[2]): KnownSend(
                    ConversationId(row[3]), row[4], MessageId(row[5]), row[6], row[7]
                )
                for row in await known.fetchall()
            },
        )

    async def amended(self, messages: Sequence[MessageKey]) -> dict[MessageKey, Amended]:
        """Return how those of `messages` stand that were amended, behind the locks of their heads."""
        columns = (
            uuids([message.key.tenant for message in messages]),
            uuids([message.key.conversation for message in messages]),
            bigints([message.seq for message in messages]),
        )
        rows = await self._connection.execute(_AMENDED, columns, binary=True)
        return {
            MessageKey(ConversationKey(TenantId(row[0]), ConversationId(row[1])), row[2]): Amended(
                row[3], row[4]
            )
            for row in await rows.fetchall()
        }

    async def append(self, entries: Sequence[Entry]) -> None:
        """Queue the statements of the commit, the outbox last; errors surface when it ends.

        The heads are locked as they were found, so that what is expected of them holds.
        """
        await self._change(entries)
        if any(entry.draft.kind.amends for entry in entries):
            await self._amend(entries)
        await self.write(entries)

    async def write(self, entries: Sequence[Entry]) -> None:
        """Queue the same without moving spans, for who moves them by another rule."""
        await self._connection.execute(_APPEND, self._parameters(entries, self._heads), binary=True)

    async def _amend(self, entries: Sequence[Entry]) -> None:
        """Keep what amends what, in the order of the entries."""
        for entry in entries:
            draft = entry.draft
            if draft.message_seq is None:
                continue
            retracts = draft.kind is EntryKind.MESSAGE_RETRACTED
            amended = (*draft.key, draft.message_seq, draft.revision)
            await self._connection.execute(
                _KEEP_AMENDMENT,
                (*draft.key, entry.seq, draft.message_seq, retracts, draft.sent_at),
            )
            if retracts:
                await self._connection.execute(_RETRACT, (*amended, draft.sent_at))
            else:
                await self._connection.execute(_REVISE, (*amended, entry.seq, draft.sent_at))

    async def _change(self, entries: Sequence[Entry]) -> None:
        """Move spans and terms, in the order of the entries."""
        for entry in entries:
            if entry.draft.subjects:
                await self._move_spans(entry)
            elif change := change_of(entry.draft.kind, entry.seq):
                await self._settle(entry.draft.key, change)

    async def _move_spans(self, entry: Entry) -> None:
        """Open or close the spans of those whom an entry names, or change who of them administers."""
        draft, size = entry.draft, len(entry.draft.subjects)
        named = (
            uuids([draft.key.tenant] * size),
            uuids([draft.key.conversation] * size),
            uuids(draft.subjects),
        )
        seqs = bigints([entry.seq] * size)
        run = self._connection.execute
        match draft.kind:
            case EntryKind.CONVERSATION_CREATED | EntryKind.PARTICIPANTS_ADDED:
                creator = draft.kind is EntryKind.CONVERSATION_CREATED
                administrators = [creator and subject == draft.actor for subject in draft.subjects]
                await run(_OPEN_SPANS, (*named, seqs, booleans(administrators)))
            case EntryKind.PARTICIPANTS_REMOVED:
                await run(_CLOSE_SPANS, (*named, seqs))
            case EntryKind.ADMINISTRATORS_ADDED | EntryKind.ADMINISTRATORS_REMOVED:
                await run(_APPOINT, (draft.kind is EntryKind.ADMINISTRATORS_ADDED, *named))

    async def _settle(self, key: ConversationKey, change: Mapping[str, bool | int]) -> None:
        await self._connection.execute(_SETTLE, {**key._asdict(), **dict.fromkeys(Terms._fields), **change})


def _committed_entry(entry: Entry) -> CommittedEntry:
    draft = entry.draft
    return CommittedEntry(
        seq=entry.seq,
        kind=draft.kind.name.lower(),
        message=draft.message,
        revision=draft.revision,
        dek=draft.dek,
        sent_at=draft.sent_at,
        message_seq=draft.message_seq,
        seen_from=IMPORTED_FROM if draft.provenance is not None and draft.kind.brings_in else None,
    )


def _columns_of_heads(heads: Mapping[ConversationKey, Head]) -> tuple[bytes, ...]:
    """Return the heads as the first columns of `_APPEND`."""
    return (
        uuids([key.tenant for key in heads]),
        uuids([key.conversation for key in heads]),
        bigints([head.last_seq for head in heads.values()]),
        bigints([head.members_version for head in heads.values()]),
    )


def _columns_of(entries: Sequence[Entry], commits: Mapping[TenantId, UUID]) -> tuple[bytes, ...]:
    """Return the entries as further columns of `_APPEND`, each a packed array."""
    drafts = [entry.draft for entry in entries]
    return (
        uuids([draft.key.tenant for draft in drafts]),
        uuids([draft.key.conversation for draft in drafts]),
        bigints([entry.seq for entry in entries]),
        smallints([draft.kind for draft in drafts]),
        integers([draft.revision for draft in drafts]),
        uuids([draft.message for draft in drafts]),
        uuids([draft.actor for draft in drafts]),
        uuids([draft.device for draft in drafts]),
        instants([draft.sent_at for draft in drafts]),
        bigints([entry.members_version for entry in entries]),
        texts(["{" + ",".join(map(str, draft.subjects)) + "}" for draft in drafts]),
        # the salt of an entry with a body lies inside the seal and dies with it
        byteas([draft.metadata_salt if draft.sealed is None else None for draft in drafts]),
        byteas([entry.metadata_commitment for entry in entries]),
        byteas([draft.body_commitment for draft in drafts]),
        uuids([draft.client_id for draft in drafts]),
        byteas([draft.fingerprint for draft in drafts]),
        uuids([draft.dek for draft in drafts]),
        byteas([draft.sealed for draft in drafts]),
        uuids([commits[draft.key.tenant] for draft in drafts]),
    )
