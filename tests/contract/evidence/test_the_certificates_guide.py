"""What docs/certificates.md tells a reader to run does what it says, and notices a forged certificate."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from libs.evidence.trust import dump_trust
from services.retention.domain.certificates import STORES, State
from tests.unit.certificates.made import SIGNED, Made, logged
from tests.unit.evidence.logs import TRUST

GUIDE = (Path(__file__).parents[3] / "docs" / "certificates.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


(SIGNATURE,), (ITEMS,) = blocks("sh"), blocks("python")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Made().write(tmp_path / "certificate")
    (tmp_path / "trust.json").write_bytes(dump_trust(SIGNED))
    return tmp_path


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


def signature(folder: Path) -> subprocess.CompletedProcess[str]:
    if shutil.which("openssl") is None:
        pytest.skip("there is no OpenSSL on PATH")
    return run(folder, "sh", "-c", SIGNATURE)


def items(folder: Path) -> subprocess.CompletedProcess[str]:
    return run(folder, sys.executable, "-I", "-S", "-c", ITEMS)


def test_the_guide_has_openssl_check_the_signature(folder: Path) -> None:
    assert "Signature Verified Successfully" in signature(folder).stdout


@pytest.mark.planted
def test_a_signature_of_another_key_is_noticed(folder: Path) -> None:
    (folder / "trust.json").write_bytes(dump_trust(TRUST))
    done = signature(folder)
    assert "Signature Verified Successfully" not in done.stdout
    assert done.returncode


def test_the_guide_has_python_check_every_item(folder: Path) -> None:
    assert "all 12 items are as they were signed" in items(folder).stdout


@pytest.mark.planted
@pytest.mark.parametrize("path", ["certificate.json", "items/000001.jsonl", "items/000003.jsonl"])
def test_a_flipped_byte_is_noticed(folder: Path, path: str) -> None:
    file = folder / "certificate" / path
    data = file.read_bytes()
    file.write_bytes(data[:40] + bytes([data[40] ^ 1]) + data[41:])
    assert items(folder).returncode


@pytest.mark.planted
def test_the_entry_of_another_certificate_is_noticed(folder: Path) -> None:
    (folder / "certificate" / "log.json").write_bytes(logged(b"another"))
    assert "the log names another certificate" in items(folder).stderr


def test_the_entry_of_the_log_is_a_bundle_that_the_guide_to_the_log_reads(folder: Path) -> None:
    guide = (Path(__file__).parents[3] / "docs" / "audit.md").read_text(encoding="utf-8")
    programs = re.findall(r"^```python\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    (detail,) = [each for each in programs if "act.json" in each]
    shutil.copy(folder / "certificate" / "log.json", folder / "act.json")
    assert "what the leaf commits to" in run(folder, sys.executable, "-I", "-S", "-c", detail).stdout
    shown = json.loads((folder / "act.json").read_bytes())
    shown["detail"]["outcome"] = "refused"
    (folder / "act.json").write_text(json.dumps(shown))
    assert run(folder, sys.executable, "-I", "-S", "-c", detail).returncode


@pytest.mark.parametrize("name", [*State, *(store.name for store in STORES)])
def test_the_guide_names_every_state_and_every_store(name: str) -> None:
    assert f"| `{name}` |" in GUIDE
