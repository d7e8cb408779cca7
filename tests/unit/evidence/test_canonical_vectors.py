"""The vectors of RFC 8785's author; skipped, with the reason, in a checkout that has no ../shared."""

import json
from pathlib import Path

import pytest

from libs.evidence.canonical import canonical

VECTORS = Path(__file__).resolve().parents[4] / "shared" / "data" / "jcs" / "testdata"

pytestmark = pytest.mark.skipif(
    not VECTORS.is_dir(), reason="the vectors lie in ../shared/data, which is missing"
)


@pytest.mark.parametrize("name", ["arrays", "french", "structures", "unicode", "values", "weird"])
def test_a_value_gets_its_one_spelling(name: str):
    value = json.loads((VECTORS / "input" / f"{name}.json").read_text("utf-8"))
    assert canonical(value) == (VECTORS / "output" / f"{name}.json").read_bytes()
    assert canonical(value) == bytes.fromhex((VECTORS / "outhex" / f"{name}.txt").read_text())
