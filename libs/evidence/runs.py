"""That no place of a conversation was committed to twice: the first commit there is the only one.

A log that is whole and signed may still hold two commits of one place, each with proofs that hold. Whoever
walks the log sees them both.
"""

from libs.evidence.detail import Detail
from libs.evidence.errors import LogRefused

ENTRIES_COMMITTED = "messaging.entries.committed"
"""The action of a commit; its runs are what it brought to conversations."""


class CommittedRuns:
    """How far each conversation is committed, as the details of a log pass by in its order."""

    def __init__(self) -> None:
        """Know of no commit."""
        self._last: dict[str, tuple[int, int]] = {}

    def take(self, index: int, detail: Detail) -> None:
        """Take in the detail of entry `index`. Raises LogRefused for a place that an earlier one has."""
        if detail.action != ENTRIES_COMMITTED:
            return
        for run in detail.runs:
            last, earlier = self._last.get(run.conversation, (0, index))
            if run.first <= last or run.last < run.first:
                raise LogRefused(
                    f"entry {index} commits {run.first} to {run.last} of conversation {run.conversation},"
                    f" which entry {earlier} has committed as far as {last}",
                    f"entry {index}",
                    index,
                )
            self._last[run.conversation] = run.last, index
