"""Retention on a whole platform: what is due is counted where it lies, whoever is killed; holds keep it."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from libs.client.errors import Refused
from services.runner.account import Account, Door, signed_in
from services.runner.demo.script import person_of
from tests.e2e.runner.test_evidence import kept, ran
from tests.support.town import Town, town

__all__ = ["town"]

pytestmark = pytest.mark.xdist_group("platform")

PASSWORD = "a password of some length"
ROLES = ("employee", "guest", "compliance_officer", "legal_counsel", "auditor")
ADA, BEN = 0, 1
SENT = 4
SECONDS = 90.0


class Bureau:
    """Ada and Ben, who have written to each other, and those who answer for retention."""

    def __init__(self, town: Town, doors: dict[str, Door], room: UUID) -> None:
        self.town = town
        self.platform = town.platform
        self.room = room
        self.principals = [str(principal) for principal in town.principals]
        self.doors = doors

    async def get(self, path: str, role: str = "compliance_officer") -> dict[str, Any]:
        return await self.doors[role].call("GET", path, dict[str, Any])

    async def post(self, path: str, body: dict[str, Any], role: str = "compliance_officer") -> dict[str, Any]:
        return await self.doors[role].call("POST", path, dict[str, Any], body=body)

    async def answered(self, order: dict[str, Any]) -> dict[str, Any]:
        """Wait until an order is answered, and return what messaging found."""
        shown = await eventually(
            lambda: self.get(f"/retention/v1/orders/{order['order']}"),
            lambda shown: shown["state"] != "issued",
        )
        assert shown["state"] == "answered", shown
        (answer,) = shown["answers"]
        found: dict[str, Any] = answer
        return found

    async def tried(self) -> dict[str, Any]:
        """Order a dry run and return what messaging found."""
        return await self.answered(await self.post("/retention/v1/orders", {}))


async def eventually(ask: Callable[[], Any], holds: Callable[[Any], bool], seconds: float = SECONDS) -> Any:
    deadline = time.monotonic() + seconds
    while not holds(answer := await ask()):
        assert time.monotonic() < deadline, answer
    return answer


def items(answer: dict[str, Any], standing: str) -> int:
    """Return how many items of all classes stand so."""
    return sum(each[standing]["items"] for each in answer["classes"])


@pytest.fixture
async def bureau(town: Town, tmp_path: Path) -> AsyncIterator[Bureau]:
    ada, ben, *_ = await town.settle(len(ROLES))
    room = (await ada.create_conversation("direct", [town.principals[BEN]])).conversation
    async with AsyncExitStack() as stack:
        for client in (ada, ben):
            device = await stack.enter_async_context(client.device(lambda _: None, gateways=town.gateways))
            for number in range(SENT):
                await device.send(room, f"canary-51d0 {number}")
        doors: dict[str, Door] = {}
        place = f"/internal/tenants/{town.tenant.tenant}"
        for number, role in enumerate(ROLES):
            principal = {"principal": str(town.principals[number])}
            town.platform.operator.call("POST", f"{place}/passwords", {**principal, "password": PASSWORD})
            if role not in ("employee", "guest"):
                town.platform.operator.call("POST", f"{place}/roles", {**principal, "role": role})
            password = kept(tmp_path / f"password-{number}", PASSWORD.encode())
            account = Account(town.tenant.slug, person_of(number).user_name, password, town.platform.data)
            doors[role] = await stack.enter_async_context(signed_in(account))
        yield Bureau(town, doors, room)


async def test_what_an_erasure_asks_for_is_due_until_a_hold_keeps_it(bureau: Bureau):
    before = await bureau.tried()
    assert (items(before, "retained"), items(before, "ripe")) == (2 * SENT, 0)
    await bureau.post("/retention/v1/erasures", {"subject": bureau.principals[ADA]})
    erased = await bureau.tried()
    assert (items(erased, "ripe"), items(erased, "retained")) == (SENT, SENT)
    assert {each["trace"][0]["voice"] for each in erased["samples"] if each["standing"] == "ripe"} == {
        "erasure"
    }

    # Ben read what Ada wrote: a hold on him keeps it
    terms = {"silent": True, "reason": "canary-51d0", "custodians": [bureau.principals[BEN]]}
    placed = await bureau.post("/holds/v1/holds", terms, "legal_counsel")
    await eventually(
        lambda: bureau.get(f"/holds/v1/holds/{placed['hold']}", "legal_counsel"),
        lambda shown: shown["state"] == "in-force",
    )
    held = await bureau.tried()
    assert (items(held, "preserved"), items(held, "ripe")) == (SENT, 0)
    assert held["generation"] == erased["generation"] + 1
    assert held["digest"] != erased["digest"]


async def test_a_rule_from_a_preset_is_tried_and_every_act_is_in_the_log(bureau: Bureau):
    rule = await bureau.post("/retention/v1/rules", {"preset": "sec-17a-4"})
    await bureau.post("/retention/v1/locks", {"period": {"years": 1}})
    order = await bureau.post("/retention/v1/orders", {})
    answer = await bureau.answered(order)
    for sample in answer["samples"]:
        assert [step["voice"] for step in sample["trace"]] == ["floor", "preservation-lock"]
    query = f"/audit/v1/entries?entity_kind=disposition-order&entity={order['order']}&order=oldest"
    told = await eventually(lambda: bureau.get(query, "auditor"), lambda found: len(found["entries"]) == 2)
    assert [entry["action"] for entry in told["entries"]] == [
        "retention.order.issued",
        "retention.order.answered",
    ]
    named = {each["kind"]: each["id"] for each in told["entries"][1]["entities"]}
    assert named["result"] == answer["digest"]
    made = f"/audit/v1/entries?entity_kind=retention-rule&entity={rule['rule']}"
    await eventually(lambda: bureau.get(made, "auditor"), lambda found: len(found["entries"]) == 1)
    counted = await ran("audit", "reconcile", "--data", bureau.platform.data, "--json")
    assert counted.returncode == 0, counted
    for log in (bureau.platform.data / "log").glob("*.log"):
        assert "canary-51d0" not in log.read_text(errors="replace"), log.name


@pytest.mark.parametrize("victim", ["retention", "messaging-relay", "valkey"])
async def test_an_order_is_answered_once_whoever_was_killed(bureau: Bureau, victim: str):
    order = await bureau.post("/retention/v1/orders", {})
    bureau.platform.wait_for_restart(victim, bureau.platform.kill(victim))
    bureau.platform.wait_until_ready()
    answer = await bureau.answered(order)
    assert items(answer, "retained") == 2 * SENT


async def test_who_does_not_answer_for_retention_finds_nothing(bureau: Bureau):
    order = await bureau.post("/retention/v1/orders", {})
    for path in ("/retention/v1/rules", "/retention/v1/orders", f"/retention/v1/orders/{order['order']}"):
        with pytest.raises(Refused, match="Not found"):
            await bureau.get(path, "employee")


async def carried_out(bureau: Bureau) -> dict[str, Any]:
    """Try, ask, approve by another, and return the run's order as it was issued."""
    dry_run = await bureau.post("/retention/v1/orders", {})
    await bureau.answered(dry_run)
    path = f"/retention/v1/orders/{dry_run['order']}/run"
    request = await bureau.post(path, {"reason": "canary-51d0 asked for it"})
    decision = {"approves": True, "digest": request["digest"]}
    with pytest.raises(Refused, match="Somebody else"):
        await bureau.post(f"/retention/v1/approvals/{request['request']}", decision)
    await bureau.post(f"/retention/v1/approvals/{request['request']}", decision, "legal_counsel")
    listed = await bureau.get("/retention/v1/orders")
    (run,) = [each for each in listed["orders"] if each["dry_run"] == dry_run["order"]]
    order: dict[str, Any] = run
    return order


async def done(bureau: Bureau, order: dict[str, Any]) -> dict[str, Any]:
    """Wait until a run is over, and return what messaging did."""
    shown = await eventually(
        lambda: bureau.get(f"/retention/v1/orders/{order['order']}"),
        lambda shown: shown["state"] != "issued",
    )
    (completion,) = shown["completions"]
    did: dict[str, Any] = completion
    return did


@pytest.mark.parametrize("victim", [None, "messaging-relay", "retention"])
async def test_what_two_people_agreed_on_is_destroyed_and_readers_see_tombstones(
    bureau: Bureau, victim: str | None, tmp_path: Path
):
    await bureau.post("/retention/v1/erasures", {"subject": bureau.principals[ADA]})
    order = await carried_out(bureau)
    if victim is not None:
        bureau.platform.wait_for_restart(victim, bureau.platform.kill(victim))
        bureau.platform.wait_until_ready()
    did = await done(bureau, order)
    assert (did["refused"], did["hidden"], did["destroyed"]) == (None, SENT, SENT)
    history = await bureau.get(f"/messaging/v1/conversations/{bureau.room}/entries?limit=50", "guest")
    messages = [entry for entry in history["entries"] if entry["kind"] == "message_created"]
    assert [entry["actor"] for entry in messages if entry["disposed"]] == [bureau.principals[ADA]] * SENT
    assert all(entry["body"] is None for entry in messages if entry["disposed"])
    assert [entry["actor"] for entry in messages if entry["body"]] == [bureau.principals[BEN]] * SENT

    # what Ben is given as evidence holds, without what is gone
    out, tokens = tmp_path / "talk.json", (tmp_path / "reader", tmp_path / "auditor")
    for path, role in zip(tokens, ("guest", "auditor"), strict=True):
        kept(path, (await bureau.doors[role]._session.access_token()).encode())
    who = ("--origin", bureau.platform.origin, "--token-file", tokens[0], "--log-token-file", tokens[1])
    last = messages[-1]["seq"]
    taken = await ran("evidence", *who, "conversation", bureau.room, 1, last, "--out", out)
    assert (taken.returncode, taken.stderr) == (0, ""), taken
    trust = kept(tmp_path / "trust.json", bureau.platform.get("/keys/v1/trust.json").body)
    checked = await ran("verify", out, "--trust", trust)
    assert checked.returncode == 0, checked

    query = f"/audit/v1/entries?entity_kind=disposition-order&entity={order['order']}&order=oldest"
    told = await eventually(lambda: bureau.get(query, "auditor"), lambda found: len(found["entries"]) >= 4)
    first, *others = told["entries"]
    assert (first["action"], bool(first["approvals"])) == ("retention.order.issued", True)
    # Each service's facts come in its own order: nobody promises whose is first.
    assert "messaging.items.disposed" in [entry["action"] for entry in others]
    counted = await ran("audit", "reconcile", "--data", bureau.platform.data, "--json")
    assert counted.returncode == 0, counted


async def test_a_hold_that_came_after_the_approval_keeps_everything(bureau: Bureau):
    await bureau.post("/retention/v1/erasures", {"subject": bureau.principals[ADA]})
    dry_run = await bureau.post("/retention/v1/orders", {})
    await bureau.answered(dry_run)
    request = await bureau.post(f"/retention/v1/orders/{dry_run['order']}/run", {"reason": "canary-51d0"})
    terms = {"silent": True, "reason": "canary-51d0", "custodians": [bureau.principals[BEN]]}
    placed = await bureau.post("/holds/v1/holds", terms, "legal_counsel")
    await eventually(
        lambda: bureau.get(f"/holds/v1/holds/{placed['hold']}", "legal_counsel"),
        lambda shown: shown["state"] == "in-force",
    )
    decision = {"approves": True, "digest": request["digest"]}
    await bureau.post(f"/retention/v1/approvals/{request['request']}", decision, "legal_counsel")
    listed = await bureau.get("/retention/v1/orders")
    (run,) = [each for each in listed["orders"] if each["dry_run"] == dry_run["order"]]
    did = await done(bureau, run)
    assert (did["refused"], did["hidden"], did["destroyed"]) == ("GenerationPassed", 0, 0)
    history = await bureau.get(f"/messaging/v1/conversations/{bureau.room}/entries?limit=50", "guest")
    assert not any(entry["disposed"] for entry in history["entries"])
