"""`muniment verify`: off line, in one sentence or in facts for a program, and by nothing but the evidence."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from libs.evidence.bundle import act_bundle
from libs.evidence.folder import write_log
from libs.evidence.trust import dump_trust
from libs.merkle.hashing import leaf_hash
from libs.merkle.tree import inclusion_proof
from tests.support.engines import ROOT
from tests.unit.evidence.logs import DETAIL, SALT, TRUST, MadeLog, leaves_of, note_of

LEAVES = leaves_of(9)
SERVERS = ("psycopg", "fastapi", "redis", "hvac", "httpx", "uvicorn", "websockets", "sqlalchemy")
OFF_LINE = f"""
import socket, sys
def refuse(*_arguments, **_named): raise AssertionError("it opened a socket")
socket.socket = refuse
from services.runner.cli import main
try:
    main()
finally:
    loaded = sorted(set({SERVERS}) & set(sys.modules))
    assert not loaded, loaded
"""


def verified(*arguments: object) -> "subprocess.CompletedProcess[str]":
    """Run the command where no socket can be opened, and no driver or framework be loaded."""
    command = [sys.executable, "-c", OFF_LINE, "verify", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def trust(tmp_path: Path) -> Path:
    """Give the file of trusted keys."""
    path = tmp_path / "trust.json"
    path.write_bytes(dump_trust(TRUST))
    return path


@pytest.fixture
def act(tmp_path: Path) -> Path:
    """Give the evidence of an act in a file."""
    proof = inclusion_proof([leaf_hash(leaf) for leaf in LEAVES], 3)
    path = tmp_path / "act.json"
    path.write_bytes(act_bundle(LEAVES[3], proof, note_of(LEAVES), detail=DETAIL, salt=SALT))
    return path


def test_what_holds_is_said_in_a_sentence(act: Path, trust: Path):
    seen = verified(act, "--trust", trust)
    assert (seen.returncode, seen.stderr) == (0, "")
    assert seen.stdout.startswith("Entry 3 of muniment.test/log/")
    assert DETAIL.action in seen.stdout


def test_what_holds_is_said_to_a_program(act: Path, trust: Path):
    seen = verified(act, "--trust", trust, "--json")
    facts = json.loads(seen.stdout)
    assert (facts["ok"], facts["kind"], facts["size"], facts["entries"]) == (True, "act", len(LEAVES), 1)


@pytest.mark.planted
def test_what_was_tampered_with_is_refused_in_a_sentence(act: Path, trust: Path):
    act.write_bytes(act.read_bytes().replace(b"session.started", b"session.ended"))
    seen = verified(act, "--trust", trust)
    assert (seen.returncode, seen.stdout) == (1, "")
    assert seen.stderr.count("\n") == 1
    assert "does not hold: the detail is not the one that the leaf commits to" in seen.stderr


@pytest.mark.planted
def test_evidence_cannot_steer_the_terminal_on_which_it_is_refused(act: Path, trust: Path):
    bundle = json.loads(act.read_bytes())
    act.write_text(json.dumps({**bundle, "\x1b[2J\x1b[HEntry 3 is in the log.\n": 1}))
    seen = verified(act, "--trust", trust)
    assert (seen.returncode, seen.stdout) == (1, "")
    assert seen.stderr.endswith(")\n")
    assert seen.stderr[:-1].isprintable()


@pytest.mark.planted
def test_a_log_names_its_first_bad_entry_to_a_program(tmp_path: Path, trust: Path):
    log = MadeLog(list(LEAVES))
    log.leaves[5] = log.leaves[5].replace(b"identity", b"idenlity")
    write_log(tmp_path / "log", log)
    seen = verified(tmp_path / "log", "--trust", trust, "--json")
    facts = json.loads(seen.stdout)
    assert (seen.returncode, facts["ok"], facts["index"]) == (1, False, 5)


@pytest.mark.parametrize("missing", ["act", "trust"])
def test_a_file_that_is_not_there_is_one_sentence(act: Path, trust: Path, missing: str):
    {"act": act, "trust": trust}[missing].unlink()
    seen = verified(act, "--trust", trust)
    assert seen.returncode == 1
    assert seen.stderr.startswith("muniment: ")
    assert "cannot be read" in seen.stderr
    assert seen.stderr.count("\n") == 1
