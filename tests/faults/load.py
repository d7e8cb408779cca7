"""A bounded load on the running platform, that keeps its history: senders, recipients, and the database."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import psycopg

from libs.client.client import Client
from libs.client.device import Device
from libs.client.state import Shown
from tests.faults.history import History
from tests.support.platform import Platform
from tests.support.town import Town

PATIENCE_SECONDS: Final = 60.0
"""How long a send may take over a fault; the SDK repeats it under the same client id meanwhile."""


@dataclass
class Load:
    """One group conversation with its devices, and everything that they saw."""

    platform: Platform
    town: Town
    clients: list[Client]
    conversation: UUID
    history: History = field(default_factory=History)
    senders: list[Device] = field(default_factory=list)
    devices: list[Device] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    _number: int = 0

    async def send(self, sender: int, text: str | None = None, message: UUID | None = None) -> int:
        """Send one message and return its seq; what was tried and what was acknowledged is kept."""
        self._number += 1
        client_id = message or self.town.ids.uuid7()
        self.history.sent.setdefault(client_id, text or f"message {self._number} of {sender}")
        async with asyncio.timeout(PATIENCE_SECONDS):
            ack = await self.senders[sender].send(
                self.conversation, self.history.sent[client_id], message=client_id
            )
        self.history.acks.append((client_id, ack.seq))
        return ack.seq

    async def run(self, seconds: float) -> int:
        """Let every sender send, one message after the other, for so long; return the number of acks."""
        before, until = len(self.history.acks), time.monotonic() + seconds

        async def talk(sender: int) -> None:
            while time.monotonic() < until:
                await self.send(sender)
                await asyncio.sleep(0.005)

        await asyncio.gather(*(talk(sender) for sender in range(len(self.senders))))
        return len(self.history.acks) - before

    async def during(self, fault: Callable[[], Any], seconds: float = 1.0) -> int:
        """Run the load, with a fault in its midst (in a thread: it may wait); return the number of acks."""
        running = asyncio.create_task(self.run(seconds + 1.0))
        await asyncio.sleep(seconds / 2)
        await asyncio.to_thread(fault)
        return await running + await self.run(0.3)

    async def settled(self) -> History:
        """Return the history once every recipient has been shown what the database holds."""
        until = time.monotonic() + PATIENCE_SECONDS
        self.history.stored = await self._read_back()
        while any(len(shown) < len(self.history.stored) for shown in self.history.shown.values()):
            if time.monotonic() > until:
                break
            await asyncio.sleep(0.05)
        self.history.outbox = self._outbox()
        return self.history

    async def _read_back(self) -> list[tuple[int, str | None]]:
        """Return the log as a participant reads it: sealed payloads are opened by the platform."""
        entries: list[tuple[int, str | None]] = []
        while True:
            page = await self.clients[0].history(
                self.conversation, after=entries[-1][0] if entries else 0, limit=1000
            )
            if not page.entries:
                break
            entries += [(e.seq, e.body.text if e.body is not None else None) for e in page.entries]
        rows = self.rows(
            "SELECT seq FROM messaging.entry WHERE conversation = %s ORDER BY seq", self.conversation
        )
        assert [seq for (seq,) in rows] == [seq for seq, _ in entries], "the database and the platform differ"
        return entries

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
                kept.append((shown.seq, self.history.sent.get(shown.ack.id)))
            elif shown.entry is not None:
                body = shown.entry.body
                kept.append((shown.seq, body.text if body is not None else None))

        return keep


@asynccontextmanager
async def loaded(
    town: Town, *, people: int = 4, senders: int = 3, gateways: Sequence[str] = ()
) -> AsyncIterator[Load]:
    """Give a conversation of `people`, the first of whom send; all are on line, spread over `gateways`."""
    clients = await town.settle(people)
    begun = await clients[0].create_conversation("group", town.principals[1:])
    load = Load(town.platform, town, clients, begun.conversation)
    places = list(gateways) or town.gateways
    async with AsyncExitStack() as stack:
        for number, client in enumerate(clients):
            own = places[number % len(places) :] + places[: number % len(places)]
            device = client.device(load.show_to(f"person {number}"), gateways=own)
            await stack.enter_async_context(device)
            load.devices.append(device)
            if number < senders:
                load.senders.append(device)
        yield load
