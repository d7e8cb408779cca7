"""Every act leaves one fact in its own transaction, and the rows say how many there must be."""

import asyncio
import random
from uuid import UUID, uuid4

import psycopg
import pytest

from libs.contracts.internal import ActsCounted, OutboxPage, unpack
from tests.integration.identity.service import SCIM_USER, Tenant, running_identity

CANARIES = ("canary", "Kanarienvogel", "Gelbe", "geheimes", "Ada's phone", "acme", "Acme")
"""What people, their devices and their organisation are called in these tests."""


async def set_password(tenant, person: UUID, password: str):
    path = f"/internal/tenants/{tenant.tenant}/passwords"
    return await tenant.service.operate("POST", path, {"principal": str(person), "password": password})


async def grant(tenant, person: UUID, role: str):
    path = f"/internal/tenants/{tenant.tenant}/roles"
    return await tenant.service.operate("POST", path, {"principal": str(person), "role": role})


def active(value: bool):
    return {"op": "replace", "path": "active", "value": value}


def actions_since(identity, before: int) -> list[str]:
    return sorted(fact.action.removeprefix("identity.") for fact in identity.facts()[before:])


async def test_each_act_leaves_its_facts(identity, acme):
    assert actions_since(identity, 0) == ["scim-token.issued", "tenant.created"]
    ada = await acme.provision("canary")
    assert actions_since(identity, 2) == ["principal.provisioned", "role.granted"]
    steps = [
        (lambda: acme.patch(ada, {"op": "replace", "path": "title", "value": "x"}), ["principal.updated"]),
        (
            lambda: acme.patch(ada, {"op": "replace", "path": "roles", "value": [{"value": "it_admin"}]}),
            ["principal.updated", "role.granted", "role.revoked"],
        ),
        (lambda: set_password(acme, ada, "geheimes Wort"), ["password.set"]),
        (lambda: grant(acme, ada, "auditor"), ["role.granted"]),
        (lambda: grant(acme, ada, "auditor"), []),
        (lambda: acme.codes(ada, ada), ["code.issued"] * 2),
        (lambda: acme.sign_in(ada), ["code.issued", "session.started"]),
        (lambda: acme.sign_in(ada), ["code.issued", "session.started"]),
        (lambda: acme.patch(ada, active(False)), ["principal.deactivated", *["session.ended"] * 2]),
        (lambda: acme.patch(ada, active(False)), []),
        (lambda: acme.patch(ada, active(True)), ["principal.reactivated"]),
        (lambda: acme.scim("DELETE", f"/Users/{ada}"), ["principal.removed"]),
    ]
    for number, (act, expected) in enumerate(steps):
        before = len(identity.facts())
        await act()
        assert actions_since(identity, before) == expected, number
    assert await identity.counted() == identity.told()


async def test_a_fact_says_who_acted_and_on_what(identity, acme):
    ada = await acme.provision("canary")
    (token,) = identity.facts("identity.scim-token.issued")
    (provisioned,) = identity.facts("identity.principal.provisioned")
    assert provisioned.actor.kind == "directory"
    assert str(provisioned.actor.id) == token.entities[0].id
    assert [(each.kind, each.id) for each in provisioned.entities] == [("principal", str(ada))]
    signed_in = await acme.sign_in(ada)
    (started,) = identity.facts("identity.session.started")
    assert (started.actor.kind, started.actor.id) == ("principal", ada)
    assert ("session", signed_in["session"]) in [(each.kind, each.id) for each in started.entities]
    (code,) = identity.facts("identity.code.issued")
    assert (code.actor.kind, code.actor.id) == ("operator", None)
    await identity.refresh(signed_in["refresh_token"])
    await identity.refresh(signed_in["refresh_token"])
    (ended,) = identity.facts("identity.session.ended")
    assert ended.actor.kind == "system"
    assert ("reason", "refresh_token_reused") in [(each.kind, each.id) for each in ended.entities]


async def test_what_fails_leaves_no_fact(identity, acme):
    ada = await acme.provision("canary")
    before = identity.told()
    assert (await set_password(acme, ada, "short")).status_code == 422
    assert (await grant(acme, ada, "emperor")).status_code == 422
    assert (await grant(acme, uuid4(), "auditor")).status_code == 404
    body = {"schemas": [SCIM_USER], "userName": "CANARY"}
    assert (await acme.scim("POST", "/Users", body)).status_code == 409
    answer = await identity.operate("POST", "/internal/tenants", {"slug": "acme", "name": "Another"})
    assert answer.status_code == 409
    assert identity.told() == before == await identity.counted()


async def test_an_act_whose_fact_cannot_be_written_is_not_done(identity, acme):
    ada = await acme.provision("canary")
    identity.execute("""
        ALTER TABLE identity.outbox ADD CONSTRAINT planted CHECK (name <> 'identity.fact.recorded.v1')
        NOT VALID""")
    before = await identity.counted()
    assert (await grant(acme, ada, "auditor")).status_code >= 500
    assert (await set_password(acme, ada, "geheimes Wort")).status_code >= 500
    assert (await acme.patch(ada, active(False))).status_code >= 500
    assert await identity.counted() == before


@pytest.mark.parametrize("seed", [1, 2])
async def test_rows_and_facts_agree_after_any_acts(identity, acme, seed: int):
    chance = random.Random(seed)
    other = await identity.make_tenant("other")
    people: list[tuple[Tenant, UUID]] = []
    sessions: list[dict[str, str]] = []

    async def join():
        tenant = chance.choice([acme, other])
        people.append((tenant, await tenant.provision(f"canary-{len(people)}")))

    async def begin():
        tenant, person = chance.choice(people)
        path = f"/internal/tenants/{tenant.tenant}/sign-in-codes"
        issued = await identity.operate("POST", path, {"principals": [str(person)]})
        if issued.status_code == 201:
            sessions.append((await identity.sign_in(code=issued.json()["codes"][0]["code"])).json())

    async def change():
        tenant, person = chance.choice(people)
        roles = [{"value": role} for role in chance.sample(["employee", "guest", "it_admin"], 2)]
        value = chance.choice([{"active": True}, {"active": False}, {"roles": roles}, {"title": "canary"}])
        await tenant.patch(person, {"op": "replace", "value": value})

    async def operate():
        tenant, person = chance.choice(people)
        await grant(tenant, person, chance.choice(["auditor", "reviewer", "emperor"]))

    async def refresh():
        if sessions:
            await identity.refresh(chance.choice(sessions)["refresh_token"])

    async def leave():
        if sessions:
            await identity.sign_out(chance.choice(sessions)["access_token"])

    async def remove():
        tenant, person = chance.choice(people)
        await tenant.scim("DELETE", f"/Users/{person}")

    await join()
    for act in chance.choices([join, begin, change, operate, refresh, leave, remove], k=80):
        await act()
    told = identity.told()
    assert len(told) > 10
    assert await identity.counted() == told
    assert len({fact.act for fact in identity.facts()}) == len(identity.facts())


@pytest.mark.planted
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE identity.principal SET version = version + 1",
        "UPDATE identity.principal SET deactivations = deactivations + 1, version = version + 1",
        "UPDATE identity.session SET ended_at = now()",
        "UPDATE identity.password SET version = version + 1",
        "INSERT INTO identity.role_grant SELECT tenant, principal, 'guest', 'scim' FROM identity.principal",
        "DELETE FROM identity.role_grant",
        "INSERT INTO identity.scim_token SELECT tenant, 'x', now(), now() FROM identity.tenant",
    ],
)
async def test_a_row_without_its_fact_makes_a_difference(identity, acme, statement: str):
    ada = await acme.provision("canary")
    await set_password(acme, ada, "geheimes Wort")
    await acme.sign_in(ada)
    assert await identity.counted() == identity.told()
    identity.execute(statement)
    assert await identity.counted() != identity.told()


async def test_what_was_there_before_the_log_is_no_difference(identity, acme):
    await acme.provision("canary")
    identity.execute("DELETE FROM identity.outbox")
    identity.execute(
        "INSERT INTO identity.act_untold SELECT tenant, a, 1 FROM identity.tenant,"
        " unnest(ARRAY['identity.tenant.created', 'identity.principal.provisioned',"
        " 'identity.scim-token.issued', 'identity.role.granted']) AS a"
    )
    assert await identity.counted() == {}
    await acme.provision("canary-2")
    assert await identity.counted() == identity.told() != {}


async def test_nothing_of_a_person_is_in_any_fact(identity, acme):
    identity.clock.to_the_minute()
    ada = await acme.provision(
        "canary@acme.test",
        displayName="Gelbe Kanarienvogel",
        emails=[{"value": "canary@acme.test"}],
        externalId="canary-external",
    )
    await set_password(acme, ada, "geheimes Wort")
    signed_in = await acme.sign_in(ada)
    await acme.patch(ada, {"op": "replace", "path": "title", "value": "canary"})
    await identity.sign_in(tenant="acme", user_name="canary@acme.test", password="geheimes falsch")
    await identity.sign_in(tenant="acme", user_name="canary-nobody", password="geheimes falsch")
    await identity.sign_out(signed_in["access_token"])
    await acme.scim("DELETE", f"/Users/{ada}")
    identity.clock.to_the_minute()
    await until_told(identity, "identity.sign-in.refused", 2)
    facts = [bytes(row.body).decode() for row in identity.outbox("identity.fact.recorded.v1")]
    assert [canary for canary in CANARIES for fact in facts if canary in fact] == []
    everything = b"".join(bytes(row.body) for row in identity.outbox()).decode()
    assert (
        "Gelbe Kanarienvogel" in everything
    )  # in the directory's own events: the search finds what is there


async def until_told(identity, action: str, count: int):
    """Wait until so many facts of a kind are there."""
    async with asyncio.timeout(10):
        while len(identity.facts(action)) < count:  # noqa: ASYNC110 - what is waited for is in PostgreSQL
            await asyncio.sleep(0.1)


async def test_refused_sign_ins_are_told_of_by_the_minute(identity, acme):
    identity.clock.to_the_minute()
    ada = await acme.provision("canary")
    await set_password(acme, ada, "geheimes Wort")
    for number in range(30):
        await identity.sign_in(tenant="acme", user_name=f"stranger-{number}", password="geheimes falsch")
    for _ in range(9):  # the last of them are told to wait, and count for nobody in particular
        await identity.sign_in(tenant="acme", user_name="canary", password="geheimes falsch")
    await identity.sign_in(tenant="nowhere", user_name="canary", password="geheimes falsch")
    assert identity.facts("identity.sign-in.refused") == []
    identity.clock.to_the_minute()
    await until_told(identity, "identity.sign-in.refused", 2)
    told = {len(fact.entities): fact for fact in identity.facts("identity.sign-in.refused")}
    assert sum(fact.count for fact in told.values()) == 39
    assert told[1].entities[0].id == str(ada)
    assert (told[1].actor.kind, told[1].actor.id, told[1].outcome) == ("principal", None, "refused")
    assert 5 <= told[1].count <= 6
    assert await identity.counted() == identity.told()


async def test_denials_are_told_of_by_actor_and_act(identity, acme):
    identity.clock.to_the_minute()
    guest = await acme.provision("canary", roles=[{"value": "guest"}])
    signed_in = await acme.sign_in(guest)
    for _ in range(5):
        assert (await identity.get("/identity/v1/people", signed_in["access_token"])).status_code == 404
    other = await identity.make_tenant("other")
    await acme.scim("GET", "/Users", token=other.scim_token)
    await identity.sign_out(signed_in["access_token"])
    await identity.refresh(signed_in["refresh_token"])
    identity.clock.to_the_minute()
    await until_told(identity, "identity.access.denied", 3)
    told = {fact.entities[0].id: fact for fact in identity.facts("identity.access.denied")}
    assert set(told) == {"SearchPeople", "UseDirectory", "RefreshSession"}
    assert (told["SearchPeople"].actor.id, told["SearchPeople"].count) == (guest, 5)
    assert told["UseDirectory"].actor.kind == "directory"
    assert await identity.counted() == identity.told()


async def test_a_process_that_ends_tells_of_the_minute_under_way(log, database_of, engines):
    database = database_of("identity")
    async with running_identity(database, engines.valkey.url()) as identity:
        await identity.make_tenant("acme")
        await identity.sign_in(tenant="acme", user_name="canary", password="geheimes falsch")
    assert [fact.count for fact in identity.facts("identity.sign-in.refused")] == [1]


async def test_audit_alone_may_count_and_reads_the_outbox_and_reports_its_cursors(identity, acme):
    assert (await identity.ask("/internal/acts", "messaging")).status_code == 403
    assert (await identity.http.get("/internal/acts")).status_code == 401
    seen = unpack((await identity.ask("/internal/acts")).content, ActsCounted)
    part = identity.outbox()[0].part
    assert seen.positions[part] == len(identity.outbox())
    answer = await identity.ask("/internal/outbox", part=part, after=0)
    page = unpack(answer.content, OutboxPage)
    assert [row.position for row in page.rows] == list(range(1, seen.positions[part] + 1))


async def test_evidence_cannot_be_taken_back_by_the_service(identity, acme):
    await acme.provision("canary")
    dsn = identity.database.dsn("identity_app").reveal()
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in (
            "DELETE FROM identity.role_revocation",
            "UPDATE identity.role_revocation SET role = 'guest'",
            "DELETE FROM identity.denial",
            "UPDATE identity.denial SET count = 1",
            "DELETE FROM identity.session",
            "DELETE FROM identity.sign_in_code",
            "UPDATE identity.act_untold SET count = 1",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
