"""Holds on a whole platform: in force within seconds, whoever was killed, and silent to whom they must be."""

import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from libs.client.errors import Refused
from services.runner.account import Account, Door, signed_in
from services.runner.children import UnixConnection
from services.runner.demo.script import person_of
from tests.e2e.runner.test_evidence import kept, ran
from tests.support.platform import Platform
from tests.support.town import Town, town

__all__ = ["town"]

pytestmark = pytest.mark.xdist_group("platform")

PASSWORD = "a password of some length"
ROLES = ("legal_counsel", "compliance_officer", "auditor", "it_admin", "employee")
SECONDS = 60.0


class Court:
    """People of a town, each signed in with one role."""

    def __init__(self, town: Town, doors: dict[str, Door]) -> None:
        self.platform = town.platform
        self.tenant = town.tenant
        self.principals = dict(zip(ROLES, map(str, town.principals), strict=True))
        self.doors = doors

    async def get(self, role: str, path: str) -> dict[str, Any]:
        return await self.doors[role].call("GET", path, dict[str, Any])

    async def post(self, role: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return await self.doors[role].call("POST", path, dict[str, Any], body=body)

    async def place(self, **terms: Any) -> dict[str, Any]:
        wanted = {"silent": True, "reason": "canary-7c2e", "custodians": [str(uuid4())], **terms}
        return await self.post("legal_counsel", "/holds/v1/holds", wanted)

    async def comes_to(self, hold: dict[str, Any], state: str) -> dict[str, Any]:
        """Wait until a hold is in a state, and return it."""
        shown: dict[str, Any] = await eventually(
            lambda: self.get("legal_counsel", f"/holds/v1/holds/{hold['hold']}"),
            lambda shown: shown["state"] == state,
        )
        return shown


async def eventually(ask: Callable[[], Any], holds: Callable[[Any], bool]) -> Any:
    deadline = time.monotonic() + SECONDS
    while not holds(answer := await ask()):
        assert time.monotonic() < deadline, answer
    return answer


@pytest.fixture
async def court(town: Town, tmp_path: Path) -> AsyncIterator[Court]:
    await town.settle(len(ROLES))
    place = f"/internal/tenants/{town.tenant.tenant}"
    doors: dict[str, Door] = {}
    async with AsyncExitStack() as stack:
        for number, role in enumerate(ROLES):
            principal = {"principal": str(town.principals[number])}
            town.platform.operator.call("POST", f"{place}/passwords", {**principal, "password": PASSWORD})
            if role != "employee":
                town.platform.operator.call("POST", f"{place}/roles", {**principal, "role": role})
            password = kept(tmp_path / f"password-{number}", PASSWORD.encode())
            account = Account(town.tenant.slug, person_of(number).user_name, password, town.platform.data)
            doors[role] = await stack.enter_async_context(signed_in(account))
        yield Court(town, doors)


def metrics_of(platform: Platform, name: str) -> str:
    """Return what a process of a service shows to whoever measures it."""
    connection = UnixConnection(Path(platform.facts["services"][name].removeprefix("unix:")), 5.0)
    connection.request("GET", "/metrics")
    return connection.getresponse().read().decode()


async def test_a_hold_is_in_force_within_seconds(court: Court):
    placed = await court.place()
    begun = time.monotonic()
    shown = await court.comes_to(placed, "in-force")
    assert time.monotonic() - begun < SECONDS
    assert all(each["confirmed_at"] for each in shown["executors"])


@pytest.mark.parametrize("executor", ["ediscovery", "keys", "messaging"])
async def test_an_executor_that_stands_still_keeps_a_hold_from_being_in_force(court: Court, executor: str):
    await court.comes_to(await court.place(), "in-force")
    process = {"messaging": "messaging-relay"}.get(executor, executor)
    court.platform.kill(process, signal.SIGSTOP)
    try:
        placed = await court.place()
        others = [each["executor"] for each in placed["executors"] if each["executor"] != executor]
        shown = await eventually(
            lambda: court.get("legal_counsel", f"/holds/v1/holds/{placed['hold']}"),
            lambda shown: not set(shown["missing"]) & set(others),
        )
        assert (shown["state"], shown["missing"]) == ("placed", [executor])

        async def measured() -> str:
            return metrics_of(court.platform, "holds")

        waits = f'muniment_holds_unconfirmed{{executor="{executor}"}} 1.0'
        await eventually(measured, lambda text: waits in text)
    finally:
        court.platform.kill(process, signal.SIGCONT)
    await court.comes_to(placed, "in-force")


@pytest.mark.parametrize("victim", ["holds", "messaging-relay", "keys", "ediscovery", "valkey"])
async def test_a_hold_comes_into_force_whoever_was_killed(court: Court, victim: str):
    placed = await court.place()
    court.platform.wait_for_restart(victim, court.platform.kill(victim))
    court.platform.wait_until_ready()
    await court.comes_to(placed, "in-force")


async def test_custodians_are_known_from_the_directory(court: Court):
    custodian, nobody = court.principals["employee"], str(uuid4())
    placed = await court.place(custodians=[custodian, nobody])
    shown = await eventually(
        lambda: court.get("legal_counsel", f"/holds/v1/holds/{placed['hold']}"),
        lambda shown: len(shown["unknown"]) == 1,
    )
    assert shown["unknown"] == [nobody]


async def test_a_silent_hold_shows_to_nobody_who_must_not_know(court: Court):
    custodian = court.principals["auditor"]
    hold = (await court.place(custodians=[custodian]))["hold"]
    for role in ("it_admin", "employee", "auditor"):
        with pytest.raises(Refused, match="Not found"):
            await court.get(role, f"/holds/v1/holds/{hold}")
    assert (await court.get("compliance_officer", f"/holds/v1/holds/{hold}"))["custodians"] == [custodian]


async def test_a_hold_ends_by_two_people_and_every_act_is_in_the_log(court: Court, tmp_path: Path):
    placed = await court.comes_to(await court.place(), "in-force")
    path = f"/holds/v1/holds/{placed['hold']}/release"
    request = await court.post("legal_counsel", path, {"reason": "canary-7c2e is over"})
    decision = {"approves": True, "digest": request["digest"]}
    with pytest.raises(Refused, match="Somebody else"):
        await court.post("legal_counsel", f"/holds/v1/approvals/{request['request']}", decision)
    password = tmp_path / f"password-{ROLES.index('compliance_officer')}"
    officer = ("--tenant", court.tenant.slug, "--user", person_of(1).user_name, "--password-file", password)
    approved = await ran(
        "approval",
        *officer,
        "--data",
        court.platform.data,
        "approve",
        request["request"],
        "--digest",
        request["digest"],
    )
    assert approved.returncode == 0, approved
    await court.comes_to(placed, "released")

    query = f"/audit/v1/entries?entity_kind=hold&entity={placed['hold']}&order=oldest"
    told = await eventually(lambda: court.get("auditor", query), lambda found: len(found["entries"]) == 5)
    assert [entry["action"] for entry in told["entries"]] == [
        "holds.hold.placed",
        "holds.hold.in-force",
        "holds.hold.release-requested",
        "holds.hold.release-approved",
        "holds.hold.released",
    ]
    assert {entry["visibility"] for entry in told["entries"]} == {"legal"}
    assert (await court.get("it_admin", query))["entries"] == []
    counted = await ran("audit", "reconcile", "--data", court.platform.data, "--json")
    assert counted.returncode == 0, counted
    for log in (court.platform.data / "log").glob("*.log"):
        assert "canary-7c2e" not in log.read_text(errors="replace"), log.name
