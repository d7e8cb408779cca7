"""Give entries to whoever makes productions: sealed, and with their paths in the trees of their commits.

Nothing is unsealed: what a reader may unseal is for the key service to say, and to tell of.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, NamedTuple
from uuid import UUID

from libs.contracts.internal import PROVED_LIMIT
from libs.kernel.ids import TenantId
from services.messaging.domain.commitments import metadata_of
from services.messaging.domain.commits import CommitTree, Path
from services.messaging.domain.entries import ConversationKey
from services.messaging.domain.errors import StretchRefused
from services.messaging.ports import KeptEntries, KeptEntry

MOST_LEAVES: Final = 500_000
"""Leaves of the trees that are kept in memory, 64 bytes each.

A commit may have brought entries of many conversations, and a production goes through them one by one.
"""
_COMMITS_AT_A_TIME: Final = 64
_BEFORE: Final = UUID(int=0)
"""The commit of entries from before the audit log: these have no path."""
_NOWHERE: Final = Path(0, 0, ())


class ProvedEntry(NamedTuple):
    """An entry with its path in its commit, and its canonical metadata."""

    kept: KeptEntry
    path: Path
    metadata: bytes


class ProveEntries:
    """Gives a stretch of a conversation with what proves it, and keeps the trees of commits meanwhile."""

    def __init__(self, entries: KeptEntries, *, most_leaves: int = MOST_LEAVES) -> None:
        """Read from `entries`; keep trees of at most `most_leaves` leaves together."""
        self._entries = entries
        self._trees = _Trees(most_leaves)

    async def __call__(self, key: ConversationKey, first: int, last: int) -> list[ProvedEntry]:
        """Return the entries from `first` to `last`, as far as they exist.

        An entry from before the audit log has the path of size 0. Raises StretchRefused or LogUnavailable.
        """
        if not first <= last < first + PROVED_LIMIT:
            raise StretchRefused(first, last, PROVED_LIMIT)
        kept = await self._entries.kept(key, first, last)
        paths = await self._paths(key, kept)
        return [
            ProvedEntry(
                each,
                paths.get(each.entry.stored.seq, _NOWHERE),
                metadata_of(key, each.entry.stored, each.entry.stored.seq),
            )
            for each in kept
        ]

    async def _paths(self, key: ConversationKey, kept: Sequence[KeptEntry]) -> dict[int, Path]:
        by_commit: dict[UUID, list[int]] = {}
        for each in kept:
            if each.entry.commit != _BEFORE:
                by_commit.setdefault(each.entry.commit, []).append(each.entry.stored.seq)
        commits = list(by_commit)
        paths: dict[int, Path] = {}
        for start in range(0, len(commits), _COMMITS_AT_A_TIME):
            trees = await self._grown(key.tenant, commits[start : start + _COMMITS_AT_A_TIME])
            for commit, tree in trees.items():
                for seq in by_commit[commit]:
                    paths[seq] = tree.path(key.conversation, seq)
        return paths

    async def _grown(self, tenant: TenantId, commits: Sequence[UUID]) -> dict[UUID, CommitTree]:
        """Return the trees of commits, those that are not kept from the log."""
        trees = {commit: tree for commit in commits if (tree := self._trees.find(tenant, commit)) is not None}
        missing = [commit for commit in commits if commit not in trees]
        if missing:
            read = await self._entries.trees(tenant, missing)
            for commit, tree in read.items():
                self._trees.keep(tenant, commit, tree)
            trees |= read
        return trees


class _Trees:
    """Trees of commits, which never change; those that were asked for last stay."""

    def __init__(self, most_leaves: int) -> None:
        self._most = most_leaves
        self._leaves = 0
        self._kept: OrderedDict[tuple[TenantId, UUID], CommitTree] = OrderedDict()

    def find(self, tenant: TenantId, commit: UUID) -> CommitTree | None:
        tree = self._kept.get((tenant, commit))
        if tree is not None:
            self._kept.move_to_end((tenant, commit))
        return tree

    def keep(self, tenant: TenantId, commit: UUID, tree: CommitTree) -> None:
        if (tenant, commit) not in self._kept:
            self._kept[tenant, commit] = tree
            self._leaves += tree.size
        while self._leaves > self._most:
            _, oldest = self._kept.popitem(last=False)
            self._leaves -= oldest.size
