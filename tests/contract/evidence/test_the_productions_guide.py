"""What docs/productions.md tells a recipient to run does what it says, and notices a forged production."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from libs.evidence.production.manifest import Format, Reason, Scope
from libs.evidence.trust import dump_trust
from tests.unit.evidence.logs import START, TRUST
from tests.unit.productions.made import SIGNED, Made

GUIDE = (Path(__file__).parents[3] / "docs" / "productions.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


(SIGNATURE,), (FILES,) = blocks("sh"), blocks("python")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Made(Format.EML, Scope(since=START)).write(tmp_path / "production")
    (tmp_path / "trust.json").write_bytes(dump_trust(SIGNED))
    return tmp_path


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


def signature(folder: Path) -> subprocess.CompletedProcess[str]:
    if shutil.which("openssl") is None:
        pytest.skip("there is no OpenSSL on PATH")
    return run(folder, "sh", "-c", SIGNATURE)


def files(folder: Path) -> subprocess.CompletedProcess[str]:
    return run(folder, sys.executable, "-I", "-S", "-c", FILES)


def test_the_guide_has_openssl_check_the_signature(folder: Path) -> None:
    assert "Signature Verified Successfully" in signature(folder).stdout


@pytest.mark.planted
def test_a_signature_of_another_key_is_noticed(folder: Path) -> None:
    (folder / "trust.json").write_bytes(dump_trust(TRUST))
    done = signature(folder)
    assert "Signature Verified Successfully" not in done.stdout
    assert done.returncode


def test_the_guide_has_python_check_every_file(folder: Path) -> None:
    assert "are as they were signed" in files(folder).stdout


@pytest.mark.planted
def test_a_flipped_byte_of_any_file_is_noticed(folder: Path) -> None:
    for path in sorted(path for path in (folder / "production").rglob("*") if path.is_file()):
        data = path.read_bytes()
        if path.name == "manifest.note":
            continue
        path.write_bytes(data[:40] + bytes([data[40] ^ 1]) + data[41:])
        assert files(folder).returncode, path
        path.write_bytes(data)


@pytest.mark.parametrize("name", [*Reason, *Format])
def test_the_guide_names_every_reason_and_every_format(name: str) -> None:
    assert f"| `{name}` |" in GUIDE
