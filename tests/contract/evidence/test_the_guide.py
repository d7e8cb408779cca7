"""What docs/audit.md tells an auditor to run does what it says, on a log of ours and on a forged one."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from libs.evidence.bundle import act_bundle
from libs.evidence.folder import write_log
from libs.evidence.trust import dump_trust
from libs.merkle.tree import inclusion_proof
from tests.unit.evidence.logs import DETAIL, SALT, STRANGER, TRUST, MadeLog, leaves_of, note_of

GUIDE = (Path(__file__).parents[3] / "docs" / "audit.md").read_text(encoding="utf-8")
SIZE = 700


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


SIGNATURE, (ENTRIES, ONE_DETAIL) = blocks("sh")[0], blocks("python")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = MadeLog(leaves_of(SIZE))
    write_log(tmp_path / "log", made)
    (tmp_path / "trust.json").write_bytes(dump_trust(TRUST))
    proof = inclusion_proof(made.hashed, 5)
    bundle = act_bundle(made.leaves[5], proof, made.newest, detail=DETAIL, salt=SALT)
    (tmp_path / "act.json").write_bytes(bundle)
    return tmp_path


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


def signature(folder: Path) -> subprocess.CompletedProcess[str]:
    if shutil.which("openssl") is None:
        pytest.skip("there is no OpenSSL on PATH")
    return run(folder, "sh", "-c", SIGNATURE)


def python(folder: Path, program: str) -> subprocess.CompletedProcess[str]:
    return run(folder, sys.executable, "-I", "-S", "-c", program)


def test_the_guide_has_openssl_check_the_signature(folder: Path) -> None:
    assert "Signature Verified Successfully" in signature(folder).stdout


@pytest.mark.planted
def test_a_checkpoint_that_a_stranger_signed_is_noticed(folder: Path) -> None:
    (folder / "log" / "checkpoint").write_bytes(note_of(leaves_of(SIZE), STRANGER))
    done = signature(folder)
    assert "Signature Verified Successfully" not in done.stdout
    assert done.returncode


def test_the_guide_has_python_check_every_entry(folder: Path) -> None:
    assert f"all {SIZE} entries are under the signed root" in python(folder, ENTRIES).stdout


@pytest.mark.planted
@pytest.mark.parametrize("at", [2, 256 * 60, -1])
def test_a_flipped_byte_in_an_entry_is_noticed(folder: Path, at: int) -> None:
    path = folder / "log" / "tile" / "entries" / "001"
    flipped = bytearray(path.read_bytes())
    flipped[at] ^= 1
    path.write_bytes(flipped)
    assert python(folder, ENTRIES).returncode


def test_the_guide_checks_a_detail(folder: Path) -> None:
    assert "what the leaf commits to" in python(folder, ONE_DETAIL).stdout


@pytest.mark.planted
def test_another_detail_is_noticed(folder: Path) -> None:
    path = folder / "act.json"
    path.write_text(
        path.read_text().replace('"action": "identity.session.started"', '"action": "identity.x"')
    )
    assert python(folder, ONE_DETAIL).returncode
