"""Entries by reference: sealed, with those who took part when they were sent, for eDiscovery alone."""

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import httpx
import pytest

from libs.authn.actor import Actor
from libs.authn.errors import Unauthenticated
from libs.contracts.internal import (
    ENTRIES_LIMIT,
    SALTS_BEFORE_BODY,
    ConversationsOf,
    EntriesOf,
    EntryNamed,
    FetchConversations,
    FetchEntries,
    pack,
    unpack,
)
from libs.contracts.socket import Body, body_of
from libs.host.app import create_app
from libs.kernel.clock import SystemClock
from libs.kernel.ids import SystemIds, TenantId
from libs.kernel.randomness import SystemRandomness
from services.messaging.domain.entries import ConversationKey
from services.messaging.edge.internal import entry_routes
from services.messaging.edge.problems import PROBLEMS
from services.messaging.store.evidence import PostgresEvidence
from services.messaging.store.log_reader import PostgresLogReader
from services.messaging.usecases.prove import ProveEntries
from services.messaging.usecases.refer import ReferToEntries
from tests.integration.messaging.gateways import Gateway

Three = tuple[Actor, Actor, Actor]


class Peers:
    """Believes whoever says a service's name."""

    def verify(self, token: str) -> str:
        if token not in ("ediscovery", "audit", "keys"):
            raise Unauthenticated
        return token


@pytest.fixture
async def http(one: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    database, clock = one.core.app_database, SystemClock()
    routes = entry_routes(
        Peers(),
        ReferToEntries(PostgresLogReader(database)),
        ProveEntries(PostgresEvidence(database, SystemIds(clock, SystemRandomness()), clock)),
    )
    app = create_app("messaging", title="Trial", prefix="/x", routers=[routes], problems=PROBLEMS)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://messaging") as client:
        yield client


async def asked(
    http: httpx.AsyncClient,
    tenant: TenantId,
    *places: tuple[UUID, int],
    caller: str = "ediscovery",
    audiences: bool = False,
) -> httpx.Response:
    items = tuple(EntryNamed(conversation=conversation, seq=seq) for conversation, seq in places)
    return await http.post(
        "/internal/entries",
        content=pack(FetchEntries(tenant=tenant, items=items, audiences=audiences)),
        headers={"authorization": f"Bearer {caller}", "content-type": "application/msgpack"},
    )


async def test_an_entry_comes_sealed_with_those_who_took_part_when_it_was_sent(
    one: Gateway, people: Three, tenant: TenantId, http: httpx.AsyncClient
) -> None:
    ada, bo, cy = people
    plans = await one.group(ada, bo)
    await one.send(ada, plans, "before cy")
    await one.core.converse.add(ada, plans, [cy.principal])
    await one.send(bo, plans, "with cy")
    await one.core.converse.remove(ada, plans, [cy.principal])
    last = await one.send(ada, plans, "after cy")
    answer = await asked(http, tenant, *[(plans, seq) for seq in range(last.seq + 3)])
    entries = unpack(answer.content, EntriesOf).items
    assert [entry.seq for entry in entries] == list(range(1, last.seq + 1))
    messages = [entry for entry in entries if entry.kind == "message_created"]
    key = ConversationKey(tenant, plans)
    keys = one.core.deliver._keys
    await keys.fetch_opening_keys(tenant, [entry.sealed for entry in messages if entry.sealed])
    texts = []
    for entry in messages:
        assert entry.sealed is not None
        opening = keys.find_opening_key(entry.sealed)
        assert opening is not None
        clear = opening.open(entry.sealed, key, entry.message, entry.revision)  # type: ignore[arg-type]
        texts.append(body_of(clear[SALTS_BEFORE_BODY:]).text)
    assert texts == ["before cy", "with cy", "after cy"]
    two, three = {ada.principal, bo.principal}, {ada.principal, bo.principal, cy.principal}
    assert [set(entry.participants) for entry in messages] == [two, three, two]
    answer = await asked(http, tenant, *[(plans, entry.seq) for entry in messages], audiences=True)
    found = unpack(answer.content, EntriesOf)
    assert [set(found.audiences[entry.audience or 0]) for entry in found.items] == [two, three, two]
    assert (len(found.audiences), [entry.participants for entry in found.items]) == (2, [(), (), ()])
    assert [entry.actor for entry in messages] == [ada.principal, bo.principal, ada.principal]


async def test_every_version_comes_with_what_came_after_it_and_an_amendment_with_all_versions(
    one: Gateway, people: Three, tenant: TenantId, http: httpx.AsyncClient
) -> None:
    ada, bo, _ = people
    plans = await one.group(ada, bo)
    for text in ("frist", "unamended"):
        await one.send(ada, plans, text)
    for text in ("first", "first!"):
        await (await one.core.amend.revise(ada, plans, 2, uuid4(), Body(text=text)))
    await (await one.core.amend.retract(ada, plans, 2, uuid4(), "no more"))
    answer = await asked(http, tenant, *[(plans, seq) for seq in range(1, 7)])
    entries = unpack(answer.content, EntriesOf).items
    assert [(each.revision, each.superseded_by, each.retracted_by) for each in entries] == [
        (0, None, None),
        (0, 4, 6),
        (0, None, None),
        (1, 5, 6),
        (2, None, 6),
        (3, None, None),
    ]
    assert [each.versions for each in entries] == [(), (), (), (2, 4, 5), (2, 4, 5), (2, 4, 5)]
    assert all(each.sealed is not None for each in entries[1:])


async def test_what_was_disposed_of_comes_without_a_body(
    one: Gateway, people: Three, tenant: TenantId, http: httpx.AsyncClient
) -> None:
    plans = await one.group(people[0], people[1])
    sent = await one.send(people[0], plans, "gone")
    one.rows("DELETE FROM messaging.payload WHERE conversation = %s", plans)
    (entry,) = unpack((await asked(http, tenant, (plans, sent.seq))).content, EntriesOf).items
    assert entry.sealed is None


async def test_what_is_hidden_says_so(
    one: Gateway, people: Three, tenant: TenantId, http: httpx.AsyncClient
) -> None:
    plans = await one.group(people[0], people[1])
    sent = await one.send(people[0], plans, "due")
    one.rows(
        "INSERT INTO messaging.hidden (tenant, conversation, first_seq, last_seq, hidden_by, hidden_at)"
        " VALUES (%s, %s, %s, %s, %s, now())",
        tenant,
        plans,
        sent.seq,
        sent.seq,
        uuid4(),
    )
    (entry,) = unpack((await asked(http, tenant, (plans, sent.seq))).content, EntriesOf).items
    assert entry.hidden
    assert entry.sealed is not None


async def test_another_tenants_entries_are_not_there(
    one: Gateway, people: Three, http: httpx.AsyncClient
) -> None:
    plans = await one.group(people[0], people[1])
    answer = await asked(http, TenantId(uuid4()), (plans, 1))
    assert unpack(answer.content, EntriesOf).items == ()


@pytest.mark.parametrize(("caller", "status"), [("audit", 403), ("keys", 403), ("nobody", 401)])
async def test_it_is_for_ediscovery_alone(
    http: httpx.AsyncClient, tenant: TenantId, caller: str, status: int
) -> None:
    assert (await asked(http, tenant, (uuid4(), 1), caller=caller)).status_code == status


async def test_more_than_a_batch_is_refused(http: httpx.AsyncClient, tenant: TenantId) -> None:
    places = [(uuid4(), 1)] * (ENTRIES_LIMIT + 1)
    assert (await asked(http, tenant, *places)).status_code in (400, 422)


async def test_conversations_are_listed_page_by_page_with_how_far_they_go(
    one: Gateway, people: Three, tenant: TenantId, http: httpx.AsyncClient
) -> None:
    ada, bo, _ = people
    rooms = sorted([await one.group(ada, bo) for _ in range(3)])
    await one.send(ada, rooms[1], "hello")

    async def listed(since: UUID | None = None, caller: str = "ediscovery") -> httpx.Response:
        return await http.post(
            "/internal/conversations",
            content=pack(FetchConversations(tenant=tenant, since=since, limit=2)),
            headers={"authorization": f"Bearer {caller}", "content-type": "application/msgpack"},
        )

    first = unpack((await listed()).content, ConversationsOf)
    assert [head.conversation for head in first.items] == rooms[:2]
    assert first.items[1].last_seq == first.items[0].last_seq + 1
    rest = unpack((await listed(rooms[1])).content, ConversationsOf)
    assert [head.conversation for head in rest.items] == rooms[1:]
    assert rest.entries == sum(head.last_seq for head in (*first.items, rest.items[1]))
    assert (await listed(caller="audit")).status_code == 403
