"""Rules, locks, erasures and orders over HTTP: versions are added, others see nothing, each act is told."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from libs.contracts.events import EVENTS, decode
from libs.contracts.retention import ClassFound, MessagingOrderAnswered, Sample, digest_of_result
from services.retention.domain.errors import AnswerForeign
from tests.integration.retention.office import NOON, OFFICER, OURS, THEIRS, Office

THREE_YEARS = {"kind": "deletion", "period": {"years": 3}, "grace_days": 30}
ROLES = ("employee", "guest", "it_admin", "reviewer", "key_custodian")


async def test_a_rule_is_made_changed_and_ended_and_every_version_stays(office: Office) -> None:
    made = await office.did("/rules", THREE_YEARS)
    assert (made["version"], made["kind"], made["grace_seconds"]) == (1, "deletion", 30 * 86_400)
    changed = await office.did(
        f"/rules/{made['rule']}/versions",
        {**THREE_YEARS, "period": {"years": 2, "months": 6}, "conversation_types": ["group"], "version": 1},
    )
    assert (changed["version"], changed["conversation_types"]) == (2, ["group"])
    ended = await office.did(f"/rules/{made['rule']}/end", {"version": 2})
    assert (ended["version"], ended["ended"], ended["period"]) == (3, True, changed["period"])
    versions = (await office.shown(f"/rules/{made['rule']}"))["rules"]
    assert versions == [made, changed, ended]
    assert (await office.shown("/rules"))["rules"] == [ended]


async def test_of_two_who_change_the_same_version_one_is_refused(office: Office) -> None:
    rule = (await office.did("/rules", THREE_YEARS))["rule"]
    change = {**THREE_YEARS, "version": 1}
    both = await asyncio.gather(*(office.ask("POST", f"/rules/{rule}/versions", change) for _ in range(2)))
    assert sorted(each.status_code for each in both) == [201, 409]
    late = await office.ask("POST", f"/rules/{rule}/versions", change)
    assert late.json()["code"] == "version-passed"
    assert len((await office.shown(f"/rules/{rule}"))["rules"]) == 2


async def test_an_ended_rule_is_not_changed_any_more(office: Office) -> None:
    rule = (await office.did("/rules", THREE_YEARS))["rule"]
    await office.did(f"/rules/{rule}/end", {"version": 1})
    refused = await office.ask("POST", f"/rules/{rule}/versions", {**THREE_YEARS, "version": 2})
    assert (refused.status_code, refused.json()["code"]) == (409, "rule-ended")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"kind": "deletion"}, "retention-refused"),
        ({"period": {"years": 1}}, "retention-refused"),
        ({"kind": "deletion", "period": {}}, "retention-refused"),
        ({"kind": "deletion", "period": {"years": 201}}, "retention-refused"),
        ({"kind": "floor", "period": {"years": 1}, "grace_days": 1}, "retention-refused"),
        ({**THREE_YEARS, "conversations": []}, "retention-refused"),
        ({**THREE_YEARS, "conversation_types": []}, "retention-refused"),
        ({**THREE_YEARS, "conversation_types": ["fax"]}, "invalid"),
        ({"kind": "deletion", "period": {"years": -1}}, "invalid"),
        ({"preset": "unheard-of"}, "retention-refused"),
        ({"preset": "sec-17a-4", "kind": "deletion"}, "retention-refused"),
        ({"preset": "sec-17a-4", "period": {"years": 2, "months": 11}}, "period-refused"),
        ({"preset": "gdpr-storage-limitation"}, "period-refused"),
    ],
)
async def test_what_is_no_rule_is_refused_with_its_reason(office: Office, body: object, code: str) -> None:
    refused = await office.ask("POST", "/rules", body)
    assert (refused.status_code, refused.json()["code"]) == (422, code)
    assert office.outbox() == []


async def test_a_rule_from_a_preset_has_the_periods_of_the_regulation(office: Office) -> None:
    presets = {each["name"]: each for each in (await office.shown("/presets"))["presets"]}
    made = await office.did("/rules", {"preset": "finra-4511"})
    assert made["period"] == presets["finra-4511"]["period"] == {"years": 6, "months": 0, "days": 0}
    assert (made["kind"], made["preset"]) == ("floor", "finra-4511")


async def test_a_lock_is_extended_and_never_shortened(office: Office) -> None:
    made = await office.did("/locks", {"period": {"years": 3}, "conversation_types": ["group"]})
    path = f"/locks/{made['lock']}/extensions"
    wider = {"period": {"years": 4}, "conversation_types": ["direct", "group"]}
    extended = await office.did(path, {**wider, "version": 1})
    assert (extended["version"], extended["period"]["years"]) == (2, 4)
    for less in (
        {"period": {"years": 3}, "conversation_types": ["direct", "group"]},
        {"period": {"years": 5}, "conversation_types": ["group"]},
    ):
        refused = await office.ask("POST", path, {**less, "version": 2})
        assert (refused.status_code, refused.json()["code"]) == (422, "period-refused")
    assert (await office.ask("POST", path, {**wider, "version": 1})).json()["code"] == "version-passed"
    assert (await office.shown("/locks"))["locks"] == [extended]


@pytest.mark.parametrize("role", ROLES)
async def test_whoever_is_neither_control_nor_counsel_finds_nothing(office: Office, role: str) -> None:
    rule = (await office.did("/rules", THREE_YEARS))["rule"]
    lock = (await office.did("/locks", {"period": {"years": 3}}))["lock"]
    order = (await office.did("/orders", {}))["order"]
    asked = [
        await office.ask("GET", path, role=role)
        for path in ("/rules", f"/rules/{rule}", "/locks", "/erasures", "/orders", f"/orders/{order}")
    ] + [
        await office.ask("POST", path, body, role=role)
        for path, body in (
            ("/rules", THREE_YEARS),
            (f"/rules/{rule}/versions", {**THREE_YEARS, "version": 1}),
            (f"/rules/{rule}/end", {"version": 1}),
            ("/locks", {"period": {"years": 3}}),
            (f"/locks/{lock}/extensions", {"period": {"years": 4}, "version": 1}),
            ("/erasures", {"subject": str(uuid4())}),
            ("/orders", {}),
        )
    ]
    assert {answer.status_code for answer in asked} == {404}
    assert {answer.json()["code"] for answer in asked} == {"not-found"}
    await office.tell_denials(everything=True)
    denied = [fact for fact in office.facts() if fact["action"] == "retention.access.denied"]
    assert sum(fact.get("count", 1) for fact in denied) == len(asked)


@pytest.mark.parametrize("role", ["legal_counsel", "auditor"])
async def test_counsel_and_auditors_read_and_change_nothing(office: Office, role: str) -> None:
    made = await office.did("/rules", THREE_YEARS)
    assert (await office.shown("/rules", role=role))["rules"] == [made]
    assert (await office.ask("POST", "/rules", THREE_YEARS, role=role)).status_code == 404
    assert (await office.ask("POST", "/orders", {}, role=role)).status_code == 404


async def test_another_tenant_sees_nothing_of_it(office: Office) -> None:
    rule = (await office.did("/rules", THREE_YEARS))["rule"]
    order = (await office.did("/orders", {}))["order"]
    assert (await office.shown("/rules", tenant=THEIRS))["rules"] == []
    assert (await office.shown("/orders", tenant=THEIRS))["orders"] == []
    assert (await office.ask("GET", f"/rules/{rule}", tenant=THEIRS)).status_code == 404
    assert (await office.ask("GET", f"/orders/{order}", tenant=THEIRS)).status_code == 404


async def test_an_order_carries_every_claim_that_is_in_force_and_no_other(office: Office) -> None:
    kept = await office.did("/rules", THREE_YEARS)
    ended = await office.did("/rules", {"preset": "sec-17a-4"})
    await office.did(f"/rules/{ended['rule']}/end", {"version": 1})
    lock = await office.did("/locks", {"period": {"months": 6}})
    subject = uuid4()
    erasure = await office.did("/erasures", {"subject": str(subject)})
    order = await office.did("/orders", {"as_of": (NOON - timedelta(days=1)).isoformat()})
    assert (order["state"], order["missing"]) == ("issued", ["messaging"])
    assert (order["rules"], order["locks"], order["erasures"]) == (1, 1, 1)
    issued = [each for each in office.outbox() if each["type"] == "retention.order.issued.v1"]
    terms = issued[0]["data"]["terms"]
    assert [each["rule"] for each in terms["rules"]] == [kept["rule"]]
    assert [each["lock"] for each in terms["locks"]] == [lock["lock"]]
    assert [each["subject"] for each in terms["erasures"]] == [str(subject)] == [erasure["subject"]]
    assert terms["as_of"] == "2026-11-23T12:00:00Z"
    future = await office.ask("POST", "/orders", {"as_of": (NOON + timedelta(seconds=1)).isoformat()})
    assert future.json()["code"] == "retention-refused"


async def found(office: Office, order: str, ripe: int = 2) -> MessagingOrderAnswered:
    """Return what messaging answers when it found something."""
    rows = office.rows("SELECT body FROM retention.outbox WHERE name = 'retention.order.issued.v1'")
    orders = {str(event.order): event for _, event in (decode(bytes(body)) for (body,) in rows)}  # type: ignore[union-attr]
    terms = orders[order].terms  # type: ignore[union-attr]
    classes = (ClassFound(conversation_type="group", retained=5, ripe=ripe, ripe_bytes=99, last_at=NOON),)
    sample = Sample(conversation=UUID(int=5), seq=3, sent_at=NOON, standing="ripe")
    return MessagingOrderAnswered(
        order=UUID(order),
        generation=4,
        digest=digest_of_result(OURS, terms, 4, classes),
        classes=classes,
        samples=(sample,),
    )


async def test_an_answer_is_shown_with_the_hash_that_an_approval_will_name(office: Office) -> None:
    await office.did("/rules", THREE_YEARS)
    order = (await office.did("/orders", {}))["order"]
    answer = await found(office, order)
    await office.answered(answer)
    await office.answered(answer)
    shown = await office.shown(f"/orders/{order}", role="auditor")
    assert (shown["state"], shown["missing"]) == ("answered", [])
    (one,) = shown["answers"]
    assert (one["executor"], one["generation"], one["digest"]) == ("messaging", 4, answer.digest.hex())
    assert one["classes"][0]["ripe"] == {"items": 2, "bytes": 99}
    assert one["classes"][0]["retained"] == {"items": 5, "bytes": 0}
    assert one["samples"][0]["seq"] == 3
    told = [fact for fact in office.facts() if fact["action"] == "retention.order.answered"]
    assert len(told) == 1
    assert {"kind": "result", "id": answer.digest.hex()} in told[0]["entities"]


@pytest.mark.planted
async def test_an_answer_to_another_order_or_with_other_counts_is_not_believed(office: Office) -> None:
    await office.did("/rules", THREE_YEARS)
    first = (await office.did("/orders", {}))["order"]
    await office.did("/rules", {"preset": "sec-17a-4"})
    second = (await office.did("/orders", {}))["order"]
    honest = await found(office, first)
    lies: list[dict[str, Any]] = [
        {"order": UUID(second)},
        {"order": uuid4()},
        {"generation": 5},
        {"classes": (*honest.classes, ClassFound(conversation_type="direct", ripe=1))},
        {"digest": bytes(32)},
    ]
    for lie in lies:
        fields = {name: getattr(honest, name) for name in honest.__struct_fields__}
        with pytest.raises(AnswerForeign):
            await office.answered(MessagingOrderAnswered(**{**fields, **lie}))
    with pytest.raises(AnswerForeign):
        await office.answered(honest, tenant=THEIRS)
    with pytest.raises(AnswerForeign):
        await office.answered(honest, executor="media")
    assert (await office.shown(f"/orders/{first}"))["state"] == "issued"


async def test_an_order_that_an_executor_refuses_has_failed(office: Office) -> None:
    order = (await office.did("/orders", {}))["order"]
    honest = await found(office, order)
    fields = {name: getattr(honest, name) for name in honest.__struct_fields__}
    await office.answered(MessagingOrderAnswered(**{**fields, "refused": "SamplesDiffer"}))
    shown = await office.shown(f"/orders/{order}")
    assert (shown["state"], shown["answers"][0]["refused"]) == ("failed", "SamplesDiffer")


async def test_orders_are_listed_page_by_page_the_newest_first(office: Office) -> None:
    made = []
    for _ in range(5):
        made.append((await office.did("/orders", {}))["order"])
        office.clock.pass_by(timedelta(seconds=1))
    page = await office.shown("/orders?limit=3")
    rest = await office.shown(f"/orders?limit=3&after={page['next']}")
    assert [each["order"] for each in (*page["orders"], *rest["orders"])] == made[::-1]
    assert rest["next"] is None


async def test_every_act_has_one_fact_with_ids_alone(office: Office) -> None:
    rule = (await office.did("/rules", THREE_YEARS))["rule"]
    await office.did(f"/rules/{rule}/versions", {**THREE_YEARS, "version": 1})
    await office.did(f"/rules/{rule}/end", {"version": 2})
    lock = (await office.did("/locks", {"period": {"years": 3}}))["lock"]
    await office.did(f"/locks/{lock}/extensions", {"period": {"years": 4}, "version": 1})
    await office.did("/erasures", {"subject": str(uuid4())})
    order = (await office.did("/orders", {}))["order"]
    await office.answered(await found(office, order))
    await office.ask("GET", "/rules", role="employee")
    await office.tell_denials(everything=True)
    facts = office.facts()
    assert Counter(fact["action"] for fact in facts) == office.acts()
    assert len(office.acts()) == 9
    assert len({fact["act"] for fact in facts}) == len(facts)
    people = {fact["actor"].get("id") for fact in facts if fact["actor"]["kind"] == "principal"}
    assert people == {str(OFFICER)}
    assert all(each["type"] in EVENTS for each in office.outbox())


@pytest.mark.planted
async def test_the_database_itself_refuses_to_change_a_version_or_an_order(office: Office) -> None:
    await office.did("/rules", THREE_YEARS)
    await office.did("/orders", {})
    for table in ("rule_version", "lock_version", "erasure", "disposition_order", "answer"):
        for change in (f"DELETE FROM retention.{table}", f"TRUNCATE retention.{table}"):
            with (
                psycopg.connect(office.database.admin_dsn.reveal()) as admin,
                pytest.raises(psycopg.errors.InsufficientPrivilege),
            ):
                admin.execute(change)


async def test_a_what_if_supposes_and_changes_nothing(office: Office) -> None:
    kept, ended = await office.did("/rules", THREE_YEARS), await office.did("/rules", THREE_YEARS)
    subject, hold = str(uuid4()), str(uuid4())
    what_if = {
        "rules": [{"preset": "sec-17a-4"}],
        "without_rules": [ended["rule"]],
        "erasures_of": [subject],
        "without_holds": [hold],
    }
    order = await office.did("/orders", {"what_if": what_if})
    assert (order["kind"], order["rules"], order["erasures"]) == ("what-if", 2, 1)
    (issued,) = [each["data"] for each in office.outbox() if each["type"] == "retention.order.issued.v1"]
    terms = issued["terms"]
    assert issued["kind"] == "dry-run"
    assert kept["rule"] in (rules := {rule["rule"]: rule["kind"] for rule in terms["rules"]})
    assert sorted(rules.values()) == ["deletion", "floor"]
    assert [each["subject"] for each in terms["erasures"]] == [subject]
    assert terms["without_holds"] == [hold]
    assert len((await office.shown("/rules"))["rules"]) == 2
    assert (await office.shown("/erasures"))["erasures"] == []
    await office.answered(await found(office, order["order"]))
    assert (await office.shown(f"/orders/{order['order']}"))["state"] == "answered"


@pytest.mark.planted
async def test_the_result_of_a_what_if_is_never_carried_out(office: Office) -> None:
    order = (await office.did("/orders", {"what_if": {}}))["order"]
    await office.answered(await found(office, order))
    refused = await office.ask("POST", f"/orders/{order}/run", {"reason": "why not"})
    assert (refused.status_code, refused.json()["code"]) == (409, "run-refused")


async def test_only_a_rule_in_force_is_taken_for_ended(office: Office) -> None:
    refused = await office.ask("POST", "/orders", {"what_if": {"without_rules": [str(uuid4())]}})
    assert (refused.status_code, refused.json()["code"]) == (422, "retention-refused")
