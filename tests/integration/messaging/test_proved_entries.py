"""Entries for productions, for eDiscovery alone: sealed, each with its path to what the log was told."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import httpx
import pytest

from libs.authn.actor import Actor
from libs.contracts.internal import (
    PROVED_LIMIT,
    FetchProvedEntries,
    ProvedEntriesOf,
    ProvedEntry,
    pack,
    unpack,
)
from libs.contracts.socket import body_of
from libs.evidence.entry import body_commitment, entry_leaf, metadata_commitment
from libs.host.app import create_app
from libs.kernel.clock import SystemClock
from libs.kernel.ids import ConversationId, MessageId, SystemIds, TenantId
from libs.kernel.randomness import SystemRandomness
from libs.merkle.errors import ProofRefused
from libs.merkle.verify import verify_inclusion
from services.messaging.domain.bodies import Payload, unpacked
from services.messaging.domain.commits import CommitTree
from services.messaging.domain.entries import ConversationKey, EntryKind
from services.messaging.edge.internal import entry_routes
from services.messaging.edge.problems import PROBLEMS
from services.messaging.ports import KeptEntry
from services.messaging.store.evidence import PostgresEvidence
from services.messaging.store.log_reader import PostgresLogReader
from services.messaging.usecases.prove import ProveEntries
from services.messaging.usecases.refer import ReferToEntries
from tests.integration.messaging import test_imports
from tests.integration.messaging.gateways import Gateway, person
from tests.integration.messaging.test_evidence import busy
from tests.integration.messaging.test_facts import facts_of
from tests.integration.messaging.test_references import Peers

Three = tuple[Actor, Actor, Actor]


@dataclass
class Watched:
    """The log, and which commits were read of it."""

    log: PostgresEvidence
    read: list[UUID] = field(default_factory=list)

    async def kept(self, key: ConversationKey, first: int, last: int) -> list[KeptEntry]:
        return await self.log.kept(key, first, last)

    async def trees(self, tenant: TenantId, commits: Sequence[UUID]) -> dict[UUID, CommitTree]:
        self.read += commits
        return await self.log.trees(tenant, commits)


@pytest.fixture
def watched(one: Gateway) -> Watched:
    clock = SystemClock()
    ids = SystemIds(clock, SystemRandomness())
    return Watched(PostgresEvidence(one.core.app_database, ids, clock))


@pytest.fixture
async def http(one: Gateway, watched: Watched) -> AsyncIterator[httpx.AsyncClient]:
    routes = entry_routes(
        Peers(), ReferToEntries(PostgresLogReader(one.core.app_database)), ProveEntries(watched)
    )
    app = create_app("messaging", title="Trial", prefix="/x", routers=[routes], problems=PROBLEMS)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://messaging") as client:
        yield client


async def asked(
    http: httpx.AsyncClient,
    tenant: TenantId,
    conversation: UUID,
    first: int,
    last: int,
    caller: str = "ediscovery",
) -> httpx.Response:
    wanted = FetchProvedEntries(tenant=tenant, conversation=conversation, first=first, last=last)
    return await http.post(
        "/internal/entries/proved",
        content=pack(wanted),
        headers={"authorization": f"Bearer {caller}", "content-type": "application/msgpack"},
    )


async def proved(
    http: httpx.AsyncClient, tenant: TenantId, conversation: UUID, first: int = 1, last: int = PROVED_LIMIT
) -> tuple[ProvedEntry, ...]:
    answer = await asked(http, tenant, conversation, first, last)
    assert answer.status_code == 200, answer.text
    return unpack(answer.content, ProvedEntriesOf).items


async def opened(one: Gateway, key: ConversationKey, entry: ProvedEntry) -> Payload:
    """Return what is sealed, as somebody opens it to whom the key service gives the key."""
    assert entry.sealed is not None
    keys = one.core.deliver._keys
    await keys.fetch_opening_keys(key.tenant, [entry.sealed])
    opening = keys.find_opening_key(entry.sealed)
    assert opening is not None
    return unpacked(opening.open(entry.sealed, key, MessageId(entry.message), entry.revision))


def check(one: Gateway, entries: Sequence[ProvedEntry]) -> None:
    """Check that every entry leads to the root that its commit's fact told. Raises ProofRefused."""
    roots = {fact.act: fact.root for fact in facts_of(one) if fact.root is not None}
    for entry in entries:
        root = roots[entry.commit]
        assert root is not None
        verify_inclusion(
            leaf=entry_leaf(entry.metadata_commitment, entry.body_commitment),
            index=entry.place,
            size=entry.size,
            proof=entry.hashes,
            root=root,
        )


async def test_every_entry_leads_to_the_root_that_the_log_was_told(
    one: Gateway, people: Three, tenant: TenantId, http: httpx.AsyncClient
) -> None:
    ada, bo, cy = people
    plans, games = await one.group(ada, bo), await one.group(ada, cy)
    await one.core.converse.add(ada, plans, [cy.principal])
    await busy(one, ada, plans, games)
    key = ConversationKey(tenant, plans)
    entries = await proved(http, tenant, plans)
    assert [entry.seq for entry in entries] == list(range(1, 17))
    assert max(entry.size for entry in entries) > 2
    check(one, entries)
    for entry in entries:
        told = json.loads(entry.metadata)
        assert (told["conversation"], told["seq"], told["tenant"]) == (str(plans), entry.seq, str(tenant))
        if entry.sealed is None:
            assert entry.metadata_salt is not None
            assert metadata_commitment(entry.metadata, entry.metadata_salt) == entry.metadata_commitment
        else:
            assert entry.metadata_salt is None
            payload = await opened(one, key, entry)
            assert metadata_commitment(entry.metadata, payload.metadata_salt) == entry.metadata_commitment
            assert body_commitment(payload.body, payload.body_salt) == entry.body_commitment
            assert "canary" in (body_of(payload.body).text or "")
    assert entries[1].kind == "participants_added"
    assert entries[1].subjects == (cy.principal,)


@pytest.mark.planted
async def test_a_changed_row_leads_to_no_root_that_was_told(
    one: Gateway, people: Three, tenant: TenantId, http: httpx.AsyncClient
) -> None:
    ada, bo, cy = people
    plans, games = await one.group(ada, bo), await one.group(ada, cy)
    await busy(one, ada, plans, games)
    commit = next(fact.act for fact in facts_of(one) if len(fact.runs) > 1)
    one.rows(
        "UPDATE messaging.entry SET body_commitment = sha256('x') WHERE (conversation, commit) = (%s, %s)",
        games,
        commit,
    )
    with pytest.raises(ProofRefused):
        check(one, await proved(http, tenant, plans))


async def test_what_is_hidden_is_there_and_what_was_destroyed_says_by_which_run(
    one: Gateway, people: Three, tenant: TenantId, http: httpx.AsyncClient
) -> None:
    plans = await one.group(people[0], people[1])
    hidden = await one.send(people[0], plans, "due")
    gone = await one.send(people[0], plans, "gone")
    run = uuid4()
    one.rows(
        "INSERT INTO messaging.hidden (tenant, conversation, first_seq, last_seq, hidden_by, hidden_at)"
        " VALUES (%s, %s, %s, %s, %s, now())",
        *(tenant, plans, hidden.seq, hidden.seq, run),
    )
    one.rows(
        "INSERT INTO messaging.destroyed"
        " (tenant, conversation, first_seq, last_seq, order_id, dek, sizes, destroyed_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, '{1}', now())",
        *(tenant, plans, gone.seq, gone.seq, run, uuid4()),
    )
    one.rows("DELETE FROM messaging.payload WHERE conversation = %s AND seq = %s", plans, gone.seq)
    due, destroyed = await proved(http, tenant, plans, hidden.seq, gone.seq)
    assert due.hidden
    assert due.destroyed_by is None
    payload = await opened(one, ConversationKey(tenant, plans), due)
    assert body_of(payload.body).text == "due"
    assert destroyed.hidden
    assert (destroyed.sealed, destroyed.metadata_salt, destroyed.destroyed_by) == (None, None, run)
    check(one, [due, destroyed])


async def test_what_was_imported_says_where_it_comes_from(
    one: Gateway, tenant: TenantId, http: httpx.AsyncClient
) -> None:
    await test_imports.imported(
        one, person(tenant, ("compliance_officer",)), person(tenant, ("legal_counsel",))
    )
    ubuntu = test_imports.place(tenant)
    entries = await proved(http, tenant, ubuntu)
    check(one, entries)
    said = [json.loads(entry.metadata) for entry in entries]
    told = [each["provenance"] for each in said if each["kind"] == EntryKind.MESSAGE_CREATED]
    assert [each["line"] for each in told] == [1, 2, 5]
    assert {each["source"] for each in told} == {test_imports.SOURCE.hex()}
    for entry in entries:
        if entry.sealed is not None:
            payload = await opened(one, ConversationKey(tenant, ubuntu), entry)
            assert metadata_commitment(entry.metadata, payload.metadata_salt) == entry.metadata_commitment


async def test_a_commit_is_read_once_for_all_conversations_that_it_brought_entries_to(
    one: Gateway, people: Three, tenant: TenantId, http: httpx.AsyncClient, watched: Watched
) -> None:
    ada, bo, cy = people
    plans, games = await one.group(ada, bo), await one.group(ada, cy)
    await busy(one, ada, plans, games)
    for where in (plans, games):
        for first in range(1, 15, 4):
            check(one, await proved(http, tenant, where, first, first + 3))
    assert len(watched.read) == len(set(watched.read))


async def test_trees_are_let_go_when_they_are_too_many(
    one: Gateway, people: Three, tenant: TenantId, watched: Watched
) -> None:
    plans = await one.group(people[0], people[1])
    for number in range(6):
        await one.send(people[0], plans, f"{number}")
    prove, key = ProveEntries(watched, most_leaves=3), ConversationKey(tenant, plans)
    for _ in range(2):
        found = await prove(key, 1, 7)
        assert [each.path.size for each in found] == [1] * 7
    await prove(key, 5, 7)
    assert len(watched.read) == 14, "the last three are kept, and none of those before"


async def test_an_entry_from_before_the_audit_log_has_no_path(
    one: Gateway, people: Three, tenant: TenantId, http: httpx.AsyncClient
) -> None:
    plans = await one.group(people[0], people[1])
    await asyncio.gather(*[one.send(people[0], plans, f"{number}") for number in range(3)])
    one.rows("UPDATE messaging.entry SET commit = %s WHERE conversation = %s AND seq = 1", UUID(int=0), plans)
    before, *others = await proved(http, tenant, plans)
    assert (before.commit, before.size, before.hashes) == (UUID(int=0), 0, ())
    assert all(entry.size for entry in others)


async def test_what_does_not_exist_is_left_out(
    one: Gateway, people: Three, tenant: TenantId, http: httpx.AsyncClient
) -> None:
    plans = await one.group(people[0], people[1])
    assert [entry.seq for entry in await proved(http, tenant, plans, 1, 3)] == [1]
    assert await proved(http, tenant, plans, 2, 3) == ()
    assert await proved(http, TenantId(uuid4()), plans) == ()
    assert await proved(http, tenant, ConversationId(uuid4())) == ()


@pytest.mark.parametrize(("caller", "status"), [("audit", 403), ("keys", 403), ("nobody", 401)])
async def test_it_is_for_ediscovery_alone(
    http: httpx.AsyncClient, tenant: TenantId, caller: str, status: int
) -> None:
    assert (await asked(http, tenant, uuid4(), 1, 2, caller)).status_code == status


@pytest.mark.parametrize(("first", "last"), [(2, 1), (1, PROVED_LIMIT + 1)])
async def test_a_stretch_is_of_some_entries_and_not_too_many(
    http: httpx.AsyncClient, tenant: TenantId, first: int, last: int
) -> None:
    assert (await asked(http, tenant, uuid4(), first, last)).status_code == 422
