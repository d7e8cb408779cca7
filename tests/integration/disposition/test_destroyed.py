"""What a run destroyed is told item by item, with the reason that its own decision gave."""

import random
from uuid import UUID

import psycopg
import pytest

from libs.contracts.retention import OrderedErasure, OrderedPeriod, OrderedRule, Terms
from libs.disposition.claims import Hold
from libs.disposition.decision import Dispose, destroyer_of, disposition_of
from services.messaging.domain.dispositions import Place
from services.messaging.domain.errors import DestroyedUndue
from services.messaging.ports import DestroyedItem
from services.messaging.store.destroyed import PostgresDestroyed
from services.messaging.usecases.dispositions import claims_of
from services.messaging.usecases.tell_destroyed import TellDestroyed
from tests.integration.disposition.logbook import NOON, OURS, THEIRS, Logbook, Written, town
from tests.integration.disposition.test_runs import TERMS, payloads


async def destroyed(logbook: Logbook, order: UUID, page: int = 7) -> list[DestroyedItem]:
    """Return what a run destroyed, read in small pages."""
    tell = TellDestroyed(PostgresDestroyed(logbook.app))
    items: list[DestroyedItem] = []
    after: Place | None = None
    while found := await tell(OURS, order, after, page):
        items += found
        after = found[-1].place
    return items


def terms_of(items: list[Written]) -> Terms:
    """Return terms by which several voices speak, and each of them wins somewhere."""
    shorter = OrderedRule(
        rule=UUID(int=2),
        version=3,
        kind="deletion",
        period=OrderedPeriod(years=1),
        conversations=(items[0].room.conversation,),
    )
    floor = OrderedRule(
        rule=UUID(int=3),
        version=1,
        kind="floor",
        period=OrderedPeriod(years=4),
        conversation_types=("group",),
    )
    newest = max(
        (each for each in items if each.room.conversation_type != "group"), key=lambda each: each.sent_at
    )
    erasure = OrderedErasure(erasure=UUID(int=4), subject=newest.sender, requested_at=NOON)
    return Terms(as_of=NOON, rules=(*TERMS.rules, shorter, floor), erasures=(erasure,))


async def test_every_destroyed_item_is_told_once_in_order_with_the_reason_of_its_own_decision(
    logbook: Logbook,
) -> None:
    written = town(random.Random(31))
    logbook.write(written)
    logbook.write(town(random.Random(32)), THEIRS)
    hold = Hold(UUID(int=900), custodians=frozenset({written[-1].sender}))
    await logbook.hold(hold)
    terms = terms_of(written)
    before = payloads(logbook)
    order = await logbook.approve(await logbook.ask(terms), terms)
    await logbook.carry_out()
    told = await destroyed(logbook, order)
    places = [each.place for each in told]
    assert places == sorted(set(places))
    assert set(places) == before - payloads(logbook)
    claims = claims_of(terms, [hold])
    own = {Place(each.room.conversation, each.seq): each for each in written}
    for each in told:
        decision = disposition_of(own[each.place].item, *claims)
        assert isinstance(decision, Dispose)
        step = destroyer_of(decision)
        assert (each.due_at, each.destroy_at) == (decision.due_at, decision.destroy_at)
        assert (each.voice, each.source, each.version) == (step.voice.value, step.source, step.version)
        assert each.conversation_type == own[each.place].room.conversation_type
        assert each.bytes == own[each.place].size
        assert each.sent_at == own[each.place].sent_at
    assert {each.voice for each in told} == {"erasure", "explicit-deletion", "implicit-deletion"}
    assert await destroyed(logbook, UUID(int=5)) == []


async def test_an_item_belongs_to_the_run_that_destroyed_it_alone(logbook: Logbook) -> None:
    written = town(random.Random(35))
    logbook.write(written)
    first = await logbook.approve(await logbook.ask(TERMS), TERMS)
    await logbook.carry_out()
    terms = terms_of(written)
    second = await logbook.approve(await logbook.ask(terms), terms)
    await logbook.carry_out()
    told = [{each.place for each in await destroyed(logbook, order)} for order in (first, second)]
    assert all(told)
    assert not told[0] & told[1]


@pytest.mark.planted
async def test_what_the_terms_of_its_run_would_not_destroy_is_not_told(logbook: Logbook) -> None:
    logbook.write(town(random.Random(34)))
    order = await logbook.approve(await logbook.ask(TERMS), TERMS)
    await logbook.carry_out()
    assert await destroyed(logbook, order)
    with psycopg.connect(logbook.database.admin_dsn.reveal()) as admin:
        admin.execute(
            "UPDATE messaging.entry e SET sent_at = %s FROM messaging.destroyed d"
            " WHERE d.conversation = e.conversation AND d.last_seq = e.seq",
            (NOON,),
        )
    with pytest.raises(DestroyedUndue):
        await destroyed(logbook, order)


@pytest.mark.planted
@pytest.mark.parametrize("sizes", ["sizes[2:]", "array_append(sizes, NULL)", "sizes[2:] || NULL::integer"])
async def test_no_stretch_is_kept_without_the_size_of_each_body(logbook: Logbook, sizes: str) -> None:
    logbook.write(town(random.Random(36)))
    await logbook.approve(await logbook.ask(TERMS), TERMS)
    await logbook.carry_out()
    with (
        psycopg.connect(logbook.database.admin_dsn.reveal()) as admin,
        pytest.raises(psycopg.errors.CheckViolation),
    ):
        admin.execute(f"UPDATE messaging.destroyed SET sizes = {sizes}")
