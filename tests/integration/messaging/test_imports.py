"""Imports need two people, bring exactly what was approved, once, and leave proof of where it came from."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from libs.approvals.errors import ApproverRefused, DigestDiffers, NotApproved, RequestNotFound
from libs.authn.actor import Actor
from libs.db.pool import CrossingDatabase
from libs.events.acts import count_acts
from libs.evidence.verify import verify_bundle
from libs.kernel.ids import ConversationId, MessageId, PrincipalId, TenantId
from services.messaging.adapters.live import RedisLive
from services.messaging.domain.errors import (
    BatchDiffers,
    BatchOutOfOrder,
    ConversationNotFound,
    ImportDiffers,
    ImportNotBegun,
    ImportNotFound,
    ImportRefused,
    ImportUnfinished,
    NotPermitted,
    ParticipantUnknown,
)
from services.messaging.domain.imports import (
    Batch,
    Line,
    Wanted,
    author_of,
    batch_digest,
    conversation_of,
)
from services.messaging.store import import_writer
from services.messaging.store.acts import ACTS
from services.messaging.usecases.imports import Standing
from tests.integration.messaging.gateways import Gateway, person
from tests.integration.messaging.test_evidence import bundle_of
from tests.integration.messaging.test_facts import facts_of
from tests.unit.evidence.logs import TENANT, TRUST

SOURCE = hashlib.sha256(b"a file").digest()
DAY = "2006-06-01"
LINES = (
    Line(1, DAY, "11:22", "#ubuntu", "frenkel", "canary-5a11: i'm willing to seed"),
    Line(2, DAY, "11:22", "#ubuntu", "khermans", "There is no MD5SUM"),
    Line(3, DAY, "11:23", "#kubuntu", "frenkel", "hello"),
    Line(5, DAY, "11:24", "#ubuntu", "guzu", "ok"),
    Line(6, "2006-06-31", "11:24", "#ubuntu", "guzu", "no such day"),
    Line(7, "2006-07-01", "00:00", "#ubuntu", "guzu", "another day"),
)
BATCHES = (LINES[:3], LINES[3:])


@pytest.fixture
def tenant() -> TenantId:
    """Give the tenant whose log the test's checkpoints are of."""
    return TenantId(TENANT)


@pytest.fixture
def officer(tenant: TenantId) -> Actor:
    return person(tenant, ("compliance_officer",))


@pytest.fixture
def counsel(tenant: TenantId) -> Actor:
    return person(tenant, ("legal_counsel",))


def wanted(batches: Sequence[Sequence[Line]] = BATCHES, **people: PrincipalId) -> Wanted:
    return Wanted(
        SOURCE,
        "ubuntu.jsonl",
        sum(map(len, batches)),
        tuple(Batch(batch_digest(batch), len(batch)) for batch in batches),
        tuple(people.items()),
    )


async def begun(one: Gateway, officer: Actor, counsel: Actor, plan: Wanted | None = None) -> UUID:
    asked = await one.core.imports.ask(officer, plan or wanted(), "the archive of 2006")
    await one.core.approve.decide(counsel, asked.request.request, asked.run.digest, approves=True)
    await one.core.imports.begin(officer, asked.run.run)
    return asked.run.run


async def imported(
    one: Gateway,
    officer: Actor,
    counsel: Actor,
    batches: Sequence[Sequence[Line]] = BATCHES,
    **people: PrincipalId,
) -> Standing:
    run = await begun(one, officer, counsel, wanted(batches, **people))
    for number, batch in enumerate(batches):
        await one.core.imports.bring(officer, run, number, batch)
    return await one.core.imports.finish(officer, run)


def place(tenant: TenantId, channel: str = "#ubuntu", day: str = DAY) -> ConversationId:
    return conversation_of(tenant, SOURCE, channel, day)


def entries_of(one: Gateway) -> list[tuple[Any, ...]]:
    """Return the messages that lie in the log, with what makes each of them itself."""
    return one.rows(
        "SELECT conversation, seq, kind, message, actor, sent_at FROM messaging.entry ORDER BY 1, 2"
    )


async def test_what_was_approved_is_in_the_log_with_its_own_times(
    one: Gateway, officer: Actor, counsel: Actor, tenant: TenantId
):
    done = await imported(one, officer, counsel)
    assert done.counts.imported == 5
    assert done.counts.conversations == 3
    assert [(line.number, line.why) for line in done.counts.refused] == [
        (6, "its date and time cannot be read")
    ]
    assert done.counts.first_at == datetime(2006, 6, 1, 11, 22, tzinfo=UTC)
    assert done.counts.last_at == datetime(2006, 7, 1, tzinfo=UTC)
    rows = one.rows(
        "SELECT seq, kind, actor, sent_at FROM messaging.entry WHERE conversation = %s ORDER BY seq",
        place(tenant),
    )
    frenkel, khermans, guzu = (author_of(tenant, SOURCE, each) for each in ("frenkel", "khermans", "guzu"))
    assert [(seq, kind, actor) for seq, kind, actor, _ in rows] == [
        (1, 1, officer.principal),
        (2, 4, frenkel),
        (3, 4, khermans),
        (4, 2, officer.principal),
        (5, 4, guzu),
    ]
    assert rows[4][3] == datetime(2006, 6, 1, 11, 24, tzinfo=UTC)


async def test_bodies_are_sealed_under_the_month_in_which_they_were_sent(
    one: Gateway, officer: Actor, counsel: Actor, tenant: TenantId
):
    await imported(one, officer, counsel)
    sealed = one.rows("SELECT sealed, dek, conversation FROM messaging.payload")
    assert all(b"canary-5a11" not in bytes(row[0]) for row in sealed)
    assert len({row[1] for row in sealed}) == 3  # a conversation and month each
    everything = b"".join(bytes(body) for (body,) in one.rows("SELECT body FROM messaging.outbox"))
    assert b"canary-5a11" not in everything
    assert b"frenkel" not in everything
    assert b"the archive" not in everything


async def test_every_author_sees_the_whole_conversation_and_takes_part_in_nothing(
    one: Gateway, officer: Actor, counsel: Actor, tenant: TenantId
):
    ada = person(tenant)
    one.know(ada)
    await imported(one, officer, counsel, guzu=ada.principal)
    spans = one.rows(
        "SELECT from_seq, until_seq, administrator FROM messaging.participant_span WHERE conversation = %s",
        place(tenant),
    )
    assert spans == [(1, 5, False)] * 3
    history = await one.core.read.history(ada, place(tenant), 0, 100)
    assert [entry.body.text for entry in history if entry.body and entry.body.text] == [
        "canary-5a11: i'm willing to seed",
        "There is no MD5SUM",
        "ok",
    ]
    assert history[-1].actor == ada.principal
    with pytest.raises(ConversationNotFound):
        await one.send(ada, place(tenant), "so many years later")
    with pytest.raises(ConversationNotFound):
        await one.core.read.history(ada, place(tenant, "#kubuntu"), 0, 100)


@pytest.mark.parametrize("role", ["compliance_officer", "legal_counsel", "it_admin", "employee"])
async def test_nobody_reads_what_was_imported_by_having_imported_it(
    one: Gateway, officer: Actor, counsel: Actor, tenant: TenantId, role: str
):
    await imported(one, officer, counsel)
    for reader in (person(tenant, (role,)), replace(officer, roles=frozenset({role, "employee"}))):
        with pytest.raises(ConversationNotFound):
            await one.core.read.history(reader, place(tenant), 0, 100)


async def test_sockets_learn_of_an_import_when_they_sync_and_no_gateway_is_told(
    one: Gateway,
    two: Gateway,
    officer: Actor,
    counsel: Actor,
    tenant: TenantId,
    monkeypatch: pytest.MonkeyPatch,
):
    ada = person(tenant)
    one.know(ada)
    socket = await two.opened(ada)
    published: list[object] = []
    monkeypatch.setattr(RedisLive, "publish", lambda _, batches: published.extend(batches))
    await imported(one, officer, counsel, guzu=ada.principal)
    await two.core.open_socket.find_joined()
    await two.core.open_socket.sweep()
    assert published == []
    assert socket.seqs(place(tenant)) == []
    assert [entry.seq for page in (await two.core.read.sync(ada, {}, 100)).entries for entry in page.entries]


async def test_an_import_needs_another_person(one: Gateway, officer: Actor, counsel: Actor):
    asked = await one.core.imports.ask(officer, wanted(), "the archive")
    run, request, digest = asked.run.run, asked.request.request, asked.run.digest
    with pytest.raises(NotApproved):
        await one.core.imports.begin(officer, run)
    with pytest.raises(ImportNotBegun):
        await one.core.imports.bring(officer, run, 0, BATCHES[0])
    with pytest.raises(ImportNotBegun):
        await one.core.imports.finish(officer, run)
    with pytest.raises(ApproverRefused):
        await one.core.approve.decide(officer, request, digest, approves=True)
    with pytest.raises(DigestDiffers):
        await one.core.approve.decide(counsel, request, b"x" * 32, approves=True)
    await one.core.approve.decide(counsel, request, digest, approves=False)
    with pytest.raises(NotApproved):
        await one.core.imports.begin(officer, run)
    assert entries_of(one) == []
    again = await one.core.imports.ask(officer, wanted(), "once more")
    assert again.run.run == run
    assert again.request.request != request


@pytest.mark.parametrize("role", ["employee", "guest", "it_admin", "auditor", "reviewer", "legal_counsel"])
async def test_only_compliance_imports(one: Gateway, tenant: TenantId, role: str):
    stranger = person(tenant, (role,))
    with pytest.raises(NotPermitted):
        await one.core.imports.ask(stranger, wanted(), "curiosity")
    with pytest.raises(NotPermitted):
        await one.core.imports.bring(stranger, uuid4(), 0, BATCHES[0])


async def test_another_tenant_finds_no_import_and_no_request(one: Gateway, officer: Actor, counsel: Actor):
    asked = await one.core.imports.ask(officer, wanted(), "the archive")
    other = person(TenantId(uuid4()), ("compliance_officer", "legal_counsel"))
    with pytest.raises(ImportNotFound):
        await one.core.imports.shown(other, asked.run.run)
    with pytest.raises(RequestNotFound):
        await one.core.approve.decide(other, asked.request.request, asked.run.digest, approves=True)
    assert await one.core.imports.listed(other) == []
    assert await one.core.approve.listed(other) == []


async def test_asking_again_is_the_same_and_asking_otherwise_is_refused(
    one: Gateway, officer: Actor, tenant: TenantId
):
    first = await one.core.imports.ask(officer, wanted(), "the archive")
    assert await one.core.imports.ask(officer, wanted(), "another reason") == first
    with pytest.raises(ImportDiffers):
        await one.core.imports.ask(officer, wanted(BATCHES[:1]), "less")
    ada = person(tenant)
    with pytest.raises(ParticipantUnknown):
        await one.core.imports.ask(officer, wanted(guzu=ada.principal), "with people")
    one.know(ada)
    with pytest.raises(ImportDiffers):
        await one.core.imports.ask(officer, wanted(guzu=ada.principal), "with people")
    with pytest.raises(ImportRefused):
        await one.core.imports.ask(officer, wanted()._replace(lines=7), "miscounted")


async def test_other_lines_than_were_approved_are_refused(one: Gateway, officer: Actor, counsel: Actor):
    run = await begun(one, officer, counsel)
    forged = (LINES[0]._replace(text="I never said so"), *LINES[1:3])
    for lines in (forged, BATCHES[0][:2], BATCHES[1], (*BATCHES[0], LINES[3])):
        with pytest.raises(BatchDiffers):
            await one.core.imports.bring(officer, run, 0, lines)
    assert entries_of(one) == []


async def test_batches_come_in_order_and_all_of_them(one: Gateway, officer: Actor, counsel: Actor):
    run = await begun(one, officer, counsel)
    with pytest.raises(BatchOutOfOrder) as told:
        await one.core.imports.bring(officer, run, 1, BATCHES[1])
    assert told.value.expected == 0
    await one.core.imports.bring(officer, run, 0, BATCHES[0])
    with pytest.raises(ImportUnfinished):
        await one.core.imports.finish(officer, run)
    with pytest.raises(ImportNotFound):
        await one.core.imports.bring(officer, run, 2, BATCHES[1])


async def test_a_batch_that_comes_again_makes_nothing_new(
    one: Gateway, two: Gateway, officer: Actor, counsel: Actor
):
    run = await begun(one, officer, counsel)
    outcomes = await asyncio.gather(
        *(gateway.core.imports.bring(officer, run, 0, BATCHES[0]) for gateway in (one, two) for _ in "abc")
    )
    assert [each.imported for each in outcomes] == [3] * 6
    assert sum(not each.repeated for each in outcomes) == 1
    assert len([row for row in entries_of(one) if row[2] == 4]) == 3


async def test_importing_a_finished_source_again_gives_the_same_report(
    one: Gateway, officer: Actor, counsel: Actor
):
    first = await imported(one, officer, counsel)
    before = entries_of(one)
    assert (await one.core.imports.ask(officer, wanted(), "again")).run == first.run
    assert (await one.core.imports.begin(officer, first.run.run)).run == first.run
    for number, batch in enumerate(BATCHES):
        assert (await one.core.imports.bring(officer, first.run.run, number, batch)).repeated
    assert await one.core.imports.finish(officer, first.run.run) == first
    assert entries_of(one) == before


@pytest.mark.planted
async def test_a_writer_that_forgets_what_came_is_stopped_by_the_lines_themselves(
    one: Gateway, officer: Actor, counsel: Actor, monkeypatch: pytest.MonkeyPatch
):
    run = await begun(one, officer, counsel)
    await one.core.imports.bring(officer, run, 0, BATCHES[0])
    before = entries_of(one)

    async def forgetful(*_: object) -> tuple[int, None]:
        return 3, None

    monkeypatch.setattr(import_writer, "_locked", forgetful)
    one.rows(
        "UPDATE messaging.import_batch SET done_at = NULL, imported = NULL, opened = NULL WHERE run = %s", run
    )
    with pytest.raises(Exception, match="imported_once"):
        await one.core.imports.bring(officer, run, 0, BATCHES[0])
    assert entries_of(one) == before
    one.rows("ALTER TABLE messaging.imported_line DROP CONSTRAINT imported_once")
    await one.core.imports.bring(officer, run, 0, BATCHES[0])
    assert entries_of(one) != before  # the judge of this file sees what the constraint kept away


async def test_each_entry_proves_its_line_of_its_source(
    one: Gateway, officer: Actor, counsel: Actor, tenant: TenantId
):
    ada = person(tenant)
    one.know(ada)
    await imported(one, officer, counsel, guzu=ada.principal)
    proved = await one.core.take_evidence(ada, place(tenant), 1, 5)
    report = verify_bundle(bundle_of(one, place(tenant), proved), TRUST)
    assert report.says
    for entry, line in zip(proved, (1, 1, 2, 5, 5), strict=True):
        assert entry.metadata is not None
        assert f'"provenance":{{"line":{line},"source":"{SOURCE.hex()}"}}'.encode() in entry.metadata


async def test_acts_and_facts_agree_and_the_beginning_names_its_approval(
    one: Gateway, officer: Actor, counsel: Actor, tenant: TenantId
):
    done = await imported(one, officer, counsel)
    told = facts_of(one)
    by_action = {action: [fact for fact in told if fact.action == action] for action in ACTS}
    for step, by in (
        ("requested", officer),
        ("approved", counsel),
        ("begun", officer),
        ("finished", officer),
    ):
        (fact,) = by_action[f"messaging.import.{step}"]
        assert fact.actor.id == by.principal
        assert [entity.id for entity in fact.entities] == [str(done.run.run)]
        assert fact.approvals == (() if step == "finished" else (done.request.request,))
    now = datetime.now(UTC)
    assert all(now - fact.at < timedelta(minutes=5) for fact in told)
    database = CrossingDatabase(one.database.dsn("messaging_publisher"), "acts")
    await database.open()
    try:
        answer = await count_acts(database, "messaging", ACTS)
    finally:
        await database.close()
    counted = {act.action: act.count for act in answer.acts if act.tenant == tenant}
    assert counted == {action: len(facts) for action, facts in by_action.items() if facts}


async def test_a_thousand_lines_of_many_days_come_in_one_commit(
    one: Gateway, officer: Actor, counsel: Actor, tenant: TenantId
):
    lines = [
        Line(number, f"20{number % 17:02}-03-0{1 + number % 3}", "12:00", "#c", f"n{number % 50}", "x" * 80)
        for number in range(1, 1001)
    ]
    done = await imported(one, officer, counsel, [lines])
    assert done.counts.imported == 1000
    assert done.counts.conversations == 51
    commits = [fact for fact in facts_of(one) if fact.action == "messaging.entries.committed"]
    assert len(commits) == 1
    assert len({MessageId(row[3]) for row in entries_of(one)}) == 1051
