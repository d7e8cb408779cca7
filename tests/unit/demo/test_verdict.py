"""Counts that disagree are told, each in its sentence."""

import msgspec
import pytest

from services.runner.demo.absences import absences_of
from services.runner.demo.direct import crowds_for
from services.runner.demo.verdict import Counts, disagreements
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
