"""A batch of an import in PostgreSQL: one transaction, whatever its size, and once however often it comes."""

from collections.abc import Sequence
from typing import Any, LiteralString

from psycopg import AsyncConnection

from libs.db.arrays import bigints, booleans, smallints, texts, uuids
from libs.db.errors import TransactionAborted
from libs.db.pool import CrossingDatabase
from libs.kernel.clock import Clock
from libs.kernel.ids import ConversationId, PrincipalId, TenantId
from services.messaging.domain.entries import ConversationKey, ConversationKind, Entry
from services.messaging.domain.errors import BatchOutOfOrder
from services.messaging.domain.imports import ImportPlan, RefusedLine, plan_import
from services.messaging.ports import ArrivedBatch, BatchDone, ImportRun
from services.messaging.store.log_writer import IMPORTED_FROM, PostgresLogWriter
from services.messaging.store.unavailable import log_unavailable

# The batch's own row comes first: whoever brings the same batch at the same time waits here, and then sees
# that it came.
_LOCK_BATCH = """
    SELECT b.lines, b.imported FROM messaging.import_batch b
     WHERE b.tenant = %s AND b.run = %s AND b.number = %s FOR UPDATE OF b"""

_COUNT_DONE = """
    SELECT count(*) FROM messaging.import_batch b
     WHERE b.tenant = %s AND b.run = %s AND b.done_at IS NOT NULL"""

_PRESENT = """
    SELECT s.tenant, s.conversation, s.principal
      FROM messaging.participant_span s
      JOIN unnest(%s::uuid[], %s::uuid[]) AS k (tenant, conversation)
        ON s.tenant = k.tenant AND s.conversation = k.conversation"""

_SEE = """
    INSERT INTO messaging.participant_span (tenant, conversation, principal, from_seq, administrator)
    SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::bigint[], %s::boolean[])"""

_SEE_UNTIL = """
    UPDATE messaging.participant_span s SET until_seq = k.seq
      FROM unnest(%s::uuid[], %s::uuid[], %s::bigint[]) AS k (tenant, conversation, seq)
     WHERE s.tenant = k.tenant AND s.conversation = k.conversation"""

_KEEP_LINES = """
    INSERT INTO messaging.imported_line (tenant, conversation, seq, run, line, kind)
    SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::bigint[], %s::uuid[], %s::bigint[], %s::smallint[])"""

_KEEP_REFUSALS = """
    INSERT INTO messaging.import_refusal (tenant, run, line, why)
    SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::bigint[], %s::text[])"""

_DONE = """
    UPDATE messaging.import_batch
       SET done_at = %s, imported = %s, opened = %s, first_at = %s, last_at = %s
     WHERE tenant = %s AND run = %s AND number = %s"""


class PostgresImportWriter:
    """Writes batches by the `messaging_writer` role, as sends are written."""

    def __init__(self, database: CrossingDatabase, log: PostgresLogWriter, clock: Clock) -> None:
        """Write to `database`, entries as `log` does; the time is `clock`'s."""
        self._database = database
        self._log = log
        self._clock = clock

    async def write(self, arrived: ArrivedBatch) -> BatchDone:
        """Commit a batch; one that came before makes nothing new. Raises BatchOutOfOrder."""
        with log_unavailable():
            async with self._database.lease() as connection:
                async with connection.pipeline():
                    await connection.execute("BEGIN")
                    lines, imported = await _locked(connection, arrived)
                    if imported is not None:
                        await connection.execute("ROLLBACK")
                        return BatchDone(imported, lines - imported, repeated=True)
                    refused = await self._written(connection, arrived)
                    committed = await connection.execute("COMMIT")
                # An aborted transaction answers COMMIT with ROLLBACK and no error.
                if committed.statusmessage != "COMMIT":
                    raise TransactionAborted("messaging_writer")
        return BatchDone(lines - refused, refused, repeated=False)

    async def _written(self, connection: AsyncConnection[Any], arrived: ArrivedBatch) -> int:
        """Queue what a batch brings, the entries with their outbox last; return how many lines it refuses."""
        keys = sorted(part.key for part in arrived.parts)
        log = self._log.transaction_on(connection)
        heads, _ = await log.lock(keys, dict.fromkeys(keys, ConversationKind.IMPORT), ())
        plan = plan_import(arrived.parts, heads, await _present(connection, keys))
        refused = [*arrived.refused, *plan.refused]
        await _keep_refusals(connection, arrived.run, refused)
        await self._tell_done(connection, arrived, plan)
        if plan.entries:
            await _keep_lines(connection, arrived.run, plan.entries)
            await _move_spans(connection, plan.entries)
            await log.write(plan.entries)
        return len(refused)

    async def _tell_done(
        self, connection: AsyncConnection[Any], arrived: ArrivedBatch, plan: ImportPlan
    ) -> None:
        times = [each.draft.sent_at for each in plan.entries if not each.draft.kind.changes_members]
        first, last = min(times, default=None), max(times, default=None)
        came = (self._clock.now(), len(times), plan.opened, first, last)
        await connection.execute(_DONE, (*came, arrived.run.tenant, arrived.run.run, arrived.number))


async def _locked(connection: AsyncConnection[Any], arrived: ArrivedBatch) -> tuple[int, int | None]:
    """Return how many lines a batch has, and how many it brought if it came. Raises BatchOutOfOrder."""
    named = (arrived.run.tenant, arrived.run.run)
    lines, imported = (await _rows(connection, _LOCK_BATCH, (*named, arrived.number)))[0]
    if imported is None:
        done = (await _rows(connection, _COUNT_DONE, named))[0][0]
        if done != arrived.number:
            raise BatchOutOfOrder(done)
    return lines, imported


async def _present(
    connection: AsyncConnection[Any], keys: Sequence[ConversationKey]
) -> dict[ConversationKey, frozenset[PrincipalId]]:
    """Return the authors that conversations have already, behind the locks of their heads."""
    named = (uuids([key.tenant for key in keys]), uuids([key.conversation for key in keys]))
    found: dict[ConversationKey, set[PrincipalId]] = {}
    for tenant, conversation, principal in await _rows(connection, _PRESENT, named):
        key = ConversationKey(TenantId(tenant), ConversationId(conversation))
        found.setdefault(key, set()).add(PrincipalId(principal))
    return {key: frozenset(authors) for key, authors in found.items()}


async def _keep_refusals(
    connection: AsyncConnection[Any], run: ImportRun, refused: Sequence[RefusedLine]
) -> None:
    columns = (
        uuids([run.tenant] * len(refused)),
        uuids([run.run] * len(refused)),
        bigints([line.number for line in refused]),
        texts([line.why for line in refused]),
    )
    await connection.execute(_KEEP_REFUSALS, columns)


async def _keep_lines(connection: AsyncConnection[Any], run: ImportRun, entries: Sequence[Entry]) -> None:
    """Keep where each entry comes from."""
    drafts = [entry.draft for entry in entries]
    columns = (
        uuids([draft.key.tenant for draft in drafts]),
        uuids([draft.key.conversation for draft in drafts]),
        bigints([entry.seq for entry in entries]),
        uuids([run.run] * len(entries)),
        bigints([draft.provenance.line if draft.provenance else None for draft in drafts]),
        smallints([draft.kind for draft in drafts]),
    )
    await connection.execute(_KEEP_LINES, columns)


async def _move_spans(connection: AsyncConnection[Any], entries: Sequence[Entry]) -> None:
    """Let every author see his conversation from its first entry to its last, and take part in nothing.

    A span that ends is a span of somebody who has left: he reads, and neither writes nor is written to.
    """
    seen = [
        (entry.draft.key, subject)
        for entry in entries
        if entry.draft.kind.changes_members
        for subject in entry.draft.subjects
    ]
    columns = (
        uuids([key.tenant for key, _ in seen]),
        uuids([key.conversation for key, _ in seen]),
        uuids([subject for _, subject in seen]),
        bigints([IMPORTED_FROM] * len(seen)),
        booleans([False] * len(seen)),
    )
    await connection.execute(_SEE, columns)
    last = {entry.draft.key: entry.seq for entry in entries}
    ends = (
        uuids([key.tenant for key in last]),
        uuids([key.conversation for key in last]),
        bigints([*last.values()]),
    )
    await connection.execute(_SEE_UNTIL, ends)


async def _rows(
    connection: AsyncConnection[Any], statement: LiteralString, parameters: tuple[object, ...]
) -> list[tuple[Any, ...]]:
    cursor = await connection.execute(statement, parameters, binary=True)
    return await cursor.fetchall()
