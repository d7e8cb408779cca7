"""Denials, told of together: one for each tenant, actor, act and minute, with a count."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from libs.kernel.clock import Clock
from libs.kernel.ids import PrincipalId, TenantId

MOST_HELD: Final = 10_000


@dataclass(frozen=True, slots=True)
class Denial:
    """`count` times within `minute` (aware, its first instant) somebody was denied one kind of act.

    `principal` is None where nobody knows who it was.
    """

    tenant: TenantId
    principal: PrincipalId | None
    act: str
    minute: datetime
    count: int


class _Slot(NamedTuple):
    minute: datetime
    tenant: TenantId
    principal: PrincipalId | None
    act: str


class Denials:
    """Counts denials in memory until their minute is over; a crash loses at most what was not taken yet.

    A flood stays bounded: beyond `most_held` different ones, actors are counted as nobody in particular.
    """

    def __init__(self, clock: Clock, *, most_held: int = MOST_HELD) -> None:
        """Tell minutes by `clock`."""
        self._clock = clock
        self._most_held = most_held
        self._counts: dict[_Slot, int] = {}

    def note(self, tenant: TenantId, principal: PrincipalId | None, act: str) -> None:
        """Count one denial of `act` (a kind of act from the policies, never a text of the caller)."""
        slot = _Slot(self._minute(), tenant, principal, act)
        if slot not in self._counts and len(self._counts) >= self._most_held:
            slot = slot._replace(principal=None)
        self._counts[slot] = self._counts.get(slot, 0) + 1

    def take_due(self, *, everything: bool = False) -> list[Denial]:
        """Take out the denials whose minute is over, or all of them when the service ends."""
        now = self._minute()
        due = [slot for slot in self._counts if everything or slot.minute < now]
        return [
            Denial(slot.tenant, slot.principal, slot.act, slot.minute, self._counts.pop(slot)) for slot in due
        ]

    def put_back(self, denials: list[Denial]) -> None:
        """Count again what was taken and could not be written."""
        for denial in denials:
            slot = _Slot(denial.minute, denial.tenant, denial.principal, denial.act)
            self._counts[slot] = self._counts.get(slot, 0) + denial.count

    def _minute(self) -> datetime:
        return self._clock.now().replace(second=0, microsecond=0)


async def write_due(
    counts: Denials, write: Callable[[TenantId, Sequence[Denial]], Awaitable[None]], *, everything: bool
) -> None:
    """Write the counts whose minute is over, or all, tenant by tenant; what `write` could not is kept."""
    waiting: dict[TenantId, list[Denial]] = defaultdict(list)
    for count in counts.take_due(everything=everything):
        waiting[count.tenant].append(count)
    try:
        for tenant in list(waiting):
            await write(tenant, waiting[tenant])
            del waiting[tenant]
    finally:
        counts.put_back([count for left in waiting.values() for count in left])
