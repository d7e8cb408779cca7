"""A commit is a tree of its entries, in which each is found again."""

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.evidence.detail import Run
from libs.evidence.entry import entry_leaf, place_in
from libs.kernel.ids import ConversationId
from libs.merkle.verify import verify_inclusion
from services.messaging.domain.commits import CommitTree, RunOfLeaves, commits_of
from services.messaging.domain.entries import Entry
from tests.unit.messaging.drafts import draft

ROWS = st.lists(st.integers(1, 9), min_size=1, max_size=6)


def entries_of(sizes: list[int]) -> list[Entry]:
    """Return a commit that brought so many entries to each of some conversations."""
    return [
        Entry(draft(conversation=f"c{place}"), 100 + number, 1, bytes([place]) * 31 + bytes([number]))
        for place, size in enumerate(sizes)
        for number in range(size)
    ]


def leaf_of(entry: Entry) -> bytes:
    return entry_leaf(entry.metadata_commitment, entry.draft.body_commitment)


@given(ROWS)
def test_every_entry_has_its_path_to_the_root_that_was_told_of(sizes: list[int]) -> None:
    entries = entries_of(sizes)
    (commit,) = commits_of(entries)
    runs = [Run(str(run.conversation), run.first, run.last) for run in commit.runs]
    by_conversation: dict[ConversationId, list[Entry]] = {}
    for each in entries:
        by_conversation.setdefault(each.draft.key.conversation, []).append(each)
    tree = CommitTree(
        RunOfLeaves(conversation, own[0].seq, b"".join(map(leaf_of, own)))
        for conversation, own in sorted(by_conversation.items(), key=lambda item: item[0].int)
    )
    assert (tree.size, tree.root) == (len(entries), commit.root)
    for each in entries:
        path = tree.path(each.draft.key.conversation, each.seq)
        assert (path.place, path.size) == place_in(runs, each.draft.key.conversation, each.seq)
        verify_inclusion(
            leaf=leaf_of(each), index=path.place, size=path.size, proof=path.hashes, root=commit.root
        )


def test_a_commit_has_no_path_for_what_it_did_not_bring() -> None:
    here, elsewhere = ConversationId(uuid4()), ConversationId(uuid4())
    tree = CommitTree([RunOfLeaves(here, 5, bytes(64))])
    assert tree.path(here, 6).place == 1
    for conversation, seq in [(here, 4), (here, 7), (elsewhere, 5)]:
        with pytest.raises(LookupError):
            tree.path(conversation, seq)
