"""A bounded cache of data keys in memory, so that a key's lifetime outside the key service is a figure."""

from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from libs.envelope.sealing import SealingKey
from libs.kernel.clock import Clock
from libs.kernel.ids import DekId


class _Slot(NamedTuple):
    """What a key may be used for: legal access never rides on a key obtained for a delivery."""

    dek: DekId
    purpose: str
    matter: UUID | None


@dataclass(frozen=True, slots=True)
class _Held:
    key: SealingKey
    until: float


class KeyRing:
    """Holds at most `max_keys` keys, each for at most `max_age_seconds` after it was obtained.

    Use does not prolong a key's stay: a key that was revoked or shredded is gone from here in time.
    """

    def __init__(self, clock: Clock, *, max_keys: int = 10_000, max_age_seconds: float = 300.0) -> None:
        """Measure ages by the monotonic hand of `clock`."""
        self._clock = clock
        self._max_keys = max_keys
        self._max_age = max_age_seconds
        self._held: OrderedDict[_Slot, _Held] = OrderedDict()
        self._deadlines: deque[tuple[float, _Slot]] = deque()

    def __len__(self) -> int:
        """Return how many keys are held, expired ones that nothing has dropped yet included."""
        return len(self._held)

    @property
    def pending_deadlines(self) -> int:
        """The number of deadlines that are noted; bounded by what is put within one lifetime."""
        return len(self._deadlines)

    def find(self, dek: DekId, purpose: str, matter: UUID | None = None) -> SealingKey | None:
        """Return the key if it was obtained for this purpose and matter and its time is not over."""
        slot = _Slot(dek, purpose, matter)
        held = self._held.get(slot)
        if held is None:
            return None
        if held.until <= self._clock.monotonic():
            del self._held[slot]
            return None
        self._held.move_to_end(slot)
        return held.key

    def put(self, key: SealingKey, purpose: str, matter: UUID | None = None) -> None:
        """Hold a key that was just obtained; the least recently used one leaves when there is no room."""
        self.drop_expired()
        slot = _Slot(key.dek, purpose, matter)
        until = self._clock.monotonic() + self._max_age
        self._held[slot] = _Held(key, until)
        self._held.move_to_end(slot)
        self._deadlines.append((until, slot))
        if len(self._held) > self._max_keys:
            self._held.popitem(last=False)

    def forget(self, dek: DekId) -> None:
        """Drop the key for every purpose and matter, because it was revoked or shredded."""
        for slot in [slot for slot in self._held if slot.dek == dek]:
            del self._held[slot]

    def clear(self) -> None:
        """Drop every key."""
        self._held.clear()
        self._deadlines.clear()

    def drop_expired(self) -> None:
        """Drop the keys whose time is over; call it now and then, so that an idle key leaves memory too."""
        now = self._clock.monotonic()
        while self._deadlines and self._deadlines[0][0] <= now:
            until, slot = self._deadlines.popleft()
            held = self._held.get(slot)
            if held is not None and held.until == until:  # else it was obtained anew meanwhile
                del self._held[slot]
