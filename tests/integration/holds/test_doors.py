"""Holds over HTTP: counsel places them, another person approves their end, and nobody else hears of them."""

from typing import Any
from uuid import uuid4

import pytest

from libs.approvals.request import LIFETIME
from libs.contracts.events import PrincipalDeactivated, PrincipalProvisioned
from libs.contracts.holds import HoldPlaced, HoldReleased
from libs.kernel.ids import PrincipalId
from tests.integration.holds.town import ELSEWHERE, NOON, NOT_FOUND, TENANT, Person, Town, problem_of

COUNSEL, COMPLIANCE, AUDITOR = (
    Person(("legal_counsel",)),
    Person(("compliance_officer",)),
    Person(("auditor",)),
)
ADMIN, EMPLOYEE = Person(("it_admin", "employee")), Person(("employee",))
OTHER_COUNSEL = Person(("legal_counsel",))
STRANGER = Person(("legal_counsel", "compliance_officer", "auditor"), ELSEWHERE)
SECRET = "Quicksilver v. Halcyon"


async def test_a_hold_is_shown_as_it_was_placed(town: Town) -> None:
    custodian, conversation, matter = str(uuid4()), str(uuid4()), str(uuid4())
    placed = await town.placed(
        COUNSEL,
        custodians=[custodian],
        conversations=[conversation],
        since="2026-01-01T00:00:00Z",
        until="2026-04-01T02:00:00+02:00",
        reason=SECRET,
        matter=matter,
    )
    assert placed["state"] == "placed"
    assert (placed["custodians"], placed["conversations"]) == ([custodian], [conversation])
    assert (placed["since"], placed["until"]) == ("2026-01-01T00:00:00Z", "2026-04-01T00:00:00Z")
    assert (placed["reason"], placed["matter"], placed["silent"]) == (SECRET, matter, True)
    assert (placed["generation"], placed["missing"]) == (1, ["ediscovery", "keys", "messaging"])
    for reader in (COUNSEL, COMPLIANCE, AUDITOR):
        assert await town.shown(reader, placed["hold"]) == placed
        assert (await town.get(reader, "/holds")).json() == {"holds": [placed], "next": None}


async def test_every_change_raises_the_generation_and_tells_executors(town: Town) -> None:
    first = await town.placed(COUNSEL, custodians=[uuid4()])
    second = await town.placed(COUNSEL, everything=True)
    request = (await town.ask_release(COUNSEL, first["hold"])).json()
    assert (await town.decide(COMPLIANCE, request, approves=True)).status_code == 200
    events = [event for event in town.holds.events() if isinstance(event, HoldPlaced | HoldReleased)]
    assert [(str(event.hold), event.generation) for event in events] == [
        (first["hold"], 1),
        (second["hold"], 2),
        (first["hold"], 3),
    ]
    assert (await town.get(AUDITOR, "/generation")).json()["generation"] == 3


async def test_a_hold_that_is_placed_again_under_its_own_id_is_the_same(town: Town) -> None:
    terms: dict[str, Any] = {"hold": str(uuid4()), "custodians": [str(uuid4())]}
    first = await town.placed(COUNSEL, **terms)
    assert await town.placed(COUNSEL, **terms) == first
    assert problem_of(await town.place(COUNSEL, **terms, reason="another")) == (409, "hold-conflict")
    assert problem_of(await town.place(OTHER_COUNSEL, **terms)) == (409, "hold-conflict")
    assert (await town.acts())["holds.hold.placed"] == 1
    assert len(town.facts()) == 1


@pytest.mark.parametrize(
    "terms",
    [
        {},
        {"everything": True, "custodians": [str(uuid4())]},
        {"custodian": [str(uuid4())], "everything": True},
        {"custodians": ["nobody"]},
        {"everything": True, "reason": "  "},
        {"everything": True, "reason": "x" * 1001},
        {"everything": True, "since": "2026-01-01T00:00:00"},
        {"everything": True, "since": "2026-01-01T00:00:00Z", "until": "2026-01-01T00:00:00Z"},
        {"everything": True, "silent": None},
    ],
)
async def test_what_is_no_hold_is_not_placed(town: Town, terms: dict[str, Any]) -> None:
    assert problem_of(await town.place(COUNSEL, **terms)) == (422, "invalid")
    assert await town.acts() == {}


async def test_nobody_but_counsel_places_holds(town: Town) -> None:
    for person in (COMPLIANCE, AUDITOR, ADMIN, EMPLOYEE):
        assert problem_of(await town.place(person, everything=True)) == NOT_FOUND
    assert town.holds.events() == []


async def test_a_silent_hold_is_nothing_to_administration_employees_strangers_and_custodians(
    town: Town,
) -> None:
    custodian = Person(("legal_counsel", "compliance_officer", "auditor"))
    silent = (await town.placed(COUNSEL, custodians=[custodian.principal]))["hold"]
    unknown = str(uuid4())
    for person in (ADMIN, EMPLOYEE, STRANGER, custodian):
        answers = [await town.get(person, f"/holds/{hold}") for hold in (silent, unknown)]
        assert [problem_of(answer) for answer in answers] == [NOT_FOUND, NOT_FOUND]
        asked = [await town.ask_release(person, hold) for hold in (silent, unknown)]
        assert [problem_of(answer) for answer in asked] == [NOT_FOUND, NOT_FOUND]
    for person in (ADMIN, STRANGER, custodian):
        assert (await town.get(person, "/holds")).json() == {"holds": [], "next": None}
    assert problem_of(await town.get(EMPLOYEE, "/holds")) == NOT_FOUND
    assert problem_of(await town.get(ADMIN, "/generation")) == NOT_FOUND


async def test_administration_sees_holds_with_notice_and_not_why(town: Town) -> None:
    custodian = uuid4()
    matter = uuid4()
    await town.placed(COUNSEL, everything=True, reason=SECRET)
    noticed = await town.placed(COUNSEL, custodians=[custodian], silent=False, reason=SECRET, matter=matter)
    seen = await town.get(ADMIN, "/holds")
    assert [each["hold"] for each in seen.json()["holds"]] == [noticed["hold"]]
    assert SECRET not in seen.text
    assert str(matter) not in seen.text
    assert SECRET not in (await town.get(ADMIN, f"/holds/{noticed['hold']}")).text
    assert noticed["notices"] == [{"custodian": str(custodian), "state": "due"}]


async def test_a_list_is_read_page_by_page_and_hidden_holds_leave_no_gap(town: Town) -> None:
    concerned = Person(("legal_counsel",))
    shown: list[str] = []
    for number in range(7):
        about = concerned.principal if number % 2 else uuid4()
        hold = (await town.placed(COUNSEL, custodians=[about]))["hold"]
        if number % 2 == 0:
            shown.insert(0, hold)
    page = (await town.get(concerned, "/holds?limit=2")).json()
    pages = [[each["hold"] for each in page["holds"]]]
    while page["next"] is not None:
        page = (await town.get(concerned, f"/holds?limit=2&after={page['next']}")).json()
        pages.append([each["hold"] for each in page["holds"]])
    assert [hold for page in pages for hold in page] == shown
    assert [len(page) for page in pages[:2]] == [2, 2]


async def test_a_hold_ends_when_another_person_approves(town: Town) -> None:
    hold = (await town.placed(COUNSEL, custodians=[uuid4()]))["hold"]
    asked = await town.ask_release(COUNSEL, hold, SECRET)
    assert asked.status_code == 202
    request = asked.json()
    assert (await town.shown(AUDITOR, hold))["request"] == request
    assert (await town.get(COMPLIANCE, "/approvals")).json() == {"requests": [request]}
    assert (await town.shown(COUNSEL, hold))["state"] == "placed"
    assert problem_of(await town.decide(COUNSEL, request, approves=True)) == (403, "approver-refused")
    used = await town.decide(COMPLIANCE, request, approves=True)
    assert used.json()["state"] == "used"
    ended = await town.shown(COUNSEL, hold)
    assert ended["state"] == "released"
    assert ended["release"] == {
        "request": request["request"],
        "released_by": str(COMPLIANCE.principal),
        "released_at": "2026-11-24T12:00:00Z",
        "generation": 2,
    }
    assert problem_of(await town.ask_release(COUNSEL, hold)) == (409, "hold-ended")
    assert problem_of(await town.decide(COMPLIANCE, request, approves=True)) == (409, "request-decided")


async def test_a_refused_release_changes_nothing_and_may_be_asked_for_again(town: Town) -> None:
    hold = (await town.placed(COUNSEL, everything=True))["hold"]
    request = (await town.ask_release(COUNSEL, hold)).json()
    assert problem_of(await town.ask_release(OTHER_COUNSEL, hold)) == (409, "release-pending")
    assert (await town.decide(OTHER_COUNSEL, request, approves=False)).json()["state"] == "refused"
    assert (await town.shown(COUNSEL, hold))["state"] == "placed"
    assert (await town.get(COUNSEL, "/generation")).json()["generation"] == 1
    assert (await town.ask_release(COUNSEL, hold)).status_code == 202


async def test_an_expired_request_releases_nothing(town: Town) -> None:
    hold = (await town.placed(COUNSEL, everything=True))["hold"]
    request = (await town.ask_release(COUNSEL, hold)).json()
    town.clock.advance(LIFETIME.total_seconds())
    assert problem_of(await town.decide(COMPLIANCE, request, approves=True)) == (409, "request-decided")
    assert (await town.ask_release(COUNSEL, hold)).status_code == 202


async def test_a_custodian_of_a_hold_cannot_approve_its_end(town: Town) -> None:
    custodian = Person(("compliance_officer",))
    hold = (await town.placed(COUNSEL, custodians=[custodian.principal], silent=False))["hold"]
    request = (await town.ask_release(COUNSEL, hold)).json()
    assert problem_of(await town.decide(custodian, request, approves=True)) == (403, "approver-refused")
    assert (await town.shown(COUNSEL, hold))["state"] == "placed"


async def test_another_hash_than_that_of_the_request_releases_nothing(town: Town) -> None:
    hold = (await town.placed(COUNSEL, everything=True))["hold"]
    request = (await town.ask_release(COUNSEL, hold)).json()
    changed = {**request, "digest": "0" * 64}
    assert problem_of(await town.decide(COMPLIANCE, changed, approves=True)) == (409, "digest-differs")
    assert (await town.shown(COUNSEL, hold))["state"] == "placed"


async def test_requests_are_nothing_to_those_who_may_not_know_the_hold(town: Town) -> None:
    custodian = Person(("legal_counsel", "compliance_officer"))
    hold = (await town.placed(COUNSEL, custodians=[custodian.principal]))["hold"]
    request = (await town.ask_release(COUNSEL, hold, SECRET)).json()
    for person in (ADMIN, EMPLOYEE, STRANGER, custodian):
        assert (await town.get(person, "/approvals")).json() == {"requests": []}
        assert problem_of(await town.get(person, f"/approvals/{request['request']}")) == NOT_FOUND
        assert problem_of(await town.decide(person, request, approves=True)) == NOT_FOUND
    assert (await town.shown(COUNSEL, hold))["state"] == "placed"


async def test_every_act_has_one_fact_of_the_legal_class_and_none_tells_a_reason(town: Town) -> None:
    hold = (await town.placed(COUNSEL, custodians=[uuid4()], reason=SECRET))["hold"]
    request = (await town.ask_release(COUNSEL, hold, SECRET)).json()
    await town.decide(COMPLIANCE, request, approves=False)
    request = (await town.ask_release(COUNSEL, hold, SECRET)).json()
    await town.decide(COMPLIANCE, request, approves=True)
    await town.get(ADMIN, f"/holds/{hold}")
    await town.get(ADMIN, f"/holds/{hold}")
    town.clock.advance(60)
    await town.tell_denials()
    told: dict[str, int] = {}
    for fact in town.facts():
        told[fact.action] = told.get(fact.action, 0) + 1
    assert told == await town.acts()
    assert told == {
        "holds.hold.placed": 1,
        "holds.hold.release-requested": 2,
        "holds.hold.release-refused": 1,
        "holds.hold.release-approved": 1,
        "holds.hold.released": 1,
        "holds.access.denied": 1,
    }
    assert SECRET not in str(town.holds.rows("SELECT convert_from(body, 'UTF8') FROM holds.outbox"))
    (denied,) = (fact for fact in town.facts() if fact.action == "holds.access.denied")
    assert (denied.count, denied.actor.id, denied.at) == (2, ADMIN.principal, NOON)
    (released,) = (fact for fact in town.facts() if fact.action == "holds.hold.released")
    assert [str(each) for each in released.approvals] == [request["request"]]


async def test_a_fact_names_many_custodians_by_their_number(town: Town) -> None:
    custodians = [PrincipalId(uuid4()) for _ in range(150)]
    await town.placed(COUNSEL, custodians=custodians, silent=False)
    (fact,) = town.facts()
    kinds = [entity.kind for entity in fact.entities]
    assert (kinds.count("custodian"), kinds.count("custodian-count")) == (100, 1)
    (event,) = (event for event in town.holds.events() if isinstance(event, HoldPlaced))
    assert event.custodians == tuple(sorted(custodians))


async def test_the_fact_of_a_silent_hold_tells_how_many_it_concerns_and_not_whom(town: Town) -> None:
    hold = (await town.placed(COUNSEL, custodians=[uuid4(), uuid4()], conversations=[uuid4()]))["hold"]
    (fact,) = town.facts()
    assert [(entity.kind, entity.id) for entity in fact.entities] == [
        ("hold", hold),
        ("custodian-count", "2"),
        ("conversation-count", "1"),
    ]


async def test_custodians_who_are_not_in_the_directory_are_shown(town: Town) -> None:
    known, unknown, elsewhere = (PrincipalId(uuid4()) for _ in range(3))
    gone = PrincipalDeactivated(principal=known)
    for tenant, events in (
        (TENANT, (provisioned(known), gone)),
        (ELSEWHERE, (provisioned(elsewhere),)),
    ):
        await town.learn(tenant, *events)
    placed = await town.placed(COUNSEL, custodians=[known, unknown, elsewhere])
    assert placed["unknown"] == sorted(map(str, (unknown, elsewhere)))
    await town.learn(TENANT, provisioned(unknown))
    assert (await town.shown(COUNSEL, placed["hold"]))["unknown"] == [str(elsewhere)]


def provisioned(principal: PrincipalId) -> PrincipalProvisioned:
    """Return the event that somebody came into the directory."""
    return PrincipalProvisioned(principal=principal, display_name="", active=True, roles=())


async def test_what_was_written_of_holds_is_never_changed(town: Town) -> None:
    import psycopg  # noqa: PLC0415 - the database's own refusal is the point

    hold = (await town.placed(COUNSEL, everything=True))["hold"]
    for change in (
        "UPDATE holds.hold SET custodians = '{}'",
        "DELETE FROM holds.hold",
        "TRUNCATE holds.hold CASCADE",
    ):
        with pytest.raises(psycopg.errors.IntegrityConstraintViolation):
            town.holds.rows(change)
    assert (await town.shown(COUNSEL, hold))["hold"] == hold
    assert town.holds.rows("SELECT tenant FROM holds.hold") == [(TENANT,)]
