"""Imports as they were asked for and as they stand: rows of one tenant, in its own transactions."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.approvals.facts import fact_of
from libs.approvals.request import Request, State
from libs.contracts.facts import Actor, Entity, MessagingFact
from libs.db.pool import TenantDatabase, Transaction
from libs.events.outbox import append, record_of
from libs.kernel.clock import Clock
from libs.kernel.ids import Ids, PrincipalId, TenantId
from services.messaging.domain.errors import ImportDiffers, ImportNotFound
from services.messaging.domain.imports import ACT, Batch, Person, RefusedLine, Wanted, author_of
from services.messaging.ports import BatchState, ImportCounts, ImportRun
from services.messaging.store.approvals import APPROVALS
from services.messaging.store.unavailable import log_unavailable

_MOST_LISTED = 200
_MOST_REFUSALS = 1000
_OVER = (State.REFUSED, State.EXPIRED)

_INSERT_RUN = """
    INSERT INTO messaging.import_run (tenant, run, source, name, lines, batches, digest, requested_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (tenant, run) DO NOTHING
    RETURNING run"""

_INSERT_BATCHES = """
    INSERT INTO messaging.import_batch (tenant, run, number, digest, lines)
    SELECT %s, %s, b.number - 1, b.digest, b.lines
      FROM unnest(%s::bytea[], %s::integer[]) WITH ORDINALITY AS b (digest, lines, number)"""

_INSERT_PEOPLE = """
    INSERT INTO messaging.import_person (tenant, run, author, principal)
    SELECT %s, %s, p.author, p.principal FROM unnest(%s::uuid[], %s::uuid[]) AS p (author, principal)"""

_FIND_RUN = """
    SELECT run, tenant, source, name, lines, batches, digest, requested_at, begun_at, finished_at
      FROM messaging.import_run WHERE tenant = %s AND run = %s"""

_LOCK_RUN = _FIND_RUN + " FOR UPDATE"

_LIST_RUNS = """
    SELECT run, tenant, source, name, lines, batches, digest, requested_at, begun_at, finished_at
      FROM messaging.import_run WHERE tenant = %s ORDER BY requested_at DESC, run LIMIT %s"""

_COUNTS = """
    SELECT count(done_at) AS done, coalesce(sum(imported), 0) AS imported, coalesce(sum(opened), 0) AS opened,
           min(first_at) AS first_at, max(last_at) AS last_at
      FROM messaging.import_batch WHERE tenant = %s AND run = %s"""

_COUNT_REFUSALS = """
    SELECT count(*) AS refusals FROM messaging.import_refusal WHERE tenant = %s AND run = %s"""

_REFUSALS = """
    SELECT line, why FROM messaging.import_refusal WHERE tenant = %s AND run = %s ORDER BY line LIMIT %s"""

_PEOPLE = "SELECT author, principal FROM messaging.import_person WHERE tenant = %s AND run = %s"

_EVER_KNOWN = "SELECT principal FROM messaging.principal WHERE tenant = %s AND principal = ANY (%s)"

_BATCH = """
    SELECT digest, lines, imported FROM messaging.import_batch
     WHERE tenant = %s AND run = %s AND number = %s"""

_BEGIN = """
    UPDATE messaging.import_run SET begun_at = %s WHERE tenant = %s AND run = %s AND begun_at IS NULL"""

_FINISH = """
    UPDATE messaging.import_run SET finished_at = %s
     WHERE tenant = %s AND run = %s AND begun_at IS NOT NULL AND finished_at IS NULL"""


class PostgresImports:
    """Reads and writes by the `messaging_app` role, which row-level security binds to one tenant."""

    def __init__(self, database: TenantDatabase, ids: Ids, clock: Clock) -> None:
        """Keep them in `database`; acts are given ids by `ids` and times by `clock`."""
        self._database = database
        self._ids = ids
        self._clock = clock

    async def ask(self, run: ImportRun, wanted: Wanted, request: Request) -> tuple[ImportRun, Request]:
        """Keep an import and its request with the fact, unless one stands already."""
        with log_unavailable():
            async with self._database.begin(run.tenant) as tx:
                if await self._insert(tx, run, wanted):
                    kept = run
                else:
                    kept = _run_of(await _get(tx, _LOCK_RUN, run.tenant, run.run))
                    if kept.digest != run.digest:
                        raise ImportDiffers(run.run)
                    standing = await APPROVALS.find_latest(tx, run.tenant, run.run)
                    if standing is not None and standing.state(self._clock.now()) not in _OVER:
                        return kept, standing
                await APPROVALS.insert(tx, request)
                fact = fact_of(
                    MessagingFact,
                    f"{ACT}.requested",
                    request.request,
                    request,
                    request.requester,
                    request.requested_at,
                    Entity(kind="import", id=str(run.run)),
                )
                await self._tell(tx, run.tenant, fact)
        return kept, request

    async def get(self, tenant: TenantId, run: UUID) -> tuple[ImportRun, Request]:
        """Return an import and its newest request. Raises ImportNotFound."""
        with log_unavailable():
            async with self._database.begin(tenant) as tx:
                return await self._with_request(tx, _run_of(await _get(tx, _FIND_RUN, tenant, run)))

    async def listed(self, tenant: TenantId) -> list[tuple[ImportRun, Request]]:
        """Return the newest imports of a tenant, 200 at most."""
        with log_unavailable():
            async with self._database.begin(tenant) as tx:
                rows = await tx.fetch_all(_LIST_RUNS, (tenant, _MOST_LISTED))
                return [await self._with_request(tx, _run_of(row)) for row in rows]

    async def counts(self, run: ImportRun) -> ImportCounts:
        """Return what an import has brought so far."""
        named = (run.tenant, run.run)
        with log_unavailable():
            async with self._database.begin(run.tenant) as tx:
                (counted,) = await tx.fetch_all(_COUNTS, named)
                (refused,) = await tx.fetch_all(_COUNT_REFUSALS, named)
                rows = await tx.fetch_all(_REFUSALS, (*named, _MOST_REFUSALS))
        return ImportCounts(
            done=counted.done,
            imported=int(counted.imported),
            conversations=int(counted.opened),
            first_at=counted.first_at,
            last_at=counted.last_at,
            refusals=refused.refusals,
            refused=tuple(RefusedLine(row.line, row.why) for row in rows),
        )

    async def people(self, run: ImportRun) -> list[Person]:
        """Return the authors of an import who are somebody in the directory."""
        with log_unavailable():
            async with self._database.begin(run.tenant) as tx:
                rows = await tx.fetch_all(_PEOPLE, (run.tenant, run.run))
        return [Person(PrincipalId(row.author), PrincipalId(row.principal)) for row in rows]

    async def unknown(self, tenant: TenantId, principals: Sequence[PrincipalId]) -> list[PrincipalId]:
        """Return those who never were in the tenant's directory."""
        with log_unavailable():
            async with self._database.begin(tenant) as tx:
                rows = await tx.fetch_all(_EVER_KNOWN, (tenant, list(principals)))
        known = {row.principal for row in rows}
        return [principal for principal in principals if principal not in known]

    async def begin(self, run: ImportRun, request: Request, by: PrincipalId) -> ImportRun:
        """Use the approval and begin, in one transaction; what has begun stays as it is."""
        now = self._clock.now()
        with log_unavailable():
            async with self._database.begin(run.tenant) as tx:
                kept = _run_of(await _get(tx, _LOCK_RUN, run.tenant, run.run))
                if kept.begun_at is not None:
                    return kept
                used = await APPROVALS.use(tx, request, ACT, kept.run, kept.digest, now)
                await tx.execute(_BEGIN, (now, run.tenant, run.run))
                fact = fact_of(
                    MessagingFact,
                    f"{ACT}.begun",
                    self._ids.uuid7(),
                    used,
                    by,
                    now,
                    Entity(kind="import", id=str(run.run)),
                )
                await self._tell(tx, run.tenant, fact)
        return kept._replace(begun_at=now)

    async def batch(self, run: ImportRun, number: int) -> BatchState | None:
        """Return a batch, or None if the import has no such number."""
        with log_unavailable():
            async with self._database.begin(run.tenant) as tx:
                row = await tx.fetch_one(_BATCH, (run.tenant, run.run, number))
        return None if row is None else BatchState(Batch(bytes(row.digest), row.lines), row.imported)

    async def finish(self, run: ImportRun, by: PrincipalId) -> ImportRun:
        """End an import, and tell the audit log, in one transaction; what has ended stays."""
        now: datetime = self._clock.now()
        with log_unavailable():
            async with self._database.begin(run.tenant) as tx:
                if await tx.execute(_FINISH, (now, run.tenant, run.run)) != 1:
                    return _run_of(await _get(tx, _FIND_RUN, run.tenant, run.run))
                fact = MessagingFact(
                    act=self._ids.uuid7(),
                    action=f"{ACT}.finished",
                    actor=Actor(kind="principal", id=by),
                    at=now,
                    entities=(Entity(kind="import", id=str(run.run)),),
                )
                await self._tell(tx, run.tenant, fact)
        return run._replace(finished_at=now)

    async def _insert(self, tx: Transaction, run: ImportRun, wanted: Wanted) -> bool:
        """Keep a new import; return False if there is one of this source already."""
        row = (
            run.tenant,
            run.run,
            run.source,
            run.name,
            run.lines,
            run.batches,
            run.digest,
            run.requested_at,
        )
        if await tx.fetch_one(_INSERT_RUN, row) is None:
            return False
        named = (run.tenant, run.run)
        digests = [batch.digest for batch in wanted.batches]
        await tx.execute(_INSERT_BATCHES, (*named, digests, [batch.lines for batch in wanted.batches]))
        if wanted.people:
            authors = [author_of(run.tenant, run.source, nick) for nick, _ in wanted.people]
            await tx.execute(_INSERT_PEOPLE, (*named, authors, [person for _, person in wanted.people]))
        return True

    async def _with_request(self, tx: Transaction, run: ImportRun) -> tuple[ImportRun, Request]:
        request = await APPROVALS.find_latest(tx, run.tenant, run.run)
        if request is None:  # an import and its first request are one transaction
            raise ImportNotFound(run.run)
        return run, request

    async def _tell(self, tx: Transaction, tenant: TenantId, fact: MessagingFact) -> None:
        await append(tx, "messaging", [record_of(fact, tenant, self._ids, self._clock)])


async def _get(tx: Transaction, statement: str, tenant: TenantId, run: UUID) -> Any:
    row = await tx.fetch_one(statement, (tenant, run))
    if row is None:
        raise ImportNotFound(run)
    return row


def _run_of(row: Any) -> ImportRun:
    return ImportRun(
        run=row.run,
        tenant=TenantId(row.tenant),
        source=bytes(row.source),
        name=row.name,
        lines=row.lines,
        batches=row.batches,
        digest=bytes(row.digest),
        requested_at=row.requested_at,
        begun_at=row.begun_at,
        finished_at=row.finished_at,
    )
