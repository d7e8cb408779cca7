"""`muniment audit verify` over a database: it names what is bad, and copies out what a stranger can check."""

import base64
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import psycopg
import pytest

from libs.contracts.facts import Run
from libs.evidence.detail import detail_object
from libs.evidence.folder import write_details, write_log
from libs.evidence.runs import ENTRIES_COMMITTED
from libs.evidence.trust import dump_trust
from libs.kernel.ids import TenantId
from services.audit.settings import Settings
from services.audit.store.log_source import DatabaseLog
from services.runner.configuration import Value, toml_of
from services.runner.peers import Operator
from services.runner.walk import Wish, kept_checkpoints, verify_logs
from tests.integration.audit.logs import TRUST, Logs, act, logs_in
from tests.support.engines import ROOT, ServiceDatabase
from tests.unit.evidence.logs import DETAIL, SALT, TENANT, MadeLog, leaves_of, note_of
from tests.unit.evidence.logs import TRUST as MADE_TRUST

ONE, TWO = TenantId(UUID(int=1)), TenantId(UUID(int=2))
SIZE = 300


@pytest.fixture
async def logs(database_of: Callable[[str], ServiceDatabase]) -> AsyncIterator[Logs]:
    """Give a database with two logs, of 300 entries and of one."""
    async with logs_in(database_of("audit")) as opened:
        await opened.sequence([(ONE, act()) for _ in range(SIZE)])
        await opened.integrate()
        await opened.sequence([(TWO, act())])
        await opened.integrate()
        yield opened


@pytest.fixture
def data(logs: Logs, tmp_path: Path) -> Path:
    """Give the data folder of a deployment of which the database alone runs."""
    table: dict[str, Value] = {
        "listen": "unix:/tmp/audit",
        "database": logs.database.dsn("audit_app").reveal(),
        "database_sequencer": logs.database.dsn("audit_sequencer").reveal(),
        "database_publisher": "postgresql:///none",
        "redis": "unix:///tmp/none",
        "service_key": "",
        "peer_keys": {},
    }
    names = [each.name for each in msgspec.structs.fields(Settings)]
    table |= {name: "unix:/tmp/none" for name in names if name.endswith("_url")}
    folder = tmp_path / "data"
    (folder / "run").mkdir(parents=True)
    settings = folder / "settings.toml"
    settings.write_text(toml_of({"audit": table}))
    settings.chmod(0o600)
    (folder / "run" / "deployment.json").write_text(json.dumps({"settings": str(settings)}))
    (folder / "trust.json").write_bytes(dump_trust(TRUST))
    return folder


def ran(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "services.runner", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def walked(data: Path, *arguments: object) -> "subprocess.CompletedProcess[str]":
    named = ("--tenant", ONE, "--tenant", TWO, "--trust", data / "trust.json")
    return ran("audit", "verify", "--data", data, *named, *arguments)


def verdicts(data: Path, *arguments: object) -> list[dict[str, Any]]:
    seen = json.loads(walked(data, "--json", *arguments).stdout)
    assert seen["ok"] == all(log["ok"] for log in seen["logs"])
    logs: list[dict[str, Any]] = seen["logs"]
    return logs


async def test_logs_that_hold_are_said_to(data: Path) -> None:
    seen = walked(data, "--platform")
    assert (seen.returncode, seen.stderr) == (0, "")
    assert f"{ONE}: all {SIZE} entries hold, each row of them; signed checkpoints: 1." in seen.stdout
    assert "_platform: all 0 entries hold" in seen.stdout
    assert [(log["ok"], log["size"], log["waiting"]) for log in verdicts(data)] == [
        (True, SIZE, 0),
        (True, 1, 0),
    ]


@pytest.mark.planted
async def test_a_log_that_does_not_hold_is_named_with_its_first_bad_index_and_the_others_are_walked_too(
    logs: Logs, data: Path
) -> None:
    logs.rows("UPDATE audit.detail SET outcome = 'refused' WHERE index >= 258 AND tenant = %s", ONE)
    seen = walked(data)
    assert seen.returncode == 1
    assert seen.stderr.startswith(f"muniment: the log {ONE} does not hold: entry 258: ")
    assert f"{TWO}: all 1 entries hold" in seen.stdout
    assert [(log["ok"], log.get("index")) for log in verdicts(data)] == [(False, 258), (True, None)]


@pytest.mark.planted
async def test_a_second_commit_of_one_place_is_named_though_both_are_signed(logs: Logs, data: Path) -> None:
    commit = msgspec.structs.replace(
        act(ENTRIES_COMMITTED), runs=(Run(conversation=UUID(int=7), first=1, last=3),), root=bytes(32)
    )
    again = msgspec.structs.replace(commit, act=UUID(int=8))
    await logs.sequence([(TWO, commit), (TWO, act()), (TWO, again)])
    await logs.integrate()
    assert [(log["ok"], log.get("index")) for log in verdicts(data)] == [(True, None), (False, 3)]


async def test_what_is_copied_out_is_checked_off_line_by_its_details_too(data: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    assert walked(data, "--export", copy).returncode == 0
    offline = ran("verify", copy / str(ONE), "--trust", copy / "trust.json")
    assert f"The details of {SIZE} entries are those that were committed." in offline.stdout, offline.stderr
    assert ran("verify", copy, "--trust", copy / "trust.json").stdout.count("those that were committed") == 2
    details = copy / str(ONE) / "details.jsonl"
    details.write_text(details.read_text().replace("identity.role.granted", "identity.role.revoked", 1))
    assert f"{ONE}: details.jsonl:1" in ran("verify", copy, "--trust", copy / "trust.json").stderr
    again = walked(data, "--export", copy)
    assert (again.returncode, "is not empty" in again.stderr) == (1, True)


@pytest.mark.planted
async def test_a_log_that_was_taken_away_is_found_by_the_copy_of_its_checkpoint(
    logs: Logs, data: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    assert walked(data, "--export", copy).returncode == 0
    for table in ("entry", "detail", "detail_entity", "checkpoint", "tile", "log"):
        logs.rows(f"DELETE FROM audit.{table} WHERE tenant = %s", ONE)
    assert [(log["ok"], log.get("reason")) for log in verdicts(data)] == [
        (False, "there is no such log"),
        (True, None),
    ]
    gone, there = verdicts(data, "--kept", copy)
    assert (gone["ok"], gone["index"], there["ok"]) == (False, 0, True)
    assert "truncated" in gone["reason"]


@pytest.mark.planted
async def test_a_log_is_walked_though_identity_knows_nothing_of_its_tenant(
    logs: Logs, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "operator.seed").write_bytes(base64.b64encode(bytes(32)))
    deployment = data / "run" / "deployment.json"
    facts = json.loads(deployment.read_text()) | {"operator_seed": str(data / "operator.seed")}
    deployment.write_text(json.dumps(facts))
    answered = {"tenants": [{"slug": "one", "tenant": str(ONE)}]}
    monkeypatch.setattr(Operator, "call", lambda *_arguments, **_named: answered)
    logs.rows("DELETE FROM audit.log WHERE tenant = %s", TWO)
    assert verify_logs(data, Wish(trust=data / "trust.json"), as_json=True) == 1
    seen = {log["log"]: log["ok"] for log in json.loads(capsys.readouterr().out)["logs"]}
    assert seen == {"one": True, "_platform": True, str(TWO): False}


@pytest.mark.parametrize("slug", ["checkpoint", "checkpoints"])
def test_a_copied_log_is_compared_with_whatever_its_tenant_is_called(tmp_path: Path, slug: str) -> None:
    further = [note_of(leaves_of(3))]
    write_log(tmp_path / slug, MadeLog(leaves_of(5), further=further))
    write_details(tmp_path / slug, [(0, detail_object(DETAIL), SALT)])
    assert kept_checkpoints(tmp_path, MADE_TRUST) == {TENANT: [note_of(leaves_of(5)), *further]}


@pytest.mark.planted
async def test_a_log_that_the_database_cannot_read_hides_no_other_one(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    published = DatabaseLog.published

    def broken(log: DatabaseLog) -> int:
        if log.tenant == ONE:
            raise psycopg.errors.DataCorrupted("missing chunk number 0 for toast value 16501\nof a tile")
        return published(log)

    monkeypatch.setattr(DatabaseLog, "published", broken)
    wish = Wish((str(ONE), str(TWO)), trust=data / "trust.json")
    assert verify_logs(data, wish, as_json=True) == 1
    one, two = json.loads(capsys.readouterr().out)["logs"]
    assert (one["ok"], one["where"], two["ok"]) == (False, "database", True)
    assert one["reason"] == "it cannot be read: missing chunk number 0 for toast value 16501"


async def test_keys_that_did_not_sign_are_not_enough(data: Path) -> None:
    (data / "trust.json").write_text('{"v": 1, "instance": "test.example", "keys": []}')
    assert [log["ok"] for log in verdicts(data)] == [False, False]
