"""One process full of people: it holds their sockets, lets them speak when told, and judges what they see."""

import asyncio
import gc
import resource
import socket
import sys
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, Final
from uuid import UUID

import httpx
import uvloop

from libs.client.client import Client
from libs.client.device import Device
from libs.client.errors import ClientError
from libs.client.state import Shown
from libs.kernel.clock import SystemClock
from libs.kernel.ids import SystemIds
from libs.kernel.randomness import SystemRandomness
from services.runner.demo.cues import (
    CUES,
    Answer,
    Begin,
    Begun,
    Cast,
    Cue,
    Done,
    Failed,
    Finish,
    Finished,
    Leave,
    Open,
    Return,
    Said,
    Say,
    Seen,
    packed,
    unpacked,
)
from services.runner.demo.witness import Testimony, Witness, close

CONCURRENT_CALLS: Final = 8
CONCURRENT_OPENS: Final = 32
TELL_SECONDS: Final = 0.1
_GARBAGE_THRESHOLD: Final = 50_000
"""Allocations between two looks of the collector: frames are freed by counting, there are no cycles."""


class Member:
    """One person on the stage: a client, a device and what it watches."""

    def __init__(self, person: int, client: Client, dials: tuple[str, ...], testimony: Testimony) -> None:
        """Put person number `person` behind `client`; sockets go to the gateways `dials` in turn."""
        self._testimony = testimony
        self.person = person
        self.client = client
        self.dials = dials
        self.witnesses: dict[UUID, Witness] = {}
        self.device: Device | None = None
        self.moving = asyncio.Lock()
        self.gateways: set[str] = set()

    async def open(self) -> None:
        """Go on line and see everything missed."""
        async with self.moving:
            if self.device is None:
                self.device = self.client.device(self._saw, gateways=self.dials, marks_delivered=False)
            await self.device.open()
            if self.device.gateway is not None:
                self.gateways.add(self.device.gateway)

    async def leave(self, *, abrupt: bool) -> None:
        """Go off line."""
        async with self.moving:
            if self.device is not None:
                await self.device.close(abrupt=abrupt)

    def _saw(self, shown: Shown) -> None:
        witness = self.witnesses.get(shown.conversation)
        if witness is None:
            self._testimony.fault(f"person {self.person + 1} saw a conversation of others")
        else:
            witness.saw(shown)


class Crowd:
    """Everybody in this process."""

    def __init__(self, http: httpx.AsyncClient, tell: Callable[[Answer], None]) -> None:
        """Call the platform through `http`; answer by `tell`."""
        self._http = http
        self._tell = tell
        self._clock = SystemClock()
        self._randomness = SystemRandomness()
        self._ids = SystemIds(self._clock, self._randomness)
        self._cast: Cast | None = None
        self._logs: tuple[Begun, ...] = ()
        self._members: dict[int, Member] = {}
        self._testimony = Testimony()
        self._sent = self._acked = self._off_line = self._came_back = 0

    async def play(self, cue: Cue) -> None:
        """Do what a cue asks and answer it; a failure is answered by its sentence."""
        try:
            self._tell(await self._played(cue))
        except (ClientError, TimeoutError) as failure:
            self._tell(Failed(number=cue.number, sentence=str(failure) or type(failure).__name__))
        except Exception as defect:  # noqa: BLE001 - the director must not wait for an answer for ever
            sentence = f"a crowd process failed at {type(cue).__name__}: {type(defect).__name__}: {defect}"
            self._tell(Failed(number=cue.number, sentence=sentence))

    async def tell_seen(self) -> None:
        """Tell for ever how many deliveries were seen."""
        told = -1
        while True:
            if self._testimony.delivered != told:
                told = self._testimony.delivered
                self._tell(Seen(number=0, delivered=told))
            await asyncio.sleep(TELL_SECONDS)

    async def _played(self, cue: Cue) -> Answer:
        match cue:
            case Say():
                return await self._say(cue)
            case Leave():
                self._off_line += 1
                await self._members[cue.person].leave(abrupt=cue.abrupt)
            case Return():
                await self._members[cue.person].open()
                self._came_back += 1
            case Cast():
                await self._sign_in(cue)
            case Begin():
                return await self._begin(cue)
            case Open():
                await self._open(cue)
            case Finish():
                return await self._finish(cue)
        return Done(number=cue.number)

    @property
    def _stage(self) -> Cast:
        if self._cast is None:
            msg = "nobody is on the stage yet"
            raise ClientError(msg)
        return self._cast

    async def _sign_in(self, cast: Cast) -> None:
        self._cast = cast
        gateways = tuple(cast.gateways.values())
        for person in cast.codes:
            first = person // 2 % len(gateways)  # every second person moves on when he comes back
            turned = gateways[first:] + gateways[:first]
            client = Client(cast.origin, self._http, self._clock, self._ids, self._randomness)
            self._members[person] = Member(person, client, turned, self._testimony)
        await _side_by_side(
            CONCURRENT_CALLS,
            (
                partial(self._members[person].client.sign_in_with_code, code, device_name="demo")
                for person, code in cast.codes.items()
            ),
        )

    async def _begin(self, begin: Begin) -> Begun:
        conversation = self._stage.script.conversations[begin.conversation]
        others = [self._stage.principals[person] for person in conversation.people[1:]]
        client = self._members[conversation.people[0]].client
        created = await client.create_conversation("group", others, name=conversation.name)
        return Begun(number=begin.number, conversation=created.conversation, seq=created.seq)

    async def _open(self, cue: Open) -> None:
        self._logs = cue.logs
        script = self._stage.script
        for conversation, log in zip(script.conversations, cue.logs, strict=True):
            for person in conversation.people:
                if person in self._members:
                    self._members[person].witnesses[log.conversation] = Witness(
                        conversation.name,
                        person,
                        conversation.lines,
                        self._stage.principals,
                        log.seq + 1,
                        self._testimony,
                    )
        await _side_by_side(CONCURRENT_OPENS, (member.open for member in self._members.values()))
        gc.collect()
        gc.freeze()  # what stands now stays: the collector need not look at it again

    async def _say(self, say: Say) -> Said:
        line = self._stage.script.conversations[say.conversation].lines[say.line]
        device = self._members[line.speaker].device
        if device is None:
            msg = f"person {line.speaker + 1} was never on line"
            raise ClientError(msg)
        self._sent += 1
        ack = await device.send(self._logs[say.conversation].conversation, line.text)
        self._acked += 1
        return Said(number=say.number, seq=ack.seq)

    async def _finish(self, finish: Finish) -> Finished:
        members = self._members.values()
        watched = [
            (member.witnesses[log.conversation], said)
            for member in members
            for log, said in zip(self._logs, finish.lines_said, strict=True)
            if log.conversation in member.witnesses
        ]
        testimony = close(watched, self._testimony)
        devices = [member.device for member in members if member.device is not None]
        await _side_by_side(CONCURRENT_OPENS, (device.close for device in devices))
        return Finished(
            number=finish.number,
            sent=self._sent,
            acked=self._acked,
            off_line=self._off_line,
            came_back=self._came_back,
            connections=sum(device.connections for device in devices),
            repeated=sum(device.repeats for device in devices),
            repaired=sum(device.repairs for device in devices),
            gateways=tuple(sorted(set().union(*(member.gateways for member in members)))),
            testimony=testimony,
        )


async def _side_by_side(limit: int, acts: Iterable[Callable[[], Awaitable[Any]]]) -> None:
    """Do every act, at most `limit` at a time; the first failure stops the rest and is raised."""
    remaining = iter(acts)

    async def work() -> None:
        for act in remaining:
            await act()

    workers = [asyncio.create_task(work()) for _ in range(limit)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()


def raise_file_limit() -> None:
    """Allow as many open sockets as this machine lets us have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def play(descriptor: int) -> None:
    """Play cues from the inherited socket `descriptor` until the director closes it."""
    reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=descriptor))
    limits = httpx.Limits(max_connections=CONCURRENT_CALLS, max_keepalive_connections=CONCURRENT_CALLS)
    async with httpx.AsyncClient(limits=limits, trust_env=False) as http:
        crowd = Crowd(http, lambda answer: writer.write(packed(answer)))
        acts = {asyncio.create_task(crowd.tell_seen())}
        while (cue := await unpacked(reader, CUES)) is not None:
            act = asyncio.create_task(crowd.play(cue))
            acts.add(act)
            act.add_done_callback(acts.discard)
        for act in acts:
            act.cancel()
    writer.close()


def main() -> None:
    """Run one crowd process: `python -m services.runner.demo.crowd DESCRIPTOR`."""
    raise_file_limit()
    gc.set_threshold(_GARBAGE_THRESHOLD, 20, 100)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(play(int(sys.argv[1])))


if __name__ == "__main__":
    main()
