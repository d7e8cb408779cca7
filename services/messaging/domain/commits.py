"""What one group commit brought to one tenant, as the audit log knows it: runs of entries, and one root.

Each entry is a leaf: its two commitments, side by side. So a message is proved by two short paths, one in
the tree of its commit and one in the tenant's log, and the leaf of the commit reveals nothing of it.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

from libs.evidence.entry import entry_leaf
from libs.kernel.ids import ConversationId, TenantId
from libs.merkle.tree import inclusion_proofs, root_of
from services.messaging.domain.entries import Entry


class Run(NamedTuple):
    """Entries `first` to `last` (both included) of one conversation."""

    conversation: ConversationId
    first: int
    last: int


class Leaf(NamedTuple):
    """An entry in the tree of its commit, by its two commitments (32 bytes each; None: it has no body)."""

    conversation: ConversationId
    seq: int
    metadata_commitment: bytes
    body_commitment: bytes | None


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


def paths_in(leaves: Sequence[Leaf], conversation: ConversationId) -> dict[int, Path]:
    """Return the path of each entry of `conversation`, by its `seq`, in the tree of one commit.

    `leaves` are all entries of one tenant in that commit, in the order of (conversation, `seq`).
    """
    places = {leaf.seq: place for place, leaf in enumerate(leaves) if leaf.conversation == conversation}
    hashes = [entry_leaf(leaf.metadata_commitment, leaf.body_commitment) for leaf in leaves]
    proofs = inclusion_proofs(hashes, [*places.values()])
    return {
        seq: Path(place, len(leaves), tuple(proof))
        for (seq, place), proof in zip(places.items(), proofs, strict=True)
    }
