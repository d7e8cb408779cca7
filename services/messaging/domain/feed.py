"""Keeps one conversation's entries in order on their way to the sockets of one gateway.

Entries reach a gateway from its own commits, from other gateways (which may drop or reorder) and from
reads of the log. A feed lets each pass once, in the order of `seq`, and says what is missing.
"""

from collections import deque
from collections.abc import Callable, ValuesView
from typing import Generic, NamedTuple, TypeVar

RECENT = 256

T = TypeVar("T")


class Gap(NamedTuple):
    """The entries from `after` (exclusive) to `before` (exclusive) have not come yet."""

    after: int
    before: int


class Feed(Generic[T]):
    """The order of one conversation; items are whatever the caller delivers.

    Until `load` says where the log stands, everything is held.
    """

    __slots__ = ("_held", "_loaded", "_position", "_recent")

    def __init__(self) -> None:
        """Begin without a position, holding what comes."""
        self._position = 0
        self._loaded = False
        self._held: dict[int, T] = {}
        self._recent: deque[tuple[int, T]] = deque(maxlen=RECENT)

    @property
    def loaded(self) -> bool:
        """Whether the feed knows where it stands."""
        return self._loaded

    @property
    def position(self) -> int:
        """The `seq` of the last item that passed."""
        return self._position

    def load(self, position: int) -> list[tuple[int, T]]:
        """Start after `position`, and return what was held and may pass now; a second call is ignored."""
        if self._loaded:
            return []
        self._loaded, self._position = True, position
        self._held = {seq: item for seq, item in self._held.items() if seq > position}
        return self._release()

    def accept(self, seq: int, item: T) -> list[tuple[int, T]]:
        """Take an item and return those that may pass now, in order; a repetition returns nothing."""
        if self._loaded and seq <= self._position:
            return []
        self._held.setdefault(seq, item)
        return self._release() if self._loaded else []

    def gap(self) -> Gap | None:
        """Return what is missing before the first held item, or None."""
        if not self._loaded or not self._held:
            return None
        return Gap(self._position, min(self._held))

    def since(self, seq: int) -> list[tuple[int, T]] | None:
        """Return what passed after `seq`, or None when that reaches further back than is remembered."""
        if seq >= self._position:
            return []
        if not self._recent or self._recent[0][0] > seq + 1:
            return None
        return [(passed, item) for passed, item in self._recent if passed > seq]

    def held(self) -> ValuesView[T]:
        """Return what came early."""
        return self._held.values()

    def change(self, how: Callable[[T], T]) -> None:
        """Put in the place of everything that is held or remembered what `how` makes of it."""
        self._held = {seq: how(item) for seq, item in self._held.items()}
        self._recent = deque(((seq, how(item)) for seq, item in self._recent), maxlen=RECENT)

    def _release(self) -> list[tuple[int, T]]:
        ready: list[tuple[int, T]] = []
        while (item := self._held.pop(self._position + 1, None)) is not None:
            self._position += 1
            ready.append((self._position, item))
        self._recent.extend(ready)
        return ready
