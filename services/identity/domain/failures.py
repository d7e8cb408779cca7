"""How long a name must wait after wrong passwords: nothing at first, then twice as long each time."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

FREE_FAILURES: Final = 5
LONGEST_WAIT_SECONDS: Final = 300.0
_FORGET_SECONDS: Final = 900.0
_REMEMBERED: Final = 100_000


@dataclass(slots=True)
class _Failures:
    count: int
    last: float


class FailureLedger:
    """Counts failures by name, known or not, within this process; times are monotonic seconds.

    The longest wait is short enough that nobody can lock a colleague out for the day.
    """

    def __init__(self, remembered: int = _REMEMBERED) -> None:
        """Remember at most so many names; the one untouched for longest goes first."""
        self._remembered = remembered
        self._by_name: OrderedDict[object, _Failures] = OrderedDict()

    def wait_of(self, name: object, now: float) -> float:
        """Return the seconds for which `name` must still wait at `now`; 0 when it may try."""
        failures = self._by_name.get(name)
        if failures is None or now - failures.last >= _FORGET_SECONDS:
            return 0.0
        beyond = failures.count - FREE_FAILURES
        pause = min(LONGEST_WAIT_SECONDS, 2.0**beyond) if beyond >= 0 else 0.0
        return max(0.0, failures.last + pause - now)

    def note_failure(self, name: object, now: float) -> None:
        """Count a failure of `name` at `now`."""
        failures = self._by_name.pop(name, None)
        if failures is None or now - failures.last >= _FORGET_SECONDS:
            failures = _Failures(0, now)
        self._by_name[name] = _Failures(failures.count + 1, now)
        if len(self._by_name) > self._remembered:
            self._by_name.popitem(last=False)

    def note_success(self, name: object) -> None:
        """Forget the failures of `name`."""
        self._by_name.pop(name, None)
