"""eDiscovery learns the names of people by their ids, and finds people by a name, within one tenant."""

from uuid import uuid4

import pytest

from libs.contracts.internal import PEOPLE_LIMIT, FetchPeople, FindPeople, PeopleOf, pack, unpack


async def asked(identity, path, wanted, peer="ediscovery"):
    headers = {"authorization": f"Bearer {identity.token_of(peer)}", "content-type": "application/msgpack"}
    return await identity.http.post(f"/internal/people{path}", content=pack(wanted), headers=headers)


async def named(identity, tenant, *principals):
    answer = await asked(identity, "", FetchPeople(tenant=tenant, principals=principals))
    assert answer.status_code == 200, answer.text
    return {each.principal: (each.name, each.email) for each in unpack(answer.content, PeopleOf).items}


async def found(identity, tenant, text):
    answer = await asked(identity, "/find", FindPeople(tenant=tenant, text=text))
    assert answer.status_code == 200, answer.text
    return {each.principal for each in unpack(answer.content, PeopleOf).items}


@pytest.fixture
async def people(acme):
    """Give Ada, who has two addresses, Bo, who has a name alone, and Cy, whose user name is an address."""
    ada = await acme.provision(
        "ada",
        displayName="Ada Lovelace",
        emails=[
            {"value": "ada@home.example", "type": "home"},
            {"value": "Ada@Acme.example", "type": "work", "primary": True},
        ],
    )
    bo = await acme.provision("bo", displayName="Bo Straße")
    cy = await acme.provision("Cy@Acme.example")
    return ada, bo, cy


async def test_people_are_named_by_their_ids(identity, acme, people):
    ada, bo, cy = people
    assert await named(identity, acme.tenant, ada, bo, cy, uuid4()) == {
        ada: ("Ada Lovelace", "Ada@Acme.example"),
        bo: ("Bo Straße", None),
        cy: ("Cy@Acme.example", "Cy@Acme.example"),
    }


@pytest.mark.parametrize(
    "text", ["ada", "ADA", " Ada ", "ada lovelace", "ADA@ACME.EXAMPLE", "ada@home.example"]
)
async def test_somebody_is_found_by_each_of_his_names_whatever_the_case(identity, acme, people, text):
    assert await found(identity, acme.tenant, text) == {people[0]}


@pytest.mark.parametrize("text", ["ad", "lovelace", "ada%", "%", "a_a", "", " ", "ada@acme", "a\x00da"])
async def test_a_part_of_a_name_finds_nobody(identity, acme, people, text):
    assert await found(identity, acme.tenant, text) == set()


async def test_all_who_are_called_the_same_are_found(identity, acme, people):
    twin = await acme.provision("ada2", displayName="ADA LOVELACE")
    assert await found(identity, acme.tenant, "Ada Lovelace") == {people[0], twin}


async def test_who_has_left_is_there_still(identity, acme, people):
    ada, bo, _ = people
    await acme.patch(ada, {"op": "replace", "path": "active", "value": False})
    assert (await acme.scim("DELETE", f"/Users/{bo}")).status_code == 204
    assert set(await named(identity, acme.tenant, ada, bo)) == {ada, bo}
    assert await found(identity, acme.tenant, "ada") == {ada}
    assert await found(identity, acme.tenant, "bo straße") == {bo}


async def test_another_tenants_people_are_not_there(identity, acme, people):
    other = await identity.make_tenant("other")
    assert await named(identity, other.tenant, *people) == {}
    assert await found(identity, other.tenant, "ada") == set()


@pytest.mark.parametrize("peer", ["operator", "messaging", "audit"])
@pytest.mark.parametrize("path", ["", "/find"])
async def test_it_is_for_ediscovery_alone(identity, acme, path, peer):
    wanted = (
        FindPeople(tenant=acme.tenant, text="a") if path else FetchPeople(tenant=acme.tenant, principals=())
    )
    assert (await asked(identity, path, wanted, peer)).status_code == 403


async def test_more_than_a_batch_is_refused(identity, acme):
    wanted = FetchPeople(tenant=acme.tenant, principals=(uuid4(),) * (PEOPLE_LIMIT + 1))
    assert (await asked(identity, "", wanted)).status_code == 400


async def test_what_is_said_of_people_is_not_printed(identity, acme, people):
    answer = await asked(identity, "/find", FindPeople(tenant=acme.tenant, text="ada"))
    assert "Lovelace" not in repr(unpack(answer.content, PeopleOf))
