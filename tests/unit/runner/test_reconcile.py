"""`muniment audit reconcile` says what was counted, and nothing but agreement is a success."""

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import UnixStreamServer
from typing import Any

import pytest

from infra.engines.folders import sockets_folder
from services.runner.audit import reconcile
from services.runner.errors import RunnerError

AGREED: dict[str, Any] = {
    "acts": 7,
    "audited": 7,
    "walked": 7,
    "settled": True,
    "sources": {},
    "unsettled": {},
    "left_out": {},
    "disagreements": [],
}
LOST = {"source": "keys", "tenant": "t-1", "action": "keys.dek.created", "acts": 3, "entries": 2}
UNWALKED = {"source": "keys", "tenant": "t-1", "action": None, "acts": 3, "entries": 2}


class Counting(BaseHTTPRequestHandler):
    """An audit service that counted what the test says."""

    status, answer = 200, AGREED

    def do_POST(self) -> None:
        body = json.dumps(self.answer).encode()
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """Give the data folder of a deployment that is nothing but a counting audit service."""
    address = sockets_folder(tmp_path) / "audit"
    (tmp_path / "operator.seed").write_bytes(base64.b64encode(bytes(32)))
    (tmp_path / "run").mkdir()
    facts = {"operator_seed": str(tmp_path / "operator.seed"), "services": {"audit": f"unix:{address}"}}
    (tmp_path / "run" / "deployment.json").write_text(json.dumps(facts))
    with UnixStreamServer(str(address), Counting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield tmp_path
        server.shutdown()
    address.unlink()
    address.parent.rmdir()


def says(monkeypatch: pytest.MonkeyPatch, status: int = 200, **counted: object) -> None:
    monkeypatch.setattr(Counting, "status", status)
    monkeypatch.setattr(Counting, "answer", {**AGREED, **counted})


def test_agreement_is_a_success(data, capsys):
    assert reconcile(data) == 0
    assert capsys.readouterr().out == "7 acts have 7 entries, and no entry is without its act.\n"


def test_a_program_is_told_what_was_counted(data, capsys):
    assert reconcile(data, as_json=True) == 0
    assert json.loads(capsys.readouterr().out) == AGREED


@pytest.mark.planted
@pytest.mark.parametrize(("found", "what"), [(LOST, "keys.dek.created"), (UNWALKED, "acts of keys")])
@pytest.mark.parametrize("as_json", [False, True])
def test_a_disagreement_is_a_failure_in_one_sentence(data, capsys, monkeypatch, found, what, as_json):
    says(monkeypatch, disagreements=[found])
    assert reconcile(data, as_json=as_json) == 1
    said = capsys.readouterr()
    assert bool(said.out) == as_json
    assert said.err == f"muniment: Acts and entries disagree: 3 of {what} in tenant t-1, but 2 entries.\n"


def test_what_is_not_settled_is_no_success(data, capsys, monkeypatch):
    says(monkeypatch, settled=False, unsettled={"messaging": "away"})
    assert reconcile(data) == 1
    assert "(messaging is away); ask again" in capsys.readouterr().err


@pytest.mark.planted
def test_a_log_that_was_left_out_is_named_beside_what_disagrees_elsewhere(data, capsys, monkeypatch):
    says(monkeypatch, settled=False, left_out={"t-2": "damaged"}, disagreements=[LOST])
    assert reconcile(data) == 1
    said = capsys.readouterr().err
    assert "3 of keys.dek.created in tenant t-1" in said
    assert "(the log of t-2 is damaged)" in said


def test_a_refusal_is_its_own_sentence(data, monkeypatch):
    says(monkeypatch, 500, title="The log does not hold what it should")
    with pytest.raises(RunnerError, match="does not hold what it should"):
        reconcile(data)
