"""The history of a run, and what is wrong with it: after Jepsen's checkers for queues and logs.

Senders, recipients and the database tell their parts independently. A send without an answer may have
happened or not; a refused one must not have; an acknowledged one must be there, once, where its ack says,
after everything that was acknowledged before it began, and every recipient must have seen everything that
is there, once and in order.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple
from uuid import UUID


class Kind(StrEnum):
    """What became of an operation: it began, was acknowledged, was refused for good, or nobody knows."""

    INVOKE = "invoke"
    OK = "ok"
    FAIL = "fail"
    INFO = "info"


class Operation(NamedTuple):
    """One line of the history: `seq` for an ack alone; the order of the lines is the order in time."""

    process: str
    kind: Kind
    client_id: UUID
    conversation: UUID
    text: str
    seq: int | None = None


class Sight(NamedTuple):
    """An entry as somebody saw it; no text for entries that are no messages."""

    conversation: UUID
    seq: int
    text: str | None


@dataclass
class History:
    """What each side saw. Every text is sent under one client id, so that it names its message."""

    operations: list[Operation] = field(default_factory=list)
    undurable: list[Operation] = field(default_factory=list)
    """Acks whose entry another connection could not find in the database at that moment."""
    shown: dict[str, list[Sight]] = field(default_factory=dict)
    """Recipient → what was shown, in that order; every recipient takes part in every conversation."""
    stored: list[Sight] = field(default_factory=list)
    """The logs, in the order of (conversation, seq), as read back and opened at the end."""
    outbox: Mapping[int, list[int]] = field(default_factory=dict)
    """Partition → positions, in their order."""

    @property
    def acks(self) -> list[Operation]:
        """Return the acknowledgements, in their order."""
        return [operation for operation in self.operations if operation.kind is Kind.OK]

    @property
    def texts(self) -> dict[UUID, str]:
        """Return client id → text, of all that was ever tried."""
        return {operation.client_id: operation.text for operation in self.operations}

    def find_text(self, client_id: UUID) -> str | None:
        """Return what was sent under a client id; the latest are found first."""
        return next((one.text for one in reversed(self.operations) if one.client_id == client_id), None)


def defects_of(history: History) -> list[str]:
    """Return what is wrong with a history, in sentences; nothing when all is well."""
    return [
        *_defects_of_logs(history),
        *_defects_of_acks(history),
        *_defects_of_order(history),
        *_defects_of_refusals(history),
        *(f"{one.text!r} was acknowledged before it was durable" for one in history.undurable),
        *(defect for name in history.shown for defect in _defects_of_recipient(history, name)),
        *_defects_of_outbox(history),
    ]


def _defects_of_logs(history: History) -> Iterator[str]:
    logs: dict[UUID, list[int]] = defaultdict(list)
    for sight in history.stored:
        logs[sight.conversation].append(sight.seq)
    for seqs in logs.values():
        if seqs != list(range(1, len(seqs) + 1)):
            yield f"seq has a gap or a repetition: {_first_break(seqs)}"
    tried = set(history.texts.values())
    texts = Counter(sight.text for sight in history.stored if sight.text is not None)
    for text, count in texts.items():
        if count > 1:
            yield f"doubled: {text!r} is stored {count} times"
        if text not in tried:
            yield f"unexpected: {text!r} is stored and was never sent"


def _defects_of_acks(history: History) -> Iterator[str]:
    stored = {(sight.conversation, sight.seq): sight.text for sight in history.stored}
    places: dict[UUID, int | None] = {}
    owners: dict[tuple[UUID, int | None], UUID] = {}
    for ack in history.acks:
        if places.setdefault(ack.client_id, ack.seq) != ack.seq:
            yield f"{ack.text!r} was acknowledged at two places, {places[ack.client_id]} and {ack.seq}"
        if owners.setdefault((ack.conversation, ack.seq), ack.client_id) != ack.client_id:
            yield f"split: two messages were acknowledged at {ack.seq}"
        if stored.get((ack.conversation, ack.seq or 0)) != ack.text:
            yield f"lost: {ack.text!r} was acknowledged at {ack.seq} and is not there"


def _defects_of_order(history: History) -> Iterator[str]:
    """Compare real time with seq: what began after an ack stands behind it."""
    floor: dict[UUID, int] = defaultdict(int)
    begun: dict[UUID, int] = {}
    acknowledged: set[UUID] = set()
    for operation in history.operations:
        if operation.kind is Kind.INVOKE:
            begun.setdefault(operation.client_id, floor[operation.conversation])
        elif operation.kind is Kind.OK and operation.seq is not None:
            if operation.client_id not in acknowledged and operation.seq <= begun[operation.client_id]:
                yield (
                    f"reordered: {operation.text!r} stands at {operation.seq} and began after "
                    f"{begun[operation.client_id]} had been acknowledged"
                )
            acknowledged.add(operation.client_id)
            floor[operation.conversation] = max(floor[operation.conversation], operation.seq)


def _defects_of_refusals(history: History) -> Iterator[str]:
    stored = {sight.text for sight in history.stored}
    acknowledged = {ack.client_id for ack in history.acks}
    for operation in history.operations:
        refused = operation.kind is Kind.FAIL and operation.client_id not in acknowledged
        if refused and operation.text in stored:
            yield f"aborted: {operation.text!r} was refused for good and is stored"


def _defects_of_recipient(history: History, name: str) -> Iterator[str]:
    shown: dict[UUID, list[Sight]] = defaultdict(list)
    for sight in history.shown[name]:
        shown[sight.conversation].append(sight)
    stored: dict[UUID, dict[int, str | None]] = defaultdict(dict)
    for sight in history.stored:
        stored[sight.conversation][sight.seq] = sight.text
    for conversation in stored.keys() | shown.keys():
        yield from _defects_of_screen(name, shown[conversation], stored[conversation])


def _defects_of_screen(name: str, shown: Sequence[Sight], stored: Mapping[int, str | None]) -> Iterator[str]:
    """Compare what one recipient was shown of one conversation with its log."""
    seqs = [sight.seq for sight in shown]
    if sorted(seqs) != seqs:
        yield f"reordered: {name} was shown {_first_break(seqs)}"
    if len(set(seqs)) != len(seqs):
        yield f"doubled: {name} was shown an entry twice"
    if missing := stored.keys() - set(seqs):
        yield f"lost: {name} was never shown {sorted(missing)[:5]}"
    for sight in shown:
        if stored.get(sight.seq) != sight.text:
            yield (
                f"unexpected: {name} was shown {sight.text!r} at {sight.seq}, "
                f"where {stored.get(sight.seq)!r} stands"
            )


def _defects_of_outbox(history: History) -> Iterator[str]:
    for part, positions in history.outbox.items():
        first = positions[0] if positions else 1
        if positions != list(range(first, first + len(positions))):
            yield f"the outbox's partition {part} is not dense: {_first_break(positions)}"


def _first_break(numbers: Sequence[int]) -> str:
    for before, after in pairwise(numbers):
        if after != before + 1:
            return f"{after} after {before}"
    return f"beginning with {numbers[0]}" if numbers else "nothing"
