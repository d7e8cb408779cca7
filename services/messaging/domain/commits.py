"""What one group commit brought to one tenant, as the audit log knows it: runs of entries, and one root.

Each entry is a leaf: its two commitments, side by side. So a message is proved by two short paths, one in
the tree of its commit and one in the tenant's log, and the leaf of the commit reveals nothing of it.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

from libs.evidence.entry import entry_leaf
from libs.kernel.ids import ConversationId, TenantId
from libs.merkle.hashing import HASH_BYTES
from libs.merkle.tree import HashedTree, root_of
from services.messaging.domain.entries import Entry


class Run(NamedTuple):
    """Entries `first` to `last` (both included) of one conversation."""

    conversation: ConversationId
    first: int
    last: int


class RunOfLeaves(NamedTuple):
    """The entries of one conversation in a commit, from `first` on, as leaf hashes side by side."""

    conversation: ConversationId
    first: int
    hashes: bytes


class Path(NamedTuple):
    """Where an entry is in the tree of its commit: its place from 0, of `size`, and the hashes upwards."""

    place: int
    size: int
    hashes: tuple[bytes, ...]


class CommitOfTenant(NamedTuple):
    """The entries of one tenant in one commit: their runs, by conversation, and the root over them."""

    tenant: TenantId
    runs: tuple[Run, ...]
    root: bytes


def commits_of(entries: Iterable[Entry]) -> list[CommitOfTenant]:
    """Return what a commit brought, tenant by tenant.

    The leaves stand in the order of (conversation, `seq`), so that they can be found again from the runs.
    """
    by_tenant: dict[TenantId, list[Entry]] = {}
    for entry in entries:
        by_tenant.setdefault(entry.draft.key.tenant, []).append(entry)
    return [_commit_of(tenant, of_tenant) for tenant, of_tenant in by_tenant.items()]


def _commit_of(tenant: TenantId, entries: list[Entry]) -> CommitOfTenant:
    entries.sort(key=lambda entry: (entry.draft.key.conversation.int, entry.seq))
    return CommitOfTenant(
        tenant,
        tuple(
            _run_of(conversation, list(run))
            for conversation, run in groupby(entries, lambda entry: entry.draft.key.conversation)
        ),
        root_of([entry_leaf(entry.metadata_commitment, entry.draft.body_commitment) for entry in entries]),
    )


def _run_of(conversation: ConversationId, entries: Sequence[Entry]) -> Run:
    return Run(conversation, entries[0].seq, entries[-1].seq)


class CommitTree:
    """The tree over all entries of one tenant in one commit, hashed once for the paths of all of them."""

    __slots__ = ("_stretches", "_tree")

    def __init__(self, runs: Iterable[RunOfLeaves]) -> None:
        """Grow it from `runs`, one of each conversation, in the order of their ids."""
        self._stretches: dict[ConversationId, tuple[int, int, int]] = {}
        leaves: list[bytes] = []
        for run in runs:
            hashes = [run.hashes[at : at + HASH_BYTES] for at in range(0, len(run.hashes), HASH_BYTES)]
            self._stretches[run.conversation] = (run.first, run.first + len(hashes), len(leaves))
            leaves += hashes
        self._tree = HashedTree(leaves)

    @property
    def size(self) -> int:
        """How many entries the commit brought."""
        return self._tree.size

    @property
    def root(self) -> bytes:
        """The root that the audit log was told of."""
        return self._tree.root

    def path(self, conversation: ConversationId, seq: int) -> Path:
        """Return the path of an entry. Raises LookupError for one that the commit did not bring."""
        first, beyond, place = self._stretches[conversation]
        if not first <= seq < beyond:
            raise LookupError(conversation, seq)
        own = place + seq - first
        return Path(own, self.size, tuple(self._tree.inclusion_proof(own)))
