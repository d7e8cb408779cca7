"""Messaging and the key service with all that lies between a run and the death of a key, step by step."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar
from uuid import UUID, uuid4

import httpx

from infra.engines.valkey import ValkeyServer
from libs.authn.actor import Actor
from libs.authn.service_tokens import ServiceTokenSigner
from libs.barrier.door import hold_door
from libs.contracts import internal as wire
from libs.contracts.events import Event, decode, encode
from libs.contracts.holds import HoldPlaced, KeysGenerationConfirmed, MessagingGenerationConfirmed
from libs.contracts.retention import OrderedPeriod, OrderedRule, Terms
from libs.db.pool import CrossingDatabase
from libs.envelope.place import Place
from libs.envelope.sealing import SealingKey
from libs.events.effects import one_by_one
from libs.events.records import StreamRecord, partition_of
from libs.host.clients import ServiceClient
from libs.kernel.clock import ManualClock
from libs.kernel.ids import ConversationId, SystemIds, TenantId
from libs.kernel.randomness import SystemRandomness
from services.keys.edge.stream import shred_door
from services.keys.store.shredding import shredding_in
from services.keys.store.wiping import PostgresWiping
from services.keys.usecases.shred import WipeShredded
from services.messaging.adapters.closing_keys import KeyServiceClosingKeys
from services.messaging.edge.stream import closing_door
from services.messaging.store.closings import PostgresClosings, PostgresStatedClosings
from services.messaging.usecases.close import CloseKeys
from tests.integration.disposition.logbook import Logbook, logbook_in
from tests.integration.keys.service import SEEDS, Service
from tests.integration.messaging.gateways import Gateway, gateway, person, settings_of
from tests.support.engines import ServiceDatabase

NOON: Final = datetime(2026, 11, 24, 12, tzinfo=UTC)
MARCH: Final = datetime(2024, 3, 1, 9, tzinfo=UTC)
"""The first message of a month that is long over."""
BACKUPS: Final = timedelta(days=7)
RING_AGE: Final = timedelta(seconds=300)

E = TypeVar("E", bound=Event)


@dataclass
class World:
    """All that takes part, at one clock."""

    clock: ManualClock
    keys: Service
    gateway: Gateway
    logbook: Logbook
    close_keys: CloseKeys
    wipe: WipeShredded
    shredding: CrossingDatabase
    holding: CrossingDatabase
    ids: SystemIds
    tenant: TenantId = field(default_factory=lambda: TenantId(uuid4()))
    reached: dict[str, dict[int, int]] = field(default_factory=lambda: {"keys": {}, "messaging": {}})
    generation: int = 0
    backups: timedelta = BACKUPS

    def __post_init__(self) -> None:
        self.ann, self.bob = person(self.tenant), person(self.tenant)
        self.gateway.know(self.ann, self.bob)

    async def conversation(self) -> ConversationId:
        return await self.gateway.group(self.ann, self.bob)

    def turn(self, to: datetime) -> None:
        """Set the time of day; keys in memory grow no older by it."""
        self.clock.jump((to - self.clock.now()).total_seconds())

    async def said(
        self, conversation: ConversationId, *days: float, by: Actor | None = None, first: datetime = MARCH
    ) -> None:
        """Let somebody send one message so many days after `first`, each at its own time."""
        here = self.clock.now()
        for day in days:
            self.turn(first + timedelta(days=day))
            await self.gateway.send(by or self.ann, conversation, f"said {day}")
        self.turn(here)

    async def shown(self, conversation: ConversationId) -> list[str | None]:
        """Return what a participant reads: texts, None for a tombstone."""
        entries = await self.gateway.core.read.history(self.ann, conversation, 0, 500)
        return [None if e.body is None else e.body.text for e in entries if e.kind == "message_created"]

    async def destroy(self, before: datetime) -> UUID:
        """Carry out a run that destroys what was sent before `before`, and is not held; return the order."""
        rule = OrderedRule(
            rule=UUID(int=1), version=1, kind="deletion", period=OrderedPeriod(days=(NOON - before).days)
        )
        terms = Terms(as_of=NOON, rules=(rule,))
        answer = await self.logbook.ask(terms, self.tenant)
        order = await self.logbook.approve(answer, terms, self.tenant)
        await self.logbook.carry_out()
        done = self.logbook.completion(order)
        assert done is not None
        assert done.refused == ""
        return order

    async def place_hold(self, *, messaging: bool = True, keys: bool = True, **named: Any) -> HoldPlaced:
        """Place a hold, and let the named executors take it in."""
        self.generation += 1
        placed = HoldPlaced(hold=uuid4(), generation=self.generation, **named)
        if messaging:
            await self.take_hold("messaging", placed)
        if keys:
            await self.take_hold("keys", placed)
        return placed

    async def take_hold(self, schema: str, placed: HoldPlaced) -> None:
        """Let an executor take a hold in, as its projector does."""
        confirmed = MessagingGenerationConfirmed if schema == "messaging" else KeysGenerationConfirmed
        pool = self.logbook.projecting if schema == "messaging" else self.holding
        body = encode(placed, id=uuid4(), time=NOON, tenant=self.tenant)
        record = StreamRecord(partition_of(self.tenant), 1, self.tenant, placed.name, body)
        async with pool.begin() as tx:
            await hold_door(schema, confirmed, self.clock, self.ids)(tx, [record])

    async def tell_keys(self, *, again: bool = False) -> int:
        """Bring what messaging published to the key service's door; return how many records there were."""
        records = self._new("messaging", self.gateway.rows, again=again)
        door = shred_door(lambda tx: shredding_in(tx, self.clock, self.ids), self.clock, self.backups)
        async with self.shredding.begin() as tx:
            await door(tx, records)
        return len(records)

    async def tell_messaging(self) -> int:
        """Bring what the key service published to messaging's door."""
        records = self._new("keys", self.keys.rows)
        door = one_by_one(closing_door(PostgresStatedClosings, self.clock))
        async with self.logbook.projecting.begin() as tx:
            await door(tx, records)
        return len(records)

    async def shred(self) -> None:
        """Close what can be closed, and let both services hear of it."""
        await self.close_keys()
        await self.tell_keys()
        await self.tell_messaging()

    def told(self, source: str, kind: type[E]) -> list[E]:
        """Return every event of a kind that a service published."""
        rows = (self.gateway if source == "messaging" else self.keys).rows(
            f"SELECT body FROM {source}.outbox ORDER BY part, position"
        )
        events = [decode(bytes(body))[1] for (body,) in rows]  # type: ignore[arg-type]
        return [event for event in events if isinstance(event, kind)]

    def payloads(self, conversation: ConversationId) -> list[tuple[int, UUID, bytes]]:
        """Return (seq, dek, sealed) of what is left of a conversation's bodies."""
        rows = self.gateway.rows(
            "SELECT seq, dek, sealed FROM messaging.payload WHERE conversation = %s ORDER BY seq",
            conversation,
        )
        return [(seq, dek, bytes(sealed)) for seq, dek, sealed in rows]

    def deks(self) -> dict[UUID, tuple[str, int, str | None]]:
        """Return each key of a conversation: epoch, generation, wrapped text."""
        rows = self.keys.rows(
            "SELECT dek, epoch, generation, wrapped FROM keys.dek WHERE tenant = %s AND epoch LIKE '20%%'",
            self.tenant,
        )
        return {dek: (epoch, generation, wrapped) for dek, epoch, generation, wrapped in rows}  # type: ignore[misc]

    async def clear(self, conversation: ConversationId) -> list[tuple[int, bytes]]:
        """Return (seq, clear payload) of what is left, opened by keys as the key service gives them now."""
        entries = {
            seq: (message, revision)
            for seq, message, revision in self.gateway.rows(
                "SELECT seq, message, revision FROM messaging.entry WHERE conversation = %s", conversation
            )
        }
        found: list[tuple[int, bytes]] = []
        for seq, dek, sealed in self.payloads(conversation):
            (key,) = await self.keys.unwrap(wire.DekNamed(tenant=self.tenant, dek=dek))
            assert key.key is not None
            message, revision = entries[seq]
            place = Place(self.tenant, conversation, message, revision, "payload")
            found.append((seq, SealingKey(dek, key.key).open(sealed, place)))  # type: ignore[arg-type]
        return found

    def _new(self, source: str, rows: Any, *, again: bool = False) -> Sequence[StreamRecord]:
        reached = {} if again else self.reached[source]
        records = [
            StreamRecord(part, position, TenantId(tenant), name, bytes(body))
            for part, position, tenant, name, body in rows(
                f"SELECT part, position, tenant, name, body FROM {source}.outbox ORDER BY part, position"
            )
            if position > reached.get(part, 0)
        ]
        reached.update({record.part: record.position for record in records})
        return records


@asynccontextmanager
async def world_in(
    messaging: ServiceDatabase, keys_database: ServiceDatabase, keys: Service, valkey: ValkeyServer
) -> AsyncIterator[World]:
    """Give a world over two databases and a running key service."""
    clock = ManualClock(NOON)
    ids = SystemIds(clock, SystemRandomness())
    signer = ServiceTokenSigner("messaging", SEEDS["messaging"], keys.clock, ids)
    transport = httpx.ASGITransport(keys.app, raise_app_exceptions=False)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(
            ServiceClient("http://keys:1", "keys", signer, transport=transport)
        )
        opened = await stack.enter_async_context(
            gateway(settings_of(messaging, valkey, "gw-1"), messaging, keys, clock)
        )
        logbook = await stack.enter_async_context(logbook_in(messaging))
        pools = {
            role: CrossingDatabase(database.dsn(role), role, by_key=True)
            for role, database in (
                ("messaging_closer", messaging),
                ("keys_shredder", keys_database),
                ("keys_projector", keys_database),
            )
        }
        for pool in pools.values():
            await pool.open()
            stack.push_async_callback(pool.close)
        yield World(
            clock,
            keys,
            opened,
            logbook,
            CloseKeys(
                PostgresClosings(pools["messaging_closer"], clock, ids),
                KeyServiceClosingKeys(client, SystemRandomness()),
                clock,
                RING_AGE,
            ),
            WipeShredded(PostgresWiping(pools["keys_shredder"], clock)),
            pools["keys_shredder"],
            pools["keys_projector"],
            ids,
        )
