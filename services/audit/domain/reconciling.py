"""Acts and entries counted against each other: whatever was done has its entry, and nothing else has one."""

from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from libs.evidence.errors import EvidenceRefused
from libs.evidence.leaf import Leaf, parse_leaf
from libs.kernel.ids import TenantId
from services.audit.domain.errors import LogDamaged

Positions: TypeAlias = Mapping[int, int]
"""Of a source's outbox: partition → the position up to which it is meant."""


class Standing(NamedTuple):
    """How many entries of a log have an index, and how many of these a checkpoint covers."""

    sequenced: int
    published: int


class CountedActs(NamedTuple):
    """The acts of a source by tenant and action, and the heads of its outbox in the same snapshot."""

    positions: Positions
    acts: Mapping[tuple[TenantId, str], int]


class Count(NamedTuple):
    """Acts by a source's domain rows, its entries by their details, and its entries by their leaves."""

    acts: int
    audited: int
    walked: int


class Disagreement(NamedTuple):
    """`acts` were done and `entries` are in the log; `action` is None where leaves were counted."""

    source: str
    tenant: TenantId
    action: str | None
    acts: int
    entries: int


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What was counted of each source, and where it differs.

    `unsettled` says why a source could not be compared: "away" or "behind". `left_out` says why a log was
    not, while all others were: "damaged", or "unpublished" where no checkpoint covers what was sequenced.
    The disagreements of either are those that were found when it could be.
    """

    counts: Mapping[str, Count]
    unsettled: Mapping[str, str]
    disagreements: tuple[Disagreement, ...]
    left_out: Mapping[TenantId, str] = field(default_factory=dict)

    @property
    def is_settled(self) -> bool:
        """Whether every source was compared with every log."""
        return not self.unsettled and not self.left_out

    @property
    def total(self) -> Count:
        """The counts of all that could be compared."""
        counts = self.counts.values()
        return Count(
            sum(count.acts for count in counts),
            sum(count.audited for count in counts),
            sum(count.walked for count in counts),
        )


@dataclass(slots=True)
class Tally:
    """The first `size` leaves of one log, counted by source.

    Leaves never change, so each is read once. Those whose place lies beyond the positions that are compared
    wait, eight bytes each, until a later comparison reaches them.
    """

    tenant: TenantId
    size: int = 0
    _within: Counter[str] = field(default_factory=Counter)
    _waiting: dict[tuple[str, int], "array[int]"] = field(default_factory=dict)

    def take(self, leaf: bytes, positions: Mapping[str, Positions]) -> None:
        """Take the next leaf, and count it if it lies within `positions`, the last that were reached.

        Raises LogDamaged for one that is none, or that belongs elsewhere.
        """
        told = self._read(leaf)
        if told.position <= _position_of(positions, told.source, told.part):
            self._within[told.source] += 1
        else:
            self._waiting.setdefault((told.source, told.part), array("q")).append(told.position)
        self.size += 1

    def reach(self, positions: Mapping[str, Positions]) -> None:
        """Count the leaves that waited for the `positions` of their sources; these never go back."""
        for (source, part), waiting in list(self._waiting.items()):
            reached = _position_of(positions, source, part)
            beyond = array("q", [position for position in waiting if position > reached])
            self._within[source] += len(waiting) - len(beyond)
            self._waiting[source, part] = beyond

    def counted(self, cursors: Mapping[str, Positions]) -> Counter[str]:
        """Return the leaves by source, with those that nobody can have sequenced.

        Such lie beyond the `cursors` up to which facts were made entries, read after these leaves were. A
        leaf that waits for a later comparison is not counted.
        """
        strays = Counter(self._within)
        for (source, part), waiting in self._waiting.items():
            sequenced = _position_of(cursors, source, part)
            strays[source] += sum(1 for position in waiting if position > sequenced)
        return +strays

    def _read(self, leaf: bytes) -> Leaf:
        try:
            told = parse_leaf(leaf)
        except EvidenceRefused as refused:
            raise LogDamaged(self.tenant, refused.reason, self.size) from refused
        if (told.log, told.index) != (self.tenant, self.size):
            raise LogDamaged(self.tenant, "a leaf stands where it does not belong", self.size)
        return told


def _position_of(positions: Mapping[str, Positions], source: str, part: int) -> int:
    return positions.get(source, {}).get(part, -1)


def are_within(positions: Positions, reached: Positions) -> bool:
    """Return whether every one of `positions` is reached."""
    return all(position <= reached.get(part, 0) for part, position in positions.items())


def disagreements_of(
    source: str,
    acts: Mapping[tuple[TenantId, str], int],
    details: Mapping[tuple[TenantId, str], int],
    leaves: Mapping[TenantId, int],
) -> list[Disagreement]:
    """Return where the acts of `source` differ from its entries: by their details, and by their leaves."""
    by_tenant: Counter[TenantId] = Counter()
    for (tenant, _), count in acts.items():
        by_tenant[tenant] += count
    by_details = [
        Disagreement(source, tenant, action, acts.get((tenant, action), 0), details.get((tenant, action), 0))
        for tenant, action in sorted(acts.keys() | details.keys())
    ]
    by_leaves = [
        Disagreement(source, tenant, None, by_tenant[tenant], leaves.get(tenant, 0))
        for tenant in sorted(by_tenant.keys() | leaves.keys())
    ]
    return [one for one in by_details + by_leaves if one.acts != one.entries]
