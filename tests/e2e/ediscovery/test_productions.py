"""A production is asked for, approved by another, made and taken: all that was said comes out, and holds."""

import json
import time
import zipfile
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from libs.client.errors import Refused
from libs.contracts.socket import body_of
from libs.evidence.errors import EvidenceRefused
from libs.evidence.production.manifest import Format
from libs.evidence.production.readback import read_back
from libs.evidence.trust import parse_trust
from libs.evidence.verify import verify_path
from services.runner.demo.script import person_of
from tests.e2e.ediscovery.test_matters import BEN, MATTERS, ROLES, SECONDS, Chambers, chambers
from tests.e2e.runner.test_evidence import kept, ran
from tests.support.town import town

__all__ = ["chambers", "town"]

pytestmark = pytest.mark.xdist_group("platform")

REVIEWER, ADMIN, OFFICER = ROLES.index("reviewer"), ROLES.index("it_admin"), ROLES.index("compliance_officer")


async def asked(chambers: Chambers, matter: str, form: str = "jsonl", **more: Any) -> dict[str, Any]:
    """Ask for a production, and let the compliance officer, who becomes a member, approve it."""
    place = f"{MATTERS}/{matter}"
    await chambers.post(f"{place}/members", {"principal": chambers.principals[OFFICER]})
    wanted = {"format": form, "reason": "canary-77aa", **more}
    shown = await chambers.post(f"{place}/productions", wanted)
    request = shown["request"]
    answer = {"approves": True, "digest": request["digest"]}
    await chambers.post(f"/ediscovery/v1/approvals/{request['request']}", answer, "compliance_officer")
    return shown


async def made(chambers: Chambers, shown: dict[str, Any]) -> dict[str, Any]:
    """Wait until a production is made."""
    place = f"{MATTERS}/{shown['matter']}/productions/{shown['production']}"
    deadline = time.monotonic() + SECONDS
    while (now := await chambers.get(place))["state"] != "made":
        assert now["failure"] is None, now
        assert time.monotonic() < deadline, now
    return now


async def taken(chambers: Chambers, shown: dict[str, Any], to: Path) -> Path:
    place = f"{MATTERS}/{shown['matter']}/productions/{shown['production']}"
    await chambers.doors["legal_counsel"].save(f"{place}/download", to)
    return to


def files_in(production: Path) -> dict[str, bytes]:
    """Return the files of a production but for the manifest, which alone says when it was made."""
    with zipfile.ZipFile(production) as file:
        return {name: file.read(name) for name in file.namelist() if not name.startswith("manifest.")}


def texts_in(files: dict[str, bytes], form: str) -> list[str]:
    """Return the texts of messages, in order of conversation and seq."""
    entries = [
        entry
        for name, data in files.items()
        if name.startswith("data/")
        for entry in read_back(Format(form), data, name)
        if entry.body is not None
    ]
    entries.sort(key=lambda entry: (entry.conversation, entry.seq))
    texts = [entry.body or b"" for entry in entries]
    return [body_of(text).text or "" if text.startswith(b"{") else text.decode() for text in texts]


@pytest.mark.parametrize("form", ["jsonl", "eml", "eml-day", "rsmf"])
async def test_what_was_said_comes_out_and_holds_off_line(
    chambers: Chambers, form: str, tmp_path: Path
) -> None:
    matter = await chambers.matter()
    shown = await made(chambers, await asked(chambers, matter, form, bates={"prefix": "ACME-"}))
    counts = shown["counts"]
    assert counts["produced"] >= 3
    assert counts["in_scope"] == counts["produced"] + sum(counts["excluded"].values()) == shown["entries"]
    assert counts["errors"] == 0
    production = await taken(chambers, shown, tmp_path / "production.zip")
    trust = parse_trust(chambers.platform.get("/keys/v1/trust.json").body)
    report = verify_path(production, trust)
    assert "no conversation and no entry of the scope is left out" in " ".join(report.says)
    texts = texts_in(files_in(production), form)
    changes = [text for text in texts if text in ("Plans", "Great plans", "Spring", "Spring it is")]
    assert changes == ["Plans", "Great plans", "Spring", "Spring it is"]
    said = [text for text in texts if "canary" in text]
    assert said == [f"the zebra canary-51c8 number{number} goes to {BEN}" for number in range(3)]
    data = bytearray(production.read_bytes())
    data[len(data) // 3] ^= 1
    with pytest.raises(EvidenceRefused):
        verify_path(kept(tmp_path / "tampered.zip", bytes(data)), trust)


async def test_a_query_leaves_out_what_does_not_match(chambers: Chambers, tmp_path: Path) -> None:
    shown = await made(chambers, await asked(chambers, await chambers.matter(), query="zebra number1"))
    assert shown["counts"]["produced"] == 1
    assert shown["counts"]["excluded"]["query"] == shown["entries"] - 1
    files = files_in(await taken(chambers, shown, tmp_path / "production.zip"))
    assert texts_in(files, "jsonl") == [f"the zebra canary-51c8 number1 goes to {BEN}"]


async def test_a_production_whose_process_is_killed_comes_out_the_same(
    chambers: Chambers, tmp_path: Path
) -> None:
    matter = await chambers.matter()
    whole = await made(chambers, await asked(chambers, matter))
    cut = await asked(chambers, matter)
    platform = chambers.platform
    platform.wait_for_restart("ediscovery", platform.kill("ediscovery"))
    platform.wait_until_ready()
    ended = await made(chambers, cut)
    one = files_in(await taken(chambers, whole, tmp_path / "one.zip"))
    other = files_in(await taken(chambers, ended, tmp_path / "other.zip"))
    data = {name: content for name, content in one.items() if name.startswith("data/")}
    assert data
    assert data == {name: content for name, content in other.items() if name.startswith("data/")}
    assert ended["counts"] == whole["counts"]


async def test_nobody_but_members_with_their_roles_asks_approves_and_takes(chambers: Chambers) -> None:
    matter = await chambers.matter()
    place = f"{MATTERS}/{matter}/productions"
    wanted = {"format": "jsonl", "reason": "canary-77aa"}
    for role in ROLES[1:]:
        with pytest.raises(Refused, match="Not found"):
            await chambers.post(place, wanted, role)
    for number in (REVIEWER, ADMIN):
        await chambers.post(f"{MATTERS}/{matter}/members", {"principal": chambers.principals[number]})
    shown = await chambers.post(place, wanted)
    approval = f"/ediscovery/v1/approvals/{shown['request']['request']}"
    answer = {"approves": True, "digest": shown["request"]["digest"]}
    with pytest.raises(Refused, match="Somebody else"):
        await chambers.post(approval, answer)  # nobody approves what he asked for
    for role in ROLES[1:]:
        with pytest.raises(Refused, match=r"(?i)not found|no such"):
            await chambers.post(approval, answer, role)
    with pytest.raises(Refused):
        await chambers.get(f"{place}/{shown['production']}/download")  # it is not made
    for role in ("it_admin", "auditor", "employee"):
        with pytest.raises(Refused, match="Not found"):
            await chambers.get(f"{place}/{shown['production']}", role)
    with pytest.raises(Refused, match="Not found"):
        await chambers.get(f"{place}/{uuid4()}")
    ended = await made(chambers, await asked(chambers, matter))
    for role in ("reviewer", "compliance_officer"):
        assert (await chambers.get(f"{place}/{ended['production']}", role))["state"] == "made"
        with pytest.raises(Refused, match="Not found"):
            await chambers.get(f"{place}/{ended['production']}/download", role)


async def test_each_step_is_in_the_chain_of_custody(chambers: Chambers, tmp_path: Path) -> None:
    matter = await chambers.matter()
    shown = await made(chambers, await asked(chambers, matter))
    await taken(chambers, shown, tmp_path / "production.zip")
    query = f"/audit/v1/entries?entity_kind=matter&entity={matter}&order=newest"
    deadline = time.monotonic() + SECONDS
    while True:
        told = (await chambers.get(query, "auditor"))["entries"]
        if told and told[0]["action"] == "ediscovery.production.taken":
            break
        assert time.monotonic() < deadline, told
    assert [entry["action"] for entry in reversed(told)][-4:] == [
        "ediscovery.production.requested",
        "ediscovery.production.approved",
        "ediscovery.production.made",
        "ediscovery.production.taken",
    ]
    counted = await ran("audit", "reconcile", "--data", chambers.platform.data, "--json")
    assert counted.returncode == 0, counted
    for log in (chambers.platform.data / "log").glob("*.log"):
        assert "canary-77aa" not in log.read_text(errors="replace"), log.name


async def test_the_command_line_asks_lists_and_takes(chambers: Chambers, tmp_path: Path) -> None:
    def account(number: int) -> tuple[object, ...]:
        who = ("--tenant", chambers.tenant.slug, "--user", person_of(number).user_name)
        return (*who, "--password-file", tmp_path / f"password-{number}", "--data", chambers.platform.data)

    matter = await chambers.matter()
    await chambers.post(f"{MATTERS}/{matter}/members", {"principal": chambers.principals[OFFICER]})
    counsel = ("matter", *account(0))
    wanted = ("produce", matter, "--format", "eml", "--bates", "ACME-", "--reason", "Order", "--json")
    asked_for = await ran(*counsel, *wanted)
    assert asked_for.returncode == 0, asked_for
    shown = json.loads(asked_for.stdout)
    request = shown["request"]
    approved = await ran(
        "approval", *account(OFFICER), "approve", request["request"], "--digest", request["digest"]
    )
    assert approved.returncode == 0, approved
    await made(chambers, shown)
    listed = await ran(*counsel, "productions", matter)
    assert f"{shown['production']}  made     eml" in listed.stdout, listed
    file = tmp_path / "taken.zip"
    took = await ran(*counsel, "take", matter, shown["production"], "--to", file)
    assert took.returncode == 0, took
    trust = kept(tmp_path / "trust.json", chambers.platform.get("/keys/v1/trust.json").body)
    assert (await ran("verify", file, "--trust", trust)).returncode == 0
    again = await ran(*counsel, "take", matter, shown["production"], "--to", file)
    assert again.returncode == 1
    assert "is there already" in again.stderr
