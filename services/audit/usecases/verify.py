"""Verify a log where it is stored: what its tree vouches for, and every row beside it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from libs.evidence.errors import EvidenceRefused, LogRefused
from libs.evidence.leaf import Leaf
from libs.evidence.log import LogReport, verify_log
from libs.evidence.runs import CommittedRuns
from libs.evidence.trust import Trust
from services.audit.domain.stored import EntryRows, detail_in, leaf_in, refuse_other_extent
from services.audit.ports.stored import StoredLog


@dataclass(frozen=True, slots=True)
class Verified:
    """What holds: what the tree vouches for (None before the first checkpoint), and what waits for it."""

    tree: LogReport | None
    waiting: int

    @property
    def size(self) -> int:
        """How many entries the largest checkpoint covers."""
        return 0 if self.tree is None else self.tree.size


def verify_stored(
    log: StoredLog,
    trust: Trust,
    *,
    kept: Sequence[bytes] = (),
    on_progress: Callable[[int, int], None] | None = None,
) -> Verified:
    """Return when every row of a log is what its signed tree says, and no row is without its place there.

    `kept` are checkpoints of it that were kept elsewhere; `on_progress` is given the entries walked and in
    all. Raises EvidenceRefused; LogRefused names the first bad index.
    """
    rows = _Rows(log)
    tree = None
    if published := log.published():
        tree = verify_log(log, trust, kept=kept, on_leaf=rows.compare, on_progress=on_progress)
        if tree.log != log.tenant:
            raise EvidenceRefused("its checkpoints are those of another log", "checkpoint")
    elif kept:
        raise LogRefused("the log was truncated: it has no checkpoint, and one of it was kept", "log", 0)
    extent = log.extent()
    for index in range(published, extent.sequenced):
        rows.compare_waiting(index)
    refuse_other_extent(extent, published, rows.entities)
    return Verified(tree, extent.sequenced - published)


class _Rows:
    """The rows beside the leaves, compared as these pass by."""

    def __init__(self, log: StoredLog) -> None:
        self._log = log
        self.entities = 0
        self._runs = CommittedRuns()

    def compare(self, leaf: Leaf) -> None:
        self._compare(self._log.entry(leaf.index), leaf)

    def compare_waiting(self, index: int) -> None:
        """Check an entry that no tree vouches for yet: that its rows agree is all that can be said."""
        try:
            stored = self._log.entry(index)
        except LookupError:
            raise LogRefused(f"entry {index} is missing", f"entry {index}", index) from None
        self._compare(stored, leaf_in(stored, self._log.tenant, index))

    def _compare(self, stored: EntryRows, leaf: Leaf) -> None:
        detail = detail_in(stored, leaf)
        self._runs.take(leaf.index, detail)
        self.entities += len(detail.entities)
