"""A device over a wire that the test holds in its hands."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID

import pytest

from libs.client.device import Device, OnShown
from libs.client.errors import ClientError, SendRefused, SignedOut, Unreachable
from libs.client.state import Shown
from libs.client.wire import Cut, OnFrame, Wire
from libs.contracts.problems import Problem
from libs.contracts.socket import (
    Ack,
    ClientFrame,
    CloseCode,
    ConversationEntries,
    Entries,
    Entry,
    EntryKind,
    Error,
    Hello,
    Mark,
    Page,
    Send,
    ServerFrame,
    Sync,
    Welcome,
    encode_frame,
    read_client_frame,
)
from libs.kernel.clock import ManualClock
from libs.kernel.ids import SystemIds
from libs.kernel.randomness import Randomness, SeededRandomness

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
ROOM = UUID(int=10)
PERSON = UUID(int=1)
SECONDS = 5.0


class NoRandomness:
    """Always the least: back-off does not wait."""

    def bytes(self, count: int) -> bytes:
        return bytes(count)


class FakeWire:
    """The gateway's end of one socket: `said` is what the device wrote, `say` is what it reads."""

    def __init__(self) -> None:
        self.said: asyncio.Queue[ClientFrame] = asyncio.Queue()
        self._coming: asyncio.Queue[bytes | Cut] = asyncio.Queue()
        self.is_aborted = False

    def write(self, text: str) -> None:
        self.said.put_nowait(read_client_frame(text))

    async def listen(self, take: OnFrame) -> None:
        while True:
            coming = await self._coming.get()
            if isinstance(coming, Cut):
                raise coming
            take(coming)

    def abort(self) -> None:
        self.is_aborted = True
        self.close(None)

    def say(self, frame: ServerFrame) -> None:
        self._coming.put_nowait(encode_frame(frame).encode())

    def say_raw(self, data: bytes) -> None:
        self._coming.put_nowait(data)

    def close(self, code: int | None) -> None:
        self._coming.put_nowait(Cut(code, "planted"))

    def welcome(self, *, resume: bool = False) -> None:
        self.say(
            Welcome(
                gateway="gw-1",
                principal=PERSON,
                session=UUID(int=2),
                heartbeat_seconds=20,
                resume=resume,
            )
        )

    async def hears(self, kind: type) -> ClientFrame:
        """Return the next frame, which must be of this kind."""
        async with asyncio.timeout(SECONDS):
            frame = await self.said.get()
        assert isinstance(frame, kind), frame
        return frame


class FakeTokens:
    def __init__(self) -> None:
        self.renewed = 0
        self.failure: ClientError | None = None

    async def access_token(self) -> str:
        return f"token-{self.renewed}"

    async def renew(self, refused_token: str) -> None:
        if self.failure is not None:
            raise self.failure
        self.renewed += 1


class Gateway:
    """Accepts the device's sockets one by one."""

    def __init__(self) -> None:
        self.wires: asyncio.Queue[FakeWire] = asyncio.Queue()
        self.tokens = FakeTokens()
        self.shown: list[Shown] = []
        self.clock = ManualClock(NOON)
        self.refusals = 0

    @asynccontextmanager
    async def dial(self) -> AsyncIterator[Wire]:
        if self.refusals:
            self.refusals -= 1
            raise Cut(None, "nobody there")
        wire = FakeWire()
        self.wires.put_nowait(wire)
        yield wire

    def device(
        self,
        *,
        marks_delivered: bool = False,
        cursors: dict[UUID, int] | None = None,
        on_shown: OnShown | None = None,
    ) -> Device:
        randomness: Randomness = NoRandomness()
        return Device(
            self.tokens,
            self.dial,
            on_shown or self.shown.append,
            self.clock,
            SystemIds(self.clock, SeededRandomness(1)),
            randomness,
            cursors=cursors,
            marks_delivered=marks_delivered,
        )

    async def next_wire(self) -> FakeWire:
        async with asyncio.timeout(SECONDS):
            return await self.wires.get()

    async def accept(self, *, resume: bool = False) -> tuple[FakeWire, Hello]:
        """Take the next socket, hear its hello and say welcome."""
        wire = await self.next_wire()
        hello = await wire.hears(Hello)
        assert isinstance(hello, Hello)
        wire.welcome(resume=resume)
        return wire, hello

    def seqs(self) -> list[int]:
        return [item.seq for item in self.shown]


def entry_of(seq: int) -> Entry:
    return Entry(
        seq=seq,
        kind=EntryKind.MESSAGE_CREATED,
        revision=1,
        actor=UUID(int=99),
        sent_at=NOON,
        committed_at=NOON,
        members_version=1,
    )


def entries_of(*seqs: int) -> Entries:
    return Entries(conversation=ROOM, entries=tuple(entry_of(seq) for seq in seqs))


def page_of(ref: str, *seqs: int, more: bool = False) -> Page:
    entries = tuple(entry_of(seq) for seq in seqs)
    return Page(
        ref=ref,
        entries=(ConversationEntries(conversation=ROOM, entries=entries),) if seqs else (),
        more=more,
        cursors={ROOM: seqs[-1]} if seqs else {},
    )


def ack_of(send: ClientFrame, seq: int) -> Ack:
    assert isinstance(send, Send)
    return Ack(id=send.id, conversation=send.conversation, seq=seq, message=send.id, committed_at=NOON)


def problem_of(status: int, code: str) -> Problem:
    return Problem(type=f"urn:problem:{code}", title=code, status=status, code=code)


async def opened(gateway: Gateway, device: Device) -> FakeWire:
    opening = asyncio.create_task(device.open())
    wire, _ = await gateway.accept()
    async with asyncio.timeout(SECONDS):
        await opening
    return wire


def failing(shown: Shown) -> None:
    raise ZeroDivisionError(shown.seq)


async def settled() -> None:
    """Let every task that is ready run."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_device_is_live_once_the_last_page_of_what_it_missed_has_come() -> None:
    gateway = Gateway()
    device = gateway.device(cursors={ROOM: 2})
    opening = asyncio.create_task(device.open())
    wire, hello = await gateway.accept(resume=True)
    assert hello.cursors == {ROOM: 2}
    assert hello.token == "token-0"
    wire.say(page_of("hello", 3, 4, more=True))
    await settled()
    assert not opening.done()
    wire.say(page_of("hello", 5))
    await opening
    wire.say(entries_of(6))
    await settled()
    assert gateway.seqs() == [3, 4, 5, 6]
    await device.close()


async def test_a_send_returns_its_ack() -> None:
    gateway = Gateway()
    device = gateway.device()
    wire = await opened(gateway, device)
    sending = asyncio.create_task(device.send(ROOM, "good morning"))
    send = await wire.hears(Send)
    wire.say(ack_of(send, 1))
    assert (await sending).seq == 1
    assert gateway.seqs() == [1]
    await device.close()


async def test_a_send_whose_ack_was_lost_is_repeated_with_the_same_id() -> None:
    gateway = Gateway()
    device = gateway.device()
    wire = await opened(gateway, device)
    sending = asyncio.create_task(device.send(ROOM, "good morning"))
    first = await wire.hears(Send)
    wire.close(None)
    wire, _ = await gateway.accept()
    second = await wire.hears(Send)
    assert second == first
    wire.say(ack_of(second, 1))
    assert (await sending).seq == 1
    await device.close()


async def test_after_a_cut_the_device_resumes_behind_what_it_showed() -> None:
    gateway = Gateway()
    device = gateway.device()
    wire = await opened(gateway, device)
    wire.say(entries_of(1, 2, 3))
    wire.say(entries_of(5))
    wire.close(1012)
    wire, hello = await gateway.accept(resume=True)
    assert hello.cursors == {ROOM: 3}
    wire.say(page_of("hello", 4, 5, 6))
    await device.live()
    assert gateway.seqs() == [1, 2, 3, 4, 5, 6]
    assert device.connections == 2
    await device.close()


async def test_a_message_written_off_line_goes_out_when_the_device_is_opened_again() -> None:
    gateway = Gateway()
    device = gateway.device()
    wire = await opened(gateway, device)
    await device.close(abrupt=True)
    assert wire.is_aborted
    sending = asyncio.create_task(device.send(ROOM, "later"))
    await settled()
    wire = await opened(gateway, device)
    wire.say(ack_of(await wire.hears(Send), 1))
    assert (await sending).seq == 1
    await device.close()


async def test_a_gap_that_stays_is_asked_about_and_closed_by_the_page() -> None:
    gateway = Gateway()
    device = gateway.device()
    wire = await opened(gateway, device)
    wire.say(entries_of(1, 3))
    await settled()
    gateway.clock.advance(1.0)
    sync = await wire.hears(Sync)
    assert isinstance(sync, Sync)
    assert sync.cursors == {ROOM: 1}
    wire.say(page_of(sync.ref, 2, 3))
    await settled()
    assert gateway.seqs() == [1, 2, 3]
    assert device.repairs == 1
    await device.close()


async def test_a_refusal_for_good_is_raised_and_the_next_message_goes_on() -> None:
    gateway = Gateway()
    device = gateway.device()
    wire = await opened(gateway, device)
    first = asyncio.create_task(device.send(ROOM, "one"))
    second = asyncio.create_task(device.send(ROOM, "two"))
    send = await wire.hears(Send)
    assert isinstance(send, Send)
    wire.say(Error(ref=str(send.id), problem=problem_of(404, "conversation-not-found")))
    with pytest.raises(SendRefused, match="conversation-not-found"):
        await first
    wire.say(ack_of(await wire.hears(Send), 1))
    assert (await second).seq == 1
    await device.close()


async def test_a_refusal_for_the_moment_is_repeated_with_the_same_id() -> None:
    gateway = Gateway()
    device = gateway.device()
    wire = await opened(gateway, device)
    sending = asyncio.create_task(device.send(ROOM, "sealed"))
    send = await wire.hears(Send)
    assert isinstance(send, Send)
    wire.say(Error(ref=str(send.id), problem=problem_of(503, "key-service-unavailable")))
    again = await wire.hears(Send)
    assert again == send
    wire.say(ack_of(again, 1))
    assert (await sending).seq == 1
    await device.close()


async def test_a_refused_token_is_renewed_before_the_next_socket() -> None:
    gateway = Gateway()
    device = gateway.device()
    wire = await opened(gateway, device)
    wire.close(CloseCode.UNAUTHENTICATED)
    _, hello = await gateway.accept()
    assert hello.token == "token-1"
    await device.close()


async def test_a_revoked_session_ends_the_device_and_fails_what_waits() -> None:
    gateway = Gateway()
    device = gateway.device()
    wire = await opened(gateway, device)
    sending = asyncio.create_task(device.send(ROOM, "too late"))
    await wire.hears(Send)
    wire.close(CloseCode.REVOKED)
    with pytest.raises(SignedOut):
        await sending
    with pytest.raises(SignedOut):
        await device.live()
    with pytest.raises(SignedOut):
        await device.send(ROOM, "never")
    await device.close()


async def test_a_session_that_cannot_be_renewed_ends_the_device() -> None:
    gateway = Gateway()
    gateway.tokens.failure = SignedOut("the session is over")
    device = gateway.device()
    wire = await opened(gateway, device)
    wire.close(CloseCode.UNAUTHENTICATED)
    await settled()
    with pytest.raises(SignedOut):
        await device.live()
    await device.close()


async def test_identity_being_away_is_waited_out() -> None:
    gateway = Gateway()
    gateway.tokens.failure = Unreachable("identity is away")
    device = gateway.device()
    wire = await opened(gateway, device)
    wire.close(CloseCode.UNAUTHENTICATED)
    wire, _ = await gateway.accept()
    await device.close()


async def test_nobody_at_the_other_end_is_waited_out() -> None:
    gateway = Gateway()
    gateway.refusals = 3
    device = gateway.device()
    await opened(gateway, device)
    assert device.gateway == "gw-1"
    await device.close()


async def test_a_send_that_made_the_platform_close_the_socket_is_not_repeated() -> None:
    gateway = Gateway()
    device = gateway.device()
    wire = await opened(gateway, device)
    sending = asyncio.create_task(device.send(ROOM, "x" * 100))
    await wire.hears(Send)
    wire.close(CloseCode.OVERSIZED)
    with pytest.raises(Cut):
        await sending
    wire, _ = await gateway.accept()
    await settled()
    assert wire.said.empty()
    await device.close()


async def test_a_frame_of_a_later_version_is_skipped() -> None:
    gateway = Gateway()
    device = gateway.device()
    wire = await opened(gateway, device)
    wire.say_raw(b'{"op":"presence","who":"someone"}')
    wire.say(entries_of(1))
    await settled()
    assert gateway.seqs() == [1]
    assert device.unreadable == 1
    await device.close()


async def test_everything_shown_is_marked_as_delivered_in_one_mark() -> None:
    gateway = Gateway()
    device = gateway.device(marks_delivered=True)
    wire = await opened(gateway, device)
    wire.say(entries_of(1, 2, 3))
    mark = await wire.hears(Mark)
    assert mark == Mark(conversation=ROOM, delivered=3)
    await device.close()


async def test_a_sync_returns_once_its_last_page_was_shown() -> None:
    gateway = Gateway()
    device = gateway.device()
    wire = await opened(gateway, device)
    syncing = asyncio.create_task(device.sync())
    sync = await wire.hears(Sync)
    assert isinstance(sync, Sync)
    wire.say(page_of(sync.ref, 1, 2, more=True))
    assert await wire.hears(Sync) == Sync(ref=sync.ref, cursors={ROOM: 2}, limit=sync.limit)
    wire.say(page_of(sync.ref, 3))
    await syncing
    assert gateway.seqs() == [1, 2, 3]
    await device.close()


async def test_an_application_that_fails_ends_the_device_loudly() -> None:
    gateway = Gateway()
    device = gateway.device(on_shown=failing)
    wire = await opened(gateway, device)
    wire.say(entries_of(1))
    await settled()
    with pytest.raises(ZeroDivisionError):
        await device.live()
    keeper = device._keeper
    assert keeper is not None
    assert isinstance(keeper.exception(), ZeroDivisionError)
    await device.close()
