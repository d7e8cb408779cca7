"""Data keys stay in memory for a known time and in a known number."""

from datetime import UTC, datetime
from uuid import UUID

from libs.envelope.ring import KeyRing
from libs.envelope.sealing import SealingKey
from libs.kernel.clock import ManualClock
from libs.kernel.ids import DekId

MATTER = UUID(int=99)


def clock() -> ManualClock:
    return ManualClock(datetime(2026, 11, 1, tzinfo=UTC))


def key(number: int) -> SealingKey:
    return SealingKey(DekId(UUID(int=number)), number.to_bytes(32))


def test_a_key_serves_until_its_time_is_over_and_use_does_not_prolong_it() -> None:
    hands = clock()
    ring = KeyRing(hands, max_age_seconds=300)
    held = key(1)
    ring.put(held, "deliver")
    for _ in range(3):
        hands.advance(99.9)
        assert ring.find(held.dek, "deliver") is held
    hands.advance(0.3)
    assert ring.find(held.dek, "deliver") is None
    assert len(ring) == 0


def test_a_key_obtained_anew_serves_its_whole_time_again() -> None:
    hands = clock()
    ring = KeyRing(hands, max_age_seconds=300)
    ring.put(key(1), "deliver")
    hands.advance(200)
    ring.put(key(1), "deliver")
    hands.advance(200)
    ring.put(key(2), "deliver")
    assert ring.find(key(1).dek, "deliver") is not None


def test_a_key_that_nobody_asks_for_leaves_memory_too() -> None:
    hands = clock()
    ring = KeyRing(hands, max_age_seconds=300)
    ring.put(key(1), "deliver")
    hands.advance(300)
    ring.drop_expired()
    assert len(ring) == 0


def test_a_key_obtained_for_one_purpose_serves_no_other() -> None:
    ring = KeyRing(clock())
    ring.put(key(1), "deliver")
    assert ring.find(key(1).dek, "index") is None
    assert ring.find(key(1).dek, "deliver", MATTER) is None
    ring.put(key(1), "view", MATTER)
    assert ring.find(key(1).dek, "view", MATTER) is not None
    assert ring.find(key(1).dek, "view") is None


def test_the_key_that_was_not_used_for_longest_makes_room() -> None:
    ring = KeyRing(clock(), max_keys=2)
    ring.put(key(1), "deliver")
    ring.put(key(2), "deliver")
    ring.find(key(1).dek, "deliver")
    ring.put(key(3), "deliver")
    assert [number for number in (1, 2, 3) if ring.find(key(number).dek, "deliver")] == [1, 3]


def test_a_revoked_key_is_forgotten_for_every_purpose() -> None:
    ring = KeyRing(clock())
    for purpose in ("deliver", "index"):
        ring.put(key(1), purpose)
    ring.put(key(2), "deliver")
    ring.forget(key(1).dek)
    assert ring.find(key(1).dek, "deliver") is None
    assert ring.find(key(1).dek, "index") is None
    assert ring.find(key(2).dek, "deliver") is not None
    ring.clear()
    assert len(ring) == 0


def test_many_refreshes_of_one_key_do_not_grow_the_ring() -> None:
    hands = clock()
    ring = KeyRing(hands, max_keys=10, max_age_seconds=300)
    for _ in range(1000):
        ring.put(key(1), "deliver")
        hands.advance(1)
    assert len(ring) == 1
    assert ring.pending_deadlines <= 301
