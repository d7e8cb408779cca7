"""A commit is a tree of its entries, in which each is found again."""

from hypothesis import given
from hypothesis import strategies as st

from libs.evidence.detail import Run
from libs.evidence.entry import entry_leaf, place_in
from libs.kernel.ids import ConversationId
from libs.merkle.verify import verify_inclusion
from services.messaging.domain.commits import Leaf, commits_of, paths_in
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


@given(ROWS)
def test_every_entry_has_its_path_to_the_root_that_was_told_of(sizes: list[int]) -> None:
    entries = entries_of(sizes)
    (commit,) = commits_of(entries)
    runs = [Run(str(run.conversation), run.first, run.last) for run in commit.runs]
    leaves = sorted(
        (
            Leaf(each.draft.key.conversation, each.seq, each.metadata_commitment, each.draft.body_commitment)
            for each in entries
        ),
        key=lambda leaf: (leaf.conversation.int, leaf.seq),
    )
    for conversation in {leaf.conversation for leaf in leaves}:
        paths = paths_in(leaves, ConversationId(conversation))
        for leaf in leaves:
            if leaf.conversation != conversation:
                continue
            path = paths[leaf.seq]
            assert (path.place, path.size) == place_in(runs, conversation, leaf.seq)
            verify_inclusion(
                leaf=entry_leaf(leaf.metadata_commitment, leaf.body_commitment),
                index=path.place,
                size=path.size,
                proof=path.hashes,
                root=commit.root,
            )
