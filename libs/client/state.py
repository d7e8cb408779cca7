"""What a device knows, as a state machine without I/O: everything is shown exactly once and in order.

Frames, acks, pages and cuts go in, in any interleaving; entries to show and frames to write come out.
Four parts that know nothing of each other: `Timeline` (what was shown), `Repair` (when a gap is asked
about), `Outbox` (what was written and not yet acknowledged), `Marks` (how far was received and read).
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from uuid import UUID

import msgspec

from libs.contracts.socket import Ack, ConversationEntries, Entry, Mark, Utterance

REPAIR_GRACE_SECONDS: Final = 1.0
"""How long a gap may stand before it is asked about: acks overtake the entries of others."""
REPAIR_LONGEST_SECONDS: Final = 30.0
MARK_SECONDS: Final = 1.0
"""The least time between two flushes of marks; the platform keeps no more of them."""
MARK_REPEAT_SECONDS: Final = 3.0
"""Marks written this shortly before a cut are written again: a crash may have lost them."""


class Shown(msgspec.Struct, frozen=True):
    """One entry of a conversation as it is handed to the application, once, in order of `seq`.

    This device's own message, revision or retraction has its `ack`, and in `own` what was written; anything
    else has its `entry`.
    """

    conversation: UUID
    seq: int
    entry: Entry | None = None
    ack: Ack | None = None
    own: Utterance | None = None


class Timeline:
    """How far one device has got in each conversation, and what waits for its predecessors.

    The cursor of a conversation is the last `seq` up to which everything was shown; an own message
    counts by its ack. What comes before its predecessors is held until the gap closes, by the missing
    entry itself or by a page. A page is the truth about its stretch of the log, from the cursor that was
    asked with to its last entry: `seq` values that it leaves out are not for this person to see. It says
    nothing about what follows its last entry, whatever cursors it names: an ack may be on its way there.
    """

    def __init__(self, cursors: Mapping[UUID, int] | None = None) -> None:
        """Start behind `cursors`, conversation → last `seq` shown; an absent conversation starts at 0."""
        self._cursors: dict[UUID, int] = dict(cursors or {})
        self._held: dict[UUID, dict[int, Shown]] = {}
        self.repeats = 0
        """Entries and acks that had been shown or held before."""

    @property
    def cursors(self) -> dict[UUID, int]:
        """Return a copy of conversation → last `seq` up to which everything was shown."""
        return dict(self._cursors)

    def cursor_of(self, conversation: UUID) -> int:
        """Return the last `seq` up to which everything of `conversation` was shown, 0 for an unknown one."""
        return self._cursors.get(conversation, 0)

    def gaps(self) -> dict[UUID, int]:
        """Return conversation → cursor, for those in which something waits for its predecessors."""
        return {conversation: self._cursors.get(conversation, 0) for conversation in self._held}

    @property
    def has_gaps(self) -> bool:
        """Tell whether anything waits for its predecessors."""
        return bool(self._held)

    def take_entries(self, conversation: UUID, entries: Iterable[Entry]) -> list[Shown]:
        """Return what live `entries` let be shown now, in order."""
        shown: list[Shown] = []
        for entry in entries:
            self._take(Shown(conversation, entry.seq, entry), shown)
        return shown

    def take_ack(self, ack: Ack, own: Utterance | None = None) -> list[Shown]:
        """Return what the ack of an own message lets be shown now, the message itself (`own`) included."""
        shown: list[Shown] = []
        self._take(Shown(ack.conversation, ack.seq, None, ack, own), shown)
        return shown

    def take_page(self, parts: Iterable[ConversationEntries]) -> list[Shown]:
        """Return what a page's `parts` let be shown now, in order within each conversation."""
        shown: list[Shown] = []
        for part in parts:
            if part.entries:
                self._merge(part.conversation, part.entries)
                self._settle(part.conversation, part.entries[-1].seq, shown)
        return shown

    def _take(self, item: Shown, shown: list[Shown]) -> None:
        """Show `item` when it is next, hold it when it is early, drop it when it is known."""
        conversation, seq = item.conversation, item.seq
        cursor = self._cursors.get(conversation, 0)
        if seq == cursor + 1:
            self._cursors[conversation] = seq
            shown.append(item)
            if conversation in self._held:
                self._release(conversation, shown)
        elif seq <= cursor or seq in self._held.get(conversation, ()):
            self.repeats += 1
        else:
            self._held.setdefault(conversation, {})[seq] = item

    def _merge(self, conversation: UUID, entries: Sequence[Entry]) -> None:
        """Put a page's entries beside those held; `_settle` shows them."""
        cursor = self._cursors.get(conversation, 0)
        held = self._held.setdefault(conversation, {})
        for entry in entries:
            if entry.seq <= cursor or entry.seq in held:
                self.repeats += 1
            else:
                held[entry.seq] = Shown(conversation, entry.seq, entry)

    def _settle(self, conversation: UUID, end: int, shown: list[Shown]) -> None:
        """Show everything held up to `end`, move the cursor there and go on with what follows it."""
        held = self._held.get(conversation, {})
        shown.extend(held.pop(seq) for seq in sorted(seq for seq in held if seq <= end))
        self._cursors[conversation] = max(end, self._cursors.get(conversation, 0))
        self._release(conversation, shown)

    def _release(self, conversation: UUID, shown: list[Shown]) -> None:
        """Show what is held without a gap behind the cursor."""
        held = self._held.get(conversation)
        if held is None:
            return
        cursor = self._cursors[conversation]
        while (item := held.pop(cursor + 1, None)) is not None:
            cursor += 1
            shown.append(item)
        self._cursors[conversation] = cursor
        if not held:
            del self._held[conversation]


class _Asked(msgspec.Struct):
    """A gap that is being watched: the cursor before it, when it is asked about next, how often it was."""

    cursor: int
    due: float
    times: int = 0


class Repair:
    """When a gap is asked about: after a grace, then at doubling distances while nothing moves.

    A conversation of which nothing was shown yet is asked about at once: this person was just brought in.
    """

    def __init__(self, grace: float = REPAIR_GRACE_SECONDS, longest: float = REPAIR_LONGEST_SECONDS) -> None:
        """Wait `grace` seconds before the first question and at most `longest` between two."""
        self._grace = grace
        self._longest = longest
        self._asked: dict[UUID, _Asked] = {}

    def decide(self, gaps: Mapping[UUID, int], now: float) -> dict[UUID, int]:
        """Return the gaps (conversation → cursor) to ask about at `now`, seconds of a monotonic clock."""
        self._asked = {key: seen for key, seen in self._asked.items() if gaps.get(key) == seen.cursor}
        due: dict[UUID, int] = {}
        for conversation, cursor in gaps.items():
            seen = self._asked.setdefault(
                conversation, _Asked(cursor, now + (self._grace if cursor else 0.0))
            )
            if seen.due <= now:
                seen.times += 1
                seen.due = now + min(self._grace * 2.0**seen.times, self._longest)
                due[conversation] = cursor
        return due

    def wait_of(self, now: float) -> float | None:
        """Return the seconds until the next question is due, None when no gap is watched."""
        return max(0.0, min(seen.due for seen in self._asked.values()) - now) if self._asked else None

    def cut(self) -> None:
        """Forget what was asked: the next hello asks about everything."""
        self._asked.clear()


class Outbox:
    """Sends, revisions and retractions in their order, repeated with the same id until they are answered.

    One send of a conversation is under way at a time, so that a refusal or a cut cannot turn the order
    around; conversations do not wait for each other.
    """

    def __init__(self) -> None:
        self._queues: dict[UUID, deque[Utterance]] = {}
        self._conversations: dict[UUID, UUID] = {}
        self._under_way: set[UUID] = set()
        self._is_open = False

    def __len__(self) -> int:
        return len(self._conversations)

    def __contains__(self, send_id: UUID) -> bool:
        return send_id in self._conversations

    def open(self) -> list[Utterance]:
        """Return what to write first on a new socket: the oldest send of each conversation."""
        self._is_open = True
        return [send for conversation in self._queues for send in self._next(conversation)]

    def cut(self) -> None:
        """Count everything unanswered as unwritten: the socket is gone."""
        self._is_open = False
        self._under_way.clear()

    def find(self, send_id: UUID) -> Utterance | None:
        """Return what was written under an id and is unanswered, or None."""
        queue = self._queues.get(self._conversations.get(send_id, send_id), ())
        return next((send for send in queue if send.id == send_id), None)

    def put(self, send: Utterance) -> list[Utterance]:
        """Take a send, and return what to write now. Raises ValueError for an id that is still unanswered."""
        if send.id in self._conversations:
            msg = f"the send {send.id} is still unanswered"
            raise ValueError(msg)
        self._conversations[send.id] = send.conversation
        self._queues.setdefault(send.conversation, deque()).append(send)
        return self._next(send.conversation)

    def answered(self, send_id: UUID) -> list[Utterance]:
        """Forget a send that was acknowledged or refused for good, and return what to write now."""
        conversation = self._conversations.pop(send_id, None)
        if conversation is None:
            return []
        remaining = deque(send for send in self._queues.pop(conversation) if send.id != send_id)
        if remaining:
            self._queues[conversation] = remaining
        self._under_way.discard(send_id)
        return self._next(conversation)

    def again(self, send_id: UUID) -> list[Utterance]:
        """Return a send that was refused for the moment, to be written again now."""
        conversation = self._conversations.get(send_id)
        if conversation is None:
            return []
        self._under_way.discard(send_id)
        return self._next(conversation)

    def under_way(self) -> list[UUID]:
        """Return the ids that were written to this socket and are unanswered."""
        return list(self._under_way)

    def _next(self, conversation: UUID) -> list[Utterance]:
        """Return the oldest send of `conversation` unless it is under way or there is no socket."""
        queue = self._queues.get(conversation)
        if not self._is_open or not queue or queue[0].id in self._under_way:
            return []
        self._under_way.add(queue[0].id)
        return [queue[0]]


class _Reached(msgspec.Struct):
    """The furthest marks of a conversation, and when they were written last."""

    delivered: int = 0
    read: int = 0
    written_at: float | None = None


class Marks:
    """Receipts, coalesced: one mark a conversation and second says how far was received and read."""

    def __init__(self) -> None:
        self._reached: dict[UUID, _Reached] = {}
        self._changed: set[UUID] = set()
        self._flushed_at: float | None = None

    def advance(self, conversation: UUID, *, delivered: int = 0, read: int = 0) -> None:
        """Note that everything up to `delivered` was received and up to `read` was read; never goes back."""
        reached = self._reached.setdefault(conversation, _Reached())
        delivered = max(delivered, read)
        if delivered <= reached.delivered and read <= reached.read:
            return
        reached.delivered = max(reached.delivered, delivered)
        reached.read = max(reached.read, read)
        self._changed.add(conversation)

    def wait_of(self, now: float) -> float | None:
        """Return the seconds until the marks may be written, None when there is nothing to write."""
        if not self._changed:
            return None
        return 0.0 if self._flushed_at is None else max(0.0, self._flushed_at + MARK_SECONDS - now)

    def take(self, now: float) -> list[Mark]:
        """Return the marks to write at `now`; empty when there are none or the second is not over."""
        if self.wait_of(now) != 0.0:
            return []
        self._flushed_at = now
        changed, self._changed = self._changed, set()
        for conversation in changed:
            self._reached[conversation].written_at = now
        return [self._mark_of(conversation) for conversation in sorted(changed)]

    def cut(self, now: float) -> None:
        """Note that the socket is gone at `now`: the marks of the last moments are written again."""
        for conversation, reached in self._reached.items():
            if reached.written_at is not None and reached.written_at > now - MARK_REPEAT_SECONDS:
                self._changed.add(conversation)

    def _mark_of(self, conversation: UUID) -> Mark:
        reached = self._reached[conversation]
        return Mark(conversation=conversation, delivered=reached.delivered, read=reached.read or None)


class BackOff:
    """How long to wait before the next attempt: exponential, with full jitter."""

    def __init__(self, first: float = 0.2, longest: float = 15.0) -> None:
        """Wait up to `first` seconds after one failure, doubling up to `longest`."""
        self._first = first
        self._longest = longest
        self._failures = 0

    def failed(self, fraction: float) -> float:
        """Return the seconds to wait after one more failure; `fraction` is uniform in [0, 1)."""
        ceiling = min(self._first * 2.0 ** min(self._failures, 32), self._longest)
        self._failures += 1
        return ceiling * fraction

    def succeeded(self) -> None:
        """Start over: the connection stood."""
        self._failures = 0
