"""A directory provisions people by SCIM 2.0, in the dialects of Entra and Okta too."""

import asyncio
import json
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from services.identity.domain.scim.schema import CORE, ENTERPRISE
from tests.integration.identity.service import PATCH_OP, SCIM_USER

ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"


def error_of(answer, status, scim_type=None):
    """Assert that an answer is a SCIM error document of this kind."""
    body = answer.json()
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/scim+json"
    assert body["schemas"] == [ERROR]
    assert body["status"] == str(status)
    assert body.get("scimType") == scim_type
    assert body["detail"]


async def test_a_provisioned_person_is_kept_as_it_was_written(identity, acme):
    body = {
        "schemas": [SCIM_USER, ENTERPRISE],
        "id": "chosen-by-the-client",
        "meta": {"resourceType": "User", "created": "1999-01-01T00:00:00Z"},
        "externalId": "0a21f0f2",
        "USERNAME": "Ada@Acme.test",
        "name": {"formatted": "Ada Lovelace", "familyName": "Lovelace", "givenName": "Ada"},
        "emails": [{"primary": "True", "type": "work", "value": "Ada.Work@Acme.test"}],
        "nickName": None,
        "roles": [],
        "password": "never to be seen",
        "colour": "red",
        ENTERPRISE: {"employeeNumber": "42", "manager": "boss"},
    }
    answer = await acme.scim("POST", "/Users", body)
    made = answer.json()

    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/scim+json"
    assert answer.headers["location"] == made["meta"]["location"]
    assert made["meta"]["location"] == f"https://acme.test/scim/v2/acme/Users/{made['id']}"
    assert answer.headers["etag"] == made["meta"]["version"] == 'W/"1"'
    assert UUID(made.pop("id")).version == 7
    assert made.pop("meta")["created"].startswith("20")
    assert made == {
        "schemas": [CORE, ENTERPRISE],
        "externalId": "0a21f0f2",
        "userName": "Ada@Acme.test",
        "name": {"formatted": "Ada Lovelace", "familyName": "Lovelace", "givenName": "Ada"},
        "emails": [{"primary": True, "type": "work", "value": "Ada.Work@Acme.test"}],
        "active": True,
        ENTERPRISE: {"employeeNumber": "42", "manager": {"value": "boss"}},
    }
    (event,) = identity.events("identity.principal.provisioned.v1")
    assert event["display_name"] == "Ada Lovelace"
    assert event["roles"] == ["employee"]
    assert event["active"] is True
    assert "never to be seen" not in str(identity.rows("SELECT document FROM identity.principal"))


async def test_a_person_is_read_again_and_not_after_a_change_of_version(acme):
    ada = await acme.provision("ada")
    answer = await acme.scim("GET", f"/Users/{ada}")
    assert answer.status_code == 200
    assert answer.json()["userName"] == "ada"
    unchanged = await acme.scim("GET", f"/Users/{ada}", headers={"if-none-match": 'W/"1"'})
    assert unchanged.status_code == 304
    change = {"op": "replace", "path": "title", "value": "Countess"}
    error_of(await acme.patch(ada, change, headers={"if-match": 'W/"7"'}), 412)
    error_of(await acme.patch(ada, change, headers={"if-match": '"invented"'}), 412)
    changed = await acme.patch(ada, change, headers={"if-match": 'W/"1"'})
    assert changed.json()["meta"]["version"] == 'W/"2"'


@pytest.mark.parametrize(
    ("body", "scim_type"),
    [
        ({"userName": "ada"}, "invalidSyntax"),
        ({"schemas": [], "userName": "ada"}, "invalidSyntax"),
        ({"schemas": SCIM_USER, "userName": "ada"}, "invalidSyntax"),
        ([], "invalidSyntax"),
        ("text", "invalidSyntax"),
        ({"schemas": [SCIM_USER]}, "invalidValue"),
        ({"schemas": [SCIM_USER], "userName": "  "}, "invalidValue"),
        ({"schemas": [SCIM_USER], "userName": 5}, "invalidValue"),
        ({"schemas": [SCIM_USER], "userName": "a" * 321}, "invalidValue"),
        ({"schemas": [SCIM_USER], "userName": "a\x00"}, "invalidValue"),
        ({"schemas": [SCIM_USER], "userName": "a\ud800"}, "invalidValue"),
        ({"schemas": [SCIM_USER], "userName": "a", "active": "perhaps"}, "invalidValue"),
        ({"schemas": [SCIM_USER], "userName": "a", "name": "Ada"}, "invalidValue"),
        ({"schemas": [SCIM_USER], "userName": "a", "emails": [7]}, "invalidValue"),
        ({"schemas": [SCIM_USER], "userName": "a", "emails": [{"value": "x"}] * 101}, "invalidValue"),
        (
            {"schemas": [SCIM_USER], "userName": "a", "emails": [{"value": "x", "primary": True}] * 2},
            "invalidValue",
        ),
        ({"schemas": [SCIM_USER], "userName": "a", "roles": [{"value": "Legal_Counsel"}]}, "invalidValue"),
        ({"schemas": [SCIM_USER], "userName": "a", "roles": ["auditor"]}, "invalidValue"),
    ],
    ids=lambda value: str(value)[:60].encode("ascii", "replace").decode(),
)
async def test_a_body_that_is_no_user_is_refused(identity, acme, body, scim_type):
    error_of(await acme.scim("POST", "/Users", body), 400, scim_type)
    assert not identity.rows("SELECT 1 FROM identity.principal")
    assert not identity.events("identity.principal.provisioned.v1")


@pytest.mark.parametrize("text", ["", "{", "\xff", "[" * 100_000, '{"a": NaN}'])
async def test_a_body_that_is_no_json_is_refused(identity, acme, text):
    answer = await identity.http.post(
        "/scim/v2/acme/Users",
        content=text.encode("latin-1"),
        headers={
            "authorization": f"Bearer {acme.scim_token}",
            "content-type": "application/scim+json",
        },
    )
    assert answer.status_code == 400
    assert answer.json()["schemas"] == [ERROR]


async def test_a_body_without_bounds_is_refused(acme):
    body = {"schemas": [SCIM_USER], "userName": "a", "title": "x" * 2_000_000}
    error_of(await acme.scim("POST", "/Users", body), 413)


async def test_a_user_name_and_an_external_id_are_taken_once(acme):
    ada = await acme.provision("Ada", externalId="e-1")
    bob = await acme.provision("bob")
    for body in ({"userName": "ADA"}, {"userName": "new", "externalId": "e-1"}):
        error_of(await acme.scim("POST", "/Users", {"schemas": [SCIM_USER], **body}), 409, "uniqueness")
    error_of(await acme.patch(bob, {"op": "replace", "value": {"userName": "aDa"}}), 409, "uniqueness")
    assert (await acme.patch(ada, {"op": "replace", "value": {"userName": "aDA"}})).status_code == 200


async def test_of_many_who_provision_one_name_side_by_side_one_succeeds(identity, acme):
    body = {"schemas": [SCIM_USER], "userName": "ada"}
    answers = await asyncio.gather(*(acme.scim("POST", "/Users", body) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 9
    assert len(identity.events("identity.principal.provisioned.v1")) == 1


async def found(acme, wanted, **params):
    answer = await acme.scim("GET", "/Users", params={"filter": wanted, **params})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["schemas"] == [LIST]
    assert body["totalResults"] == len(body["Resources"])
    return [user["userName"] for user in body["Resources"]]


async def test_people_are_found_by_the_filters_that_directories_send(acme):
    ada = await acme.provision(
        "Ada@Acme.test",
        externalId="E-1",
        displayName="Ada Lovelace",
        emails=[{"type": "work", "value": "Work@Acme.test"}, {"type": "home", "value": "home@x.test"}],
    )
    await acme.provision("bob@acme.test", active=False, displayName='Bob "the" O\'Neill')
    everyone = ["Ada@Acme.test", "bob@acme.test"]

    assert await found(acme, 'userName eq "ada@ACME.test"') == everyone[:1]
    assert await found(acme, 'USERNAME EQ "bob@acme.test"') == everyone[1:]
    assert await found(acme, f'{CORE}:userName eq "ada@acme.test"') == everyone[:1]
    assert await found(acme, 'externalId eq "E-1"') == everyone[:1]
    assert await found(acme, 'externalId eq "e-1"') == []
    assert await found(acme, f'id eq "{ada}"') == everyone[:1]
    assert await found(acme, 'id eq "no id"') == []
    assert await found(acme, "active eq false") == everyone[1:]
    assert await found(acme, 'active eq "True"') == everyone[:1]
    assert await found(acme, 'emails[type eq "work"].value eq "work@acme.test"') == everyone[:1]
    assert await found(acme, 'emails[type eq "home"].value eq "work@acme.test"') == []
    assert await found(acme, 'emails[type eq "work" and value eq "work@acme.test"]') == everyone[:1]
    assert await found(acme, 'emails.value eq "HOME@x.test"') == everyone[:1]
    assert await found(acme, 'emails eq "home@x.test"') == everyone[:1]
    assert await found(acme, 'userName eq "ada@acme.test" and active eq true') == everyone[:1]
    assert await found(acme, 'userName eq "ada@acme.test" and active eq false') == []
    assert await found(acme, 'userName eq "non-existent user"') == []
    assert await found(acme, 'displayName eq "Bob \\u0022the\\u0022 O\'Neill"') == everyone[1:]


HOSTILE = [
    "userName eq \"x' OR '1'='1\"",
    'userName eq "x"; DROP TABLE identity.principal; --"',
    'userName eq "x\') UNION SELECT hash FROM identity.password --"',
    'userName eq "%(tenant)s"',
    'userName eq "{}"',
    'userName eq "%"',
    'userName eq "\\u0000"',
    'userName eq "\x00"',
    'userName eq "\\"',
    "userName eq 'x'",
    "userName",
    "userName eq",
    "eq",
    "",
    " ",
    "(",
    '((((userName eq "a"))))' + ")" * 50,
    "(" * 500,
    'userName eq "a" and ' * 40 + 'userName eq "a"',
    'userName eq "' + "a" * 2000 + '"',
    'userName co "a"',
    'userName sw "a"',
    "userName pr",
    'not (userName eq "a")',
    'userName eq "a" or userName eq "b"',
    'active gt "true"',
    'active eq "perhaps"',
    'password eq "x"',
    "name_key = 'x' --",
    'principal.tenant eq "x"',
    'tenant eq "x"',
    'urn:evil:userName eq "x"',
    'emails[type eq "work"] eq "x"',
    'emails[kind eq "work"].value eq "x"',
    'emails[type eq "work"].type eq "x"',
    'emails[not (value eq "x")]',
    'emails[emails[value eq "x"].value eq "y"].value eq "z"',
    'userName eq "a" union select',
]


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
async def test_a_hostile_filter_finds_nobody_or_is_refused(identity, acme, hostile):
    await acme.provision("ada")
    answer = await acme.scim("GET", "/Users", params={"filter": hostile})
    if answer.status_code == 200:
        assert answer.json()["totalResults"] == 0
        assert answer.json()["Resources"] == []
    else:
        error_of(answer, 400, "invalidFilter")
    assert len(identity.rows("SELECT 1 FROM identity.principal")) == 1


async def test_lists_come_in_pages(acme):
    names = [f"user-{number}" for number in range(5)]
    for name in names:
        await acme.provision(name)

    async def page(**params):
        answer = await acme.scim("GET", "/Users", params=params)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert body["totalResults"] == 5
        assert body["itemsPerPage"] == len(body["Resources"])
        return [user["userName"] for user in body["Resources"]], body["startIndex"]

    assert await page() == (names, 1)
    assert await page(startIndex=2, count=2) == (names[1:3], 2)
    assert await page(startIndex=-3, count=1) == (names[:1], 1)
    assert await page(count=0) == ([], 1)
    assert await page(count=-1) == ([], 1)
    assert await page(startIndex=6) == ([], 6)
    assert (await page(startIndex=10**30))[0] == []
    assert (await page(count=10**30))[0] == names
    error_of(await acme.scim("GET", "/Users", params={"count": "many"}), 400, "invalidValue")


async def test_a_client_sees_only_the_attributes_it_asks_for(acme):
    ada = await acme.provision("ada", displayName="Ada", emails=[{"value": "a@x.test"}])
    path = f"/Users/{ada}"
    some = (await acme.scim("GET", path, params={"attributes": "USERNAME, emails.value"})).json()
    assert set(some) == {"schemas", "id", "userName", "emails"}
    most = (await acme.scim("GET", path, params={"excludedAttributes": "emails,id"})).json()
    assert set(most) == {"schemas", "id", "userName", "displayName", "active", "meta"}
    both = {"attributes": "userName", "excludedAttributes": "emails"}
    error_of(await acme.scim("GET", path, params=both), 400, "invalidValue")


DEACTIVATIONS = {
    "RFC 7644": ("PATCH", {"Operations": [{"op": "replace", "path": "active", "value": False}]}),
    "Entra, legacy": ("PATCH", {"Operations": [{"op": "Replace", "path": "active", "value": "False"}]}),
    "Entra, flagged": ("PATCH", {"Operations": [{"op": "replace", "value": {f"{CORE}:active": False}}]}),
    "Okta": ("PATCH", {"Operations": [{"op": "replace", "value": {"active": False}}]}),
    "add": ("PATCH", {"Operations": [{"op": "add", "path": f"{CORE}:active", "value": False}]}),
    "a PUT, as Okta's": ("PUT", {"schemas": [SCIM_USER], "userName": "ada", "active": False}),
    "DELETE": ("DELETE", None),
}


@pytest.mark.parametrize(("method", "body"), DEACTIVATIONS.values(), ids=DEACTIVATIONS.keys())
async def test_who_is_deactivated_is_signed_out_everywhere_at_once(identity, acme, method, body):
    ada = await acme.provision("ada")
    bob = await acme.sign_in(await acme.provision("bob"))
    (unused,) = await acme.codes(ada)
    sessions = [await acme.sign_in(ada) for _ in range(3)]
    if method == "PATCH":
        body = {"schemas": [PATCH_OP], **body}

    answer = await acme.scim(method, f"/Users/{ada}", body)

    assert answer.status_code in (200, 204), answer.text
    for session in sessions:
        assert (await identity.get("/identity/v1/me", session["access_token"])).status_code == 401
        assert (await identity.refresh(session["refresh_token"])).status_code == 401
    assert (await identity.sign_in(code=unused)).status_code == 401
    assert (await identity.get("/identity/v1/me", bob["access_token"])).status_code == 200
    names = [event["name"] for event in identity.events()][-4:]
    assert names == ["identity.principal.deactivated.v1"] + ["identity.session.revoked.v1"] * 3
    revoked = {event["session"] for event in identity.events("identity.session.revoked.v1")}
    assert revoked == {session["session"] for session in sessions}
    rows = identity.rows("SELECT position, session FROM identity.revocation ORDER BY position")
    assert [row.position for row in rows] == [1, 2, 3]
    assert {str(row.session) for row in rows} == revoked


async def test_a_deactivation_that_cannot_be_published_does_not_happen(identity, acme):
    ada = await acme.provision("ada")
    session = await acme.sign_in(ada)
    planted = "ALTER TABLE identity.outbox ADD CONSTRAINT planted CHECK (name NOT LIKE '%revoked%')"
    await asyncio.to_thread(identity.execute, planted)  # it may wait for a lock, and the service runs here

    answer = await acme.patch(ada, {"op": "replace", "path": "active", "value": False})

    error_of(answer, 500)
    assert not identity.rows("SELECT 1 FROM identity.revocation")
    assert identity.rows("SELECT position FROM identity.revocation_head")[0].position == 0
    assert identity.rows("SELECT active FROM identity.principal")[0].active
    assert (await identity.get("/identity/v1/me", session["access_token"])).status_code == 200
    await asyncio.to_thread(identity.execute, "ALTER TABLE identity.outbox DROP CONSTRAINT planted")
    await acme.patch(ada, {"op": "replace", "path": "active", "value": False})
    assert (await identity.get("/identity/v1/me", session["access_token"])).status_code == 401


async def test_nobody_comes_in_beside_their_own_deactivation(identity, acme):
    for number in range(5):
        ada = await acme.provision(f"ada-{number}")
        codes = [(await acme.codes(ada))[0] for _ in range(3)]
        devices = [await acme.sign_in(ada) for _ in range(3)]
        *entries, out, deactivated = await asyncio.gather(
            *(identity.sign_in(code=code) for code in codes),
            *(identity.refresh(device["refresh_token"]) for device in devices[1:]),
            identity.sign_out(devices[0]["access_token"]),
            acme.patch(ada, {"op": "replace", "path": "active", "value": False}),
        )
        assert (out.status_code in (204, 401), deactivated.status_code) == (True, 200)
        for answer in entries:
            assert answer.status_code in (200, 201, 401), answer.text
            if answer.status_code != 401:
                token = answer.json()["access_token"]
                assert (await identity.get("/identity/v1/me", token)).status_code == 401
    rows = identity.rows("SELECT position FROM identity.revocation ORDER BY position")
    assert [row.position for row in rows] == list(range(1, len(rows) + 1))
    assert not identity.rows("SELECT 1 FROM identity.session WHERE ended_at IS NULL")


async def test_who_is_reactivated_signs_in_anew(identity, acme):
    ada = await acme.provision("ada")
    before = await acme.sign_in(ada)
    await acme.patch(ada, {"op": "Replace", "path": "active", "value": "False"})
    back = await acme.patch(ada, {"op": "Replace", "path": "active", "value": "True"})
    assert back.json()["active"] is True
    assert (await identity.get("/identity/v1/me", before["access_token"])).status_code == 401
    after = await acme.sign_in(ada)
    assert (await identity.get("/identity/v1/me", after["access_token"])).status_code == 200
    assert [event["active"] for event in identity.events("identity.principal.updated.v1")] == [False, True]


async def test_who_is_deleted_is_gone_from_every_answer_and_never_comes_back(identity, acme):
    ada = await acme.provision("ada", externalId="e-1")
    assert (await acme.scim("DELETE", f"/Users/{ada}")).status_code == 204
    for method, body in (
        ("GET", None),
        ("DELETE", None),
        ("PUT", {"schemas": [SCIM_USER], "userName": "ada"}),
        ("PATCH", {"schemas": [PATCH_OP], "Operations": [{"op": "add", "value": {"active": True}}]}),
    ):
        error_of(await acme.scim(method, f"/Users/{ada}", body), 404)
    assert await found(acme, 'userName eq "ada"') == []
    again = await acme.provision("ada", externalId="e-1")
    assert again != ada
    kept = identity.rows("SELECT document FROM identity.principal WHERE removed_at IS NOT NULL")
    assert kept[0].document["userName"] == "ada"


async def test_a_change_that_changes_nothing_publishes_nothing(identity, acme):
    ada = await acme.provision("ada", displayName="Ada")
    answer = await acme.patch(ada, {"op": "replace", "path": "displayName", "value": "Ada"})
    assert answer.json()["meta"]["version"] == 'W/"1"'
    assert not identity.events("identity.principal.updated.v1")


async def test_roles_of_the_directory_come_and_go_with_it(identity, acme):
    ada = await acme.provision("ada", roles=[{"value": "it_admin"}])
    path = f"/internal/tenants/{acme.tenant}/roles"
    await identity.operate("POST", path, {"principal": str(ada), "role": "auditor"})
    await acme.patch(ada, {"op": "replace", "path": "roles", "value": [{"value": "guest"}]})
    (updated,) = identity.events("identity.principal.updated.v1")
    assert updated["roles"] == ["auditor", "guest"]
    await acme.patch(ada, {"op": "remove", "path": "roles"})
    assert (await acme.sign_in(ada))["roles"] == ["auditor", "employee"]
    refused = await acme.patch(ada, {"op": "add", "path": "roles", "value": [{"value": "legal_counsel"}]})
    error_of(refused, 400, "invalidValue")


async def test_bad_tokens_get_one_answer_and_a_good_one_opens_no_other_tenant(identity, acme):
    other = await identity.make_tenant("other")
    ada = await acme.provision("ada")
    bad = ["x", "mscim_", acme.scim_token[:-3], acme.scim_token + "x", "mscim_" + "A" * 64]
    bad.append(identity.token_of("operator"))
    documents = []
    for slug in ("acme", "nowhere"):
        for token in bad:
            answer = await identity.http.get(
                f"/scim/v2/{slug}/Users", headers={"authorization": f"Bearer {token}"}
            )
            error_of(answer, 401)
            assert answer.headers["www-authenticate"] == "Bearer"
            documents.append(answer.text)
    bare = await identity.http.get("/scim/v2/acme/Users")
    error_of(bare, 401)
    assert set(documents) == {bare.text}

    elsewhere = []
    for slug in ("acme", "nowhere", "Acme", "%00"):
        for path in ("/Users", f"/Users/{ada}", f"/Users/{uuid4()}"):
            answer = await identity.http.get(
                f"/scim/v2/{slug}{path}", headers={"authorization": f"Bearer {other.scim_token}"}
            )
            error_of(answer, 404)
            elsewhere.append(answer.text)
    assert len(set(elsewhere)) == 1


async def test_another_tenants_person_is_not_found(identity, acme):
    other = await identity.make_tenant("other")
    ada = await acme.provision("ada", externalId="e-1")
    session = await acme.sign_in(ada)
    for user in (ada, uuid4(), "5171a35d82074e068ce2", "..", "%27"):
        for method, body in (
            ("GET", None),
            ("DELETE", None),
            ("PUT", {"schemas": [SCIM_USER], "userName": "stolen"}),
            ("PATCH", {"schemas": [PATCH_OP], "Operations": [{"op": "add", "value": {"active": False}}]}),
        ):
            answer = await other.scim(method, f"/Users/{user}", body)
            assert answer.status_code in (404, 405), (user, method)
    assert await found(other, f'id eq "{ada}"') == []
    assert await found(other, 'externalId eq "e-1"') == []
    await other.provision("ada", externalId="e-1")
    assert (await identity.get("/identity/v1/me", session["access_token"])).status_code == 200


async def test_a_scim_token_dies_after_a_year(identity, acme):
    identity.clock.shift = timedelta(days=366)
    error_of(await acme.scim("GET", "/Users"), 401)


async def test_what_there_is_not_is_said_in_scims_own_form(acme):
    error_of(await acme.scim("POST", f"/Users/{uuid4()}", {}), 405)
    error_of(await acme.scim("GET", "/Nonsense"), 404)


async def test_the_server_says_what_it_can(acme):
    config = (await acme.scim("GET", "/ServiceProviderConfig")).json()
    assert config["patch"]["supported"] is True
    assert config["bulk"]["supported"] is False


async def test_the_steps_of_entra_pass(acme):
    """Source: Microsoft Entra's SCIM reference, the user part of its sequence."""
    name = "Test_User_00aa00aa-bb11-cc22-dd33-44ee44ee44ee"
    mail = "Test_User_11bb11bb-cc22-dd33-ee44-55ff55ff55ff@testuser.com"
    user = await acme.provision(
        name,
        externalId="0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef",
        emails=[{"primary": True, "type": "work", "value": mail}],
        name={"formatted": "givenName familyName", "familyName": "familyName", "givenName": "givenName"},
        roles=[],
    )
    assert await found(acme, f'emails[type eq "work"].value eq "{mail}"') == [name]

    answer = await acme.patch(
        user,
        {"op": "Replace", "path": 'emails[type eq "work"].value', "value": "updated@microsoft.com"},
        {"op": "Replace", "path": "name.familyName", "value": "updatedFamilyName"},
    )
    assert answer.json()["emails"] == [{"primary": True, "type": "work", "value": "updated@microsoft.com"}]
    assert answer.json()["name"]["familyName"] == "updatedFamilyName"
    answer = await acme.patch(user, {"op": "Replace", "path": "userName", "value": "5b50642d@testuser.com"})
    assert answer.json()["userName"] == "5b50642d@testuser.com"
    answer = await acme.patch(user, {"op": "Add", "path": "nickName", "value": "Babs"})
    assert answer.json()["nickName"] == "Babs"
    answer = await acme.patch(
        user,
        {"op": "Replace", "path": "displayName", "value": "Pvlo"},
        {"op": "Replace", "path": "externalId", "value": "Eqpj"},
        {"op": "Replace", "path": f"{ENTERPRISE}:employeeNumber", "value": "Eqpj"},
        {"op": "Add", "path": f"{ENTERPRISE}:manager", "value": "26118915"},
    )
    assert answer.json()["externalId"] == "Eqpj"
    assert answer.json()[ENTERPRISE] == {"employeeNumber": "Eqpj", "manager": {"value": "26118915"}}
    answer = await acme.patch(
        user,
        {"op": "replace", "path": 'emails[type eq "work"].value', "value": "TestMhvaes@test.microsoft.com"},
        {
            "op": "replace",
            "value": {
                "displayName": "Bjfe",
                "name.givenName": "Kkom",
                "name.familyName": "Unua",
                f"{ENTERPRISE}:employeeNumber": "Aklq",
            },
        },
    )
    changed = answer.json()
    assert changed["name"] == {
        "formatted": "givenName familyName",
        "givenName": "Kkom",
        "familyName": "Unua",
    }
    assert changed[ENTERPRISE]["employeeNumber"] == "Aklq"
    assert json.dumps(changed).count("null") == 0
    assert await found(acme, 'emails.value eq "testmhvaes@test.microsoft.com"') == ["5b50642d@testuser.com"]
    answer = await acme.patch(
        user,
        {"op": "Add", "path": 'emails[type eq "home"].value', "value": "new@home.test"},
        {"op": "Remove", "path": 'emails[type eq "work"]'},
        {"op": "Remove", "path": "nickName"},
    )
    assert answer.json()["emails"] == [{"type": "home", "value": "new@home.test"}]
    assert "nickName" not in answer.json()


async def test_the_steps_of_oktas_suite_pass(acme):
    """Source: Okta's SCIM 2.0 specification test."""
    await acme.provision(
        "ada@acme.test",
        name={"givenName": "Ada", "familyName": "Lovelace"},
        emails=[{"value": "ada@acme.test", "primary": True, "type": "work"}],
    )
    listed = await acme.scim("GET", "/Users", params={"count": 1, "startIndex": 1})
    (first,) = listed.json()["Resources"]
    assert first["id"]
    assert first["name"] == {"givenName": "Ada", "familyName": "Lovelace"}
    assert first["userName"]
    assert first["active"] is True
    assert first["emails"][0]["value"]
    put = await acme.scim(
        "PUT",
        f"/Users/{first['id']}",
        {**first, "name": {"givenName": "Ada", "familyName": "King"}, "active": True},
    )
    assert put.status_code == 200
    assert put.json()["name"]["familyName"] == "King"
    assert put.json()["id"] == first["id"]
