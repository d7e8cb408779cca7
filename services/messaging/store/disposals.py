"""Runs of dispositions, by the role messaging_disposer: what is due is planned, then hidden and destroyed.

Every statement names its tenant; the role alone may remove payloads, and it may read no key.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final
from uuid import UUID

import msgspec

from libs.barrier.errors import GenerationPassed
from libs.barrier.generation import share_generation
from libs.barrier.held import holds_of
from libs.contracts.events import Event, encode
from libs.contracts.facts import Actor, Entity, MessagingFact
from libs.contracts.retention import RUN, DispositionOrderIssued, OrderCompleted, PayloadsDestroyed
from libs.db.pool import CrossingDatabase, Transaction
from libs.disposition.claims import Hold
from libs.disposition.classes import DispositionClass
from libs.events.outbox import OutboxRecord, append, record_of
from libs.events.records import partition_of
from libs.kernel.clock import Clock
from libs.kernel.ids import Ids, TenantId
from services.messaging.domain.dispositions import Disposals, Place, Planned, RunCounts, Tally
from services.messaging.domain.errors import DispositionsStopped
from services.messaging.ports import OrderedDisposition
from services.messaging.store.dispositions import item_of, plan, tally, types_of
from services.messaging.store.unavailable import log_unavailable
from services.messaging.store.waiting_orders import waiting_orders

_SCHEMA: Final = "messaging"
_MESSAGING: Final = Actor(kind="service", name="messaging")
_FIRST: Final = UUID(int=0)

_OPEN: Final = """
    SELECT o.body, o.begun_at, o.reached_conversation, o.reached_seq, o.hidden, o.destroyed, o.spared,
           o.bytes, (SELECT count(*) FROM messaging.closing c
                      WHERE c.tenant = o.tenant AND c.order_id = o.order_id) AS deks
      FROM messaging.disposition_order o
     WHERE o.tenant = %s AND o.order_id = %s AND o.completed_at IS NULL FOR UPDATE SKIP LOCKED"""
_PARKED: Final = "SELECT FROM messaging.parked p WHERE p.tenant = %s LIMIT 1"
_BEGUN: Final = """
    UPDATE messaging.disposition_order SET begun_at = %s WHERE tenant = %s AND order_id = %s"""
_NEXT: Final = """
    SELECT x.conversation, x.seq, e.actor, e.sent_at, h.kind, octet_length(p.sealed) AS bytes
      FROM (SELECT d.conversation, d.seq FROM messaging.disposal d
             WHERE d.tenant = %(tenant)s AND d.order_id = %(order)s
               AND (d.conversation, d.seq) > (%(conversation)s, %(seq)s)
             ORDER BY d.conversation, d.seq LIMIT %(most)s) x
      JOIN messaging.entry e ON e.tenant = %(tenant)s AND e.conversation = x.conversation AND e.seq = x.seq
      JOIN messaging.conversation_head h ON h.tenant = %(tenant)s AND h.conversation = x.conversation
      LEFT JOIN messaging.payload p
        ON p.tenant = %(tenant)s AND p.conversation = e.conversation AND p.seq = e.seq
       AND p.sent_at = e.sent_at
     ORDER BY x.conversation, x.seq"""
_SPANS: Final = """
    SELECT s.conversation, s.principal, s.from_seq, s.until_seq FROM messaging.participant_span s
     WHERE s.tenant = %s AND s.conversation = ANY (%s::uuid[]) AND s.principal = ANY (%s::uuid[])"""
_HIDE: Final = """
    INSERT INTO messaging.disposed (tenant, conversation, seq, hidden_by, hidden_at)
    SELECT %s, k.conversation, k.seq, %s, %s
      FROM unnest(%s::uuid[], %s::bigint[]) AS k (conversation, seq)
    ON CONFLICT (tenant, conversation, seq) DO NOTHING"""
_DESTROY: Final = """
    WITH gone AS (
        DELETE FROM messaging.payload p
         USING unnest(%(conversations)s::uuid[], %(seqs)s::bigint[], %(times)s::timestamptz[],
                      %(due_at)s::timestamptz[], %(destroy_at)s::timestamptz[],
                      %(voices)s::text[], %(sources)s::uuid[], %(versions)s::integer[])
            AS k (conversation, seq, sent_at, due_at, destroy_at, voice, source, version)
         WHERE p.tenant = %(tenant)s AND p.conversation = k.conversation AND p.seq = k.seq
           AND p.sent_at = k.sent_at
        RETURNING p.conversation, p.seq, p.sent_at, p.dek, octet_length(p.sealed) AS bytes,
                  k.due_at, k.destroy_at, k.voice, k.source, k.version
    ), noted AS (
        INSERT INTO messaging.closing (tenant, order_id, dek, conversation, since, until, noted_at)
        SELECT DISTINCT %(tenant)s::uuid, %(order)s::uuid, g.dek, g.conversation,
               date_trunc('month', g.sent_at, 'UTC'),
               date_trunc('month', g.sent_at, 'UTC') + interval '1 month', %(now)s::timestamptz
          FROM gone g
        ON CONFLICT (tenant, order_id, dek) DO NOTHING
    )
    UPDATE messaging.disposed d
       SET destroyed_by = %(order)s, destroyed_at = %(now)s, dek = g.dek, bytes = g.bytes,
           due_at = g.due_at, destroy_at = g.destroy_at, voice = g.voice, source = g.source,
           version = g.version
      FROM gone g
     WHERE d.tenant = %(tenant)s AND d.conversation = g.conversation AND d.seq = g.seq
       AND d.destroyed_at IS NULL"""
_FORGET: Final = """
    DELETE FROM messaging.client_send s
     USING unnest(%s::uuid[], %s::bigint[], %s::uuid[]) AS k (conversation, seq, principal)
     WHERE s.tenant = %s AND s.principal = k.principal AND s.conversation = k.conversation
       AND s.seq = k.seq"""
_BATCH: Final = """
    INSERT INTO messaging.disposal_batch (tenant, batch, order_id, hidden, destroyed, at)
    VALUES (%s, %s, %s, %s, %s, %s)"""
_REACHED: Final = """
    UPDATE messaging.disposition_order
       SET reached_conversation = %s, reached_seq = %s, hidden = hidden + %s, destroyed = destroyed + %s,
           spared = spared + %s, bytes = bytes + %s
     WHERE tenant = %s AND order_id = %s"""
_COMPLETED: Final = """
    UPDATE messaging.disposition_order SET completed_at = %s WHERE tenant = %s AND order_id = %s"""


class PostgresRun:
    """One run, in one of its transactions."""

    def __init__(self, tx: Transaction, tenant: TenantId, row: Any, clock: Clock, ids: Ids) -> None:
        """Speak through `tx`, in which `row`, the order, is locked."""
        self._issued = msgspec.json.decode(row.body, type=DispositionOrderIssued)
        self.order: OrderedDisposition = self._issued
        self.begun = row.begun_at is not None
        self.counts = RunCounts(row.hidden, row.destroyed, row.spared, row.bytes, row.deks)
        self._reached = Place(row.reached_conversation or _FIRST, row.reached_seq or 0)
        self._tx = tx
        self._tenant = tenant
        self._clock = clock
        self._ids = ids

    async def share(self, generation: int) -> bool:
        """Pass the barrier, to the commit; False if the holds changed since: then nothing is destroyed."""
        try:
            await share_generation(self._tx, _SCHEMA, self._tenant, generation)
        except GenerationPassed:
            return False
        if await self._tx.fetch_one(_PARKED, (self._tenant,)) is not None:
            raise DispositionsStopped
        return True

    async def holds(self) -> list[Hold]:
        """Return the holds of that generation."""
        return await holds_of(self._tx, _SCHEMA, self._tenant)

    async def types_of(self, conversations: Collection[UUID]) -> dict[UUID, str]:
        """Return the type of each of these conversations that exists."""
        return await types_of(self._tx, self._tenant, conversations)

    async def tally(self, classes: Sequence[DispositionClass]) -> list[Tally]:
        """Return what the classes hold, by their places in the sequence."""
        # what counts everything must not reach every row by its key, as all else here has to
        for option in ("seqscan", "hashjoin", "mergejoin"):
            await self._tx.execute(f"SET LOCAL enable_{option} = on")
        await self._tx.execute("SET LOCAL plan_cache_mode = force_custom_plan")
        return await tally(self._tx, self._tenant, classes)

    async def plan(self, classes: Sequence[DispositionClass]) -> int:
        """Keep which items are due, and return how many: those are gone through, batch by batch."""
        order = self._issued.order
        planned = await plan(self._tx, self._tenant, order, classes)
        await self._tx.execute(_BEGUN, (self._clock.now(), self._tenant, order))
        return planned

    async def next(self, most: int, custodians: Collection[UUID]) -> list[Planned]:
        """Return the next items, none at the end; their audience is told as far as it is of `custodians`."""
        rows = await self._tx.fetch_all(
            _NEXT,
            {
                "tenant": self._tenant,
                "order": self._issued.order,
                "conversation": self._reached.conversation,
                "seq": self._reached.seq,
                "most": most,
            },
        )
        spans: dict[UUID, list[Any]] = defaultdict(list)
        if custodians:
            rooms = list({row.conversation for row in rows})
            for span in await self._tx.fetch_all(_SPANS, (self._tenant, rooms, list(custodians))):
                spans[span.conversation].append(span)
        return [
            Planned(
                Place(row.conversation, row.seq),
                item_of(row, _audience(spans[row.conversation], row.seq)),
                row.bytes,
            )
            for row in rows
        ]

    async def dispose(self, batch: Disposals, reached: Place) -> None:
        """Hide and destroy, and tell of it; the next items are those behind `reached`."""
        tx, tenant, order, now = self._tx, self._tenant, self._issued.order, self._clock.now()
        conversations, seqs = _columns(batch.hidden)
        hidden = await tx.execute(_HIDE, (tenant, order, now, conversations, seqs))
        destroyed = await self._destroy(batch)
        size = sum(each.bytes or 0 for each in batch.destroyed)
        done = (hidden, destroyed, batch.spared, size)
        await tx.execute(_REACHED, (reached.conversation, reached.seq, *done, tenant, order))
        if hidden or destroyed:
            name = self._ids.uuid7()
            await tx.execute(_BATCH, (tenant, name, order, hidden, destroyed, now))
            fact = _fact("messaging.items.disposed", name, order, self._clock, hidden, destroyed)
            records = [record_of(fact, tenant, self._ids, self._clock)]
            await append(tx, _SCHEMA, [*records, *self._told_of(batch.destroyed)])

    async def complete(self, event: OrderedDisposition) -> None:
        """Keep that the run is over, and tell of it: the last act of the transaction."""
        if not isinstance(event, OrderCompleted):
            msg = "a run is over with the event that says so"
            raise TypeError(msg)
        order = self._issued.order
        await self._tx.execute(_COMPLETED, (self._clock.now(), self._tenant, order))
        fact = _fact(
            "messaging.disposition.completed",
            order,
            order,
            self._clock,
            event.hidden,
            event.destroyed,
            outcome="refused" if event.refused else "done",
        )
        records = [record_of(each, self._tenant, self._ids, self._clock) for each in (event, fact)]
        await append(self._tx, _SCHEMA, records)

    async def _destroy(self, batch: Disposals) -> int:
        """Remove payloads, keep why and which keys to close, forget repeated sends; return how many."""
        items, why = batch.destroyed, batch.why
        conversations, seqs = _columns(items)
        gone = await self._tx.execute(
            _DESTROY,
            {
                "tenant": self._tenant,
                "order": self._issued.order,
                "now": self._clock.now(),
                "conversations": conversations,
                "seqs": seqs,
                "times": [each.item.sent_at for each in items],
                "due_at": [each.due_at for each in why],
                "destroy_at": [each.destroy_at for each in why],
                "voices": [each.step.voice.value for each in why],
                "sources": [each.step.source for each in why],
                "versions": [each.step.version for each in why],
            },
        )
        senders = [each.item.sender for each in items]
        await self._tx.execute(_FORGET, (conversations, seqs, senders, self._tenant))
        return gone

    def _told_of(self, items: Sequence[Planned]) -> list[OutboxRecord]:
        """Return what others are told, each conversation in its own partition, where its commits are told."""
        seqs: dict[UUID, list[int]] = defaultdict(list)
        for each in items:
            seqs[each.place.conversation].append(each.place.seq)
        return [
            _record(
                PayloadsDestroyed(
                    order=self._issued.order,
                    conversation=name,
                    seqs=tuple(own),
                    generation=self._issued.generation or 0,
                ),
                self._tenant,
                name,
                self._ids,
                self._clock,
            )
            for name, own in seqs.items()
        ]


class PostgresDispositionRuns:
    """The runs that wait to be carried out, or are under way."""

    def __init__(self, database: CrossingDatabase, clock: Clock, ids: Ids) -> None:
        """Use the pool `database`, of the role messaging_disposer."""
        self._database = database
        self._clock = clock
        self._ids = ids

    async def waiting(self) -> list[tuple[TenantId, UUID]]:
        """Return them, each tenant's oldest first."""
        with log_unavailable():
            async with self._database.begin() as tx:
                return await waiting_orders(tx, RUN)

    def open(self, tenant: TenantId, order: UUID) -> AbstractAsyncContextManager[PostgresRun | None]:
        """Open one; None if somebody else has it, or it is over."""
        return self._open(tenant, order)

    @asynccontextmanager
    async def _open(self, tenant: TenantId, order: UUID) -> AsyncIterator[PostgresRun | None]:
        with log_unavailable():
            async with self._database.begin() as tx:
                row = await tx.fetch_one(_OPEN, (tenant, order))
                yield None if row is None else PostgresRun(tx, tenant, row, self._clock, self._ids)


def _audience(spans: Sequence[Any], seq: int) -> frozenset[UUID]:
    """Return whose spans an entry lies in."""
    return frozenset(
        span.principal
        for span in spans
        if span.from_seq <= seq and (span.until_seq is None or seq <= span.until_seq)
    )


def _columns(items: Sequence[Planned]) -> tuple[list[UUID], list[int]]:
    return [each.place.conversation for each in items], [each.place.seq for each in items]


def _record(event: Event, tenant: TenantId, conversation: UUID, ids: Ids, clock: Clock) -> OutboxRecord:
    body = encode(event, id=ids.uuid7(), time=clock.now(), tenant=tenant)
    return OutboxRecord(partition_of(tenant, conversation), tenant, event.name, body)


def _fact(
    action: str, act: UUID, order: UUID, clock: Clock, hidden: int, destroyed: int, *, outcome: str = "done"
) -> MessagingFact:
    return MessagingFact(
        act=act,
        action=action,
        actor=_MESSAGING,
        at=clock.now(),
        entities=(
            Entity(kind="disposition-order", id=str(order)),
            Entity(kind="hidden-count", id=str(hidden)),
            Entity(kind="destroyed-count", id=str(destroyed)),
        ),
        outcome=outcome,
    )
