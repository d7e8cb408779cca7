"""A log whose items are known, written straight into messaging's tables, and what its orders find in it."""

import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import psycopg

from libs.barrier.generation import raise_generation
from libs.barrier.held import keep_hold
from libs.contracts.events import Event, decode
from libs.contracts.holds import HoldPlaced
from libs.contracts.retention import (
    RUN,
    DispositionOrderIssued,
    MessagingOrderAnswered,
    MessagingOrderCompleted,
    Terms,
)
from libs.db.pool import CrossingDatabase, TenantDatabase
from libs.disposition.claims import Hold, Item
from libs.kernel.clock import SystemClock
from libs.kernel.ids import SystemIds, TenantId
from libs.kernel.randomness import SystemRandomness
from services.messaging.domain.dispositions import TYPES
from services.messaging.store.disposals import PostgresDispositionRuns
from services.messaging.store.dispositions import PostgresDispositionOrders, PostgresReceivedOrders
from services.messaging.usecases.dispose import CarryOut
from services.messaging.usecases.dispositions import AnswerOrders, take_order
from tests.support.engines import ServiceDatabase

OURS, THEIRS = TenantId(UUID(int=1)), TenantId(UUID(int=2))
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
E = TypeVar("E", bound=Event)
KINDS = {name: kind for kind, name in TYPES.items()}

_ENTRY = """
    INSERT INTO messaging.entry (tenant, conversation, seq, kind, revision, message, actor, sent_at,
           members_version, subjects, metadata_commitment, body_commitment, commit)
    VALUES (%s, %s, %s, 4, 0, %s, %s, %s, 1, '{}', decode(repeat('0a', 32), 'hex'),
            decode(repeat('0b', 32), 'hex'), %s)"""
_PAYLOAD = """
    INSERT INTO messaging.payload (tenant, conversation, seq, sent_at, dek, sealed)
    VALUES (%s, %s, %s, %s, %s, %s)"""


@dataclass
class Room:
    """A conversation: its type, and who could read from which seq to which (None: on)."""

    conversation: UUID
    conversation_type: str
    spans: list[tuple[UUID, int, int | None]]

    def audience(self, seq: int) -> frozenset[UUID]:
        """Return who could read an entry."""
        return frozenset(
            who for who, first, last in self.spans if first <= seq and (last is None or seq <= last)
        )


@dataclass
class Written:
    """An item as it was written."""

    room: Room
    seq: int
    sender: UUID
    sent_at: datetime
    size: int

    @property
    def item(self) -> Item:
        """Return the item as the disposition knows it."""
        room = self.room
        return Item(
            room.conversation, room.conversation_type, self.sent_at, self.sender, room.audience(self.seq)
        )


def town(chance: random.Random, rooms: int = 9, items: int = 240, people: int = 6) -> list[Written]:
    """Return items of all types over ten years, some of them to the very second apart."""
    who = [UUID(int=100 + number) for number in range(people)]
    written: list[Written] = []
    for number in range(rooms):
        kind = ("direct", "group", "import")[number % 3]
        spans = [
            (person, (first := chance.randrange(1, items // rooms)), chance.choice([None, first + 7]))
            for person in chance.sample(who, 3)
        ]
        room = Room(UUID(int=1000 + number), kind, spans)
        at = NOON - timedelta(days=chance.randrange(3650))
        for seq in range(1, items // rooms + 1):
            at += timedelta(days=chance.choice([0, 1, 30, 90]), seconds=chance.randrange(2))
            written.append(Written(room, seq, chance.choice(who), min(at, NOON), chance.randrange(50, 90)))
    return written


@dataclass
class Logbook:
    """Messaging's database, and its answering of orders."""

    database: ServiceDatabase
    app: TenantDatabase
    projecting: CrossingDatabase
    answer_orders: AnswerOrders
    carry_out: CarryOut
    ids: SystemIds
    generation: Counter[TenantId] = field(default_factory=Counter)

    def write(self, items: Sequence[Written], tenant: TenantId = OURS) -> None:
        """Write items, their rooms and who took part."""
        rooms = {each.room.conversation: each.room for each in items}
        with psycopg.connect(self.database.admin_dsn.reveal()) as admin, admin.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO messaging.conversation_head (tenant, conversation, kind, last_seq)"
                " VALUES (%s, %s, %s, 9999)",
                [(tenant, room.conversation, int(KINDS[room.conversation_type])) for room in rooms.values()],
            )
            cursor.executemany(
                "INSERT INTO messaging.participant_span"
                " (tenant, conversation, principal, from_seq, until_seq, administrator)"
                " VALUES (%s, %s, %s, %s, %s, false)",
                [(tenant, room.conversation, *span) for room in rooms.values() for span in room.spans],
            )
            ids = [(self.ids.uuid7(), each) for each in items]
            cursor.executemany(
                _ENTRY,
                [
                    (tenant, each.room.conversation, each.seq, name, each.sender, each.sent_at, name)
                    for name, each in ids
                ],
            )
            cursor.executemany(
                _PAYLOAD,
                [
                    (tenant, each.room.conversation, each.seq, each.sent_at, name, bytes(each.size))
                    for name, each in ids
                ],
            )

    async def hold(self, hold: Hold, tenant: TenantId = OURS) -> None:
        """Take in a hold, as the projector does."""
        self.generation[tenant] += 1
        placed = HoldPlaced(
            hold=hold.hold,
            generation=self.generation[tenant],
            custodians=tuple(hold.custodians),
            conversations=tuple(hold.conversations),
            since=hold.since,
            until=hold.until,
        )
        async with self.projecting.begin() as tx:
            assert await raise_generation(tx, "messaging", tenant, placed.generation)
            await keep_hold(tx, "messaging", tenant, placed)

    async def receive(self, terms: Terms, tenant: TenantId = OURS) -> UUID:
        """Take in an order."""
        order = DispositionOrderIssued(order=self.ids.uuid7(), kind="dry-run", terms=terms)
        async with self.projecting.begin() as tx:
            for _ in range(2):  # a repeat changes nothing
                await take_order(PostgresReceivedOrders(tx), tenant, order, NOON)
        return order.order

    async def approve(
        self, answer: MessagingOrderAnswered, terms: Terms, tenant: TenantId = OURS, **lies: Any
    ) -> UUID:
        """Take in a run of what was found; nothing of it is carried out yet."""
        named = {"dry_run": answer.order, "generation": answer.generation, "digest": answer.digest}
        order = DispositionOrderIssued(order=self.ids.uuid7(), kind=RUN, terms=terms, **{**named, **lies})
        async with self.projecting.begin() as tx:
            await take_order(PostgresReceivedOrders(tx), tenant, order, NOON)
        return order.order

    def completion(self, order: UUID) -> MessagingOrderCompleted | None:
        """Return how a run ended."""
        found = [each for each in self.events(MessagingOrderCompleted) if each.order == order]
        assert len(found) <= 1
        return found[0] if found else None

    async def ask(self, terms: Terms, tenant: TenantId = OURS) -> MessagingOrderAnswered:
        """Order a dry run and return the answer."""
        order = await self.receive(terms, tenant)
        await self.answer_orders()
        (answer,) = [each for each in self.answers() if each.order == order]
        return answer

    def answers(self) -> list[MessagingOrderAnswered]:
        """Return every answer that was published."""
        return self.events(MessagingOrderAnswered)

    def events(self, kind: type[E]) -> list[E]:
        """Return every event of a kind that was published."""
        rows = self.rows("SELECT body FROM messaging.outbox ORDER BY part, position")
        events = [decode(bytes(body))[1] for (body,) in rows]
        return [event for event in events if isinstance(event, kind)]

    def rows(self, statement: str) -> list[Any]:
        """Return rows as the administrator sees them."""
        with psycopg.connect(self.database.admin_dsn.reveal()) as admin:
            return admin.execute(statement).fetchall()


@asynccontextmanager
async def logbook_in(database: ServiceDatabase) -> AsyncIterator[Logbook]:
    """Give a log over a database of messaging."""
    clock = SystemClock()
    ids = SystemIds(clock, SystemRandomness())
    app = TenantDatabase(database.dsn("messaging_app"), "messaging-relay")
    projecting = CrossingDatabase(database.dsn("messaging_projector"), "messaging-projector", by_key=True)
    await app.open()
    await projecting.open()
    orders = PostgresDispositionOrders(projecting, app, clock, ids)
    disposing = CrossingDatabase(database.dsn("messaging_disposer"), "messaging-disposer", by_key=True)
    await disposing.open()
    runs = PostgresDispositionRuns(disposing, clock, ids)
    yield Logbook(database, app, projecting, AnswerOrders(orders), CarryOut(runs), ids)
    await disposing.close()
    await app.close()
    await projecting.close()
