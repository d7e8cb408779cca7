"""Evidence is judged by what a stranger sees: it holds, and no copy with one bit changed does."""

import pytest

from libs.evidence.errors import EvidenceRefused
from libs.evidence.trust import Trust
from libs.evidence.verify import Report, verify_bundle
from services.runner.demo import proofs
from services.runner.demo.proofs import COPIES, Proofs, tampered_copies
from tests.unit.evidence.logs import TRUST
from tests.unit.evidence.test_bundles import ACT, TALK


def test_bundles_hold_and_all_of_their_tampered_copies_are_refused() -> None:
    judged = Proofs()
    judged.judge("an act", ACT, TRUST)
    judged.judge("a conversation", TALK, TRUST)
    assert (judged.bundles, judged.proved) == (2, 2)
    assert judged.tampered == judged.refused == 2 * COPIES
    assert judged.sentences == []


def test_each_copy_differs_in_one_bit_and_in_another_place() -> None:
    places = set()
    for copy in tampered_copies(ACT):
        (place,) = [at for at, (ours, theirs) in enumerate(zip(ACT, copy, strict=True)) if ours != theirs]
        places.add(place)
    assert len(places) == COPIES
    assert len(list(tampered_copies(b"abc"))) == 3


@pytest.mark.planted
def test_evidence_that_does_not_hold_is_said() -> None:
    judged = Proofs()
    judged.judge("an act", next(tampered_copies(ACT)), TRUST)
    assert judged.proved == 0
    assert judged.sentences[0].startswith("the evidence of an act does not hold: ")


@pytest.mark.planted
def test_a_verifier_that_lets_a_tampered_copy_pass_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def lenient(bundle: bytes, trust: Trust) -> Report:
        try:
            return verify_bundle(bundle, trust)
        except EvidenceRefused as refused:
            if refused.where != "bundle":
                raise
            return verify_bundle(ACT, trust)

    monkeypatch.setattr(proofs, "verify_bundle", lenient)
    judged = Proofs()
    judged.judge("an act", ACT, TRUST)
    assert judged.refused < judged.tampered
