"""The books in PostgreSQL, by transactions of the role retention_app, each bound to one tenant."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final
from uuid import UUID

from libs.approvals.store import TenantApprovals
from libs.contracts.events import Event
from libs.db.pool import TenantDatabase, Transaction
from libs.events.outbox import append, record_of
from libs.kernel.clock import Clock
from libs.kernel.denials import Denial
from libs.kernel.ids import Ids, TenantId
from services.retention.domain.orders import Answer, Completion, Confirmed, Issued, Order, Standing
from services.retention.domain.rules import ErasureRequest, LockVersion, RuleVersion
from services.retention.ports.books import Outgoing
from services.retention.store.rows import (
    answer_of,
    completion_of,
    erasure_of,
    json_of,
    lock_of,
    order_of,
    rule_of,
)

SCHEMA: Final = "retention"

_RULES: Final = """
    SELECT DISTINCT ON (r.rule) r.* FROM retention.rule_version r
     WHERE r.tenant = %s ORDER BY r.rule, r.version DESC"""
_VERSIONS: Final = """
    SELECT r.* FROM retention.rule_version r WHERE r.tenant = %s AND r.rule = %s ORDER BY r.version"""
_ADD_RULE: Final = """
    INSERT INTO retention.rule_version (tenant, rule, version, kind, years, months, days, grace_seconds,
           conversation_types, conversations, preset, ended, made_by, made_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s::text[], %s::uuid[], %s, %s, %s, %s)
    ON CONFLICT (tenant, rule, version) DO NOTHING"""
_LOCKS: Final = """
    SELECT DISTINCT ON (l.lock) l.* FROM retention.lock_version l
     WHERE l.tenant = %s AND (%s::uuid IS NULL OR l.lock = %s) ORDER BY l.lock, l.version DESC"""
_ADD_LOCK: Final = """
    INSERT INTO retention.lock_version (tenant, lock, version, years, months, days, conversation_types,
           made_by, made_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s::text[], %s, %s)
    ON CONFLICT (tenant, lock, version) DO NOTHING"""
_ERASURES: Final = "SELECT e.* FROM retention.erasure e WHERE e.tenant = %s ORDER BY e.erasure"
_ADD_ERASURE: Final = """
    INSERT INTO retention.erasure (tenant, erasure, subject, requested_at, taken_by)
    VALUES (%s, %s, %s, %s, %s)"""
_ORDERS: Final = """
    SELECT o.tenant, o.order_id, o.kind, o.claims::text AS claims, o.issued_by, o.issued_at,
           o.dry_run, o.generation, o.digest
      FROM retention.disposition_order o
     WHERE o.tenant = %s AND (%s::uuid IS NULL OR o.order_id < %s)
     ORDER BY o.order_id DESC LIMIT %s"""
_ORDER: Final = """
    SELECT o.tenant, o.order_id, o.kind, o.claims::text AS claims, o.issued_by, o.issued_at,
           o.dry_run, o.generation, o.digest
      FROM retention.disposition_order o WHERE o.tenant = %s AND o.order_id = %s"""
_ANSWERS: Final = """
    SELECT a.order_id, a.executor, a.generation, a.digest, a.refused, a.found::text AS found, a.at
      FROM retention.answer a WHERE a.tenant = %s AND a.order_id = ANY (%s::uuid[])"""
_COMPLETIONS: Final = """
    SELECT c.order_id, c.executor, c.told::text AS told, c.at
      FROM retention.completion c WHERE c.tenant = %s AND c.order_id = ANY (%s::uuid[])"""
_CONFIRMED: Final = """
    SELECT c.order_id, c.store, sum(c.items)::bigint AS number, max(c.at) AS at,
           NULL::timestamptz AS unrecoverable_after
      FROM retention.confirmation c WHERE c.tenant = %(tenant)s AND c.order_id = ANY (%(orders)s::uuid[])
     GROUP BY c.order_id, c.store
    UNION ALL
    SELECT s.order_id, 'keys', count(*), max(s.at), max(s.unrecoverable_after)
      FROM retention.shredded s WHERE s.tenant = %(tenant)s AND s.order_id = ANY (%(orders)s::uuid[])
     GROUP BY s.order_id"""
_ISSUED: Final = """
    SELECT c.certificate, c.issued_at, c.digest, c.act
      FROM retention.certificate c WHERE c.tenant = %s AND c.certificate = ANY (%s::uuid[])"""
_COMPLETE: Final = """
    INSERT INTO retention.completion (tenant, order_id, executor, told, at)
    VALUES (%s, %s, %s, %s::jsonb, %s)
    ON CONFLICT (tenant, order_id, executor) DO NOTHING"""
_ADD_ORDER: Final = """
    INSERT INTO retention.disposition_order
           (tenant, order_id, kind, claims, issued_by, issued_at, dry_run, generation, digest)
    VALUES (%s, %s, %s, %s::jsonb, %s, %s, %s, %s, %s)"""
_ADD_ANSWER: Final = """
    INSERT INTO retention.answer (tenant, order_id, executor, generation, digest, refused, found, at)
    VALUES (%s, %s, %s, %s, %s, %s, %s::jsonb, %s)
    ON CONFLICT (tenant, order_id, executor) DO NOTHING"""
_DENIAL: Final = """
    INSERT INTO retention.denial (tenant, act, principal, denied, minute, count)
    VALUES (%s, %s, %s, %s, %s, %s)"""


class PostgresBook:
    """One tenant's books within one transaction."""

    def __init__(self, tx: Transaction, tenant: TenantId, clock: Clock, ids: Ids) -> None:
        """Speak through `tx`, which row-level security binds to `tenant`."""
        self._tx = tx
        self._tenant = tenant
        self._clock = clock
        self._ids = ids
        self.requests = TenantApprovals(SCHEMA, tx, tenant)

    async def rules(self) -> list[RuleVersion]:
        """Return the newest version of every rule, in the order of their ids."""
        return [rule_of(row) for row in await self._tx.fetch_all(_RULES, (self._tenant,))]

    async def versions(self, rule: UUID) -> list[RuleVersion]:
        """Return every version of a rule, the newest last; none if there is no such rule."""
        return [rule_of(row) for row in await self._tx.fetch_all(_VERSIONS, (self._tenant, rule))]

    async def add_rule(self, version: RuleVersion) -> bool:
        """Keep a version; False if somebody else made that version first."""
        rule, period = version.rule, version.rule.period
        added = await self._tx.execute(
            _ADD_RULE,
            (
                self._tenant,
                rule.rule,
                rule.version,
                rule.kind.value,
                period.years,
                period.months,
                period.days,
                int(rule.grace.total_seconds()),
                None if rule.conversation_types is None else sorted(rule.conversation_types),
                None if rule.conversations is None else sorted(rule.conversations),
                version.preset,
                version.ended,
                version.made_by,
                version.made_at,
            ),
        )
        return added == 1

    async def locks(self) -> list[LockVersion]:
        """Return the newest version of every lock, in the order of their ids."""
        return [lock_of(row) for row in await self._tx.fetch_all(_LOCKS, (self._tenant, None, None))]

    async def find_lock(self, lock: UUID) -> LockVersion | None:
        """Return the newest version of a lock."""
        row = await self._tx.fetch_one(_LOCKS, (self._tenant, lock, lock))
        return None if row is None else lock_of(row)

    async def add_lock(self, version: LockVersion) -> bool:
        """Keep a version; False if somebody else made that version first."""
        lock, period = version.lock, version.lock.period
        added = await self._tx.execute(
            _ADD_LOCK,
            (
                self._tenant,
                lock.lock,
                version.version,
                period.years,
                period.months,
                period.days,
                None if lock.conversation_types is None else sorted(lock.conversation_types),
                version.made_by,
                version.made_at,
            ),
        )
        return added == 1

    async def erasures(self) -> list[ErasureRequest]:
        """Return the requests for erasure, in the order of their ids."""
        return [erasure_of(row) for row in await self._tx.fetch_all(_ERASURES, (self._tenant,))]

    async def add_erasure(self, request: ErasureRequest) -> None:
        """Keep a request."""
        erasure = request.erasure
        await self._tx.execute(
            _ADD_ERASURE,
            (self._tenant, erasure.erasure, erasure.subject, erasure.requested_at, request.taken_by),
        )

    async def find_order(self, order: UUID) -> Standing | None:
        """Return an order with its answers."""
        row = await self._tx.fetch_one(_ORDER, (self._tenant, order))
        return None if row is None else (await self._standings([order_of(row)]))[0]

    async def orders(self, after: UUID | None, limit: int) -> list[Standing]:
        """Return orders, the newest first, from behind `after` on."""
        rows = await self._tx.fetch_all(_ORDERS, (self._tenant, after, after, limit))
        return await self._standings([order_of(row) for row in rows])

    async def add_order(self, order: Order) -> None:
        """Keep an order."""
        await self._tx.execute(
            _ADD_ORDER,
            (
                self._tenant,
                order.order,
                order.kind,
                json_of(order.claims),
                order.issued_by,
                order.issued_at,
                order.dry_run,
                order.generation,
                order.digest,
            ),
        )

    async def record_denials(self, denials: Sequence[tuple[UUID, Denial]]) -> None:
        """Keep denials, each under its id."""
        for act, denial in denials:
            await self._tx.execute(
                _DENIAL, (self._tenant, act, denial.principal, denial.act, denial.minute, denial.count)
            )

    async def publish(self, events: Sequence[Outgoing]) -> None:
        """Append to the outbox: the last statement of the transaction."""
        await publish(self._tx, self._tenant, events, self._clock, self._ids)

    async def _standings(self, orders: Sequence[Order]) -> list[Standing]:
        named = [order.order for order in orders]
        answers: dict[UUID, dict[str, Answer]] = {order: {} for order in named}
        for row in await self._tx.fetch_all(_ANSWERS, (self._tenant, named)):
            answers[row.order_id][row.executor] = answer_of(row)
        done: dict[UUID, dict[str, Completion]] = {order: {} for order in named}
        for row in await self._tx.fetch_all(_COMPLETIONS, (self._tenant, named)):
            done[row.order_id][row.executor] = completion_of(row)
        confirmed = await self._confirmed(named, done)
        issued = {
            row.certificate: Issued(row.issued_at, bytes(row.digest), row.act)
            for row in await self._tx.fetch_all(_ISSUED, (self._tenant, named))
        }
        return [
            Standing(order, answers[name], done[name], confirmed[name], issued.get(name))
            for name, order in zip(named, orders, strict=True)
        ]

    async def _confirmed(
        self, orders: Sequence[UUID], done: Mapping[UUID, Mapping[str, Completion]]
    ) -> Mapping[UUID, Mapping[str, Confirmed]]:
        """Return what each store confirmed of each order; who carried it out has, with its own words."""
        confirmed: dict[UUID, dict[str, Confirmed]] = {
            order: {
                name: Confirmed(each.done.destroyed, each.at) for name, each in done.get(order, {}).items()
            }
            for order in orders
        }
        named = {"tenant": self._tenant, "orders": list(orders)}
        for row in await self._tx.fetch_all(_CONFIRMED, named):
            confirmed[row.order_id][row.store] = Confirmed(row.number, row.at, row.unrecoverable_after)
        return confirmed


class PostgresBooks:
    """Begins transactions of one tenant each."""

    def __init__(self, database: TenantDatabase, clock: Clock, ids: Ids) -> None:
        """Use the pool `database`, of the role retention_app."""
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


class PostgresAnswers:
    """What executors answered, within a projector's transaction, by the role retention_projector."""

    def __init__(self, tx: Transaction, clock: Clock, ids: Ids) -> None:
        """Write in `tx`, beside the projector's cursor."""
        self._tx = tx
        self._clock = clock
        self._ids = ids

    async def find_order(self, tenant: TenantId, order: UUID) -> Order | None:
        """Return the order that is answered."""
        row = await self._tx.fetch_one(_ORDER, (tenant, order))
        return None if row is None else order_of(row)

    async def add(self, tenant: TenantId, order: UUID, answer: Answer) -> bool:
        """Keep an answer; False for one that was kept before."""
        added = await self._tx.execute(
            _ADD_ANSWER,
            (
                tenant,
                order,
                answer.executor,
                answer.generation,
                answer.digest,
                answer.refused,
                json_of(answer.found),
                answer.at,
            ),
        )
        return added == 1

    async def complete(self, tenant: TenantId, order: UUID, completion: Completion) -> bool:
        """Keep what an executor did; False for what was kept before."""
        row = (tenant, order, completion.executor, json_of(completion.told), completion.at)
        return await self._tx.execute(_COMPLETE, row) == 1

    async def publish(self, tenant: TenantId, events: Sequence[Outgoing]) -> None:
        """Append to the outbox: the last statement before the projector's own."""
        await publish(self._tx, tenant, events, self._clock, self._ids)


async def publish(
    tx: Transaction, tenant: TenantId, events: Sequence[Outgoing], clock: Clock, ids: Ids
) -> None:
    """Append events of a tenant to the outbox. Raises TypeError for what is none."""
    records = []
    for event in events:
        if not isinstance(event, Event):
            msg = "only events of the contracts are published"
            raise TypeError(msg)
        records.append(record_of(event, tenant, ids, clock))
    await append(tx, SCHEMA, records)
