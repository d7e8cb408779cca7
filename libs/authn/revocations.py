"""What was revoked lately, as each service knows it, and when not knowing means refusing.

Identity numbers its revocations and announces its position every half second over Pub/Sub. A service
that hears nothing for a second, or that learns of a number it lacks, asks identity's internal route;
only when both have been silent for five seconds does it refuse. So a revoked session is refused within
one second, within five while Redis is down, and never accepted on older knowledge than that.

`RevocationView` is the pure state machine; `RevocationFeed` feeds it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import UUID

import msgspec

from libs.authn.errors import RevocationsUnknown, Unauthenticated
from libs.contracts.streams import REVOCATIONS_CHANNEL
from libs.kernel.clock import Clock
from libs.kernel.ids import SessionId

CHANNEL: Final = REVOCATIONS_CHANNEL
HEARTBEAT_SECONDS: Final = 0.5
SILENCE_SECONDS: Final = 1.0
"""Without an announcement for this long, identity is asked."""
REFUSAL_SECONDS: Final = 5.0
"""On knowledge older than this nobody is let in."""
POLL_PAUSE_SECONDS: Final = 0.5
"""Between two questions to identity."""
MEMORY_SECONDS: Final = 600.0
"""How long a revoked session is remembered: longer than any access token of it lives (300 s)."""

_log = logging.getLogger(__name__)


class Revocation(msgspec.Struct, frozen=True, array_like=True):
    """The revocation number `position` of the platform: this session ended before its time."""

    position: int
    tenant: UUID
    principal: UUID
    session: UUID


class Announcement(msgspec.Struct, frozen=True):
    """What identity says of itself: its position, and every revocation after `since` up to there.

    `complete` is false on a page that ends before the last revocation; its `position` is then the last
    one of the page.
    """

    position: int
    since: int
    revocations: list[Revocation]
    complete: bool = True


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Announcement)


def encode_announcement(announcement: Announcement) -> bytes:
    """Return the announcement as msgpack, for the channel and for the internal route alike."""
    return _encoder.encode(announcement)


def decode_announcement(data: bytes) -> Announcement:
    """Return the announcement that msgpack `data` holds; raises msgspec.DecodeError (a ValueError)."""
    return _decoder.decode(data)


class HasSession(Protocol):
    """Whatever acts in a session: an `Actor`, or what a socket remembers of one."""

    @property
    def session(self) -> SessionId:
        """The session."""
        ...


@dataclass(frozen=True, slots=True)
class Learned:
    """What an announcement brought: revocations unknown until now.

    `lost` says that some may have been missed for good (identity no longer lists them), so that
    everything opened before must prove itself again.
    """

    revocations: Sequence[Revocation] = ()
    lost: bool = False


class RevocationView:
    """The pure state machine: what is revoked, how fresh that is, when to ask and when to refuse."""

    def __init__(self, clock: Clock) -> None:
        """Know nothing yet: everything is refused with RevocationsUnknown until something is heard."""
        self._clock = clock
        self._position: int | None = None
        self._behind = False
        self._fresh_at: float | None = None
        self._heard_at: float | None = None
        self._asked_at: float | None = None
        self._revoked: dict[UUID, float] = {}

    @property
    def position(self) -> int | None:
        """The number up to which every revocation is known; None at first."""
        return self._position

    def check(self, actor: HasSession) -> None:
        """Return if the actor's session is not revoked, by knowledge that is fresh enough.

        Raises Unauthenticated for a revoked session, RevocationsUnknown (503) when identity and Redis
        have both been silent for five seconds.
        """
        if actor.session in self._revoked:
            raise Unauthenticated
        if not self.is_fresh():
            raise RevocationsUnknown

    def is_fresh(self) -> bool:
        """Return whether what is known here was the whole truth at some time in the last five seconds."""
        return self._fresh_at is not None and self._clock.monotonic() - self._fresh_at < REFUSAL_SECONDS

    def is_poll_due(self) -> bool:
        """Return whether identity should be asked now."""
        now = self._clock.monotonic()
        if self._asked_at is not None and now - self._asked_at < POLL_PAUSE_SECONDS:
            return False
        silent = self._heard_at is None or now - self._heard_at >= SILENCE_SECONDS
        return silent or self._behind or self._position is None

    def ask(self) -> int | None:
        """Note that identity is asked now; return the `after` to ask with (None: whatever is young)."""
        self._asked_at = self._clock.monotonic()
        return self._position

    def hear(self, announcement: Announcement) -> Learned:
        """Take what Pub/Sub brought just now."""
        if self._position is None:
            return Learned()  # where to begin is for identity's answer to say
        if announcement.position < self._position:
            return Learned()  # said before what is known already: no news, and no sign of freshness
        if announcement.since > self._position:
            self._behind = True
            return Learned()
        learned = self._learn(announcement)
        self._heard_at = self._fresh_at = self._clock.monotonic()
        self._behind = False
        return learned

    def take_answer(self, answer: Announcement, *, after: int | None, asked_at: float) -> Learned:
        """Take identity's answer to a question asked at `asked_at` (monotonic) with `after`."""
        if after is not None and answer.position < after:
            return self._start_again()
        lost = after is not None and answer.since > after
        learned = self._learn(answer)
        if answer.complete:
            # Fresh as of the question: what was revoked after it may be missing from the answer.
            self._fresh_at = max(asked_at, self._fresh_at or asked_at)
            self._behind = False
        else:
            self._behind, self._asked_at = True, None
        return Learned(learned.revocations, lost)

    def _start_again(self) -> Learned:
        """Forget the position: identity's numbers went back, as after a restore from a backup."""
        self._position, self._behind, self._asked_at = None, True, None
        return Learned(lost=True)

    def _learn(self, announcement: Announcement) -> Learned:
        known = -1 if self._position is None else self._position
        now = self._clock.monotonic()
        new = [each for each in announcement.revocations if each.session not in self._revoked]
        for revocation in new:
            self._revoked[revocation.session] = now
        self._position = max(known, announcement.position)
        self._forget(now)
        return Learned(new)

    def _forget(self, now: float) -> None:
        """Drop the sessions whose every token has expired; they stand in the order of learning."""
        while self._revoked:
            session = next(iter(self._revoked))
            if now - self._revoked[session] < MEMORY_SECONDS:
                return
            del self._revoked[session]


class RevocationFeed:
    """Keeps a view current: listens to announcements, and asks identity whenever the view says so."""

    def __init__(
        self,
        view: RevocationView,
        clock: Clock,
        *,
        subscribe: Callable[[], AsyncIterator[bytes]],
        poll: Callable[[int | None], Awaitable[Announcement]],
        on_revoked: Callable[[Revocation], None] = lambda _revocation: None,
        on_lost: Callable[[], None] = lambda: None,
        tick_seconds: float = 0.1,
    ) -> None:
        """Listen to `subscribe()` (raw announcements, endless), ask `poll(after)`, tell `on_revoked`.

        Whatever `subscribe` and `poll` raise counts as silence. `on_lost` is called when revocations
        may have been missed for good: close everything that was opened before.
        """
        self._view = view
        self._clock = clock
        self._subscribe = subscribe
        self._poll = poll
        self._on_revoked = on_revoked
        self._on_lost = on_lost
        self._tick_seconds = tick_seconds

    async def run(self) -> None:
        """Feed the view until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen())
            tasks.create_task(self._watch())

    async def _listen(self) -> None:
        while True:
            try:
                async for message in self._subscribe():
                    self._tell(self._view.hear(decode_announcement(message)))
            except Exception as error:  # noqa: BLE001 - silence, whatever its reason
                _log.warning("the announcements of revocations broke off: %s", type(error).__name__)
            await asyncio.sleep(self._tick_seconds)

    async def _watch(self) -> None:
        while True:
            if self._view.is_poll_due():
                await self.poll_once()
            await asyncio.sleep(self._tick_seconds)

    async def poll_once(self) -> None:
        """Ask identity once and take its answer; a failure is silence."""
        asked_at = self._clock.monotonic()
        after = self._view.ask()
        try:
            async with asyncio.timeout(REFUSAL_SECONDS / 2):
                answer = await self._poll(after)
        except Exception as error:  # noqa: BLE001 - silence, whatever its reason
            _log.warning("identity did not say what was revoked: %s", type(error).__name__)
            return
        self._tell(self._view.take_answer(answer, after=after, asked_at=asked_at))

    def _tell(self, learned: Learned) -> None:
        if learned.lost:
            self._on_lost()
        for revocation in learned.revocations:
            self._on_revoked(revocation)
