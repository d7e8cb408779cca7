"""What proves entries, and who took it: rows of one tenant, read and written by its own transactions."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any
from uuid import UUID

from libs.contracts.facts import Actor, Entity, MessagingFact, Run
from libs.db.pool import TenantDatabase
from libs.events.outbox import append, record_of
from libs.kernel.clock import Clock
from libs.kernel.ids import ConversationId, Ids, TenantId
from services.messaging.domain.commits import CommitTree, RunOfLeaves
from services.messaging.domain.entries import ConversationKey, Provenance
from services.messaging.ports import CommittedEntry, KeptEntry, Taking
from services.messaging.store.log_reader import amendment_of, stored_of
from services.messaging.store.stretches import destroyed_by, is_hidden
from services.messaging.store.unavailable import log_unavailable
from services.messaging.store.versions import VERSIONS

_COLUMNS = """
           e.seq, e.kind, e.message, e.revision, e.actor, e.sent_at, e.members_version, e.subjects,
           e.body_commitment IS NOT NULL AS had_body, e.commit, e.metadata_salt, e.metadata_commitment,
           e.body_commitment, r.source, i.line"""
_STRETCH = f"""
      FROM messaging.entry e {VERSIONS}
      LEFT JOIN messaging.amended a
        ON a.tenant = e.tenant AND a.conversation = e.conversation
       AND a.message_seq = coalesce(m.message_seq, e.seq)
      LEFT JOIN messaging.imported_line i
        ON i.tenant = e.tenant AND i.conversation = e.conversation AND i.seq = e.seq
      LEFT JOIN messaging.import_run r ON r.tenant = i.tenant AND r.run = i.run
      LEFT JOIN messaging.payload p
        ON p.tenant = e.tenant AND p.conversation = e.conversation AND p.seq = e.seq AND p.sent_at = e.sent_at
     WHERE e.tenant = %s AND e.conversation = %s AND e.seq BETWEEN %s AND %s
     ORDER BY e.seq"""

_COMMITTED = f"""
    SELECT {_COLUMNS}, CASE WHEN {is_hidden("e")} THEN NULL
                WHEN e.kind <> 6 AND (a.retracted_at IS NOT NULL OR a.version_seq > e.seq) THEN NULL
                ELSE p.sealed END AS sealed {_STRETCH}"""

_KEPT = f"""
    SELECT {_COLUMNS}, p.sealed, {is_hidden("e")} AS hidden, {destroyed_by("e")} AS destroyed_by,
           m.message_seq, c.superseded_by, c.retracted_by {_STRETCH}"""

# A leaf is hashed here as `libs.evidence.entry.entry_leaf` does it: a row for each leaf would cost more than
# all the rest, where a commit brought some hundred entries and one of them is asked for.
_LEAVES = """
    SELECT e.commit, e.conversation, min(e.seq) AS first,
           string_agg(sha256('\\x00'::bytea || e.metadata_commitment
                             || coalesce(e.body_commitment, decode(repeat('00', 32), 'hex'))),
                      ''::bytea ORDER BY e.seq) AS hashes
      FROM messaging.entry e
     WHERE e.tenant = %s AND e.commit = ANY (%s)
     GROUP BY e.commit, e.conversation
     ORDER BY e.commit, e.conversation"""

_RECORD = """
    INSERT INTO messaging.evidence_taking (tenant, taking, principal, conversation, first_seq, last_seq, at)
    VALUES (%s, %s, %s, %s, %s, %s, %s)"""


class PostgresEvidence:
    """Reads and records by the `messaging_app` role, which row-level security binds to one tenant."""

    def __init__(self, database: TenantDatabase, ids: Ids, clock: Clock) -> None:
        """Read from `database`; takings are given ids by `ids` and times by `clock`."""
        self._database = database
        self._ids = ids
        self._clock = clock

    async def committed(self, key: ConversationKey, first: int, last: int) -> list[CommittedEntry]:
        """Return the entries from `first` to `last`, in order."""
        with log_unavailable():
            async with self._database.begin(key.tenant) as tx:
                rows = await tx.fetch_all(_COMMITTED, (*key, first, last))
        return [_committed(row) for row in rows]

    async def kept(self, key: ConversationKey, first: int, last: int) -> list[KeptEntry]:
        """Return the entries from `first` to `last`, in order, hidden ones with what is still there."""
        with log_unavailable():
            async with self._database.begin(key.tenant) as tx:
                rows = await tx.fetch_all(_KEPT, (*key, first, last))
        return [_kept(row) for row in rows]

    async def trees(self, tenant: TenantId, commits: Sequence[UUID]) -> dict[UUID, CommitTree]:
        """Return the tree of each of these commits in a tenant."""
        with log_unavailable():
            async with self._database.begin(tenant) as tx:
                rows = await tx.fetch_all(_LEAVES, (tenant, list(commits)))
        return {
            commit: CommitTree(
                RunOfLeaves(ConversationId(row.conversation), row.first, row.hashes) for row in of_commit
            )
            for commit, of_commit in groupby(rows, lambda row: row.commit)
        }

    async def record(self, taking: Taking) -> None:
        """Keep that evidence was taken, and its fact, in one transaction."""
        act, now = self._ids.uuid7(), self._clock.now()
        fact = MessagingFact(
            act=act,
            action="messaging.evidence.taken",
            actor=Actor(kind="principal", id=taking.principal),
            at=now,
            entities=(Entity(kind="conversation", id=str(taking.key.conversation)),),
            runs=(Run(conversation=taking.key.conversation, first=taking.first, last=taking.last),),
        )
        row = (
            taking.key.tenant,
            act,
            taking.principal,
            taking.key.conversation,
            taking.first,
            taking.last,
            now,
        )
        with log_unavailable():
            async with self._database.begin(taking.key.tenant) as tx:
                await tx.execute(_RECORD, row)
                await append(tx, "messaging", [record_of(fact, taking.key.tenant, self._ids, self._clock)])


def _kept(row: Any) -> KeptEntry:
    hidden = row.hidden or row.destroyed_by is not None
    return KeptEntry(_committed(row), hidden, row.destroyed_by, amendment_of(row))


def _committed(row: Any) -> CommittedEntry:
    provenance = None if row.source is None else Provenance(row.source, row.line)
    return CommittedEntry(
        stored_of(row)._replace(provenance=provenance),
        row.commit,
        row.metadata_salt,
        row.metadata_commitment,
        row.body_commitment,
    )
