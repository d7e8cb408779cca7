"""Vectors that nobody here wrote; skipped, with the reason, in a checkout that has no ../shared."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from libs.merkle.compact_range import CompactRange
from libs.merkle.errors import ProofRefused
from libs.merkle.hashing import leaf_hash
from libs.merkle.tree import root_of
from libs.merkle.verify import verify_inclusion

VECTORS = Path(__file__).resolve().parents[4] / "shared" / "data" / "merkle"
PROBES = sorted(VECTORS.glob("inclusion/**/*.json"))

pytestmark = pytest.mark.skipif(
    not VECTORS.is_dir(), reason="the vectors lie in ../shared/data, which is missing"
)


def test_the_reference_leaves_give_the_reference_roots_at_every_size():
    reference = json.loads((VECTORS / "rfc6962_reference_roots.json").read_text())
    leaves = [leaf_hash(bytes.fromhex(leaf)) for leaf in reference["leaves_hex"]]
    roots = [root_of(leaves[:size]).hex() for size in range(len(leaves) + 1)]
    grown = [CompactRange.over(leaves[:size]).root().hex() for size in range(len(leaves) + 1)]
    assert roots == reference["roots_hex_by_size"]
    assert grown == reference["roots_hex_by_size"]


def test_all_98_probes_are_there():
    assert len(PROBES) == 98


@pytest.mark.parametrize("path", PROBES, ids=lambda path: str(path.relative_to(VECTORS)))
def test_an_inclusion_probe_gets_the_verdict_that_it_names(path: Path):
    probe = json.loads(path.read_text())
    if probe["wantErr"]:
        with pytest.raises(ProofRefused):
            verify_probe(probe)
    else:
        verify_probe(probe)


def verify_probe(probe: dict[str, Any]) -> None:
    """Give a probe to the verifier; absent values are empty."""
    verify_inclusion(
        leaf=base64.b64decode(probe["leafHash"] or ""),
        index=probe["leafIdx"],
        size=probe["treeSize"],
        proof=[base64.b64decode(step or "") for step in probe["proof"] or []],
        root=base64.b64decode(probe["root"] or ""),
    )
