"""The checker of histories sees each class of defect; a checker that cannot fail proves nothing."""

from collections.abc import Callable
from uuid import UUID, uuid5

import pytest

from tests.faults.history import History, Kind, Operation, Sight, defects_of

NAMESPACE = UUID("01900000-0000-7000-8000-000000000001")
ROOM, OTHER = uuid5(NAMESPACE, "room"), uuid5(NAMESPACE, "other")
COUNT = 6


def _operation(number: int, kind: Kind, seq: int | None = None, room: UUID = ROOM) -> Operation:
    client_id = uuid5(NAMESPACE, str(number))
    return Operation(f"sender {number % 2}", kind, client_id, room, f"message {number}", seq)


def _good() -> History:
    """Return a history of two conversations: six messages in one, one in the other."""
    operations: list[Operation] = []
    for number in range(COUNT):
        operations += [_operation(number, Kind.INVOKE), _operation(number, Kind.OK, number + 2)]
    operations += [_operation(COUNT, Kind.INVOKE, room=OTHER), _operation(COUNT, Kind.OK, 2, OTHER)]
    log = [Sight(ROOM, 1, None), *(Sight(ROOM, n + 2, f"message {n}") for n in range(COUNT))]
    other = [Sight(OTHER, 1, None), Sight(OTHER, 2, f"message {COUNT}")]
    return History(
        operations=operations,
        # the order between conversations is nobody's promise
        shown={"bo": [*log, *other], "cy": [*other, *log]},
        stored=[*log, *other],
        outbox={3: [1, 2, 3], 9: [41, 42]},
    )


def _unacknowledged_but_stored(history: History) -> None:
    history.operations[-1] = _operation(COUNT, Kind.INFO, room=OTHER)


def _unacknowledged_and_not_stored(history: History) -> None:
    history.operations += [_operation(99, Kind.INVOKE), _operation(99, Kind.INFO)]


def _refused_and_not_stored(history: History) -> None:
    history.operations += [_operation(99, Kind.INVOKE), _operation(99, Kind.FAIL)]


def _repeated_at_the_same_place(history: History) -> None:
    history.operations += [_operation(0, Kind.INVOKE), _operation(0, Kind.OK, 2)]


def _at_once_in_any_order(history: History) -> None:
    history.operations[0:4] = [
        _operation(0, Kind.INVOKE),
        _operation(1, Kind.INVOKE),
        _operation(1, Kind.OK, 3),
        _operation(0, Kind.OK, 2),
    ]


@pytest.mark.parametrize(
    "harmless",
    [
        lambda _: None,
        _unacknowledged_but_stored,
        _unacknowledged_and_not_stored,
        _refused_and_not_stored,
        _repeated_at_the_same_place,
        _at_once_in_any_order,
    ],
)
def test_what_may_happen_is_no_defect(harmless: Callable[[History], None]) -> None:
    history = _good()
    harmless(history)
    assert defects_of(history) == []


def _lost(history: History) -> None:
    """Acknowledge before the commit, and crash."""
    gone = history.stored.pop(COUNT)
    for shown in history.shown.values():
        shown.remove(gone)


def _not_durable(history: History) -> None:
    history.undurable.append(history.acks[2])


def _gap(history: History) -> None:
    """Take seq from a sequence, whose values a rolled-back commit keeps."""
    history.stored[COUNT] = Sight(ROOM, COUNT + 2, f"message {COUNT - 1}")


def _stored_twice(history: History) -> None:
    """Switch de-duplication off, and repeat a send."""
    history.stored.insert(COUNT + 1, Sight(ROOM, COUNT + 2, "message 0"))


def _two_places(history: History) -> None:
    history.operations.append(_operation(0, Kind.OK, COUNT + 1))


def _one_place_for_two(history: History) -> None:
    """Count in each gateway for itself."""
    history.operations[3] = _operation(1, Kind.OK, 2)


def _behind_its_time(history: History) -> None:
    """Give a later send an earlier seq."""
    history.operations[9], history.operations[11] = (
        _operation(4, Kind.OK, 7),
        _operation(5, Kind.OK, 6),
    )


def _stored_though_refused(history: History) -> None:
    history.operations[-1] = _operation(COUNT, Kind.FAIL, room=OTHER)


def _never_sent(history: History) -> None:
    history.stored.insert(COUNT + 1, Sight(ROOM, COUNT + 2, "a ghost"))


def _in_another_conversation(history: History) -> None:
    history.stored[-1] = Sight(OTHER, 2, "message 0")


def _not_delivered(history: History) -> None:
    del history.shown["cy"][3]


def _nothing_delivered(history: History) -> None:
    history.shown["cy"].clear()


def _delivered_twice(history: History) -> None:
    history.shown["bo"].insert(4, history.shown["bo"][3])


def _swapped(history: History) -> None:
    shown = history.shown["bo"]
    shown[2], shown[3] = shown[3], shown[2]


def _another_text(history: History) -> None:
    history.shown["bo"][2] = Sight(ROOM, 3, "message 5")


def _shown_what_is_not_there(history: History) -> None:
    history.shown["bo"].append(Sight(ROOM, COUNT + 2, "rolled back"))


def _hole_in_outbox(history: History) -> None:
    history.outbox = {3: [1, 3]}


@pytest.mark.planted
@pytest.mark.parametrize(
    ("plant", "complaint"),
    [
        (_lost, "lost"),
        (_not_durable, "before it was durable"),
        (_gap, "gap"),
        (_stored_twice, "doubled"),
        (_two_places, "two places"),
        (_one_place_for_two, "split"),
        (_behind_its_time, "reordered"),
        (_stored_though_refused, "aborted"),
        (_never_sent, "unexpected"),
        (_in_another_conversation, "doubled"),
        (_not_delivered, "never shown"),
        (_nothing_delivered, "never shown"),
        (_delivered_twice, "doubled"),
        (_swapped, "reordered"),
        (_another_text, "unexpected"),
        (_shown_what_is_not_there, "unexpected"),
        (_hole_in_outbox, "not dense"),
    ],
)
def test_each_planted_defect_is_named(plant: Callable[[History], None], complaint: str) -> None:
    history = _good()
    plant(history)
    assert any(complaint in defect for defect in defects_of(history))
