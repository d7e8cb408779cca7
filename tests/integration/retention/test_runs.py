"""A run is asked for by one person, approved by another who saw the same hash, and ordered once."""

from collections import Counter
from typing import Any
from uuid import UUID, uuid4

import pytest

from libs.contracts.retention import MessagingOrderCompleted
from services.retention.domain.errors import AnswerForeign
from services.retention.store.books import PostgresAnswers
from services.retention.usecases.runs import take_completion
from tests.integration.retention.office import COUNSEL, OFFICER, OURS, THEIRS, Office
from tests.integration.retention.test_doors import THREE_YEARS, found

ANOTHER = f"legal_counsel/{COUNSEL}"


async def tried(office: Office) -> dict[str, Any]:
    """Return a dry run that was answered."""
    order = (await office.did("/orders", {}))["order"]
    await office.answered(await found(office, order))
    shown: dict[str, Any] = await office.shown(f"/orders/{order}")
    return shown


async def asked(office: Office, dry_run: dict[str, Any]) -> dict[str, Any]:
    """Ask for its result to be carried out, and return the request."""
    request: dict[str, Any] = await office.did(f"/orders/{dry_run['order']}/run", {"reason": "canary-3f"})
    return request


async def decided(office: Office, request: dict[str, Any], *, approves: bool = True, **who: Any) -> Any:
    """Decide on a request as another person."""
    body = {"approves": approves, "digest": request["digest"]}
    return await office.ask("POST", f"/approvals/{request['request']}", body, **{"role": ANOTHER, **who})


def issued(office: Office) -> list[dict[str, Any]]:
    """Return the runs that were ordered."""
    orders = [each["data"] for each in office.outbox() if each["type"] == "retention.order.issued.v1"]
    return [order for order in orders if order["kind"] == "run"]


async def completed(office: Office, order: str, **fields: Any) -> None:
    """Take in what messaging did."""
    async with office.projecting.begin() as tx:
        answers = PostgresAnswers(tx, office.clock, office.ids)
        event = MessagingOrderCompleted(order=UUID(order), **fields)
        tenant = fields.pop("tenant", OURS)
        await take_completion(answers, tenant, "messaging", event, office.clock.now(), office.ids)


async def test_what_another_person_approves_is_ordered_as_it_was_tried(office: Office) -> None:
    await office.did("/rules", THREE_YEARS)
    dry_run = await tried(office)
    request = await asked(office, dry_run)
    assert request["digest"] == dry_run["answers"][0]["digest"]
    assert issued(office) == []
    approved = await decided(office, request)
    assert (approved.status_code, approved.json()["state"]) == (200, "used")
    (order,) = issued(office)
    assert (order["dry_run"], order["generation"]) == (dry_run["order"], 4)
    first = next(each for each in office.outbox() if each["type"] == "retention.order.issued.v1")
    assert order["terms"] == first["data"]["terms"]
    shown = await office.shown(f"/orders/{order['order']}")
    assert (shown["kind"], shown["state"], shown["missing"]) == ("run", "issued", ["messaging"])
    await completed(office, order["order"], hidden=3, destroyed=2, bytes=99)
    await completed(office, order["order"], hidden=3, destroyed=2, bytes=99)
    shown = await office.shown(f"/orders/{order['order']}")
    assert (shown["state"], shown["missing"], shown["answers"]) == ("done", [], [])
    (done,) = shown["completions"]
    assert (done["hidden"], done["destroyed"], done["bytes"], done["refused"]) == (3, 2, 99, None)


async def test_a_run_that_messaging_ended_early_has_failed(office: Office) -> None:
    await decided(office, await asked(office, await tried(office)))
    (order,) = issued(office)
    await completed(office, order["order"], refused="GenerationPassed")
    shown = await office.shown(f"/orders/{order['order']}")
    assert (shown["state"], shown["completions"][0]["refused"]) == ("failed", "GenerationPassed")


@pytest.mark.planted
async def test_who_asked_and_whose_erasure_it_is_cannot_approve(office: Office) -> None:
    await office.did("/erasures", {"subject": str(COUNSEL)})
    request = await asked(office, await tried(office))
    for who in (f"compliance_officer/{OFFICER}", ANOTHER):
        refused = await decided(office, request, role=who)
        assert (refused.status_code, refused.json()["code"]) == (403, "approver-refused")
    assert issued(office) == []
    third = await decided(office, request, role=f"legal_counsel/{uuid4()}")
    assert third.status_code == 200
    assert len(issued(office)) == 1


@pytest.mark.planted
async def test_another_hash_and_another_role_and_another_tenant_approve_nothing(office: Office) -> None:
    request = await asked(office, await tried(office))
    lie = {**request, "digest": "00" * 32}
    assert (await decided(office, lie)).json()["code"] == "digest-differs"
    for role in ("auditor", "employee", "it_admin"):
        assert (await decided(office, request, role=f"{role}/{COUNSEL}")).status_code == 404
    assert (await decided(office, request, tenant=THEIRS)).status_code == 404
    assert issued(office) == []


async def test_a_refused_request_may_be_followed_by_another_and_an_approved_one_not(office: Office) -> None:
    dry_run = await tried(office)
    request = await asked(office, dry_run)
    again = await office.ask("POST", f"/orders/{dry_run['order']}/run", {"reason": "again"})
    assert (again.status_code, again.json()["code"]) == (409, "run-pending")
    assert (await decided(office, request, approves=False)).json()["state"] == "refused"
    assert (await decided(office, await asked(office, dry_run))).json()["state"] == "used"
    once_more = await office.ask("POST", f"/orders/{dry_run['order']}/run", {"reason": "once more"})
    assert once_more.json()["code"] == "run-pending"
    assert len(issued(office)) == 1


async def test_what_was_found_by_other_rules_or_locks_is_not_carried_out(office: Office) -> None:
    await office.did("/rules", THREE_YEARS)
    dry_run = await tried(office)
    request = await asked(office, dry_run)
    await office.did("/locks", {"period": {"years": 5}})
    refused = await decided(office, request)
    assert (refused.status_code, refused.json()["code"]) == (409, "run-refused")
    assert issued(office) == []
    assert (await office.shown(f"/approvals/{request['request']}"))["state"] == "pending"
    later = await office.ask("POST", f"/orders/{dry_run['order']}/run", {"reason": "later"})
    assert later.json()["code"] == "run-refused"


async def test_what_was_not_answered_and_a_run_itself_are_not_carried_out(office: Office) -> None:
    waiting = await office.did("/orders", {})
    refused = await office.ask("POST", f"/orders/{waiting['order']}/run", {"reason": "soon"})
    assert refused.json()["code"] == "run-refused"
    await decided(office, await asked(office, await tried(office)))
    run = issued(office)[0]["order"]
    assert (await office.ask("POST", f"/orders/{run}/run", {"reason": "anew"})).json()[
        "code"
    ] == "run-refused"
    assert (await office.ask("POST", f"/orders/{uuid4()}/run", {"reason": "?"})).status_code == 404
    dry = await tried(office)
    silent = await office.ask("POST", f"/orders/{dry['order']}/run", {"reason": " "})
    assert silent.json()["code"] == "reason-refused"


@pytest.mark.planted
async def test_what_was_never_to_be_carried_out_is_not_believed_to_be(office: Office) -> None:
    dry_run = await tried(office)
    for order in (dry_run["order"], str(uuid4())):
        with pytest.raises(AnswerForeign):
            await completed(office, order)


async def test_every_act_has_one_fact_and_reasons_are_in_none(office: Office) -> None:
    dry_run = await tried(office)
    await decided(office, await asked(office, dry_run), approves=False)
    await decided(office, await asked(office, dry_run))
    await completed(office, issued(office)[0]["order"])
    facts = office.facts()
    assert Counter(fact["action"] for fact in facts) == office.acts()
    assert office.acts()["retention.run.requested"] == 2
    assert all("canary-3f" not in str(each) for each in office.outbox())
    used = [fact for fact in facts if fact["action"] == "retention.order.issued" and fact.get("approvals")]
    assert len(used) == 1
