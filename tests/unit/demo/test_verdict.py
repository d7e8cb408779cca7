"""Counts that disagree are told, each in its sentence."""

import msgspec
import pytest

from services.runner.demo.absences import absences_of
from services.runner.demo.direct import crowds_for
from services.runner.demo.verdict import Counts, disagreements, left_out
from services.runner.demo.witness import Testimony

AGREED = Counts(
    people=3,
    conversations=1,
    messages=4,
    sent=4,
    acked=4,
    stored=4,
    sealed=4,
    expected=8,
    delivered=8,
    off_line=1,
    came_back=1,
    acts=9,
    audited=9,
    evidence=2,
    proved=2,
    tampered=128,
    refused=128,
)
WHOLE = msgspec.structs.replace(
    AGREED,
    to_import=10,
    imported=9,
    unimported=1,
    stored=13,
    sealed=13,
    indexed=13,
    custodians=3,
    executors=2,
    confirmed=2,
    due=8,
    preserved=3,
    in_grace=1,
    ripe=4,
    disposed=4,
    certified=4,
    left=9,
    indexed_left=9,
    found=5,
    matching=5,
    in_scope=7,
    produced=6,
    excluded=1,
    in_error=0,
)


def test_the_whole_story_agrees_and_leaves_no_step_out() -> None:
    assert disagreements(WHOLE, 2, Testimony(delivered=8)) == []
    assert left_out(WHOLE) == []


@pytest.mark.planted
@pytest.mark.parametrize(
    ("planted", "sentence"),
    [
        ({"stored": 12}, "12 messages are stored, 4 were acknowledged and 9 imported"),
        (
            {"imported": 8, "stored": 12, "sealed": 12, "indexed": 12},
            "of 10 lines 8 were imported and 1 refused",
        ),
        ({"to_import": 0, "imported": 0, "unimported": 0}, "no line was imported"),
        ({"indexed": 12}, "12 messages are in the index, 13 are stored"),
        ({"custodians": 0}, "names no custodian"),
        ({"executors": 0, "confirmed": 0}, "waited for no executor"),
        ({"confirmed": 1}, "1 of 2 executors confirmed"),
        ({"due": 9}, "9 bodies were due, but 4 are disposed of, 3 preserved and 1 in their time of grace"),
        ({"preserved": 2}, "8 bodies were due, but 4 are disposed of, 2 preserved"),
        ({"in_grace": 2}, "8 bodies were due"),
        ({"disposed": 5, "due": 9}, "5 bodies are gone, 4 were approved"),
        ({"certified": 3}, "4 bodies are gone, 3 are certified"),
        ({"disposed": None}, "0 bodies are gone, 4 were approved"),
        ({"indexed_left": 10}, "10 messages are still in the index, 9 still have a body"),
        ({"found": 6}, "6 messages were found, the word stands in 5"),
        ({"found": 0, "matching": 0}, "nothing to be found"),
        ({"produced": 5}, "7 entries are in scope, but 5 were produced and 1 excluded"),
        ({"excluded": 0}, "7 entries are in scope, but 6 were produced and 0 excluded"),
        ({"in_scope": 8, "in_error": 1}, "1 entries could not be produced"),
        ({"produced": 0, "excluded": 7}, "nothing to produce"),
    ],
)
def test_what_disagrees_after_the_live_part_is_told(planted: dict[str, int], sentence: str) -> None:
    counts = msgspec.structs.replace(WHOLE, **planted)
    assert any(sentence in told for told in disagreements(counts, 2, Testimony()))


def test_steps_that_were_not_taken_are_named() -> None:
    told = " ".join(left_out(AGREED))
    for sentence in ("imported", "index", "hold", "rule", "searched", "production"):
        assert sentence in told
    unproduced = msgspec.structs.replace(WHOLE, produced=None, in_scope=None, excluded=None)
    assert disagreements(unproduced, 2, Testimony()) == []
    assert left_out(unproduced) == ["no production was made"]


def test_counts_that_agree_are_complete() -> None:
    assert disagreements(AGREED, 2, Testimony(delivered=8)) == []


@pytest.mark.parametrize(
    ("planted", "sentence"),
    [
        ({"sent": 3}, "3 of 4 messages were sent"),
        ({"acked": 3}, "3 of 4 sent messages were acknowledged"),
        ({"stored": 5}, "5 messages are stored, 4 were acknowledged"),
        ({"sealed": 3}, "3 of 4 stored messages have a payload"),
        ({"delivered": 7}, "7 deliveries were seen, 8 were to be"),
        ({"delivered": 9}, "9 deliveries were seen, 8 were to be"),
        ({"came_back": 0}, "0 of 1 people came back"),
        ({"audited": 8}, "8 of 9 acts are in the audit log"),
        ({"acts": 0, "audited": 0}, "no act was counted"),
        ({"evidence": 0, "proved": 0}, "no evidence was taken"),
        ({"proved": 1}, "1 of 2 proofs hold"),
        ({"refused": 127}, "127 of 128 tampered copies of proofs were refused"),
    ],
)
def test_a_count_that_disagrees_is_told(planted: dict[str, int], sentence: str) -> None:
    counts = msgspec.structs.replace(AGREED, **planted)
    assert any(sentence in told for told in disagreements(counts, 2, Testimony()))


def test_faults_missing_deliveries_and_a_single_gateway_are_told() -> None:
    testimony = Testimony(delivered=8, missing=1, faults=2, sentences=["person 3: it came twice"])
    told = " ".join(disagreements(AGREED, 1, testimony))
    assert "1 deliveries are missing" in told
    assert "2 deliveries were out of order, doubled or altered" in told
    assert "it came twice" in told
    assert "1 gateway served" in told


def test_every_second_person_leaves_once_and_is_back_before_the_end() -> None:
    absences = absences_of(range(2032), 21_747)
    assert [absence.person for absence in absences] == list(range(1, 2032, 2))
    assert all(0 < absence.leaves_at < absence.returns_at < 21_747 for absence in absences)
    assert {absence.abrupt for absence in absences} == {True, False}
    most = max(
        sum(1 for other in absences if other.leaves_at <= absence.leaves_at < other.returns_at)
        for absence in absences
    )
    assert most < 2032 / 4, "they leave one after the other, not all at once"


def test_a_large_crowd_is_dealt_to_as_many_processes_as_there_are_processors() -> None:
    assert crowds_for(9, 2) == 1
    assert crowds_for(2032, 2) == 2
    assert crowds_for(2032, 1) == 1
    assert crowds_for(20_000, 64) == 8
