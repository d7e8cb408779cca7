"""A run hides what is due and destroys what is ripe, behind the holds that stand, and nothing else."""

import asyncio
import random
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from libs.barrier.errors import GenerationUnknown
from libs.contracts.facts import MessagingFact
from libs.contracts.retention import OrderedErasure, OrderedPeriod, OrderedRule, PayloadsDestroyed, Terms
from libs.disposition.claims import Hold
from libs.disposition.decision import disposition_of
from libs.disposition.voices import voices_of
from libs.kernel.ids import ConversationId
from services.messaging.domain.dispositions import Standing, decide_batch, standing_of
from services.messaging.domain.entries import ConversationKey
from services.messaging.domain.errors import DispositionsStopped
from services.messaging.store import disposals, dispositions
from services.messaging.store.acts import ACTS
from services.messaging.store.log_reader import PostgresLogReader
from services.messaging.usecases import dispose
from services.messaging.usecases.dispositions import claims_of
from tests.integration.disposition.logbook import NOON, OURS, THEIRS, Logbook, Written, town

RULE = OrderedRule(
    rule=UUID(int=1), version=1, kind="deletion", period=OrderedPeriod(years=2), grace_seconds=400 * 86_400
)
TERMS = Terms(as_of=NOON, rules=(RULE,))
NOBODY = voices_of([], [])
DISPOSED = """
    SELECT d.conversation, generate_series(d.first_seq, d.last_seq)
      FROM (SELECT h.conversation, h.first_seq, h.last_seq FROM messaging.hidden h
             UNION ALL SELECT g.conversation, g.first_seq, g.last_seq FROM messaging.destroyed g) d"""


@pytest.fixture
def small_batches(logbook: Logbook, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a run take several transactions for a few items."""
    monkeypatch.setattr(dispositions, "BOX_SEQS", 5)
    logbook.carry_out = replace(logbook.carry_out, most=10)


def standings(items: list[Written], holds: list[Hold], terms: Terms = TERMS) -> dict[Any, Standing]:
    claims = claims_of(terms, holds)
    return {
        (each.room.conversation, each.seq): standing_of(disposition_of(each.item, *claims), terms.as_of)
        for each in items
    }


def payloads(logbook: Logbook, tenant: UUID = OURS) -> set[Any]:
    rows = logbook.rows(f"SELECT conversation, seq FROM messaging.payload WHERE tenant = '{tenant}'")
    return {tuple(row) for row in rows}


async def test_what_is_ripe_is_destroyed_and_what_is_due_is_hidden_and_nothing_else(logbook: Logbook) -> None:
    items = town(random.Random(11))
    logbook.write(items)
    logbook.write(town(random.Random(12)), THEIRS)
    theirs = payloads(logbook, THEIRS)
    hold = Hold(UUID(int=900), custodians=frozenset({items[0].sender}))
    await logbook.hold(hold)
    order = await logbook.approve(await logbook.ask(TERMS), TERMS)
    await logbook.carry_out()
    expected = standings(items, [hold])
    assert set(expected.values()) == set(Standing)
    assert payloads(logbook) == {place for place, how in expected.items() if how is not Standing.RIPE}
    assert payloads(logbook, THEIRS) == theirs
    hidden = {tuple(row) for row in logbook.rows(DISPOSED)}
    assert hidden == {place for place, how in expected.items() if how is not Standing.RETAINED}
    done = logbook.completion(order)
    assert done is not None
    assert (done.refused, done.spared, done.hidden) == ("", 0, len(hidden))
    assert done.destroyed == list(expected.values()).count(Standing.RIPE)
    assert done.bytes == sum(
        each.size for each in items if expected[each.room.conversation, each.seq] is Standing.RIPE
    )


async def test_readers_see_a_tombstone_of_what_is_hidden_and_the_entry_stays(logbook: Logbook) -> None:
    items = town(random.Random(13))
    logbook.write(items)
    await logbook.approve(await logbook.ask(TERMS), TERMS)
    entries = logbook.rows("SELECT * FROM messaging.entry ORDER BY conversation, seq")
    await logbook.carry_out()
    assert logbook.rows("SELECT * FROM messaging.entry ORDER BY conversation, seq") == entries
    expected = standings(items, [])
    reader = PostgresLogReader(logbook.app)
    for conversation in {each.room.conversation for each in items}:
        key = ConversationKey(OURS, ConversationId(conversation))
        for entry in await reader.entries(key, 0, 9999, 9999):
            shown = entry.sealed is not None
            assert shown is (expected[conversation, entry.seq] is Standing.RETAINED)


@pytest.mark.usefixtures("small_batches")
async def test_what_is_destroyed_is_told_by_place_and_each_act_once(logbook: Logbook) -> None:
    items = town(random.Random(14))
    logbook.write(items)
    order = await logbook.approve(await logbook.ask(TERMS), TERMS)
    await logbook.carry_out()
    told = {
        (each.conversation, seq)
        for each in logbook.events(PayloadsDestroyed)
        for seq in each.seqs
        if each.order == order
    }
    assert told == {place for place, how in standings(items, []).items() if how is Standing.RIPE}
    facts = logbook.events(MessagingFact)
    for action in ("messaging.items.disposed", "messaging.disposition.completed"):
        ((_, count),) = logbook.rows(ACTS[action])
        assert sum(fact.action == action for fact in facts) == count > 0
    assert len({fact.act for fact in facts}) == len(facts)


@pytest.mark.usefixtures("small_batches")
async def test_a_hold_that_arrives_between_batches_ends_the_run(logbook: Logbook) -> None:
    items = town(random.Random(15))
    logbook.write(items)
    order = await logbook.approve(await logbook.ask(TERMS), TERMS)
    for _ in range(3):
        assert await logbook.carry_out.step(OURS, order)
    left = payloads(logbook)
    await logbook.hold(Hold(UUID(int=900)))
    await logbook.carry_out()
    assert payloads(logbook) == left
    done = logbook.completion(order)
    assert done is not None
    assert done.refused == dispose.GENERATION_PASSED


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("cut", range(1, 6))
async def test_a_run_that_is_cut_off_goes_on_where_it_was(logbook: Logbook, cut: int) -> None:
    items = town(random.Random(16))
    logbook.write(items)
    order = await logbook.approve(await logbook.ask(TERMS), TERMS)
    steps = 0
    runs = logbook.carry_out.runs

    async def cut_off() -> None:
        async with runs.open(OURS, order) as run:
            assert run is not None
            assert await run.share(0)
            if run.begun:
                planned = await run.next(10, NOBODY)
                claims = claims_of(TERMS, [])
                await run.dispose(decide_batch(planned, claims), planned[-1].number, NOBODY)
            raise ConnectionAbortedError

    while steps < cut and await logbook.carry_out.step(OURS, order):
        steps += 1
    before = payloads(logbook)
    if logbook.completion(order) is None:
        with pytest.raises(ConnectionAbortedError):
            await cut_off()
    assert payloads(logbook) == before
    await logbook.carry_out()
    expected = standings(items, [])
    assert payloads(logbook) == {place for place, how in expected.items() if how is not Standing.RIPE}
    done = logbook.completion(order)
    assert done is not None
    assert done.destroyed == list(expected.values()).count(Standing.RIPE)


@pytest.mark.planted
@pytest.mark.parametrize(
    ("lie", "why"),
    [
        ({"digest": bytes(32)}, dispose.RESULT_DIFFERS),
        ({"digest": None}, dispose.NOT_APPROVED),
        ({"generation": None}, dispose.NOT_APPROVED),
    ],
)
async def test_a_run_of_anything_but_what_was_approved_destroys_nothing(
    logbook: Logbook, lie: dict[str, Any], why: str
) -> None:
    items = town(random.Random(17))
    logbook.write(items)
    whole = payloads(logbook)
    order = await logbook.approve(await logbook.ask(TERMS), TERMS, **lie)
    await logbook.carry_out()
    assert payloads(logbook) == whole
    assert logbook.rows(DISPOSED) == []
    done = logbook.completion(order)
    assert done is not None
    assert (done.refused, done.hidden) == (why, 0)


@pytest.mark.planted
async def test_a_run_by_other_rules_than_those_that_were_tried_destroys_nothing(logbook: Logbook) -> None:
    logbook.write(town(random.Random(18)))
    whole = payloads(logbook)
    erasure = OrderedErasure(erasure=UUID(int=3), subject=UUID(int=100), requested_at=NOON)
    more = Terms(as_of=NOON, rules=(RULE,), erasures=(erasure,))
    order = await logbook.approve(await logbook.ask(TERMS), more)
    await logbook.carry_out()
    assert payloads(logbook) == whole
    done = logbook.completion(order)
    assert done is not None
    assert done.refused == dispose.RESULT_DIFFERS


async def test_a_run_whose_holds_have_not_arrived_here_waits(logbook: Logbook) -> None:
    logbook.write(town(random.Random(19)))
    whole = payloads(logbook)
    order = await logbook.approve(await logbook.ask(TERMS), TERMS, generation=1)
    with pytest.raises(GenerationUnknown):
        await logbook.carry_out()
    assert payloads(logbook) == whole
    assert logbook.completion(order) is None


async def test_a_second_run_destroys_what_a_first_had_hidden(logbook: Logbook) -> None:
    items = town(random.Random(20))
    logbook.write(items)
    early = Terms(as_of=NOON - timedelta(days=200), rules=(RULE,))
    await logbook.approve(await logbook.ask(early), early)
    await logbook.carry_out()
    order = await logbook.approve(await logbook.ask(TERMS), TERMS)
    await logbook.carry_out()
    expected = standings(items, [])
    assert payloads(logbook) == {place for place, how in expected.items() if how is not Standing.RIPE}
    done = logbook.completion(order)
    assert done is not None
    assert done.refused == ""


@pytest.mark.planted
async def test_no_other_role_can_remove_a_payload(logbook: Logbook) -> None:
    logbook.write(town(random.Random(21), items=90))
    for role in ("messaging_app", "messaging_writer", "messaging_projector", "messaging_publisher"):
        with (
            psycopg.connect(logbook.database.dsn(role).reveal()) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute("DELETE FROM messaging.payload")


@pytest.mark.planted
async def test_a_run_that_forgets_who_could_read_is_seen_to_destroy_what_is_held(
    logbook: Logbook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disposals, "_audience", lambda _spans, _seq: frozenset())
    items = town(random.Random(22))
    logbook.write(items)
    hold = Hold(UUID(int=900), custodians=frozenset({items[0].room.spans[0][0]}))
    await logbook.hold(hold)
    await logbook.approve(await logbook.ask(TERMS), TERMS)
    await logbook.carry_out()
    expected = standings(items, [hold])
    assert payloads(logbook) < {place for place, how in expected.items() if how is not Standing.RIPE}


async def test_nothing_is_destroyed_while_an_event_of_the_tenant_is_parked(logbook: Logbook) -> None:
    logbook.write(town(random.Random(23)))
    whole = payloads(logbook)
    order = await logbook.approve(await logbook.ask(TERMS), TERMS)
    with psycopg.connect(logbook.database.admin_dsn.reveal()) as admin:
        admin.execute(
            "INSERT INTO messaging.parked (tenant, consumer, source, part, position, name, body, reason)"
            " VALUES (%s, 'messaging', 'holds', 1, 1, 'holds.hold.placed.v1', '', 'unreadable')",
            (OURS,),
        )
    with pytest.raises(DispositionsStopped):
        await logbook.carry_out()
    assert payloads(logbook) == whole
    with psycopg.connect(logbook.database.admin_dsn.reveal()) as admin:
        admin.execute("DELETE FROM messaging.parked")
    await logbook.carry_out()
    assert payloads(logbook) < whole
    assert logbook.completion(order) is not None


async def a_hold_while_destroying(logbook: Logbook) -> bool:
    """Place a hold while a batch is destroyed and not committed; say whether it waited for the commit."""
    logbook.write(town(random.Random(24)))
    order = await logbook.approve(await logbook.ask(TERMS), TERMS)
    assert await logbook.carry_out.step(OURS, order)
    async with logbook.carry_out.runs.open(OURS, order) as run:
        assert run is not None
        assert await run.share(0)
        planned = await run.next(1000, NOBODY)
        await run.dispose(decide_batch(planned, claims_of(TERMS, [])), planned[-1].number, NOBODY)
        placing = asyncio.create_task(logbook.hold(Hold(UUID(int=900))))
        done, _ = await asyncio.wait([placing], timeout=0.5)
    await placing
    return not done


async def test_a_hold_waits_for_what_is_being_destroyed(logbook: Logbook) -> None:
    assert await a_hold_while_destroying(logbook)


@pytest.mark.planted
async def test_a_run_that_passes_no_barrier_is_seen_to_let_a_hold_overtake_it(
    logbook: Logbook, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def passes(*_: object) -> None:
        """Share nothing."""

    monkeypatch.setattr(disposals, "share_generation", passes)
    assert not await a_hold_while_destroying(logbook)


@pytest.mark.planted
async def test_a_run_that_takes_a_hold_for_released_destroys_nothing(logbook: Logbook) -> None:
    logbook.write(town(random.Random(25)))
    await logbook.hold(Hold(UUID(int=900)))
    whole = payloads(logbook)
    terms = Terms(as_of=NOON, rules=(RULE,), without_holds=(UUID(int=900),))
    order = await logbook.approve(await logbook.ask(terms), terms)
    await logbook.carry_out()
    assert payloads(logbook) == whole
    done = logbook.completion(order)
    assert done is not None
    assert done.refused == dispose.NOT_APPROVED
