"""A place of a conversation is committed to once, or the log does not hold."""

from dataclasses import replace
from pathlib import Path

import pytest

from libs.evidence.detail import Detail, Run, detail_object
from libs.evidence.errors import LogRefused
from libs.evidence.folder import write_details, write_log
from libs.evidence.runs import ENTRIES_COMMITTED, CommittedRuns
from libs.evidence.verify import verify_path
from tests.unit.evidence.logs import DETAIL, SALT, TRUST, MadeLog, leaf_at

ONE, TWO = "0190a1b2-0000-7000-8000-00000000000a", "0190a1b2-0000-7000-8000-00000000000b"


def commit(*runs: tuple[str, int, int]) -> Detail:
    return replace(DETAIL, action=ENTRIES_COMMITTED, runs=tuple(Run(*run) for run in runs))


def taken(*details: Detail) -> CommittedRuns:
    known = CommittedRuns()
    for index, detail in enumerate(details):
        known.take(index, detail)
    return known


def test_each_conversation_goes_on_where_it_was() -> None:
    taken(commit((ONE, 1, 3), (TWO, 1, 1)), DETAIL, commit((ONE, 4, 4)), commit((TWO, 2, 9), (ONE, 5, 5)))


def test_a_conversation_may_be_older_than_its_log() -> None:
    taken(commit((ONE, 40, 41)), commit((ONE, 42, 42)))


@pytest.mark.parametrize("run", [(ONE, 3, 3), (ONE, 1, 1), (ONE, 2, 7), (ONE, 5, 4)])
def test_a_place_that_is_taken_and_a_run_that_is_none_are_refused(run: tuple[str, int, int]) -> None:
    with pytest.raises(LogRefused) as refused:
        taken(commit((ONE, 1, 3)), DETAIL, commit((TWO, 1, 1), run))
    assert refused.value.index == 2


def test_what_tells_of_entries_without_committing_them_is_no_commit() -> None:
    taken(commit((ONE, 1, 3)), replace(commit((ONE, 1, 3)), action="messaging.evidence.taken"))


def test_a_whole_and_signed_log_with_two_commits_of_one_place_does_not_hold(tmp_path: Path) -> None:
    details = [commit((ONE, 1, 2)), DETAIL, commit((ONE, 2, 2))]
    leaves = [leaf_at(index, detail=detail, root=bytes(32)) for index, detail in enumerate(details)]
    write_log(tmp_path, MadeLog(leaves))
    write_details(tmp_path, [(at, detail_object(detail), SALT) for at, detail in enumerate(details)])
    with pytest.raises(LogRefused, match="entry 0 has committed as far as 2") as refused:
        verify_path(tmp_path, TRUST)
    assert refused.value.index == 2
