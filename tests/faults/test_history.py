"""The checker of histories sees each class of defect; a checker that cannot fail proves nothing."""

from collections.abc import Callable
from uuid import UUID, uuid5

import pytest

from tests.faults.history import History, defects_of

NAMESPACE = UUID("01900000-0000-7000-8000-000000000001")
COUNT = 6


def _id(number: int) -> UUID:
    return uuid5(NAMESPACE, str(number))


def _good() -> History:
    """Return a history in which six messages follow the entry that made the conversation."""
    texts = [f"message {number}" for number in range(COUNT)]
    log: list[tuple[int, str | None]] = [(1, None), *((n + 2, text) for n, text in enumerate(texts))]
    return History(
        sent={_id(number): text for number, text in enumerate(texts)},
        acks=[(_id(number), number + 2) for number in range(COUNT)],
        shown={"bo": list(log), "cy": list(log)},
        stored=list(log),
        outbox={3: [1, 2, 3], 9: [41, 42]},
    )


def _unacknowledged_but_stored(history: History) -> None:
    history.acks.pop()


def _acknowledged_twice_at_one_place(history: History) -> None:
    history.acks.append(history.acks[0])


@pytest.mark.parametrize("harmless", [_unacknowledged_but_stored, _acknowledged_twice_at_one_place])
def test_what_may_happen_is_no_defect(harmless: Callable[[History], None]) -> None:
    history = _good()
    harmless(history)
    assert defects_of(history) == []


def _lost(history: History) -> None:
    """Acknowledge before the commit, and crash."""
    del history.stored[-1]
    for shown in history.shown.values():
        shown.pop()


def _gap(history: History) -> None:
    """Take seq from a sequence, whose values a rolled-back commit keeps."""
    history.stored[-1] = (COUNT + 2, history.stored[-1][1])


def _stored_twice(history: History) -> None:
    """Switch de-duplication off, and repeat a send."""
    history.stored.append((COUNT + 2, "message 0"))


def _two_places(history: History) -> None:
    history.acks.append((_id(0), COUNT + 1))


def _never_sent(history: History) -> None:
    history.stored.append((COUNT + 2, "a ghost"))


def _not_delivered(history: History) -> None:
    del history.shown["cy"][3]


def _delivered_twice(history: History) -> None:
    history.shown["bo"].insert(4, history.shown["bo"][3])


def _swapped(history: History) -> None:
    shown = history.shown["bo"]
    shown[2], shown[3] = shown[3], shown[2]


def _another_text(history: History) -> None:
    history.shown["bo"][2] = (3, "message 5")


def _hole_in_outbox(history: History) -> None:
    history.outbox = {3: [1, 3]}


@pytest.mark.planted
@pytest.mark.parametrize(
    ("plant", "complaint"),
    [
        (_lost, "lost"),
        (_gap, "gap"),
        (_stored_twice, "doubled"),
        (_two_places, "acknowledged at"),
        (_never_sent, "unexpected"),
        (_not_delivered, "never shown"),
        (_delivered_twice, "doubled"),
        (_swapped, "reordered"),
        (_another_text, "unexpected"),
        (_hole_in_outbox, "not dense"),
    ],
)
def test_each_planted_defect_is_named(plant: Callable[[History], None], complaint: str) -> None:
    history = _good()
    plant(history)
    assert any(complaint in defect for defect in defects_of(history))
