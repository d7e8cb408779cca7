"""What is due in the log: one statement counts every class of a tenant, and names samples.

By the role messaging_app, which row-level security binds to one tenant. No body is read, only its size.
"""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from libs.barrier.generation import generation_of, share_generation
from libs.barrier.held import holds_of
from libs.contracts.events import Event
from libs.contracts.retention import DRY_RUN, DispositionOrderIssued
from libs.db.pool import CrossingDatabase, TenantDatabase, Transaction
from libs.disposition.claims import Hold, Item
from libs.disposition.classes import Bound, DispositionClass
from libs.disposition.period import BEGINNING, FOREVER
from libs.disposition.voices import Voices
from libs.events.outbox import append, record_of
from libs.kernel.clock import Clock
from libs.kernel.ids import Ids, TenantId
from services.messaging.domain.dispositions import TYPES, Place, Sampled, Standing, Tally
from services.messaging.domain.entries import ConversationKind
from services.messaging.ports import OrderedDisposition
from services.messaging.store.unavailable import log_unavailable
from services.messaging.store.waiting_orders import waiting_orders

_SCHEMA: Final = "messaging"
_KINDS: Final = {name: kind for kind, name in TYPES.items()}

_ADD: Final = """
    INSERT INTO messaging.disposition_order (tenant, order_id, kind, body, received_at)
    VALUES (%s, %s, %s, %s, %s)
    ON CONFLICT (tenant, order_id) DO NOTHING"""
_OPEN: Final = """
    SELECT o.body FROM messaging.disposition_order o
     WHERE o.tenant = %s AND o.order_id = %s AND o.answered_at IS NULL FOR UPDATE SKIP LOCKED"""
_ANSWERED: Final = """
    UPDATE messaging.disposition_order SET answered_at = %s WHERE tenant = %s AND order_id = %s"""
_TYPES: Final = """
    SELECT h.conversation, h.kind FROM messaging.conversation_head h
     WHERE h.tenant = %s AND h.conversation = ANY (%s::uuid[])"""

# A class is a kind of conversation, or the conversations that a rule or hold names. `placed` says of each
# conversation which class it is in.
_PLACED: Final = """
    class AS MATERIALIZED (
        SELECT * FROM unnest(%(numbers)s::integer[], %(kinds)s::smallint[], %(rest)s::boolean[],
                             %(due)s::timestamptz[], %(ripe)s::timestamptz[])
            AS c (number, kind, rest, due_before, ripe_before)
    ), named AS MATERIALIZED (
        SELECT * FROM unnest(%(named)s::uuid[], %(named_in)s::integer[]) AS n (conversation, number)
    ), placed AS MATERIALIZED (
        SELECT h.conversation, c.kind, c.number, c.due_before, c.ripe_before
          FROM messaging.conversation_head h
          LEFT JOIN named n ON n.conversation = h.conversation
          JOIN class c ON c.kind = h.kind
           AND CASE WHEN n.number IS NULL THEN c.rest ELSE c.number = n.number END
         WHERE h.tenant = %(tenant)s
    )"""
# Where no hold and no request for erasure speaks, the time of sending decides alone. No entry is read then,
# and payloads are counted by blocks of a conversation: only one that a bound cuts through is looked into.
_BY_TIME: Final = f"""
    {_PLACED}, block AS MATERIALIZED (
        SELECT p.conversation, count(*)::integer AS items, sum(octet_length(p.sealed))::bigint AS bytes,
               min(p.seq) AS first_seq, max(p.seq) AS last_seq,
               min(p.sent_at) AS first_at, max(p.sent_at) AS last_at
          FROM messaging.payload p WHERE p.tenant = %(tenant)s
         GROUP BY p.conversation, p.seq / %(most)s
    ), stood AS MATERIALIZED (
        SELECT b.*, c.kind, c.number, c.due_before, c.ripe_before,
               CASE WHEN b.first_at >= c.due_before THEN 'retained'
                    WHEN b.last_at < c.ripe_before THEN 'ripe'
                    WHEN b.first_at >= c.ripe_before AND b.last_at < c.due_before THEN 'hidden'
               END AS standing
          FROM block b JOIN placed c ON c.conversation = b.conversation
    ), box AS MATERIALIZED (
        SELECT s.conversation, s.kind, s.number, s.standing, NULL::uuid AS sender, s.items, s.bytes,
               s.first_seq, s.last_seq, s.first_at, s.last_at
          FROM stood s WHERE s.standing IS NOT NULL
         UNION ALL
        SELECT s.conversation, s.kind, s.number, x.standing, NULL, x.items, x.bytes,
               x.first_seq, x.last_seq, x.first_at, x.last_at
          FROM stood s CROSS JOIN LATERAL (
                   SELECT CASE WHEN p.sent_at >= s.due_before THEN 'retained'
                               WHEN p.sent_at < s.ripe_before THEN 'ripe' ELSE 'hidden' END AS standing,
                          count(*)::integer AS items, sum(octet_length(p.sealed))::bigint AS bytes,
                          min(p.seq) AS first_seq, max(p.seq) AS last_seq,
                          min(p.sent_at) AS first_at, max(p.sent_at) AS last_at
                     FROM messaging.payload p
                    WHERE p.tenant = %(tenant)s AND p.conversation = s.conversation
                      AND p.seq BETWEEN s.first_seq AND s.last_seq
                      AND p.sent_at BETWEEN s.first_at AND s.last_at
                    GROUP BY 1) x
         WHERE s.standing IS NULL
    )"""
# `guarded` says when which of a conversation's entries a custodian could read, all spans of one time in one
# row, so that a hundred custodians of a room do not make a hundred rows of an item. What a hold covers is
# looked for among what is due alone.
_BY_ALL: Final = f"""
    {_PLACED}, sender AS MATERIALIZED (
        SELECT * FROM unnest(%(sender_in)s::integer[], %(senders)s::uuid[],
                             %(sender_due)s::timestamptz[], %(sender_ripe)s::timestamptz[])
            AS s (number, principal, due_before, ripe_before)
    ), shield AS MATERIALIZED (
        SELECT DISTINCT * FROM unnest(%(shield_in)s::integer[], %(shield_since)s::timestamptz[],
                                      %(shield_until)s::timestamptz[]) AS s (number, since, until)
    ), guard AS MATERIALIZED (
        SELECT DISTINCT * FROM unnest(%(guard_in)s::integer[], %(custodians)s::uuid[],
                                      %(guard_since)s::timestamptz[], %(guard_until)s::timestamptz[])
            AS g (number, custodian, since, until)
    ), guarded AS MATERIALIZED (
        SELECT p.conversation, g.since, g.until,
               range_agg(int8range(p.from_seq, p.until_seq, '[]')) AS seqs
          FROM messaging.participant_span p
          JOIN placed c ON c.conversation = p.conversation
          JOIN guard g ON g.number = c.number AND g.custodian = p.principal
         WHERE p.tenant = %(tenant)s
         GROUP BY p.conversation, g.since, g.until
    ), item AS MATERIALIZED (
        SELECT p.conversation, p.seq, p.sent_at, e.actor, octet_length(p.sealed) AS bytes, c.number,
               p.sent_at < greatest(c.due_before, s.due_before) AS due,
               p.sent_at < greatest(c.ripe_before, s.ripe_before) AS ripe
          FROM messaging.payload p
          JOIN placed c ON c.conversation = p.conversation
          JOIN messaging.entry e
            ON e.tenant = p.tenant AND e.conversation = p.conversation AND e.seq = p.seq
          LEFT JOIN sender s ON s.number = c.number AND s.principal = e.actor
         WHERE p.tenant = %(tenant)s
    ), held AS MATERIALIZED (
        SELECT i.conversation, i.seq FROM item i JOIN shield s ON s.number = i.number
         WHERE i.due AND i.sent_at >= s.since AND i.sent_at < s.until
        UNION
        SELECT i.conversation, i.seq FROM item i
          JOIN guard g ON g.number = i.number AND g.custodian = i.actor
         WHERE i.due AND i.sent_at >= g.since AND i.sent_at < g.until
        UNION
        SELECT i.conversation, i.seq FROM item i JOIN guarded g ON g.conversation = i.conversation
         WHERE i.due AND i.sent_at >= g.since AND i.sent_at < g.until AND g.seqs @> i.seq
    ), stood AS MATERIALIZED (
        SELECT i.conversation, i.seq, i.sent_at, i.actor, i.bytes, i.number,
               CASE WHEN NOT i.due THEN 'retained' WHEN h.seq IS NOT NULL THEN 'preserved'
                    WHEN i.ripe THEN 'ripe' ELSE 'hidden' END AS standing
          FROM item i LEFT JOIN held h ON h.conversation = i.conversation AND h.seq = i.seq
    )"""
# The samples are the oldest and the newest of those that stand alike (bounds go wrong at their ends), and
# some in between.
_TALLY: Final = """
    WITH {found}, {counted}, {sampled}
    SELECT c.number, c.standing, c.items, c.bytes, c.first_at, c.last_at, s.conversations, s.seqs
      FROM counted c
      JOIN (SELECT x.number, x.standing, array_agg(x.conversation ORDER BY x.place) AS conversations,
                   array_agg(x.seq ORDER BY x.place) AS seqs
              FROM sampled x GROUP BY x.number, x.standing) s
        ON s.number = c.number AND s.standing = c.standing
     ORDER BY c.number, c.standing"""
_COUNTED_BOXES: Final = """
    counted AS MATERIALIZED (
        SELECT b.number, b.standing, sum(b.items)::bigint AS items, sum(b.bytes)::bigint AS bytes,
               min(b.first_at) AS first_at, max(b.last_at) AS last_at
          FROM box b GROUP BY b.number, b.standing
    )"""
# What time alone decides stands alike in all of a box, and both of its ends are items.
_SAMPLED_BOXES: Final = """
    sampled AS MATERIALIZED (
        SELECT DISTINCT ON (t.number, t.standing, t.place)
               t.number, t.standing, t.place, t.conversation, t.seq
          FROM (SELECT b.number, b.standing, b.conversation, e.place,
                       (SELECT min(p.seq) FROM messaging.payload p
                         WHERE p.tenant = %(tenant)s AND p.conversation = b.conversation
                           AND p.seq BETWEEN b.first_seq AND b.last_seq AND p.sent_at = e.at) AS seq
                  FROM box b JOIN counted c ON c.number = b.number AND c.standing = b.standing,
                       LATERAL (VALUES (1, b.first_at, c.first_at), (2, b.last_at, c.last_at))
                           AS e (place, at, furthest)
                 WHERE e.at = e.furthest
                 UNION ALL
                SELECT b.number, b.standing, b.conversation,
                       3 + (uuid_hash_extended(b.conversation, b.first_seq) & 1),
                       CASE uuid_hash_extended(b.conversation, b.first_seq) & 2
                            WHEN 0 THEN b.first_seq ELSE b.last_seq END
                  FROM box b) t
         ORDER BY t.number, t.standing, t.place, uuid_hash_extended(t.conversation, t.seq)
    )"""
_COUNTED_ITEMS: Final = """
    counted AS MATERIALIZED (
        SELECT s.number, s.standing, count(*) AS items, sum(s.bytes)::bigint AS bytes,
               min(s.sent_at) AS first_at, max(s.sent_at) AS last_at
          FROM stood s GROUP BY s.number, s.standing
    )"""
_SAMPLED_ITEMS: Final = """
    sampled AS MATERIALIZED (
        SELECT DISTINCT ON (s.number, s.standing, place) s.number, s.standing, s.conversation, s.seq,
               CASE s.sent_at WHEN c.first_at THEN 1 WHEN c.last_at THEN 2
                    ELSE 3 + (uuid_hash_extended(s.conversation, s.seq) & 1) END AS place
          FROM stood s JOIN counted c ON c.number = s.number AND c.standing = s.standing
         WHERE s.sent_at IN (c.first_at, c.last_at) OR uuid_hash_extended(s.conversation, s.seq) & 510 = 0
         ORDER BY s.number, s.standing, place, s.conversation, s.seq
    )"""

# Counted and planned at once, by one look at the payloads. Items that stand alike and for whom the same
# voices speak come together in boxes of so many `seq`s: what tells them from their neighbours are bounds of
# `seq` and of `sent_at`, and their sender if anybody names him.
_PLAN: Final = f"""
    WITH {{found}}, planned AS (
        INSERT INTO messaging.disposal (tenant, order_id, place, conversation, kind, sender,
                                        first_seq, last_seq, first_at, last_at, items)
        SELECT %(tenant)s, %(order)s, row_number() OVER (ORDER BY b.conversation, b.first_seq, b.last_seq),
               b.conversation, b.kind, b.sender, b.first_seq, b.last_seq, b.first_at, b.last_at, b.items
          FROM box b WHERE b.standing <> 'retained'
    ), {_COUNTED_BOXES}
    SELECT c.*, '{{{{}}}}'::uuid[] AS conversations, '{{{{}}}}'::bigint[] AS seqs FROM counted c
     ORDER BY c.number, c.standing"""
_BOXES_BY_ALL: Final = f"""
    {_BY_ALL}, edge AS MATERIALIZED (
        SELECT s.conversation, array_agg(DISTINCT a.at ORDER BY a.at) AS seqs
          FROM messaging.participant_span s, LATERAL (VALUES (s.from_seq), (s.until_seq + 1)) AS a (at)
         WHERE s.tenant = %(tenant)s AND s.principal = ANY (%(watched)s::uuid[]) AND a.at IS NOT NULL
         GROUP BY s.conversation
    ), voiced AS MATERIALIZED (
        SELECT s.*, CASE WHEN s.actor = ANY (%(people)s::uuid[]) THEN s.actor END AS sender,
               width_bucket(s.sent_at, %(instants)s::timestamptz[]) AS since,
               width_bucket(s.seq, coalesce(e.seqs, '{{}}')) AS audience
          FROM stood s LEFT JOIN edge e ON e.conversation = s.conversation
    ), box AS MATERIALIZED (
        SELECT v.conversation, min(c.kind) AS kind, v.number, v.standing, v.sender,
               count(*)::integer AS items, sum(v.bytes)::bigint AS bytes,
               min(v.seq) AS first_seq, max(v.seq) AS last_seq,
               min(v.sent_at) AS first_at, max(v.sent_at) AS last_at
          FROM voiced v JOIN class c ON c.number = v.number
         GROUP BY v.conversation, v.number, v.standing, v.sender, v.seq / %(most)s, v.since, v.audience
    )"""

_TALLY_BY_TIME: Final = _TALLY.format(found=_BY_TIME, counted=_COUNTED_BOXES, sampled=_SAMPLED_BOXES)
_TALLY_BY_ALL: Final = _TALLY.format(found=_BY_ALL, counted=_COUNTED_ITEMS, sampled=_SAMPLED_ITEMS)
_PLAN_BY_TIME: Final = _PLAN.format(found=_BY_TIME)
_PLAN_BY_ALL: Final = _PLAN.format(found=_BOXES_BY_ALL)
BOX_SEQS: Final = 4096
"""How many entries one row of a plan may cover, at most."""

_SAMPLED: Final = """
    SELECT e.conversation, e.seq, e.actor, e.sent_at, h.kind,
           array(SELECT p.principal FROM messaging.participant_span p
                  WHERE p.tenant = %(tenant)s AND p.conversation = e.conversation
                    AND p.from_seq <= e.seq AND (p.until_seq IS NULL OR p.until_seq >= e.seq)) AS audience
      FROM unnest(%(conversations)s::uuid[], %(seqs)s::bigint[]) AS k (conversation, seq)
      JOIN messaging.entry e ON e.conversation = k.conversation AND e.seq = k.seq
      JOIN messaging.conversation_head h ON h.tenant = e.tenant AND h.conversation = e.conversation
     WHERE e.tenant = %(tenant)s AND h.tenant = %(tenant)s"""


class PostgresReceivedOrders:
    """Takes orders in, within a projector's transaction."""

    def __init__(self, tx: Transaction) -> None:
        """Write in `tx`, beside the projector's cursor."""
        self._tx = tx

    async def add(self, tenant: TenantId, order: UUID, event: OrderedDisposition, at: datetime) -> None:
        """Keep an order; a repeat changes nothing."""
        kind = event.kind if isinstance(event, DispositionOrderIssued) else ""
        await self._tx.execute(_ADD, (tenant, order, kind, msgspec.json.encode(event), at))


class PostgresOpenOrder:
    """One order that is being answered."""

    def __init__(
        self, tx: Transaction, tenant: TenantId, order: DispositionOrderIssued, clock: Clock, ids: Ids
    ) -> None:
        """Speak through `tx`, which is bound to `tenant`, and in which the order is locked."""
        self.order: OrderedDisposition = order
        self._tx = tx
        self._tenant = tenant
        self._named = order.order
        self._clock = clock
        self._ids = ids

    async def generation(self) -> int:
        """Return the generation of the tenant's holds, which stays until the commit: call it first.

        Raises GenerationPassed if it is being raised at this very moment: the order waits on.
        """
        generation = await generation_of(self._tx, _SCHEMA, self._tenant)
        await share_generation(self._tx, _SCHEMA, self._tenant, generation)
        return generation

    async def holds(self) -> list[Hold]:
        """Return the holds of that generation."""
        return await holds_of(self._tx, _SCHEMA, self._tenant)

    async def types_of(self, conversations: Collection[UUID]) -> dict[UUID, str]:
        """Return the type of each of these conversations that exists."""
        return await types_of(self._tx, self._tenant, conversations)

    async def tally(self, classes: Sequence[DispositionClass]) -> list[Tally]:
        """Return what the classes hold, by their places in the sequence."""
        return await tally(self._tx, self._tenant, classes)

    async def sampled(self, places: Sequence[Place]) -> list[Sampled]:
        """Return these items as their own decision needs them."""
        named = {
            "tenant": self._tenant,
            "conversations": [place.conversation for place in places],
            "seqs": [place.seq for place in places],
        }
        return [_sampled_of(row) for row in await self._tx.fetch_all(_SAMPLED, named)]

    async def answer(self, event: OrderedDisposition) -> None:
        """Keep that the order is answered, and publish the answer: the last act of the transaction."""
        if not isinstance(event, Event):
            msg = "only events of the contracts are published"
            raise TypeError(msg)
        await self._tx.execute(_ANSWERED, (self._clock.now(), self._tenant, self._named))
        await append(self._tx, _SCHEMA, [record_of(event, self._tenant, self._ids, self._clock)])


class PostgresDispositionOrders:
    """The orders that wait: found by the role messaging_projector, answered by messaging_app."""

    def __init__(
        self, projecting: CrossingDatabase, database: TenantDatabase, clock: Clock, ids: Ids
    ) -> None:
        """Look for orders by `projecting`, and answer each by `database`, bound to its tenant."""
        self._projecting = projecting
        self._database = database
        self._clock = clock
        self._ids = ids

    async def waiting(self) -> list[tuple[TenantId, UUID]]:
        """Return the orders that wait, each tenant's oldest first."""
        with log_unavailable():
            async with self._projecting.begin() as tx:
                return await waiting_orders(tx, DRY_RUN)

    def open(self, tenant: TenantId, order: UUID) -> AbstractAsyncContextManager[PostgresOpenOrder | None]:
        """Open one; None if somebody else answers it, or has."""
        return self._open(tenant, order)

    @asynccontextmanager
    async def _open(self, tenant: TenantId, order: UUID) -> AsyncIterator[PostgresOpenOrder | None]:
        with log_unavailable():
            async with self._database.begin(tenant) as tx:
                row = await tx.fetch_one(_OPEN, (tenant, order))
                if row is None:
                    yield None
                else:
                    event = msgspec.json.decode(row.body, type=DispositionOrderIssued)
                    yield PostgresOpenOrder(tx, tenant, event, self._clock, self._ids)


async def types_of(tx: Transaction, tenant: TenantId, conversations: Collection[UUID]) -> dict[UUID, str]:
    """Return the type of each of these conversations that exists."""
    rows = await tx.fetch_all(_TYPES, (tenant, list(conversations)))
    return {row.conversation: TYPES[ConversationKind(row.kind)] for row in rows}


async def tally(tx: Transaction, tenant: TenantId, classes: Sequence[DispositionClass]) -> list[Tally]:
    """Return what the classes hold, by their places in the sequence."""
    statement = _TALLY_BY_TIME if _time_decides(classes) else _TALLY_BY_ALL
    rows = await tx.fetch_all(statement, {"tenant": tenant, "most": BOX_SEQS, **parameters_of(classes)})
    return [_tally_of(row) for row in rows]


async def plan(
    tx: Transaction, tenant: TenantId, order: UUID, classes: Sequence[DispositionClass], voices: Voices
) -> list[Tally]:
    """Keep what of the classes an order is to dispose of, and return what they hold, without samples."""
    alone = _time_decides(classes) and not voices.people and not voices.instants
    named = {
        "tenant": tenant,
        "order": order,
        "most": BOX_SEQS,
        "people": list(voices.people),
        "watched": list(voices.custodians),
        "instants": list(voices.instants),
        **parameters_of(classes),
    }
    rows = await tx.fetch_all(_PLAN_BY_TIME if alone else _PLAN_BY_ALL, named)
    return [_tally_of(row) for row in rows]


def _time_decides(classes: Sequence[DispositionClass]) -> bool:
    """Return whether nobody's name and no hold decides about any item."""
    return not any(
        each.shields or any(bound.sender is not None for bound in (*each.due, *each.ripe)) for each in classes
    )


def parameters_of(classes: Sequence[DispositionClass]) -> dict[str, Any]:
    """Return classes as the arrays of the statement that counts them.

    Nothing in the log is retracted yet: bounds on retractions find nothing, and are left out.
    """
    senders = [
        (number, sender, _before(each.due, sender), _before(each.ripe, sender))
        for number, each in enumerate(classes)
        for sender in sorted({bound.sender for bound in (*each.due, *each.ripe) if bound.sender})
    ]
    named = [
        (name, number) for number, each in enumerate(classes) for name in sorted(each.conversations or ())
    ]
    shields = [(number, shield) for number, each in enumerate(classes) for shield in each.shields]
    everybody = [(number, shield) for number, shield in shields if shield.custodians is None]
    guards = [
        (number, custodian, shield)
        for number, shield in shields
        for custodian in sorted(shield.custodians or ())
    ]
    return {
        "numbers": list(range(len(classes))),
        "kinds": [int(_KINDS[each.conversation_type]) for each in classes],
        "rest": [each.conversations is None for each in classes],
        "due": [_before(each.due, None) for each in classes],
        "ripe": [_before(each.ripe, None) for each in classes],
        "named": [name for name, _ in named],
        "named_in": [number for _, number in named],
        "sender_in": [number for number, *_ in senders],
        "senders": [sender for _, sender, *_ in senders],
        "sender_due": [due for *_, due, _ in senders],
        "sender_ripe": [ripe for *_, ripe in senders],
        "shield_in": [number for number, _ in everybody],
        "shield_since": [shield.since or BEGINNING for _, shield in everybody],
        "shield_until": [shield.until or FOREVER for _, shield in everybody],
        "guard_in": [number for number, *_ in guards],
        "custodians": [custodian for _, custodian, _ in guards],
        "guard_since": [shield.since or BEGINNING for *_, shield in guards],
        "guard_until": [shield.until or FOREVER for *_, shield in guards],
    }


def _before(bounds: Sequence[Bound], sender: UUID | None) -> datetime:
    """Return the latest bound of this sender (None: of everybody)."""
    own = (bound.sent_before for bound in bounds if bound.sender == sender and bound.retracted_by is None)
    return max(own, default=BEGINNING)


def _tally_of(row: Any) -> Tally:
    places = zip(row.conversations, row.seqs, strict=True)
    return Tally(
        row.number,
        Standing(row.standing),
        row.items,
        row.bytes,
        row.first_at,
        row.last_at,
        tuple(Place(conversation, seq) for conversation, seq in places),
    )


def _sampled_of(row: Any) -> Sampled:
    return Sampled(Place(row.conversation, row.seq), item_of(row, frozenset(row.audience)))


def item_of(row: Any, audience: frozenset[UUID]) -> Item:
    """Return a row as the item that the disposition decides about."""
    return Item(
        conversation=row.conversation,
        conversation_type=TYPES[ConversationKind(row.kind)],
        sent_at=row.sent_at,
        sender=row.actor,
        audience=audience,
    )
