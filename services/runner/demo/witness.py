"""What one recipient sees of one conversation, judged as it comes: complete, in order, once, word for word.

A conversation's log is its creation and then the lines of the script, so that line n must come with
`seq` first + n, from its speaker, with its text; a recipient's own lines are not delivered to him.
"""

from collections.abc import Iterable, Sequence
from typing import Final
from uuid import UUID

import msgspec

from libs.client.state import Shown
from libs.contracts.socket import EntryKind
from services.runner.demo.script import Line

MOST_SENTENCES: Final = 5


class Testimony(msgspec.Struct):
    """What witnesses saw together: deliveries (distinct ones), and faults with the first few in words."""

    delivered: int = 0
    missing: int = 0
    faults: int = 0
    sentences: list[str] = []

    def add(self, other: "Testimony") -> None:
        """Take another testimony into this one."""
        self.delivered += other.delivered
        self.missing += other.missing
        self.faults += other.faults
        self.sentences = (self.sentences + other.sentences)[:MOST_SENTENCES]

    def fault(self, sentence: str, count: int = 1) -> None:
        """Note `count` faults of one kind."""
        self.faults += count
        if len(self.sentences) < MOST_SENTENCES:
            self.sentences.append(sentence)


class Witness:
    """One recipient in one conversation; what it sees is added to the `testimony` of its process."""

    __slots__ = ("_first_seq", "_last_line", "_lines", "_me", "_name", "_principals", "_seen", "_testimony")

    def __init__(
        self,
        name: str,
        me: int,
        lines: Sequence[Line],
        principals: Sequence[UUID],
        first_seq: int,
        testimony: Testimony,
    ) -> None:
        """Expect `lines` from `first_seq` on, seen by person `me`; `principals` are by person's number."""
        self._name = name
        self._me = me
        self._lines = lines
        self._principals = principals
        self._first_seq = first_seq
        self._testimony = testimony
        self._last_line = -1
        self._seen = bytearray((len(lines) + 7) // 8)

    def saw(self, shown: Shown) -> None:
        """Judge one entry that the device showed."""
        entry = shown.entry
        if entry is None or entry.kind != EntryKind.MESSAGE_CREATED:
            return  # an own message by its ack, or the conversation's beginning
        number = shown.seq - self._first_seq
        if not 0 <= number < len(self._lines):
            self._fault(shown.seq, "nobody said this")
            return
        line = self._lines[number]
        if (
            entry.body is None
            or entry.body.text != line.text
            or entry.actor != self._principals[line.speaker]
        ):
            self._fault(shown.seq, "the text or the speaker is not that of the script")
        if line.speaker == self._me:
            return  # an own message, paged after a cut that swallowed its ack
        self._note(number, shown.seq)

    def left_out(self, lines_said: int) -> int:
        """Return how many of the first `lines_said` lines of others were never seen."""
        return sum(
            1
            for number, line in enumerate(self._lines[:lines_said])
            if line.speaker != self._me and not self._has(number)
        )

    def _note(self, number: int, seq: int) -> None:
        """Count a line of another, and notice a repeated, a late and a left-out one."""
        if self._has(number):
            self._fault(seq, "it came twice")
            return
        self._seen[number >> 3] |= 1 << (number & 7)
        self._testimony.delivered += 1
        if number < self._last_line:
            self._fault(seq, "it came after a later one")
            return
        if number > self._last_line + 1 and not self._all_mine(self._last_line + 1, number):
            self._fault(seq, "something before it was left out")
        self._last_line = number

    def _has(self, number: int) -> bool:
        return bool(self._seen[number >> 3] & (1 << (number & 7)))

    def _all_mine(self, start: int, end: int) -> bool:
        return all(self._lines[number].speaker == self._me for number in range(start, end))

    def _fault(self, seq: int, what: str) -> None:
        self._testimony.fault(f"person {self._me + 1} in {self._name}, seq {seq}: {what}")


def close(witnesses: Iterable[tuple[Witness, int]], testimony: Testimony) -> Testimony:
    """Return the testimony with what was never seen; each witness comes with the lines said in all."""
    testimony.missing = sum(witness.left_out(lines_said) for witness, lines_said in witnesses)
    return testimony
