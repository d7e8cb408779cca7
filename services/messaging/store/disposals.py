"""Runs of dispositions, by the role messaging_disposer: what is due is planned, then hidden and destroyed.

Every statement names its tenant; the role alone may remove payloads, and it may read no key. Statements speak
of boxes and stretches: what a conversation has due lies together, and an item by itself is a stretch too.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
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
from libs.disposition.claims import Hold, Item
from libs.disposition.classes import DispositionClass
from libs.disposition.voices import Voices
from libs.events.outbox import OutboxRecord, append, record_of
from libs.events.records import partition_of
from libs.kernel.clock import Clock
from libs.kernel.ids import Ids, TenantId
from services.messaging.domain.dispositions import (
    TYPES,
    Box,
    Disposals,
    Planned,
    RunCounts,
    Stretch,
    Tally,
)
from services.messaging.domain.entries import ConversationKind
from services.messaging.domain.errors import DispositionsStopped
from services.messaging.ports import OrderedDisposition
from services.messaging.store.dispositions import plan, types_of
from services.messaging.store.stretches import is_hidden
from services.messaging.store.unavailable import log_unavailable
from services.messaging.store.waiting_orders import waiting_orders

_SCHEMA: Final = "messaging"
_IMPORT: Final = TYPES[ConversationKind.IMPORT]
MOST_BOXES: Final = 2000
"""Rows of a plan that one transaction takes up, even if there is only an item in each."""
_MESSAGING: Final = Actor(kind="service", name="messaging")

_OPEN: Final = """
    SELECT o.body, o.begun_at, o.reached, o.hidden, o.destroyed, o.spared,
           o.bytes, (SELECT count(*) FROM messaging.closing c
                      WHERE c.tenant = o.tenant AND c.order_id = o.order_id) AS deks
      FROM messaging.disposition_order o
     WHERE o.tenant = %s AND o.order_id = %s AND o.completed_at IS NULL FOR UPDATE SKIP LOCKED"""
_PARKED: Final = "SELECT FROM messaging.parked p WHERE p.tenant = %s LIMIT 1"
_BEGUN: Final = """
    UPDATE messaging.disposition_order SET begun_at = %s WHERE tenant = %s AND order_id = %s"""
_NEXT: Final = """
    SELECT d.place, d.conversation, d.kind, d.sender, d.first_seq, d.last_seq, d.first_at, d.last_at, d.items
      FROM (SELECT n.*, sum(n.items) OVER (ORDER BY n.place) - n.items AS before
              FROM (SELECT x.* FROM messaging.disposal x
                     WHERE x.tenant = %(tenant)s AND x.order_id = %(order)s AND x.place > %(reached)s
                     ORDER BY x.place LIMIT %(boxes)s) n) d
     WHERE d.before < %(most)s
     ORDER BY d.place"""
_SPANS: Final = """
    SELECT s.conversation, s.principal, s.from_seq, s.until_seq FROM messaging.participant_span s
     WHERE s.tenant = %s AND s.conversation = ANY (%s::uuid[]) AND s.principal = ANY (%s::uuid[])"""
_BOXES: Final = """
    unnest(%(conversations)s::uuid[], %(first_seqs)s::bigint[], %(last_seqs)s::bigint[],
           %(first_ats)s::timestamptz[], %(last_ats)s::timestamptz[], %(senders)s::uuid[],
           %(whole)s::boolean[])
        AS k (conversation, first_seq, last_seq, first_at, last_at, sender, whole)"""
_IN_BOX: Final = """
    p.tenant = %(tenant)s AND p.conversation = k.conversation
    AND p.seq BETWEEN k.first_seq AND k.last_seq AND p.sent_at BETWEEN k.first_at AND k.last_at
    AND (k.whole OR k.sender IS NOT DISTINCT FROM (
            SELECT CASE WHEN e.actor = ANY (%(people)s::uuid[]) THEN e.actor END FROM messaging.entry e
             WHERE e.tenant = p.tenant AND e.conversation = p.conversation AND e.seq = p.seq))"""
_HIDE: Final = f"""
    WITH item AS (
        SELECT p.conversation, p.seq FROM {_BOXES} JOIN messaging.payload p ON {_IN_BOX}
         WHERE NOT {is_hidden("p")}
    ), made AS (
        INSERT INTO messaging.hidden (tenant, conversation, first_seq, last_seq, hidden_by, hidden_at)
        SELECT %(tenant)s, i.conversation, min(i.seq), max(i.seq), %(order)s, %(now)s
          FROM (SELECT j.conversation, j.seq,
                       j.seq - row_number() OVER (PARTITION BY j.conversation ORDER BY j.seq) AS island
                  FROM item j) i
         GROUP BY i.conversation, i.island
        RETURNING last_seq - first_seq + 1 AS items
    )
    SELECT coalesce(sum(m.items), 0)::bigint AS items FROM made m"""
_DESTROY: Final = f"""
    WITH gone AS (
        DELETE FROM messaging.payload p USING {_BOXES} WHERE {_IN_BOX}
        RETURNING p.conversation, p.seq, p.dek, p.sent_at, octet_length(p.sealed) AS size
    ), stretch AS MATERIALIZED (
        SELECT i.conversation, i.dek, min(i.seq) AS first_seq, max(i.seq) AS last_seq,
               min(i.sent_at) AS sent_at, array_agg(i.size ORDER BY i.seq) AS sizes,
               sum(i.size)::bigint AS bytes
          FROM (SELECT g.*, g.seq - row_number() OVER (PARTITION BY g.conversation, g.dek ORDER BY g.seq)
                       AS island FROM gone g) i
         GROUP BY i.conversation, i.dek, i.island
    ), kept AS (
        INSERT INTO messaging.destroyed (tenant, conversation, first_seq, last_seq, order_id, dek, sizes,
                                         destroyed_at)
        SELECT %(tenant)s, s.conversation, s.first_seq, s.last_seq, %(order)s, s.dek, s.sizes, %(now)s
          FROM stretch s
    ), noted AS (
        INSERT INTO messaging.closing (tenant, order_id, dek, conversation, since, until, noted_at)
        SELECT DISTINCT %(tenant)s::uuid, %(order)s::uuid, s.dek, s.conversation,
               date_trunc('month', s.sent_at, 'UTC'),
               date_trunc('month', s.sent_at, 'UTC') + interval '1 month', %(now)s::timestamptz
          FROM stretch s
        ON CONFLICT (tenant, order_id, dek) DO NOTHING
    )
    SELECT s.conversation, s.first_seq, s.last_seq, s.bytes,
           (SELECT coalesce(sum(least(h.last_seq, s.last_seq) - greatest(h.first_seq, s.first_seq) + 1), 0)
              FROM messaging.hidden h
             WHERE h.tenant = %(tenant)s AND h.conversation = s.conversation
               AND h.last_seq >= s.first_seq AND h.first_seq <= s.last_seq)::bigint AS hidden_before
      FROM stretch s ORDER BY s.conversation, s.first_seq"""
# An import has no repeated sends. Who sent anything was a participant.
_FORGET: Final = """
    DELETE FROM messaging.client_send s
     WHERE s.tenant = %(tenant)s AND s.conversation = ANY (%(rooms)s::uuid[])
       AND s.principal = ANY (ARRAY(
               SELECT DISTINCT m.principal FROM messaging.participant_span m
                WHERE m.tenant = %(tenant)s AND m.conversation = ANY (%(rooms)s::uuid[])))
       AND EXISTS (SELECT FROM unnest(%(conversations)s::uuid[], %(firsts)s::bigint[], %(lasts)s::bigint[])
                       AS k (conversation, first_seq, last_seq)
                    WHERE k.conversation = s.conversation AND s.seq BETWEEN k.first_seq AND k.last_seq)"""
_BATCH: Final = """
    INSERT INTO messaging.disposal_batch (tenant, batch, order_id, hidden, destroyed, at)
    VALUES (%s, %s, %s, %s, %s, %s)"""
_REACHED: Final = """
    UPDATE messaging.disposition_order
       SET reached = %s, hidden = hidden + %s, destroyed = destroyed + %s,
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
        self._reached = row.reached
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

    async def plan(self, classes: Sequence[DispositionClass], voices: Voices) -> list[Tally]:
        """Keep what is due, which is gone through batch by batch, and return what the classes hold."""
        # what counts everything must not reach every row by its key, as all else here has to
        for option in ("seqscan", "hashjoin", "mergejoin"):
            await self._tx.execute(f"SET LOCAL enable_{option} = on")
        await self._tx.execute("SET LOCAL plan_cache_mode = force_custom_plan")
        return await plan(self._tx, self._tenant, self._issued.order, classes, voices)

    async def begin(self) -> None:
        """Keep that it is to dispose of what was planned."""
        await self._tx.execute(_BEGUN, (self._clock.now(), self._tenant, self._issued.order))

    async def next(self, most: int, voices: Voices) -> list[Planned]:
        """Return what is next, up to about so many items; none at the end.

        The audience is told as far as it is of the custodians.
        """
        rows = await self._tx.fetch_all(
            _NEXT,
            {
                "tenant": self._tenant,
                "order": self._issued.order,
                "reached": self._reached,
                "boxes": MOST_BOXES,
                "most": most,
            },
        )
        spans: dict[UUID, list[Any]] = defaultdict(list)
        if voices.custodians:
            named = (self._tenant, list({row.conversation for row in rows}), list(voices.custodians))
            for span in await self._tx.fetch_all(_SPANS, named):
                spans[span.conversation].append(span)
        return [_planned(row, _audience(spans[row.conversation], row.first_seq)) for row in rows]

    async def dispose(self, batch: Disposals, reached: int, voices: Voices) -> None:
        """Hide and destroy, and tell of it; what is next lies behind the number `reached` of the plan."""
        tx, tenant, order, now = self._tx, self._tenant, self._issued.order, self._clock.now()
        hidden = await self._hide(batch.hidden, voices, now)
        gone, hidden_before = await self._destroy(batch.destroyed, voices, now)
        destroyed = sum(each.last_seq - each.first_seq + 1 for each in gone)
        hidden += destroyed - hidden_before
        size = sum(each.bytes for each in gone)
        await tx.execute(_REACHED, (reached, hidden, destroyed, batch.spared, size, tenant, order))
        if hidden or destroyed:
            name = self._ids.uuid7()
            await tx.execute(_BATCH, (tenant, name, order, hidden, destroyed, now))
            fact = _fact("messaging.items.disposed", name, order, self._clock, hidden, destroyed)
            records = [record_of(fact, tenant, self._ids, self._clock)]
            await append(tx, _SCHEMA, [*records, *self._told_of(gone)])

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

    async def _hide(self, planned: Sequence[Planned], voices: Voices, now: datetime) -> int:
        """Hide what is not hidden yet, and return how much that is."""
        if not planned:
            return 0
        row = await self._tx.fetch_one(_HIDE, self._named(planned, voices, now))
        return 0 if row is None else int(row.items)

    async def _destroy(
        self, planned: Sequence[Planned], voices: Voices, now: datetime
    ) -> tuple[list[Stretch], int]:
        """Remove payloads, keep what had sealed them and which keys to close, forget repeated sends.

        Return what is gone, and how many of these were hidden before.
        """
        if not planned:
            return [], 0
        rows = await self._tx.fetch_all(_DESTROY, self._named(planned, voices, now))
        gone = [Stretch(row.conversation, row.first_seq, row.last_seq, row.bytes) for row in rows]
        rooms = {each.box.conversation for each in planned if each.earliest.conversation_type != _IMPORT}
        if rooms:
            await self._forget([each for each in gone if each.conversation in rooms])
        return gone, sum(row.hidden_before for row in rows)

    async def _forget(self, gone: Sequence[Stretch]) -> None:
        await self._tx.execute(
            _FORGET,
            {
                "tenant": self._tenant,
                "rooms": list({each.conversation for each in gone}),
                "conversations": [each.conversation for each in gone],
                "firsts": [each.first_seq for each in gone],
                "lasts": [each.last_seq for each in gone],
            },
        )

    def _named(self, planned: Sequence[Planned], voices: Voices, now: datetime) -> dict[str, Any]:
        """Return boxes as the arrays of the statements that look for what is in them."""
        boxes = [each.box for each in planned]
        return {
            "tenant": self._tenant,
            "order": self._issued.order,
            "now": now,
            "people": list(voices.people),
            "conversations": [box.conversation for box in boxes],
            "first_seqs": [box.first_seq for box in boxes],
            "last_seqs": [box.last_seq for box in boxes],
            "first_ats": [box.first_at for box in boxes],
            "last_ats": [box.last_at for box in boxes],
            "senders": [box.sender for box in boxes],
            "whole": [box.whole for box in boxes],
        }

    def _told_of(self, gone: Sequence[Stretch]) -> list[OutboxRecord]:
        """Return what others are told, each conversation in its own partition, where its commits are told."""
        seqs: dict[UUID, list[int]] = defaultdict(list)
        for each in gone:
            seqs[each.conversation] += range(each.first_seq, each.last_seq + 1)
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


def _planned(row: Any, audience: frozenset[UUID]) -> Planned:
    def item(sent_at: datetime) -> Item:
        return Item(row.conversation, TYPES[ConversationKind(row.kind)], sent_at, row.sender, audience)

    whole = row.items == row.last_seq - row.first_seq + 1
    box = Box(row.conversation, row.first_seq, row.last_seq, row.first_at, row.last_at, row.sender, whole)
    return Planned(row.place, box, row.items, item(row.first_at), item(row.last_at))


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
