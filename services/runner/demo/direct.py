"""Directs the demonstration: conversations side by side, each in its order, while people come and go."""

import asyncio
import contextlib
import heapq
import itertools
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Final, TypeVar
from uuid import UUID

from services.runner.demo.absences import Absence, absences_of
from services.runner.demo.cues import (
    ANSWERS,
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
from services.runner.demo.script import Script
from services.runner.errors import RunnerError

CROWD_MODULE: Final = "services.runner.demo.crowd"
CONCURRENT_CONVERSATIONS: Final = 16
PEOPLE_A_CROWD: Final = 1200
"""Above so many people one event loop would be the limit, and another process is started."""
MOST_CROWDS: Final = 8
WINDOW: Final = 20_000
"""Deliveries that may be under way: live fan-out is measured, not how much a buffer holds."""
WINDOW_PATIENCE_SECONDS: Final = 1.0
STANDSTILL_SECONDS: Final = 60.0
_WATCH_SECONDS: Final = 0.2

A = TypeVar("A", Done, Begun, Said, Finished)
Report = Callable[[int, int], None]
"""Takes what is done and what there is to do."""


class Bell:
    """Rings whenever something moved; whoever waits then looks whether it was enough."""

    def __init__(self) -> None:
        self._listening: list[asyncio.Future[None]] = []

    def ring(self) -> None:
        """Wake everybody who waits now."""
        listening, self._listening = self._listening, []
        for one in listening:
            if not one.done():
                one.set_result(None)

    async def until(self, enough: Callable[[], bool]) -> None:
        """Wait until `enough` says so, asking it after each ring."""
        while not enough():
            heard: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._listening.append(heard)
            await heard


class CrowdProcess:
    """A process full of people, and the questions that it has not answered yet."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Talk over a pair of streams."""
        self._reader = reader
        self._writer = writer
        self.bell: Bell | None = None
        self._asked: dict[int, asyncio.Future[Answer]] = {}
        self.seen = 0

    async def ask(self, cue: Cue, kind: type[A]) -> A:
        """Give a cue and return its answer. Raises RunnerError with the sentence when it failed."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._asked[cue.number] = answer
        self._writer.write(packed(cue))
        told = await answer
        if isinstance(told, Failed):
            raise RunnerError(told.sentence)
        if not isinstance(told, kind):
            raise RunnerError(f"a crowd process answered {type(told).__name__} to {type(cue).__name__}")
        return told

    async def listen(self) -> None:
        """Take answers until the process ends; whoever still waits then learns so."""
        while (told := await unpacked(self._reader, ANSWERS)) is not None:
            if isinstance(told, Seen):
                self.seen = told.delivered
                if self.bell is not None:
                    self.bell.ring()
            elif (asked := self._asked.pop(told.number, None)) is not None and not asked.done():
                asked.set_result(told)
        for asked in self._asked.values():
            if not asked.done():
                asked.set_exception(RunnerError("a crowd process ended before it was told to"))

    def dismiss(self) -> None:
        """Let the process end."""
        self._writer.close()


@asynccontextmanager
async def crowds(count: int, module: str = CROWD_MODULE) -> AsyncIterator[list[CrowdProcess]]:
    """Start `count` processes that run `module`; they end with the block, or with this process."""
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(_crowd(module)) for _ in range(count)]


@asynccontextmanager
async def _crowd(module: str) -> AsyncIterator[CrowdProcess]:
    ours, theirs = socket.socketpair()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        str(theirs.fileno()),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        pass_fds=(theirs.fileno(),),
    )
    theirs.close()
    crowd = CrowdProcess(*await asyncio.open_connection(sock=ours))
    listening = asyncio.create_task(crowd.listen())
    try:
        yield crowd
    finally:
        crowd.dismiss()
        listening.cancel()
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        await process.wait()


class Director:
    """Gives the cues of one script to the crowds, and keeps account of who is there."""

    def __init__(self, script: Script, cast: Sequence[CrowdProcess]) -> None:
        """Direct `script`; people are dealt to the processes of `cast` in turn."""
        self._script = script
        self._crowds = cast
        self._numbers = itertools.count(1)
        self._logs: tuple[Begun, ...] = ()
        self._lines_said = [0] * len(script.conversations)
        self._present = [len(conversation.people) for conversation in script.conversations]
        self._places: dict[int, list[int]] = {}
        for number, conversation in enumerate(script.conversations):
            for person in conversation.people:
                self._places.setdefault(person, []).append(number)
        self._away: dict[int, dict[int, int]] = {}
        self._moving = [asyncio.Lock() for _ in script.people]
        self._owed = 0
        self._is_settling = False
        self._is_given_up = False
        self._bell = Bell()
        for crowd in cast:
            crowd.bell = self._bell

    @property
    def logs(self) -> tuple[Begun, ...]:
        """Return the conversations, in the order of the script."""
        return self._logs

    @property
    def said(self) -> int:
        """Return the number of lines that were acknowledged."""
        return sum(self._lines_said)

    @property
    def seen(self) -> int:
        """Return the number of deliveries that the crowds have told of."""
        return sum(crowd.seen for crowd in self._crowds)

    def crowd_of(self, person: int) -> CrowdProcess:
        """Return the process in which a person is."""
        return self._crowds[person % len(self._crowds)]

    async def sign_in(
        self, origin: str, gateways: Mapping[str, str], principals: Sequence[UUID], codes: Sequence[str]
    ) -> None:
        """Sign everybody in, by one-time codes in the order of people."""
        await asyncio.gather(
            *(
                crowd.ask(
                    Cast(
                        number=next(self._numbers),
                        origin=origin,
                        gateways=dict(gateways),
                        script=self._script,
                        principals=tuple(principals),
                        codes={
                            person: code
                            for person, code in enumerate(codes)
                            if self.crowd_of(person) is crowd
                        },
                    ),
                    Done,
                )
                for crowd in self._crowds
            )
        )

    async def begin(self) -> None:
        """Let the conversations be made, each by its first speaker."""
        self._logs = tuple(
            await asyncio.gather(
                *(
                    self.crowd_of(conversation.people[0]).ask(
                        Begin(number=next(self._numbers), conversation=number), Begun
                    )
                    for number, conversation in enumerate(self._script.conversations)
                )
            )
        )

    async def open(self) -> None:
        """Put everybody on line."""
        await asyncio.gather(
            *(crowd.ask(Open(number=next(self._numbers), logs=self._logs), Done) for crowd in self._crowds)
        )

    async def perform(self, report: Report) -> None:
        """Let every line be said in its order, people leave and return, until everybody has seen everything.

        Where deliveries stay away for a minute it goes on without them: the counts will tell. Raises
        RunnerError when somebody fails, or when nothing is said any more.
        """
        async with _first_failure() as acts:
            watching = acts.create_task(self._watch(report))
            moves = acts.create_task(self._move())
            await self._say_everything()
            await moves
            await self._settle()
            watching.cancel()

    async def finish(self) -> list[Finished]:
        """Close every socket and return what each process counted."""
        return await asyncio.gather(
            *(
                crowd.ask(Finish(number=next(self._numbers), lines_said=tuple(self._lines_said)), Finished)
                for crowd in self._crowds
            )
        )

    # Lines.

    async def _say_everything(self) -> None:
        """Say the conversations side by side, so many at a time."""
        remaining = iter(range(len(self._script.conversations)))

        async def work() -> None:
            for conversation in remaining:
                await self._say_conversation(conversation)

        await asyncio.gather(*(work() for _ in range(CONCURRENT_CONVERSATIONS)))

    async def _say_conversation(self, conversation: int) -> None:
        """Say a conversation's lines, each after the ack of the one before it."""
        script = self._script.conversations[conversation]
        for number, line in enumerate(script.lines):
            await self._room()
            async with self._moving[line.speaker]:  # whoever speaks does not leave meanwhile
                await self._back(line.speaker)
                say = Say(number=next(self._numbers), conversation=conversation, line=number)
                said = await self.crowd_of(line.speaker).ask(say, Said)
            if said.seq != self._logs[conversation].seq + 1 + number:
                raise RunnerError(f"line {number + 1} of {script.name} was acknowledged as seq {said.seq}")
            self._lines_said[conversation] += 1
            self._owed += self._present[conversation] - 1
            self._bell.ring()

    async def _room(self) -> None:
        """Wait while too many deliveries are under way, but not for ever: somebody may just have left."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WINDOW_PATIENCE_SECONDS):
                await self._bell.until(lambda: self._owed - self.seen <= WINDOW)

    async def _settle(self) -> None:
        """Wait until everything that was said was seen, or nothing comes any more."""
        self._is_settling = True
        await self._bell.until(lambda: self.seen >= self._script.deliveries or self._is_given_up)

    async def _watch(self, report: Report) -> None:
        """Report, and notice when neither acks nor deliveries come for a minute.

        Raises RunnerError when lines are left to say or people to bring back.
        """
        clock = asyncio.get_running_loop().time
        last, moved_at = (-1, -1), clock()
        while True:
            now = (self.said, self.seen)
            if now != last:
                last, moved_at = now, clock()
            elif clock() - moved_at > STANDSTILL_SECONDS and self._is_settling:
                self._is_given_up = True
                self._bell.ring()
            elif clock() - moved_at > STANDSTILL_SECONDS:
                raise RunnerError(
                    f"nothing moves: {self.said} of {self._script.messages} messages were acknowledged and "
                    f"{self.seen} of {self._script.deliveries} deliveries were seen"
                )
            report(self.seen, self._script.deliveries)
            await asyncio.sleep(_WATCH_SECONDS)

    # Absences.

    async def _move(self) -> None:
        """Let people leave and return as the messages go on; in the end everybody is back."""
        leaves = absences_of(range(len(self._script.people)), self._script.messages)
        returns: list[tuple[int, int]] = []
        for absence in leaves:
            await self._until(absence.leaves_at, returns)
            await self._take_away(absence)
            heapq.heappush(returns, (absence.returns_at, absence.person))
        await self._until(self._script.messages, returns)
        for _, person in sorted(returns):
            await self._bring_back(person)

    async def _until(self, messages: int, returns: list[tuple[int, int]]) -> None:
        """Wait until so many messages were acknowledged, and bring back whoever is due meanwhile."""
        while returns and returns[0][0] <= messages:
            due, person = heapq.heappop(returns)
            await self._bell.until(partial(self._is_said, due))
            await self._bring_back(person)
        await self._bell.until(partial(self._is_said, messages))

    def _is_said(self, messages: int) -> bool:
        return self.said >= messages

    async def _take_away(self, absence: Absence) -> None:
        async with self._moving[absence.person]:
            places = self._places.get(absence.person, [])
            self._away[absence.person] = {place: self._lines_said[place] for place in places}
            for place in places:
                self._present[place] -= 1
            leave = Leave(number=next(self._numbers), person=absence.person, abrupt=absence.abrupt)
            await self.crowd_of(absence.person).ask(leave, Done)

    async def _bring_back(self, person: int) -> None:
        """Put a person on line again, if he is still away."""
        async with self._moving[person]:
            await self._back(person)

    async def _back(self, person: int) -> None:
        """Put a person, whom nobody else moves, on line again; from then on he is owed what he missed."""
        if person not in self._away:
            return
        await self.crowd_of(person).ask(Return(number=next(self._numbers), person=person), Done)
        for place, said in self._away.pop(person).items():
            self._present[place] += 1
            self._owed += self._lines_said[place] - said


def crowds_for(people: int, processors: int) -> int:
    """Return how many crowd processes `people` need."""
    return max(1, min(-(-people // PEOPLE_A_CROWD), processors, MOST_CROWDS))


@asynccontextmanager
async def _first_failure() -> AsyncIterator[asyncio.TaskGroup]:
    """Run tasks beside the block; the first failure of any of them ends all and is raised by itself."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as failures:
        raise _leaf_of(failures) from failures


def _leaf_of(failures: BaseException) -> BaseException:
    while isinstance(failures, BaseExceptionGroup):
        failures = failures.exceptions[0]
    return failures


def gateways_of(finished: Iterable[Finished]) -> list[str]:
    """Return the names of the gateways that said welcome."""
    return sorted({name for each in finished for name in each.gateways})
