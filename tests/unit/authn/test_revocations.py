"""A revoked session is refused within one second, within five without Redis, and never on older news."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from libs.authn.errors import RevocationsUnknown, Unauthenticated
from libs.authn.revocations import (
    Announcement,
    Revocation,
    RevocationFeed,
    RevocationView,
    decode_announcement,
    encode_announcement,
)
from libs.kernel.clock import ManualClock

TICK = 0.1
"""Seconds: how often a feed looks whether it should ask."""
STRANGER = SimpleNamespace(session=UUID(int=0))
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def revocation(number: int) -> Revocation:
    return Revocation(number, UUID(int=1), UUID(int=2), UUID(int=1000 + number))


def news(position: int, since: int) -> Announcement:
    return Announcement(position, since, [revocation(number) for number in range(since + 1, position + 1)])


@dataclass
class World:
    """Identity, Redis and one listening service, all on one clock that tests turn."""

    clock: ManualClock = field(default_factory=lambda: ManualClock(NOON))
    redis: bool = True
    identity: bool = True
    ticks: int = 0
    revoked_at: list[float] = field(default_factory=list)
    announced: list[int] = field(default_factory=lambda: [0])
    evidence_at: float | None = None
    gap: bool = False
    """Whether Redis last spoke of numbers that only identity could explain."""
    silent_since: dict[str, float] = field(default_factory=dict)
    view: RevocationView = field(init=False)

    def __post_init__(self):
        self.view = RevocationView(self.clock)

    def revoke(self):
        self.revoked_at.append(self.clock.monotonic())

    def set_redis(self, *, up: bool):
        self.redis = up

    def set_identity(self, *, up: bool):
        self.identity = up

    def tick(self):
        """Let a tick pass: a heartbeat every fifth, a question whenever the view says so."""
        self.clock.advance(TICK)
        self.ticks += 1
        now, position = self.clock.monotonic(), len(self.revoked_at)
        if self.ticks % 5 == 0:
            # As identity does: each announcement repeats what the last few said.
            since = self.announced[-4] if len(self.announced) > 3 else self.announced[0]
            self.announced.append(position)
            if self.redis:
                before = self.view.position
                self.view.hear(news(position, since))
                self.gap = before is None or since > before
                if not self.gap:
                    self.evidence_at = now
        if self.view.is_poll_due():
            after = self.view.ask()
            if self.identity:
                self.view.take_answer(news(position, after or 0), after=after, asked_at=now)
                self.evidence_at, self.gap = now, False

    def verdict(self, number: int | None) -> str:
        session = UUID(int=0) if number is None else revocation(number).session
        try:
            self.view.check(SimpleNamespace(session=session))
        except Unauthenticated:
            return "revoked"
        except RevocationsUnknown:
            return "unknown"
        return "accepted"


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("pass"), st.integers(1, 80)),
        st.tuples(st.just("revoke"), st.integers(1, 3)),
        st.tuples(st.just("redis"), st.booleans()),
        st.tuples(st.just("identity"), st.booleans()),
    ),
    max_size=30,
)


def play(world: World, step: tuple[str, int]):
    """Do one step; yield at each tick, so that the promise is checked at every one."""
    what, how = step
    if what == "pass":
        for _ in range(how):
            world.tick()
            yield
    elif what == "revoke":
        for _ in range(how):
            world.revoke()
    elif what == "redis":
        world.set_redis(up=bool(how))
    else:
        world.set_identity(up=bool(how))


def promised(world: World, since: dict[str, float]) -> None:
    """Assert what is promised at this very moment."""
    now = world.clock.monotonic()
    fresh = world.evidence_at is not None and now - world.evidence_at < 5.0
    assert world.verdict(None) == ("accepted" if fresh else "unknown"), (
        "refused exactly when both are silent for 5 s"
    )
    if now - since["spoken for"] > 1.0 + 3 * TICK and (world.identity or (world.redis and not world.gap)):
        assert fresh, "one speaking source is enough, unless it speaks of what was missed"
    for number, revoked_at in enumerate(world.revoked_at, start=1):
        verdict, age = world.verdict(number), now - revoked_at
        if verdict == "accepted":
            assert age < 5.0, "never accepted on knowledge older than five seconds"
            assert not (age > 1.0 and now - since["redis"] > 1.0), "within one second while Redis speaks"
            assert not (age > 2.0 and now - since["identity"] > 2.0), "well within five while identity speaks"


# Whoever was cut off from both hears of a number before he hears what it stands for.
CUT_OFF = [
    ("redis", 0),
    ("identity", 0),
    ("pass", 30),
    ("revoke", 1),
    ("pass", 30),
    ("redis", 1),
    ("pass", 20),
]


# Redis comes back with a gap long before identity, which alone can close it.
LATE_IDENTITY = [
    ("pass", 10),
    ("revoke", 1),
    ("redis", 0),
    ("identity", 0),
    ("pass", 40),
    ("redis", 1),
    ("pass", 13),
    ("identity", 1),
    ("pass", 1),
]
REDIS_WITH_A_GAP = [("revoke", 1), ("redis", 0), ("identity", 0), ("pass", 19), ("redis", 1), ("pass", 10)]


@settings(max_examples=150, deadline=None)
@given(STEPS)
@example(CUT_OFF)
@example(LATE_IDENTITY)
@example(REDIS_WITH_A_GAP)
def test_the_promise_holds_whoever_falls_silent(steps):
    world = World()
    world.tick()
    since = {"redis": 0.0, "identity": 0.0, "spoken for": 0.0}
    for step in steps:
        for _ in play(world, step):
            now = world.clock.monotonic()
            # Who speaks of what was missed speaks of nothing that helps.
            helps = world.redis and not world.gap
            for name, speaks in (("redis", helps), ("identity", world.identity)):
                if not speaks:
                    since[name] = now
            if not (helps or world.identity):
                since["spoken for"] = now
            promised(world, since)


def started() -> World:
    world = World()
    for _ in range(10):
        world.tick()
    return world


def ticks_until(world: World, verdict: str, number: int | None = None) -> float:
    for count in range(200):
        if world.verdict(number) == verdict:
            return round(count * TICK, 3)
        world.tick()
    pytest.fail(f"never {verdict}")


def test_a_revocation_is_seen_within_one_second_while_redis_speaks():
    world = started()
    world.set_identity(up=False)
    world.revoke()
    assert ticks_until(world, "revoked", 1) <= 1.0


def test_a_revocation_is_seen_within_five_seconds_while_redis_is_silent():
    world = started()
    world.set_redis(up=False)
    world.revoke()
    assert ticks_until(world, "revoked", 1) <= 1.2


def test_everyone_is_refused_after_five_seconds_of_silence_and_not_earlier():
    world = started()
    world.set_redis(up=False)
    world.set_identity(up=False)
    last = world.evidence_at
    assert last is not None
    ticks_until(world, "unknown")
    assert world.clock.monotonic() - last == pytest.approx(5.0, abs=TICK)


def test_the_first_word_after_the_silence_lets_everyone_in_again():
    world = started()
    world.set_redis(up=False)
    world.set_identity(up=False)
    world.revoke()
    ticks_until(world, "unknown")
    world.set_identity(up=True)
    assert ticks_until(world, "accepted") <= 0.6
    assert world.verdict(1) == "revoked"


def test_a_service_that_just_started_refuses_until_it_knows():
    view = RevocationView(ManualClock(NOON))
    with pytest.raises(RevocationsUnknown):
        view.check(STRANGER)
    assert view.is_poll_due()
    view.take_answer(news(7, 0), after=None, asked_at=0.0)
    view.check(STRANGER)


def test_a_heartbeat_that_shows_a_gap_is_no_sign_of_freshness_and_makes_the_service_ask_at_once():
    clock = ManualClock(NOON)
    view = RevocationView(clock)
    view.take_answer(news(1, 0), after=view.ask(), asked_at=clock.monotonic())
    view.hear(news(1, 1))
    clock.advance(0.6)
    assert not view.is_poll_due()
    for _ in range(10):
        view.hear(news(9, 8))
        clock.advance(0.5)
    assert view.is_poll_due()
    with pytest.raises(RevocationsUnknown):
        view.check(STRANGER)


def test_a_late_message_from_before_is_no_sign_of_freshness():
    clock = ManualClock(NOON)
    view = RevocationView(clock)
    view.take_answer(news(5, 0), after=None, asked_at=0.0)
    clock.advance(5.0)
    view.hear(news(4, 4))
    assert not view.is_fresh()


def test_an_answer_is_as_fresh_as_its_question():
    clock = ManualClock(NOON)
    view = RevocationView(clock)
    asked_at, after = clock.monotonic(), view.ask()
    clock.advance(4.0)
    view.take_answer(news(0, 0), after=after, asked_at=asked_at)
    clock.advance(0.9)
    view.check(STRANGER)
    clock.advance(0.1)
    with pytest.raises(RevocationsUnknown):
        view.check(STRANGER)


def test_a_page_that_is_not_the_last_is_no_sign_of_freshness_and_the_next_is_asked_for_at_once():
    clock = ManualClock(NOON)
    view = RevocationView(clock)
    after = view.ask()
    learned = view.take_answer(
        Announcement(2, 0, [revocation(1), revocation(2)], complete=False), after=after, asked_at=0.0
    )
    assert len(learned.revocations) == 2
    assert not view.is_fresh()
    assert view.is_poll_due()
    assert view.ask() == 2


def test_numbers_that_go_back_make_the_service_start_again_and_close_what_was_open():
    clock = ManualClock(NOON)
    view = RevocationView(clock)
    view.take_answer(news(50, 40), after=None, asked_at=0.0)
    clock.advance(2)
    learned = view.take_answer(news(3, 3), after=view.ask(), asked_at=clock.monotonic())
    assert learned.lost
    assert view.ask() is None


def test_revocations_that_identity_no_longer_lists_are_lost_and_said_to_be():
    clock = ManualClock(NOON)
    view = RevocationView(clock)
    view.take_answer(news(1, 0), after=None, asked_at=0.0)
    assert view.take_answer(news(9, 8), after=view.ask(), asked_at=0.0).lost
    assert not view.take_answer(news(10, 9), after=view.ask(), asked_at=0.0).lost


def test_a_session_is_forgotten_only_when_all_its_tokens_have_expired():
    clock = ManualClock(NOON)
    view = RevocationView(clock)
    view.take_answer(news(1, 0), after=None, asked_at=0.0)
    revoked = SimpleNamespace(session=revocation(1).session)
    clock.advance(599)
    view.hear(news(2, 1))
    with pytest.raises(Unauthenticated):
        view.check(revoked)
    clock.advance(1)
    view.hear(news(2, 2))
    view.check(revoked)


def test_each_revocation_is_told_once_however_often_it_is_heard():
    clock = ManualClock(NOON)
    view = RevocationView(clock)
    view.take_answer(news(1, 0), after=None, asked_at=0.0)
    assert [each.position for each in view.hear(news(2, 0)).revocations] == [2]
    assert not view.hear(news(2, 0)).revocations


def test_an_announcement_survives_the_wire():
    assert decode_announcement(encode_announcement(news(4, 2))) == news(4, 2)
    with pytest.raises(ValueError):
        decode_announcement(b"\x00nonsense")


async def test_a_feed_asks_listens_and_tells_and_outlives_every_failure():
    clock = ManualClock(NOON)
    view = RevocationView(clock)
    told: list[int] = []
    spoken: asyncio.Queue[bytes | None] = asyncio.Queue()
    answers = [ConnectionError(), news(1, 0), *[ConnectionError()] * 1000]

    async def subscribe():
        while (message := await spoken.get()) is not None:
            yield message
        raise ConnectionError

    async def poll(after):
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    feed = RevocationFeed(
        view,
        clock,
        subscribe=subscribe,
        poll=poll,
        on_revoked=lambda revoked: told.append(revoked.position),
        tick_seconds=0.001,
    )
    task = asyncio.create_task(feed.run())
    try:
        await until(lambda: len(answers) == 1001)
        clock.advance(0.5)
        await until(lambda: told == [1])
        spoken.put_nowait(b"\xc1 no announcement")
        spoken.put_nowait(None)
        spoken.put_nowait(encode_announcement(news(2, 1)))
        await until(lambda: told == [1, 2])
        view.check(STRANGER)
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - polls what another task changes
            await asyncio.sleep(0.001)
