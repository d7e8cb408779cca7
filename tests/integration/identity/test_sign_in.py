"""People sign in by code or password; whatever is wrong with either, the answer is the same."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import jwt
import pytest

from tests.integration.identity.service import DEVICE


async def test_a_code_starts_a_session_once(identity, acme):
    ada = await acme.provision("ada@acme.test", displayName="Ada Lovelace")
    (code,) = await acme.codes(ada)

    first = await identity.sign_in(code=code)
    again = await identity.sign_in(code=code)

    assert first.status_code == 201
    signed_in = first.json()
    assert signed_in["principal"] == str(ada)
    assert signed_in["tenant"] == str(acme.tenant)
    assert signed_in["display_name"] == "Ada Lovelace"
    assert signed_in["roles"] == ["employee"]
    assert 0 < signed_in["expires_in"] <= 300
    assert again.status_code == 401
    assert again.headers["content-type"] == "application/problem+json"
    assert [event["device"] for event in identity.events("identity.session.started.v1")] == [
        signed_in["device"]
    ]


async def test_a_code_may_be_typed_carelessly(identity, acme):
    (code,) = await acme.codes(await acme.provision("ada"))
    slug, _, letters = code.partition(".")
    assert letters.count("-") == 4
    typed = f" {slug.upper()}.{letters.replace('-', ' ').lower().replace('0', 'o').replace('1', 'l')}"
    assert (await identity.sign_in(code=typed)).status_code == 201


async def test_one_code_used_side_by_side_starts_one_session(identity, acme):
    (code,) = await acme.codes(await acme.provision("ada"))
    answers = await asyncio.gather(*(identity.sign_in(code=code) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] + [401] * 7


async def test_a_code_is_dead_after_an_hour(identity, acme):
    (code,) = await acme.codes(await acme.provision("ada"))
    identity.clock.shift = timedelta(hours=1)
    assert (await identity.sign_in(code=code)).status_code == 401


async def test_the_access_token_says_who_acts_and_for_how_long(identity, acme):
    ada = await acme.provision("ada", roles=[{"value": "it_admin"}])
    signed_in = await acme.sign_in(ada)
    claims = jwt.decode(signed_in["access_token"], options={"verify_signature": False})
    assert claims["sub"] == str(ada)
    assert claims["session"] == signed_in["session"]
    assert claims["roles"] == ["it_admin"]
    assert claims["exp"] - claims["iat"] <= 300


async def test_a_password_starts_a_session(identity, acme):
    ada = await acme.provision("Ada@Acme.test")
    path = f"/internal/tenants/{acme.tenant}/passwords"
    answer = await identity.operate("POST", path, {"principal": str(ada), "password": "correct horse"})
    assert answer.status_code == 204

    signed_in = await identity.sign_in(tenant="acme", user_name="ADA@acme.test", password="correct horse")

    assert signed_in.status_code == 201
    assert signed_in.json()["principal"] == str(ada)
    stored = identity.rows("SELECT hash FROM identity.password")[0].hash
    assert stored.startswith("$argon2id$")


async def test_every_refused_sign_in_has_the_same_answer(identity, acme):
    ada = await acme.provision("ada")
    gone = await acme.provision("gone")
    for principal in (ada, gone):
        await identity.operate(
            "POST",
            f"/internal/tenants/{acme.tenant}/passwords",
            {"principal": str(principal), "password": "correct horse"},
        )
    await acme.patch(gone, {"op": "replace", "path": "active", "value": False})
    (code,) = await acme.codes(ada)
    wrong = [
        {"tenant": "acme", "user_name": "ada", "password": "wrong"},
        {"tenant": "acme", "user_name": "nobody", "password": "correct horse"},
        {"tenant": "acme", "user_name": "gone", "password": "correct horse"},
        {"tenant": "nowhere", "user_name": "ada", "password": "correct horse"},
        {"tenant": "' OR 1=1 --", "user_name": "ada", "password": "correct horse"},
        {"code": "acme.0000-0000-0000-0000-0000"},
        {"code": "acme"},
        {"code": "nowhere." + code.partition(".")[2]},
        {"code": "ünïcode." + code.partition(".")[2]},
    ]
    answers = [await identity.sign_in(**how) for how in wrong]
    documents = [{**answer.json(), "request_id": None} for answer in answers]
    assert {answer.status_code for answer in answers} == {401}
    assert all(document == documents[0] for document in documents)


async def test_a_tenant_that_signs_in_elsewhere_knows_no_passwords(identity):
    strict = await identity.make_tenant("strict", local_sign_in=False)
    ada = await strict.provision("ada")
    path = f"/internal/tenants/{strict.tenant}/passwords"
    answer = await identity.operate("POST", path, {"principal": str(ada), "password": "correct horse"})
    assert answer.status_code == 422
    answer = await identity.sign_in(tenant="strict", user_name="ada", password="correct horse")
    assert answer.status_code == 401


async def test_after_five_failures_a_name_waits_known_or_not(identity, acme):
    await acme.provision("ada")
    for user_name in ("ada", "nobody"):
        for _ in range(5):
            answer = await identity.sign_in(tenant="acme", user_name=user_name, password="wrong")
            assert answer.status_code == 401
        answer = await identity.sign_in(tenant="acme", user_name=user_name.upper(), password="wrong")
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"code": "acme.0"},
        {"device_name": DEVICE},
        {"device_name": DEVICE, "code": 1},
        {"device_name": "x" * 101, "code": "acme.0"},
        {"device_name": "  ", "code": "acme.0"},
        {"device_name": "a\x00b", "code": "acme.0"},
        {"device_name": DEVICE, "tenant": "acme", "user_name": "a\x00", "password": "x"},
        {"device_name": DEVICE, "tenant": "acme", "user_name": "a", "password": "x" * 1025},
        {"device_name": DEVICE, "tenant": "acme", "user_name": "a", "password": "x", "code": "y"},
        [],
        "text",
        None,
    ],
    ids=repr,
)
async def test_a_sign_in_that_is_none_is_refused_without_repeating_it(identity, body):
    answer = await identity.http.post("/identity/v1/sessions", json=body)
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid"
    assert "x" * 20 not in answer.text


async def test_without_a_signing_key_nobody_signs_in_and_no_code_is_lost(identity, acme):
    (code,) = await acme.codes(await acme.provision("ada"))
    identity.keys.gone = True
    refused = await identity.sign_in(code=code)
    assert refused.status_code == 503
    assert refused.headers["retry-after"]
    identity.keys.gone = False
    assert (await identity.sign_in(code=code)).status_code == 201


async def test_a_leased_key_serves_on_while_the_keys_service_is_gone(identity, acme):
    ada = await acme.provision("ada")
    await acme.sign_in(ada)
    identity.keys.gone = True
    signed_in = await acme.sign_in(ada)
    assert (await identity.get("/identity/v1/me", signed_in["access_token"])).status_code in (200, 503)
    assert identity.keys.leases == 1


async def test_me_is_who_signed_in(identity, acme):
    ada = await acme.provision("ada@acme.test", displayName="Ada Lovelace")
    signed_in = await acme.sign_in(ada)
    me = (await identity.get("/identity/v1/me", signed_in["access_token"])).json()
    assert me == {
        "tenant": {"id": str(acme.tenant), "slug": "acme", "name": "Acme"},
        "principal": str(ada),
        "session": signed_in["session"],
        "device": signed_in["device"],
        "user_name": "ada@acme.test",
        "display_name": "Ada Lovelace",
        "roles": ["employee"],
    }


async def test_signing_out_ends_the_session_at_once(identity, acme):
    ada = await acme.provision("ada")
    here, there = await acme.sign_in(ada), await acme.sign_in(ada)

    assert (await identity.sign_out(here["access_token"])).status_code == 204

    assert (await identity.get("/identity/v1/me", here["access_token"])).status_code == 401
    assert (await identity.refresh(here["refresh_token"])).status_code == 401
    assert (await identity.get("/identity/v1/me", there["access_token"])).status_code == 200
    (revoked,) = identity.events("identity.session.revoked.v1")
    assert (revoked["session"], revoked["reason"]) == (here["session"], "signed_out")


async def test_requests_without_a_good_token_get_one_answer(identity, acme):
    signed_in = await acme.sign_in(await acme.provision("ada"))
    good = signed_in["access_token"]
    bad = ["x", good[:-2], good + "x", signed_in["refresh_token"], acme.scim_token]
    bad.append(identity.token_of("messaging"))
    answers = [await identity.get("/identity/v1/me", token) for token in bad]
    answers.append(await identity.http.get("/identity/v1/me"))
    documents = [{**answer.json(), "request_id": None} for answer in answers]
    assert {answer.status_code for answer in answers} == {401}
    assert all(document == documents[0] for document in documents)


async def test_a_token_expires(identity, acme):
    signed_in = await acme.sign_in(await acme.provision("ada"))
    identity.clock.shift = timedelta(seconds=301)
    assert (await identity.get("/identity/v1/me", signed_in["access_token"])).status_code == 401


async def test_people_are_found_by_the_beginnings_of_their_names(identity, acme):
    other = await identity.make_tenant("other")
    await other.provision("ada@other.test", displayName="Ada Other")
    ada = await acme.provision(
        "ada@acme.test",
        name={"givenName": "Ada", "familyName": "Lovelace"},
        emails=[{"value": "countess@acme.test", "type": "work"}],
    )
    await acme.provision("alan@acme.test", displayName="Alan Turing_100%")
    gone = await acme.provision("adam@acme.test", displayName="Adam Gone")
    await acme.patch(gone, {"op": "replace", "path": "active", "value": False})
    token = (await acme.sign_in(ada))["access_token"]

    async def found(query: str) -> list[str]:
        answer = await identity.http.get(
            "/identity/v1/people",
            params={"query": query},
            headers={"authorization": f"Bearer {token}"},
        )
        assert answer.status_code == 200, answer.text
        return [person["display_name"] for person in answer.json()["people"]]

    assert await found("") == ["Ada Lovelace", "Alan Turing_100%"]
    assert await found("ada") == ["Ada Lovelace"]
    assert await found("LOVE ad") == ["Ada Lovelace"]
    assert await found("countess@") == ["Ada Lovelace"]
    assert await found("turing_100%") == ["Alan Turing_100%"]
    assert await found("%") == []
    assert await found("_da") == []
    assert await found("ovelace") == []
    assert await found("\x00 ada") == ["Ada Lovelace"]
    assert await found("'; DROP TABLE identity.principal; --") == []


async def test_guests_cannot_search_the_directory(identity, acme):
    guest = await acme.provision("guest", roles=[{"value": "guest"}])
    token = (await acme.sign_in(guest))["access_token"]
    answer = await identity.get("/identity/v1/people?query=a", token)
    assert answer.status_code == 404
    assert answer.json()["code"] == "not-found"


async def test_a_role_of_the_operator_is_in_the_next_token(identity, acme):
    ada = await acme.provision("ada")
    signed_in = await acme.sign_in(ada)
    path = f"/internal/tenants/{acme.tenant}/roles"
    for _ in range(2):
        answer = await identity.operate("POST", path, {"principal": str(ada), "role": "auditor"})
        assert answer.status_code == 204
    refreshed = (await identity.refresh(signed_in["refresh_token"])).json()
    assert refreshed["roles"] == ["auditor", "employee"]
    assert len(identity.events("identity.role.granted.v1")) == 1
    refused = await identity.operate("POST", path, {"principal": str(ada), "role": "emperor"})
    assert refused.status_code == 422


async def test_only_the_operator_operates(identity, acme):
    for token in ("x", identity.token_of("messaging"), acme.scim_token):
        answer = await identity.http.post(
            "/internal/tenants",
            json={"slug": "evil", "name": "Evil"},
            headers={"authorization": f"Bearer {token}"},
        )
        assert answer.status_code in (401, 403)
    assert len(identity.rows("SELECT 1 FROM identity.tenant")) == 1


async def test_tenants_have_slugs_of_their_own(identity, acme):
    body = {"slug": "acme", "name": "Another"}
    assert (await identity.operate("POST", "/internal/tenants", body)).status_code == 409
    for slug in ("", "A", "a", "-a", "a-", "a b", "a.b", "x" * 41, "ä" * 3):
        answer = await identity.operate("POST", "/internal/tenants", {"slug": slug, "name": "N"})
        assert answer.status_code == 422, slug
    listed = (await identity.operate("GET", "/internal/tenants")).json()["tenants"]
    assert listed == [{"tenant": str(acme.tenant), "slug": "acme", "name": "Acme"}]
    found = await identity.operate("GET", "/internal/tenants/by-slug/acme")
    assert found.json()["tenant"] == str(acme.tenant)
    assert (await identity.operate("GET", "/internal/tenants/by-slug/nowhere")).status_code == 404


async def test_another_tenants_people_are_not_found(identity, acme):
    other = await identity.make_tenant("other")
    ada = await acme.provision("ada")
    foreign, unknown = str(ada), str(uuid4())
    for principal in (foreign, unknown):
        for path, body in (
            ("sign-in-codes", {"principals": [principal]}),
            ("passwords", {"principal": principal, "password": "correct horse"}),
            ("roles", {"principal": principal, "role": "auditor"}),
        ):
            answer = await identity.operate("POST", f"/internal/tenants/{other.tenant}/{path}", body)
            assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
    answer = await identity.operate("POST", f"/internal/tenants/{uuid4()}/scim-tokens", {})
    assert answer.status_code == 404
