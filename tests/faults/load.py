"""A bounded load on the running platform, that keeps its history: senders, recipients, and the database.

It is counted by acknowledgements, not by seconds: a slow machine takes longer and proves the same.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import psycopg

from libs.client.client import Client
from libs.client.device import Device
from libs.client.errors import ClientError, SendRefused
from libs.client.state import Shown
from tests.faults.history import History, Kind, Operation, Sight
from tests.support.platform import Platform
from tests.support.town import Town

PATIENCE_SECONDS: Final = 60.0
"""How long a send may take over a fault; the SDK repeats it under the same client id meanwhile."""
PAUSE_SECONDS: Final = 0.005
"""How long a sender rests between two sends: the load is there to be hurt, not to fill the machine."""
LEAST: Final = 15
"""Acknowledgements to wait for before and after a fault."""
ODDS_OF_REPEATING: Final = 0.1
"""How often an acknowledged send is sent again through the origin, as after an ack lost on its way."""
ODDS_OF_LOOKING: Final = 0.1
"""How often another connection looks for what was acknowledged a moment ago."""


@dataclass
class Load:
    """Group conversations with their devices, and everything that these saw."""

    platform: Platform
    town: Town
    clients: list[Client]
    conversations: list[UUID]
    history: History = field(default_factory=History)
    devices: list[Device] = field(default_factory=list)
    talkers: int = 1
    """The first of the people are those who send."""
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    _number: int = 0

    @property
    def conversation(self) -> UUID:
        """Return the first conversation."""
        return self.conversations[0]

    # Sending.

    async def send(self, sender: int, text: str | None = None, conversation: UUID | None = None) -> Operation:
        """Send one message and return its ack; what was tried and what came of it is kept."""
        self._number += 1
        process = f"person {sender}"
        room = conversation or self.conversation
        said = text or f"message {self._number} of {sender}"
        begun = Operation(process, Kind.INVOKE, self.town.ids.uuid7(), room, said)
        self.history.operations.append(begun)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                ack = await self.devices[sender].send(room, said, message=begun.client_id)
        except SendRefused:
            self.history.operations.append(begun._replace(kind=Kind.FAIL))
            raise
        except (TimeoutError, ClientError):
            self.history.operations.append(begun._replace(kind=Kind.INFO))
            raise
        done = begun._replace(kind=Kind.OK, seq=ack.seq)
        self.history.operations.append(done)
        return done

    async def repeat(self, sender: int, sent: Operation) -> Operation:
        """Send the same again, over HTTP, through the origin; whether it arrives is open under a fault."""
        again = sent._replace(process=f"person {sender} by HTTP", kind=Kind.INVOKE, seq=None)
        self.history.operations.append(again)
        try:
            ack = await self.clients[sender].post(sent.conversation, sent.text, message=sent.client_id)
        except ClientError:
            done = again._replace(kind=Kind.INFO)
        else:
            done = again._replace(kind=Kind.OK, seq=ack.seq)
        self.history.operations.append(done)
        return done

    async def look_for(self, ack: Operation) -> None:
        """Look by another connection whether an acknowledged entry is in the database now."""
        statement = "SELECT 1 FROM messaging.entry WHERE conversation = %s AND seq = %s"
        try:
            found = await asyncio.to_thread(self.rows, statement, ack.conversation, ack.seq)
        except psycopg.OperationalError:
            return  # the database is being killed: nobody can look now
        if not found:
            self.history.undurable.append(ack)

    @asynccontextmanager
    async def talking(self) -> AsyncIterator[None]:
        """Let every talker send, one message after the other, until the end of the context."""
        silence = asyncio.Event()
        talking = [asyncio.create_task(self._talk(sender, silence)) for sender in range(self.talkers)]
        try:
            yield
        finally:
            silence.set()
            await asyncio.gather(*talking)

    async def _talk(self, sender: int, silence: asyncio.Event) -> None:
        while not silence.is_set():
            ack = await self.send(sender, conversation=self.chance.choice(self.conversations))
            if self.chance.random() < ODDS_OF_LOOKING:
                await self.look_for(ack)
            if self.chance.random() < ODDS_OF_REPEATING:
                await self.repeat(sender, ack)
            await asyncio.sleep(PAUSE_SECONDS)

    async def acknowledges(self, least: int = LEAST) -> None:
        """Wait until `least` more sends are acknowledged."""
        until = time.monotonic() + PATIENCE_SECONDS
        wanted = len(self.history.acks) + least
        while len(self.history.acks) < wanted:
            assert time.monotonic() < until, "nothing is acknowledged any more"
            await asyncio.sleep(0.01)

    async def during(self, fault: Callable[[], Any], least: int = LEAST) -> None:
        """Run the load with a fault in its midst (in a thread: it may wait), and go on after it."""
        async with self.talking():
            await self.acknowledges(least)
            await asyncio.to_thread(fault)
            await self.acknowledges(least)

    # Looking.

    async def settled(self) -> History:
        """Return the history once every recipient has been shown what the database holds."""
        until = time.monotonic() + PATIENCE_SECONDS
        self.history.stored = [sight for room in self.conversations for sight in await self._read_back(room)]
        while any(len(shown) < len(self.history.stored) for shown in self.history.shown.values()):
            if time.monotonic() > until:
                break
            await asyncio.sleep(0.05)
        self.history.outbox = self._outbox()
        return self.history

    async def _read_back(self, room: UUID) -> list[Sight]:
        """Return a log as a participant reads it: sealed payloads are opened by the platform."""
        sights: list[Sight] = []
        while True:
            after = sights[-1].seq if sights else 0
            page = await self.clients[0].history(room, after=after, limit=1000)
            if not page.entries:
                break
            sights += [Sight(room, e.seq, e.body.text if e.body is not None else None) for e in page.entries]
        rows = self.rows("SELECT seq FROM messaging.entry WHERE conversation = %s ORDER BY seq", room)
        assert [seq for (seq,) in rows] == [sight.seq for sight in sights], "database and platform differ"
        return sights

    def _outbox(self) -> dict[int, list[int]]:
        positions: dict[int, list[int]] = {}
        for part, position in self.rows(
            "SELECT part, position FROM messaging.outbox ORDER BY part, position"
        ):
            positions.setdefault(part, []).append(position)
        return positions

    def rows(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run a statement as the database's administrator, past every policy."""
        with psycopg.connect(self.platform.facts["count_database"], autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), parameters)
            return cursor.fetchall() if cursor.description else []

    def show_to(self, name: str) -> Callable[[Shown], None]:
        """Return what keeps what a recipient is shown."""
        kept = self.history.shown.setdefault(name, [])

        def keep(shown: Shown) -> None:
            if shown.ack is not None:
                kept.append(Sight(shown.conversation, shown.seq, self.history.find_text(shown.ack.id)))
            elif shown.entry is not None:
                body = shown.entry.body
                kept.append(Sight(shown.conversation, shown.seq, body.text if body is not None else None))

        return keep


@asynccontextmanager
async def loaded(
    town: Town,
    *,
    people: int = 4,
    senders: int = 3,
    rooms: int = 1,
    gateways: Sequence[str] = (),
    seed: int = 1,
) -> AsyncIterator[Load]:
    """Give `rooms` conversations of the same `people`, the first of whom send; all are on line.

    They are spread over `gateways`, or over all of the platform.
    """
    clients = await town.settle(people)
    begun = [(await clients[0].create_conversation("group", town.principals[1:])) for _ in range(rooms)]
    conversations = sorted(one.conversation for one in begun)
    load = Load(town.platform, town, clients, conversations, talkers=senders, chance=random.Random(seed))
    places = list(gateways) or town.gateways
    async with AsyncExitStack() as stack:
        for number, client in enumerate(clients):
            own = places[number % len(places) :] + places[: number % len(places)]
            device = client.device(load.show_to(f"person {number}"), gateways=own)
            async with asyncio.timeout(PATIENCE_SECONDS):
                await stack.enter_async_context(device)
            load.devices.append(device)
        yield load
