"""The history of a run, and what is wrong with it: after Jepsen's checkers for queues and logs.

Senders, recipients and the database tell their parts independently. A send without an answer may have
happened or not; an acknowledged one must be there, once, where its ack says, and every recipient must have
seen everything that is there, once and in order.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from uuid import UUID


@dataclass
class History:
    """What each side saw. Every text is sent once, so that it names its message everywhere."""

    sent: dict[UUID, str] = field(default_factory=dict)
    """Client id → text, whether or not it was ever acknowledged."""
    acks: list[tuple[UUID, int]] = field(default_factory=list)
    """(client id, seq), for each ack."""
    shown: dict[str, list[tuple[int, str | None]]] = field(default_factory=dict)
    """Recipient → (seq, text) in the order in which it was shown; no text for other entries."""
    stored: list[tuple[int, str | None]] = field(default_factory=list)
    """(seq, text) of the log, in the order of seq, as read back and opened at the end."""
    outbox: Mapping[int, list[int]] = field(default_factory=dict)
    """Partition → positions, in their order."""


def defects_of(history: History) -> list[str]:
    """Return what is wrong with a history of one conversation, in sentences; nothing when all is well."""
    return [
        *_defects_of_log(history),
        *_defects_of_acks(history),
        *(defect for name in history.shown for defect in _defects_of_recipient(history, name)),
        *_defects_of_outbox(history),
    ]


def _defects_of_log(history: History) -> Iterator[str]:
    seqs = [seq for seq, _ in history.stored]
    if seqs != list(range(1, len(seqs) + 1)):
        yield f"seq has a gap or a repetition: {_first_break(seqs)}"
    texts = Counter(text for _, text in history.stored if text is not None)
    for text, count in texts.items():
        if count > 1:
            yield f"doubled: {text!r} is stored {count} times"
        if text not in history.sent.values():
            yield f"unexpected: {text!r} is stored and was never sent"


def _defects_of_acks(history: History) -> Iterator[str]:
    stored = dict(history.stored)
    places: dict[UUID, int] = {}
    for client_id, seq in history.acks:
        if places.setdefault(client_id, seq) != seq:
            yield f"{client_id} was acknowledged at {places[client_id]} and at {seq}"
        if stored.get(seq) != history.sent[client_id]:
            yield f"lost: {history.sent[client_id]!r} was acknowledged at {seq} and is not there"


def _defects_of_recipient(history: History, name: str) -> Iterator[str]:
    shown = history.shown[name]
    seqs = [seq for seq, _ in shown]
    if sorted(seqs) != seqs:
        yield f"reordered: {name} was shown {_first_break(seqs)}"
    if len(set(seqs)) != len(seqs):
        yield f"doubled: {name} was shown an entry twice"
    if missing := set(dict(history.stored)) - set(seqs):
        yield f"lost: {name} was never shown {sorted(missing)[:5]}"
    stored = dict(history.stored)
    for seq, text in shown:
        if stored.get(seq) != text:
            yield f"unexpected: {name} was shown {text!r} at {seq}, where {stored.get(seq)!r} stands"


def _defects_of_outbox(history: History) -> Iterator[str]:
    for part, positions in history.outbox.items():
        first = positions[0] if positions else 1
        if positions != list(range(first, first + len(positions))):
            yield f"the outbox's partition {part} is not dense: {_first_break(positions)}"


def _first_break(numbers: list[int]) -> str:
    for before, after in pairwise(numbers):
        if after != before + 1:
            return f"{after} after {before}"
    return f"beginning with {numbers[0]}" if numbers else "nothing"
