"""Proofs of many acts at once, for eDiscovery alone: each holds for strangers, and one taking is told."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from libs.contracts.events import decode
from libs.contracts.facts import Actor, AuditFact, Entity, MessagingFact, Run
from libs.contracts.internal import PROVED_LIMIT, FetchProofs, ProofsOf, ProvedAct, pack, unpack
from libs.db.pool import TenantDatabase
from libs.evidence.canonical import parse_json
from libs.evidence.completeness import CONVERSATIONS_COMMITTED
from libs.evidence.detail import opened
from libs.evidence.leaf import parse_leaf
from libs.evidence.log import trusted_checkpoint
from libs.host.app import create_app
from libs.kernel.clock import SystemClock
from libs.kernel.ids import SystemIds, TenantId
from libs.kernel.randomness import SystemRandomness
from libs.merkle.errors import ProofRefused
from libs.merkle.hashing import leaf_hash
from libs.merkle.verify import verify_inclusion
from services.audit.edge.problems import PROBLEMS
from services.audit.edge.proofs import proof_routes
from services.audit.store.reading import PostgresReadings
from services.audit.usecases.take_proofs import TakeProofs
from tests.integration.audit.logs import NOW, TRUST, Logs, act, logs_in
from tests.integration.messaging.test_references import Peers
from tests.support.engines import ServiceDatabase

OURS, THEIRS = TenantId(uuid4()), TenantId(uuid4())
COMMITTED = "messaging.entries.committed"


@dataclass
class Door:
    """The route of proofs, called in process."""

    http: httpx.AsyncClient
    logs: Logs

    async def ask(
        self,
        acts: Sequence[UUID],
        *,
        tenant: TenantId = OURS,
        size: int | None = None,
        caller: str = "ediscovery",
    ) -> httpx.Response:
        return await self.http.post(
            "/internal/proofs",
            content=pack(FetchProofs(tenant=tenant, acts=tuple(acts), size=size)),
            headers={"authorization": f"Bearer {caller}", "content-type": "application/msgpack"},
        )

    async def proofs(self, acts: Sequence[UUID], **asked: Any) -> ProofsOf:
        answer = await self.ask(acts, **asked)
        assert answer.status_code == 200, answer.text
        return unpack(answer.content, ProofsOf)

    async def grown(self, *facts: MessagingFact, tenant: TenantId = OURS) -> None:
        """Give the log these facts of messaging, among many others."""
        await self.logs.sequence([(tenant, act())] * 150)
        await self.logs.sequence([(tenant, fact) for fact in facts], source="messaging")
        await self.logs.sequence([(tenant, act())] * 150)
        await self.logs.integrate()


@pytest.fixture
async def door(database_of: Callable[[str], ServiceDatabase]) -> AsyncIterator[Door]:
    database = database_of("audit")
    clock = SystemClock()
    ids = SystemIds(clock, SystemRandomness())
    pool = TenantDatabase(database.dsn("audit_app"), "audit")
    await pool.open()
    routes = proof_routes(Peers(), TakeProofs(PostgresReadings(pool, clock, ids), clock, ids))
    app = create_app("audit", title="Trial", prefix="/x", routers=[routes], problems=PROBLEMS)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        logs_in(database) as logs,
        httpx.AsyncClient(transport=transport, base_url="http://audit") as http,
    ):
        yield Door(http, logs)
    await pool.close()


def fact(action: str = COMMITTED, kind: str = "commit", count: int = 1) -> MessagingFact:
    """Return the fact of a commit, or of a map."""
    name = uuid4()
    runs = (Run(conversation=uuid4(), first=1, last=2),) if kind == "commit" else ()
    return MessagingFact(
        act=name,
        action=action,
        actor=Actor(kind="service", name="messaging"),
        at=NOW,
        entities=(Entity(kind=kind, id=str(name)),),
        root=uuid4().bytes * 2,
        runs=runs,
        count=count,
    )


def map_fact(count: int = 7) -> MessagingFact:
    return fact(CONVERSATIONS_COMMITTED, "map", count)


def check(given: ProofsOf, item: ProvedAct, expected: MessagingFact) -> None:
    """Check an item as a stranger does. Raises ProofRefused or EvidenceRefused."""
    checkpoint = trusted_checkpoint(given.checkpoint, TRUST)
    assert (checkpoint.size, item.act) == (given.size, expected.act)
    leaf = parse_leaf(item.leaf)
    assert (leaf.index, leaf.root, leaf.source) == (item.index, expected.root, "messaging")
    verify_inclusion(
        leaf=leaf_hash(item.leaf),
        index=item.index,
        size=checkpoint.size,
        proof=item.proof,
        root=checkpoint.root,
    )
    detail = opened(parse_json(item.detail, "detail"), item.salt, leaf.detail, "detail")
    assert (detail.action, detail.count, len(detail.runs)) == (
        expected.action,
        expected.count,
        len(expected.runs),
    )


async def test_every_act_that_was_asked_for_leads_to_one_checkpoint(door: Door) -> None:
    facts = [*(fact() for _ in range(5)), map_fact()]
    await door.grown(*facts)
    await door.grown(*(later := [fact() for _ in range(30)]))
    given = await door.proofs([each.act for each in reversed([*facts, *later])])
    assert [item.index for item in given.items] == sorted(item.index for item in given.items)
    assert given.size == 636
    assert len(given.items) == 36
    by_act = {each.act: each for each in [*facts, *later]}
    for item in given.items:
        check(given, item, by_act[item.act])


async def test_what_the_checkpoint_does_not_cover_is_left_out(door: Door) -> None:
    first, second = fact(), fact()
    await door.grown(first)
    await door.grown(second)
    await door.logs.sequence([(OURS, uncovered := fact())], source="messaging")
    earlier = await door.proofs([first.act, second.act, uncovered.act], size=301)
    newest = await door.proofs([first.act, second.act, uncovered.act])
    assert [item.act for item in earlier.items] == [first.act]
    assert [item.act for item in newest.items] == [first.act, second.act]
    check(earlier, earlier.items[0], first)
    check(newest, newest.items[0], first)


@pytest.mark.planted
async def test_a_proof_of_another_act_does_not_hold(door: Door) -> None:
    one, other = fact(), fact()
    await door.grown(one, other)
    given = await door.proofs([one.act, other.act])
    swapped = ProvedAct(
        act=one.act,
        index=given.items[0].index,
        leaf=given.items[0].leaf,
        proof=given.items[1].proof,
        detail=given.items[0].detail,
        salt=given.items[0].salt,
    )
    with pytest.raises(ProofRefused):
        check(given, swapped, one)


@pytest.mark.planted
@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE audit.detail SET count = 8 WHERE action = 'messaging.conversations.committed'",
        "UPDATE audit.entry SET leaf = leaf || ' ' WHERE source = 'messaging'",
        "UPDATE audit.tile SET hashes = overlay(hashes placing '\\x00' from 2) WHERE level = 0",
    ],
)
async def test_what_was_changed_in_the_tables_is_not_given(door: Door, harm: str) -> None:
    told = map_fact()
    await door.grown(told)
    assert len((await door.proofs([told.act])).items) == 1
    door.logs.rows(harm)
    answer = await door.ask([told.act])
    assert (answer.status_code, answer.json()["code"]) == (500, "log-damaged")


async def test_other_acts_are_not_given(door: Door) -> None:
    legal = fact("messaging.items.disposed")
    await door.grown(legal)
    foreign = fact()
    await door.logs.sequence([(OURS, act())] * 2)
    await door.grown(foreign, tenant=THEIRS)
    given = await door.proofs([legal.act, foreign.act, uuid4()])
    assert given.items == ()


async def test_a_taking_is_told_once_and_by_whom(door: Door) -> None:
    facts = [fact() for _ in range(3)]
    await door.grown(*facts)
    await door.proofs([each.act for each in facts])
    rows = door.logs.rows("SELECT tenant, principal, action, log, said FROM audit.reading")
    assert rows == [(OURS, None, "audit.evidence.taken", OURS, "acts 3 for ediscovery")]
    ((body,),) = door.logs.rows("SELECT body FROM audit.outbox")
    told = decode(body)[1]
    assert isinstance(told, AuditFact)
    assert (told.action, told.actor) == ("audit.evidence.taken", Actor(kind="service", name="ediscovery"))


async def test_before_the_first_checkpoint_there_is_nothing(door: Door) -> None:
    assert (await door.ask([uuid4()])).status_code == 404
    assert door.logs.rows("SELECT * FROM audit.reading") == []


async def test_a_size_that_no_checkpoint_has_is_refused(door: Door) -> None:
    await door.grown(fact())
    assert (await door.ask([uuid4()], size=300)).status_code == 422


@pytest.mark.parametrize(("caller", "status"), [("audit", 403), ("keys", 403), ("nobody", 401)])
async def test_it_is_for_ediscovery_alone(door: Door, caller: str, status: int) -> None:
    assert (await door.ask([uuid4()], caller=caller)).status_code == status


async def test_more_than_a_batch_is_refused(door: Door) -> None:
    assert (await door.ask([uuid4()] * (PROVED_LIMIT + 1))).status_code == 400
