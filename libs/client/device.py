"""A device on line: one socket at a time, resumed after every cut until it is closed.

The rules are in `state`; this module moves frames between them and a wire.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Final, Protocol, Self
from uuid import UUID

from libs.client.errors import ClientError, Refused, SendRefused, SignedOut, Unreachable
from libs.client.state import BackOff, Marks, Outbox, Repair, Shown, Timeline
from libs.client.wire import Cut, Dial, Wire
from libs.contracts.socket import (
    HELLO_REF,
    Ack,
    ClientFrame,
    CloseCode,
    Entries,
    Error,
    Hello,
    MalformedFrame,
    Page,
    Retract,
    Revise,
    Send,
    ServerFrame,
    Sync,
    Text,
    Utterance,
    Welcome,
    encode_frame,
    read_server_frame,
)
from libs.kernel.clock import Clock
from libs.kernel.ids import Ids
from libs.kernel.randomness import Randomness

PAGE_ENTRIES: Final = 500
REPEAT_SECONDS: Final = 1.0
"""How long a send rests that was refused for the moment."""
TRANSIENT_STATUSES: Final = frozenset({429, 503})
"""Refusals of the moment: the same send is right a little later."""
BLAMED_ON_SENDS: Final = frozenset({CloseCode.BINARY_OR_UNREADABLE, CloseCode.MALFORMED, CloseCode.OVERSIZED})
"""Close codes that say a frame of ours was wrong: repeating it would only close the next socket."""

OnShown = Callable[[Shown], None]


class Tokens(Protocol):
    """Where a device gets its access tokens; `Session` is one."""

    async def access_token(self) -> str:
        """Return a token that is good for a while. Raises SignedOut or Unreachable."""
        ...

    async def renew(self, refused_token: str) -> None:
        """Replace a token that was refused. Raises SignedOut or Unreachable."""
        ...


class Device:
    """Sends and shows; survives cuts, and may be closed and opened again without losing its place.

    `on_shown` is called for each entry of each conversation, once and in order; it must not block.
    """

    def __init__(
        self,
        tokens: Tokens,
        dial: Dial,
        on_shown: OnShown,
        clock: Clock,
        ids: Ids,
        randomness: Randomness,
        *,
        cursors: Mapping[UUID, int] | None = None,
        marks_delivered: bool = True,
    ) -> None:
        """Start behind `cursors`; with `marks_delivered` everything shown is marked as delivered."""
        self._tokens = tokens
        self._dial = dial
        self._on_shown = on_shown
        self._clock = clock
        self._ids = ids
        self._randomness = randomness
        self._marks_delivered = marks_delivered
        self._timeline = Timeline(cursors)
        self._repair = Repair()
        self._outbox = Outbox()
        self._marks = Marks()
        self._back_off = BackOff()
        self._blamed: list[UUID] = []
        self._answers: dict[UUID, asyncio.Future[Ack]] = {}
        self._syncs: dict[str, asyncio.Future[None]] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._wire: Wire | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._live = asyncio.Event()
        self._failure: BaseException | None = None
        self.gateway: str | None = None
        """The gateway at the other end of the present or last socket."""
        self.connections = 0
        """How often a gateway said welcome."""
        self.repairs = 0
        """How often a gap was asked about."""
        self.unreadable = 0
        """Frames of a later version, skipped."""

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    # What an application asks for.

    @property
    def cursors(self) -> dict[UUID, int]:
        """Return conversation → last `seq` shown: what to store, and to start the next Device with."""
        return self._timeline.cursors

    @property
    def repeats(self) -> int:
        """Return how many entries came again after they had been shown or held."""
        return self._timeline.repeats

    @property
    def is_live(self) -> bool:
        """Tell whether everything missed has come and new entries come as they are committed."""
        return self._live.is_set()

    async def open(self) -> None:
        """Go on line, and return once everything missed was shown. Raises SignedOut."""
        if self._keeper is None:
            self._failure = None
            self._keeper = asyncio.create_task(self._keep(), name="device")
        await self.live()

    async def live(self) -> None:
        """Wait until everything missed was shown. Raises what ended the device for good."""
        if self._keeper is None:
            msg = "the device is closed"
            raise ClientError(msg)
        waiting = asyncio.ensure_future(self._live.wait())
        try:
            await asyncio.wait({waiting, self._keeper}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if self._failure is not None:
            raise self._failure

    async def close(self, *, abrupt: bool = False) -> None:
        """Go off line; unanswered sends stay in the outbox. `abrupt` drops the connection unannounced."""
        keeper, self._keeper = self._keeper, None
        if keeper is None:
            return
        if abrupt and self._wire is not None:
            self._wire.abort()
        keeper.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.wait({keeper})
        self._live.clear()

    async def send(
        self,
        conversation: UUID,
        text: str,
        *,
        message: UUID | None = None,
    ) -> Ack:
        """Send `text` and return its ack, however many cuts lie between.

        `message` is the client's id of the message, made here unless it is given: giving it again repeats
        the same send. Off line the message waits. Raises SendRefused for good reasons, SignedOut when the
        session is over.
        """
        return await self._answered(
            Send(id=message or self._ids.uuid7(), conversation=conversation, body=Text(text=text))
        )

    async def revise(self, conversation: UUID, seq: int, text: str, *, message: UUID | None = None) -> Ack:
        """Give one's own message, the one whose first entry is at `seq`, another text; as `send` does."""
        return await self._answered(
            Revise(id=message or self._ids.uuid7(), conversation=conversation, seq=seq, body=Text(text=text))
        )

    async def retract(
        self, conversation: UUID, seq: int, reason: str | None = None, *, message: UUID | None = None
    ) -> Ack:
        """Take back the message whose first entry is at `seq`: one's own, or another's for a reason."""
        return await self._answered(
            Retract(id=message or self._ids.uuid7(), conversation=conversation, seq=seq, reason=reason)
        )

    async def _answered(self, send: Utterance) -> Ack:
        """Write something until it is answered, and return its ack."""
        self._raise_failure()
        due = self._outbox.put(send)
        answer: asyncio.Future[Ack] = asyncio.get_running_loop().create_future()
        self._answers[send.id] = answer
        self._write_all(due)
        return await answer

    def mark(self, conversation: UUID, *, delivered: int = 0, read: int = 0) -> None:
        """Tell how far was received and read; written at most once a second, repeated after a cut."""
        self._marks.advance(conversation, delivered=delivered, read=read)
        self._watch_marks()

    async def sync(self) -> None:
        """Ask for everything missed, and return once it was shown. Raises Cut when the socket goes."""
        await self.live()
        ref = str(self._ids.uuid7())
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._syncs[ref] = done
        self._ask(ref, {})
        await done

    # Keeping a socket.

    async def _keep(self) -> None:
        """Hold one socket after the other until the session is over or the application fails."""
        try:
            while True:
                try:
                    await self._hold_one()
                except Unreachable:
                    await self._rest()
                except Cut as cut:
                    await self._after(cut)
        except asyncio.CancelledError:
            raise
        except BaseException as failure:
            self._fail(failure)
            if not isinstance(failure, ClientError):
                raise

    async def _hold_one(self) -> None:
        """Dial, say hello and take frames until the wire is cut. Raises Cut, Unreachable or SignedOut."""
        token = await self._tokens.access_token()
        try:
            async with self._dial() as wire:
                self._wire = wire
                self._write(Hello(token=token, cursors=self._timeline.cursors, limit=PAGE_ENTRIES))
                await wire.listen(self._take)
        except Cut as cut:
            if cut.code == CloseCode.UNAUTHENTICATED:
                await self._tokens.renew(token)
            raise
        finally:
            self._cut()

    async def _after(self, cut: Cut) -> None:
        """Decide what a cut means. Raises SignedOut when the platform ended the session."""
        if cut.code == CloseCode.REVOKED:
            msg = "the session was revoked"
            raise SignedOut(msg)
        if cut.code in BLAMED_ON_SENDS:
            self._refuse_blamed(cut)
        await self._rest()

    async def _rest(self) -> None:
        """Wait before the next attempt, so that a gateway that comes back is not trampled."""
        fraction = int.from_bytes(self._randomness.bytes(4)) / 2**32
        await asyncio.sleep(self._back_off.failed(fraction))

    def _cut(self) -> None:
        """Take note that there is no socket any more."""
        self._wire = None
        self._live.clear()
        self._blamed = self._outbox.under_way()
        self._outbox.cut()
        self._repair.cut()
        self._marks.cut(self._clock.monotonic())
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        for done in self._drained_syncs():
            done.set_exception(Cut(None, "the socket went while a sync was under way"))

    def _drained_syncs(self) -> list[asyncio.Future[None]]:
        syncs, self._syncs = self._syncs, {}
        return [done for done in syncs.values() if not done.done()]

    def _fail(self, failure: BaseException) -> None:
        """End for good: whoever waits for an ack or for the device learns why."""
        self._failure = failure
        answers, self._answers = self._answers, {}
        for answer in answers.values():
            if not answer.done():
                answer.set_exception(failure)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    # Frames in.

    def _take(self, data: bytes) -> None:
        """Take one frame; those of a later version are skipped."""
        try:
            frame: ServerFrame = read_server_frame(data)
        except MalformedFrame:
            self.unreadable += 1
            return
        match frame:
            case Entries():
                self._show(self._timeline.take_entries(frame.conversation, frame.entries))
            case Ack():
                self._acknowledged(frame)
            case Page():
                self._paged(frame)
            case Welcome():
                self._welcomed(frame)
            case Error():
                self._refused(frame)
            case _:
                pass

    def _welcomed(self, welcome: Welcome) -> None:
        self.gateway = welcome.gateway
        self.connections += 1
        self._back_off.succeeded()
        self._write_all(self._outbox.open())
        self._watch_marks()
        if not welcome.resume:
            self._live.set()

    def _paged(self, page: Page) -> None:
        self._show(self._timeline.take_page(page.entries))
        if page.ref == HELLO_REF:
            if not page.more:
                self._live.set()
            return
        if page.more:
            self._ask(page.ref, page.cursors)
            return
        done = self._syncs.pop(page.ref, None)
        if done is not None and not done.done():
            done.set_result(None)

    def _acknowledged(self, ack: Ack) -> None:
        own = self._outbox.find(ack.id)
        due = self._outbox.answered(ack.id)
        answer = self._answers.pop(ack.id, None)
        self._show(self._timeline.take_ack(ack, own))
        if answer is not None and not answer.done():
            answer.set_result(ack)
        self._write_all(due)

    def _refused(self, error: Error) -> None:
        """Repeat what was refused for the moment, report what was refused for good."""
        send_id = _uuid_of(error.ref)
        if send_id is None or send_id not in self._outbox:
            done = self._syncs.pop(error.ref or "", None)
            if done is not None and not done.done():
                done.set_exception(Refused(error.problem))
        elif error.problem.status in TRANSIENT_STATUSES:
            self._later(f"send {send_id}", REPEAT_SECONDS, partial(self._repeat, send_id))
        else:
            due = self._outbox.answered(send_id)
            answer = self._answers.pop(send_id, None)
            if answer is not None and not answer.done():
                answer.set_exception(SendRefused(error.problem))
            self._write_all(due)

    def _repeat(self, send_id: UUID) -> None:
        self._write_all(self._outbox.again(send_id))

    def _refuse_blamed(self, cut: Cut) -> None:
        """Give up the sends that may have made the platform close the socket."""
        for send_id in self._blamed:
            self._outbox.answered(send_id)
            answer = self._answers.pop(send_id, None)
            if answer is not None and not answer.done():
                answer.set_exception(cut)

    def _show(self, shown: Iterable[Shown]) -> None:
        for item in shown:
            self._on_shown(item)
            if self._marks_delivered:
                self._marks.advance(item.conversation, delivered=item.seq)
        if self._marks_delivered:
            self._watch_marks()
        if self._timeline.has_gaps:
            self._watch_gaps()

    # Frames out.

    def _write_all(self, frames: Iterable[Utterance]) -> None:
        for frame in frames:
            self._write(frame)

    def _write(self, frame: ClientFrame) -> None:
        """Write a frame to the present socket; without one it is not written."""
        if self._wire is not None:
            self._wire.write(encode_frame(frame))

    def _ask(self, ref: str, reached: Mapping[UUID, int]) -> None:
        """Ask for a page of everything after the cursors; `reached` are those of the page before it.

        All cursors are named: a conversation that is not would be sent from its beginning.
        """
        cursors = self._timeline.cursors
        for conversation, seq in reached.items():
            cursors[conversation] = max(seq, cursors.get(conversation, 0))
        self._write(Sync(ref=ref, cursors=cursors, limit=PAGE_ENTRIES))

    def _watch_gaps(self) -> None:
        """See to it that a gap that stays is asked about, without a timer for each frame."""
        if "gaps" not in self._timers:
            self._ask_about_gaps()

    def _ask_about_gaps(self) -> None:
        now = self._clock.monotonic()
        due = self._repair.decide(self._timeline.gaps(), now)
        if due:
            self.repairs += 1
            self._ask(f"gap-{self.repairs}", {})
        wait = self._repair.wait_of(now)
        if wait is not None:
            self._later("gaps", wait, self._ask_about_gaps)

    def _watch_marks(self) -> None:
        """See to it that new marks are written when their second is over."""
        if "marks" in self._timers or self._wire is None:
            return
        wait = self._marks.wait_of(self._clock.monotonic())
        if wait is not None:
            self._later("marks", wait, self._write_marks)

    def _write_marks(self) -> None:
        for mark in self._marks.take(self._clock.monotonic()):
            self._write(mark)
        self._watch_marks()

    def _later(self, name: str, seconds: float, act: Callable[[], None]) -> None:
        """Run `act` after `seconds` on this socket; a cut cancels it."""

        def run() -> None:
            self._timers.pop(name, None)
            act()

        self._timers[name] = asyncio.get_running_loop().call_later(seconds, run)


def _uuid_of(text: str | None) -> UUID | None:
    """Return the id in `text`, None when it is none."""
    try:
        return UUID(text) if text else None
    except ValueError:
        return None
