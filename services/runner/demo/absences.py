"""Who goes off line, when, and when he comes back: every second person once, one after the other."""

from collections.abc import Sequence
from typing import Final

import msgspec

_FIRST_LEAVE: Final = 0.05
_LEAVES_SPREAD: Final = 0.6
_ABSENT_FOR: Final = 0.2
"""Fractions of all messages."""


class Absence(msgspec.Struct, frozen=True, order=True):
    """Person `person` leaves once `leaves_at` messages are acknowledged, and is back at `returns_at`."""

    leaves_at: int
    returns_at: int
    person: int
    abrupt: bool
    """Whether the connection is dropped unannounced, as a dead battery would."""


def absences_of(people: Sequence[int], messages: int) -> list[Absence]:
    """Return the absences of every second one of `people` while `messages` are sent, in order of leaving."""
    leavers = people[1::2]
    return sorted(
        Absence(
            leaves_at=int(messages * (_FIRST_LEAVE + _LEAVES_SPREAD * number / len(leavers))),
            returns_at=int(messages * (_FIRST_LEAVE + _LEAVES_SPREAD * number / len(leavers) + _ABSENT_FOR)),
            person=person,
            abrupt=number % 2 == 0,
        )
        for number, person in enumerate(leavers)
    )
