"""The map of all conversations: what is committed is what there is, whole, and can be given again."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest

from libs.authn.actor import Actor
from libs.contracts.actions import ACTIONS
from libs.contracts.facts import MessagingFact
from libs.contracts.internal import (
    FetchHeads,
    FetchMap,
    HeadsOf,
    MapOf,
    MappedConversation,
    Wire,
    pack,
    unpack,
)
from libs.db.pool import CrossingDatabase
from libs.evidence.completeness import (
    CONVERSATIONS_COMMITTED,
    ConversationHead,
    map_root,
    participants_tree,
)
from libs.evidence.leaf import leaf_of, parse_leaf
from libs.host.app import create_app
from libs.kernel.clock import SystemClock
from libs.kernel.ids import PrincipalId, SystemIds, TenantId
from libs.kernel.randomness import SystemRandomness
from services.audit.usecases.sequence import detail_of
from services.messaging.edge.internal import map_routes
from services.messaging.edge.problems import PROBLEMS
from services.messaging.store import maps
from services.messaging.store.maps import PostgresMaps
from services.messaging.usecases.maps import CommitMaps, ReadMaps
from tests.integration.messaging import test_imports
from tests.integration.messaging.gateways import Gateway, person
from tests.integration.messaging.test_facts import counted, facts_of
from tests.integration.messaging.test_references import Peers
from tests.unit.evidence.logs import leaf_at

Three = tuple[Actor, Actor, Actor]


@dataclass
class Cartography:
    """What commits maps, and its door."""

    commit: CommitMaps
    http: httpx.AsyncClient

    async def ask(self, path: str, wanted: Wire, caller: str = "ediscovery") -> httpx.Response:
        headers = {"authorization": f"Bearer {caller}", "content-type": "application/msgpack"}
        return await self.http.post(f"/internal{path}", content=pack(wanted), headers=headers)

    async def newest(self, tenant: TenantId, *, fresh: bool = False) -> MapOf:
        answer = await self.ask("/map", FetchMap(tenant=tenant, fresh=fresh))
        assert answer.status_code == 200, answer.text
        return unpack(answer.content, MapOf)

    async def heads(self, tenant: TenantId, act: UUID, limit: int = 500) -> list[MappedConversation]:
        """Return all conversations of a map, page by page."""
        found: list[MappedConversation] = []
        while True:
            after = found[-1].conversation if found else None
            answer = await self.ask(
                "/map/heads", FetchHeads(tenant=tenant, act=act, after=after, limit=limit)
            )
            assert answer.status_code == 200, answer.text
            page = unpack(answer.content, HeadsOf).items
            if not page:
                return found
            found += page


@pytest.fixture
async def cartography(one: Gateway) -> AsyncIterator[Cartography]:
    mapping = CrossingDatabase(one.database.dsn("messaging_mapper"), "mapper", by_key=True)
    await mapping.open()
    clock, randomness = SystemClock(), SystemRandomness()
    kept = PostgresMaps(mapping, one.core.app_database, clock, SystemIds(clock, randomness))
    commit = CommitMaps(kept, clock, randomness)
    routes = map_routes(Peers(), commit, ReadMaps(kept))
    app = create_app("messaging", title="Trial", prefix="/x", routers=[routes], problems=PROBLEMS)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://messaging") as client:
        yield Cartography(commit, client)
    await mapping.close()


def told(one: Gateway) -> list[MessagingFact]:
    return [fact for fact in facts_of(one) if fact.action == CONVERSATIONS_COMMITTED]


def head_of(shown: MappedConversation) -> ConversationHead:
    return ConversationHead(shown.conversation, shown.last_seq, shown.participants)


def check(shown: list[MappedConversation], fact: MessagingFact) -> None:
    """Check that these are the conversations that a fact committed to, with these participants."""
    for each in shown:
        assert participants_tree(each.principals, each.salt).commitment() == each.participants
    assert (len(shown), map_root([head_of(each) for each in shown])) == (fact.count, fact.root)


async def test_what_is_committed_is_every_conversation_with_whoever_was_there(
    one: Gateway, people: Three, tenant: TenantId, cartography: Cartography
) -> None:
    ada, bo, cy = people
    plans, games = await one.group(ada, bo), await one.group(bo, cy)
    await one.send(ada, plans, "hello")
    await one.core.converse.add(ada, plans, [cy.principal])
    await one.core.converse.remove(ada, plans, [bo.principal])
    committed = await cartography.newest(tenant, fresh=True)
    (fact,) = told(one)
    assert (committed.act, committed.at, committed.root) == (fact.act, fact.at, fact.root)
    assert committed.conversations == fact.count == 2
    shown = {each.conversation: each for each in await cartography.heads(tenant, committed.act)}
    check(list(shown.values()), fact)
    assert {each: shown[each].last_seq for each in shown} == {plans: 4, games: 1}
    assert {each: set(shown[each].principals) for each in shown} == {
        plans: {ada.principal, bo.principal, cy.principal},
        games: {bo.principal, cy.principal},
    }
    spans = {(span.principal, span.from_seq, span.until_seq) for span in shown[plans].spans}
    assert spans == {(ada.principal, 1, None), (bo.principal, 1, 4), (cy.principal, 3, None)}
    assert {shown[each].kind for each in shown} == {"group"}


async def test_the_leaf_of_the_audit_log_commits_to_the_root_and_the_number_of_conversations(
    one: Gateway, people: Three, tenant: TenantId, cartography: Cartography
) -> None:
    await one.group(people[0], people[1])
    await cartography.commit()
    (fact,) = told(one)
    assert CONVERSATIONS_COMMITTED in ACTIONS
    detail = detail_of(fact)
    assert (detail.action, detail.count, detail.runs) == (CONVERSATIONS_COMMITTED, 1, ())
    leaf = parse_leaf(leaf_at(0, root=fact.root, detail=detail))
    assert leaf.root == fact.root
    assert leaf_of(leaf) == leaf_at(0, root=fact.root, detail=detail)


@pytest.mark.planted
@pytest.mark.parametrize(
    "defect",
    [
        lambda shown: shown.pop(),
        lambda shown: shown.append(shown[-1].__class__(**{**_fields(shown[-1]), "conversation": uuid4()})),
        lambda shown: shown.__setitem__(
            0, shown[0].__class__(**{**_fields(shown[0]), "last_seq": shown[0].last_seq - 1})
        ),
        lambda shown: shown.__setitem__(
            0, shown[0].__class__(**{**_fields(shown[0]), "principals": shown[0].principals[1:]})
        ),
    ],
    ids=["left out", "added", "shortened", "somebody less"],
)
async def test_another_map_is_not_what_was_committed(
    one: Gateway,
    people: Three,
    tenant: TenantId,
    cartography: Cartography,
    defect: Callable[[list[MappedConversation]], object],
) -> None:
    for _ in range(3):
        await one.send(people[0], await one.group(people[0], people[1]), "hello")
    committed = await cartography.newest(tenant, fresh=True)
    shown = await cartography.heads(tenant, committed.act)
    check(shown, told(one)[0])
    defect(shown)
    shown.sort(key=lambda each: each.conversation)
    with pytest.raises(AssertionError):
        check(shown, told(one)[0])


def _fields(shown: MappedConversation) -> dict[str, object]:
    return {name: getattr(shown, name) for name in shown.__struct_fields__}


async def test_every_map_can_be_given_again_after_everything_moved(
    one: Gateway, people: Three, tenant: TenantId, cartography: Cartography
) -> None:
    ada, bo, cy = people
    places = [await one.group(ada, bo) for _ in range(3)]
    committed = [await cartography.newest(tenant, fresh=True)]
    await one.core.converse.add(ada, places[0], [cy.principal])
    await one.core.converse.remove(ada, places[0], [bo.principal])
    committed.append(await cartography.newest(tenant, fresh=True))
    await one.send(cy, places[0], "hello")
    await one.send(bo, places[1], "hello")
    places.append(await one.group(cy, ada))
    committed.append(await cartography.newest(tenant, fresh=True))
    await one.core.converse.remove(ada, places[0], [cy.principal])
    facts = told(one)
    assert [fact.act for fact in facts] == [each.act for each in committed]
    shown = [await cartography.heads(tenant, each.act, limit=2) for each in committed]
    for heads, fact in zip(shown, facts, strict=True):
        check(heads, fact)
    first, second, third = ({each.conversation: each for each in heads} for heads in shown)
    assert [len(first), len(second), len(third)] == [3, 3, 4]
    assert [each[places[0]].last_seq for each in (first, second, third)] == [1, 3, 4]
    assert {each[places[0]].salt for each in (first, second, third)} == {first[places[0]].salt}
    assert cy.principal not in first[places[0]].principals
    assert (bo.principal, 1, None) in {tuple(_span(span)) for span in first[places[0]].spans}
    assert (bo.principal, 1, 3) in {tuple(_span(span)) for span in second[places[0]].spans}
    assert (cy.principal, 2, None) in {tuple(_span(span)) for span in third[places[0]].spans}


def _span(span: object) -> list[object]:
    return [getattr(span, name) for name in ("principal", "from_seq", "until_seq")]


async def test_nothing_is_committed_while_nothing_moved(
    one: Gateway, people: Three, tenant: TenantId, cartography: Cartography
) -> None:
    plans = await one.group(people[0], people[1])
    first = await cartography.newest(tenant, fresh=True)
    await cartography.commit()
    assert await cartography.newest(tenant, fresh=True) == first
    assert len(told(one)) == 1
    await one.send(people[0], plans, "hello")
    assert await cartography.newest(tenant) == first
    await cartography.commit()
    assert (await cartography.newest(tenant)).act != first.act
    rows = one.rows("SELECT map, last_seq FROM messaging.mapped_head ORDER BY map")
    assert rows == [(1, 1), (2, 2)]


async def test_only_what_moved_is_written_anew(
    one: Gateway, people: Three, tenant: TenantId, cartography: Cartography
) -> None:
    places = [await one.group(people[0], people[1]) for _ in range(4)]
    await cartography.commit()
    await one.send(people[0], places[2], "hello")
    await cartography.commit()
    assert one.rows("SELECT conversation FROM messaging.mapped_head WHERE map = 2") == [(places[2],)]
    check(await cartography.heads(tenant, (await cartography.newest(tenant)).act), told(one)[-1])


async def test_authors_of_an_import_are_participants(
    one: Gateway, tenant: TenantId, cartography: Cartography
) -> None:
    await test_imports.imported(
        one, person(tenant, ("compliance_officer",)), person(tenant, ("legal_counsel",))
    )
    committed = await cartography.newest(tenant, fresh=True)
    shown = {each.conversation: each for each in await cartography.heads(tenant, committed.act)}
    check(list(shown.values()), told(one)[0])
    assert len(shown[test_imports.place(tenant)].principals) == 4, "three authors and who imported"
    assert shown[test_imports.place(tenant)].kind == "import"


async def test_who_sent_and_never_was_there_is_a_participant(
    one: Gateway, people: Three, tenant: TenantId, cartography: Cartography
) -> None:
    plans = await one.group(people[0], people[1])
    sent = await one.send(people[0], plans, "hello")
    stranger = PrincipalId(uuid4())
    one.rows(
        "UPDATE messaging.entry SET actor = %s WHERE conversation = %s AND seq = %s",
        stranger,
        plans,
        sent.seq,
    )
    committed = await cartography.newest(tenant, fresh=True)
    (shown,) = await cartography.heads(tenant, committed.act)
    assert set(shown.principals) == {people[0].principal, people[1].principal, stranger}


async def test_each_tenant_has_its_own_map(
    one: Gateway, people: Three, tenant: TenantId, cartography: Cartography
) -> None:
    other = TenantId(uuid4())
    dee, eve = person(other), person(other)
    one.know(dee, eve)
    ours, theirs = await one.group(people[0], people[1]), await one.group(dee, eve)
    await cartography.commit()
    mine, yours = await cartography.newest(tenant), await cartography.newest(other)
    assert [each.conversation for each in await cartography.heads(tenant, mine.act)] == [ours]
    assert [each.conversation for each in await cartography.heads(other, yours.act)] == [theirs]
    answer = await cartography.ask("/map/heads", FetchHeads(tenant=tenant, act=yours.act))
    assert answer.status_code == 404
    assert one.rows("SELECT tenant, number FROM messaging.map ORDER BY tenant") == sorted(
        [(tenant, 1), (other, 1)]
    )


@pytest.mark.parametrize("fresh", [False, True])
async def test_a_tenant_without_conversations_has_no_map(cartography: Cartography, *, fresh: bool) -> None:
    answer = await cartography.ask("/map", FetchMap(tenant=uuid4(), fresh=fresh))
    assert answer.status_code == 404


@pytest.mark.parametrize(("caller", "status"), [("audit", 403), ("keys", 403), ("nobody", 401)])
@pytest.mark.parametrize("path", ["/map", "/map/heads"])
async def test_it_is_for_ediscovery_alone(
    cartography: Cartography, path: str, caller: str, status: int
) -> None:
    wanted = FetchMap(tenant=uuid4()) if path == "/map" else FetchHeads(tenant=uuid4(), act=uuid4())
    assert (await cartography.ask(path, wanted, caller)).status_code == status


async def test_a_map_and_its_fact_stand_together_or_not_at_all(
    one: Gateway, people: Three, tenant: TenantId, cartography: Cartography
) -> None:
    await one.group(people[0], people[1])
    one.rows("ALTER TABLE messaging.outbox ADD CONSTRAINT planted CHECK (name = '') NOT VALID")
    with pytest.raises(psycopg.errors.CheckViolation):
        await cartography.commit()
    for table in ("map", "mapped_conversation", "mapped_head", "mapped_participant"):
        assert one.rows(f"SELECT * FROM messaging.{table}") == []
    one.rows("ALTER TABLE messaging.outbox DROP CONSTRAINT planted")
    await cartography.commit()
    check(await cartography.heads(tenant, (await cartography.newest(tenant)).act), told(one)[0])
    assert (await counted(one))[CONVERSATIONS_COMMITTED] == 1


async def test_maps_that_are_made_at_once_come_one_after_the_other(
    one: Gateway, people: Three, tenant: TenantId, cartography: Cartography
) -> None:
    plans = await one.group(people[0], people[1])
    for _ in range(3):
        await asyncio.gather(
            *[cartography.newest(tenant, fresh=True) for _ in range(4)],
            *[one.send(people[0], plans, "hello") for _ in range(4)],
        )
    await cartography.commit()
    facts = told(one)
    assert len(facts) == len(one.rows("SELECT * FROM messaging.map"))
    for fact in facts:
        check(await cartography.heads(tenant, fact.act), fact)


async def test_of_a_large_log_what_moved_is_read_and_no_more(
    one: Gateway, people: Three, tenant: TenantId, cartography: Cartography
) -> None:
    places = [await one.group(people[0], people[1]) for _ in range(3)]
    one.rows(
        "INSERT INTO messaging.conversation_head (tenant, conversation, kind, last_seq)"
        " SELECT %s, gen_random_uuid(), 2, 9 FROM generate_series(1, 5000)",
        tenant,
    )
    await cartography.commit()
    one.rows(
        "INSERT INTO messaging.entry (tenant, conversation, seq, kind, revision, message, actor, sent_at,"
        " members_version, subjects, metadata_commitment, body_commitment, commit)"
        " SELECT %s, %s, n, 4, 0, gen_random_uuid(), gen_random_uuid(), now(), 1, '{}', sha256('m'),"
        " sha256('b'), gen_random_uuid() FROM generate_series(2, 30000) n",
        tenant,
        places[0],
    )
    mapping = CrossingDatabase(one.database.dsn("messaging_mapper"), "mapper", 1, by_key=True)
    await mapping.open()
    try:
        await one.send(people[0], places[1], "hello")
        async with mapping.begin() as tx:
            explain = "EXPLAIN (ANALYZE, FORMAT JSON) "
            moved = await tx.fetch_all(explain + maps._MOVED, {"tenant": tenant})
            tenants = await tx.fetch_all(explain + maps._MOVED_TENANTS)
    finally:
        await mapping.close()
    read = _rows_read(moved[0][0][0]["Plan"])
    assert read["entry"] < 20
    for each in (read, _rows_read(tenants[0][0][0]["Plan"])):
        assert (each["conversation_head"], each["mapped_conversation"]) == (5003, 5003)


def _rows_read(plan: dict[str, Any]) -> dict[str, int]:
    """Return how many rows were read of each table, partitions together."""
    found: dict[str, int] = {}
    pending = [plan]
    while pending:
        node = pending.pop()
        name = str(node.get("Relation Name", "")).rstrip("0123456789_")
        if name:
            looked = int(node["Actual Rows"]) + int(node.get("Rows Removed by Filter", 0))
            found[name] = found.get(name, 0) + looked * int(node["Actual Loops"])
            assert node["Node Type"] != "Seq Scan", name
        assert not node.get("Rows Removed by Join Filter"), "conversations are compared with each other"
        pending += node.get("Plans", [])
    return found
