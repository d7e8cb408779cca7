"""`muniment evidence` writes what `muniment verify` accepts, or one sentence and no file."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from libs.evidence.trust import Trust, dump_trust
from tests.integration.runner.test_commands import ran, refusal
from tests.unit.client.test_evidence import TALK, Platform, change_body
from tests.unit.evidence.logs import TRUST


class Served:
    """The platform of the SDK's tests, on a port of its own."""

    def __init__(self, folder: Path) -> None:
        self.platform = Platform()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self.answering())
        self.token, self.log_token, self.trust = folder / "token", folder / "log-token", folder / "trust.json"
        self.token.write_text("participant\n")
        self.log_token.write_text("auditor\n")
        self.trust.write_bytes(dump_trust(TRUST))

    @property
    def who(self) -> tuple[object, ...]:
        """Return what the command is told of the origin and of who asks."""
        origin = f"http://127.0.0.1:{self.server.server_port}"
        return "--origin", origin, "--token-file", self.token, "--log-token-file", self.log_token

    def answering(self) -> type[BaseHTTPRequestHandler]:
        platform = self.platform

        class Answering(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                url = f"http://muniment.test{self.path}"
                answer = platform.answer(httpx.Request("GET", url, headers=dict(self.headers)))
                self.send_response(answer.status_code)
                self.end_headers()
                self.wfile.write(answer.content)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Answering


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    made = Served(tmp_path)
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def test_a_conversation_is_written_and_holds_off_line(served: Served, tmp_path: Path) -> None:
    out = tmp_path / "talk.json"
    taken = ran("evidence", *served.who, "--json", "conversation", TALK, 5, 9, "--out", out)
    assert taken.returncode == 0, taken
    told = json.loads(taken.stdout)
    assert (told["ok"], told["kind"], told["entries"]) == (True, "conversation-range", 5)
    assert out.stat().st_mode & 0o777 == 0o600
    checked = ran("verify", out, "--trust", served.trust)
    assert checked.returncode == 0, checked
    assert {who for who, path in served.platform.asked if "/messaging/" in path} == {"Bearer participant"}


def test_an_act_is_written_under_keys_that_are_trusted_from_elsewhere(served: Served, tmp_path: Path) -> None:
    out = tmp_path / "act.json"
    taken = ran("evidence", *served.who, "--trust", served.trust, "act", UUID(int=4), "--out", out)
    assert taken.returncode == 0, taken
    assert "is in the log" in taken.stdout
    assert not any("trust.json" in path for _, path in served.platform.asked)
    none = tmp_path / "none.json"
    none.write_bytes(dump_trust(Trust(TRUST.instance, ())))
    sentence = refusal(
        "evidence", *served.who, "--trust", none, "act", UUID(int=4), "--out", tmp_path / "other.json"
    )
    assert "does not hold" in sentence
    assert not (tmp_path / "other.json").exists()


@pytest.mark.planted
def test_what_does_not_hold_is_not_written(served: Served, tmp_path: Path) -> None:
    served.platform.change = change_body
    out = tmp_path / "talk.json"
    sentence = refusal("evidence", *served.who, "conversation", TALK, 5, 9, "--out", out)
    assert "does not hold" in sentence
    assert not out.exists()


def test_no_evidence_is_written_over_and_then_nobody_is_asked(served: Served, tmp_path: Path) -> None:
    out = tmp_path / "act.json"
    out.write_text("kept")
    assert "is there already" in refusal("evidence", *served.who, "act", UUID(int=4), "--out", out)
    assert out.read_text() == "kept"
    assert served.platform.asked == []


def test_a_platform_that_is_not_there_is_one_sentence(served: Served, tmp_path: Path) -> None:
    out = tmp_path / "act.json"
    nowhere = ("--origin", "http://127.0.0.1:1", "--token-file", served.token)
    assert "did not answer" in refusal("evidence", *nowhere, "act", UUID(int=4), "--out", out)
    missing = ("--origin", "http://127.0.0.1:1", "--token-file", tmp_path / "absent")
    assert "absent" in refusal("evidence", *missing, "act", UUID(int=4), "--out", out)
