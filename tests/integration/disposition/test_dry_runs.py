"""A dry run counts, by one statement, exactly what the decision of every single item says."""

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import timedelta
from uuid import UUID

import msgspec
import psycopg
import pytest

from libs.contracts.retention import (
    MessagingOrderAnswered,
    OrderedErasure,
    OrderedLock,
    OrderedPeriod,
    OrderedRule,
    Terms,
    digest_of_result,
)
from libs.disposition.claims import Hold
from libs.disposition.decision import disposition_of
from services.messaging.domain.dispositions import standing_of
from services.messaging.store import dispositions
from services.messaging.usecases.dispositions import SAMPLES_DIFFER, claims_of
from tests.integration.disposition.logbook import NOON, OURS, THEIRS, Logbook, Written, town

TYPES = ("direct", "group", "import")
STANDINGS = ("retained", "preserved", "hidden", "ripe")
RULE = OrderedRule(
    rule=UUID(int=1), version=1, kind="deletion", period=OrderedPeriod(years=2), grace_seconds=86_400
)


def by_item(items: Iterable[Written], terms: Terms, holds: Sequence[Hold]) -> Counter[tuple[str, str]]:
    """Return how many items of each type stand how, and their bytes, by deciding every single one."""
    claims, count = claims_of(terms, holds), Counter[tuple[str, str]]()
    for each in items:
        standing = standing_of(disposition_of(each.item, *claims), terms.as_of).value
        count[each.room.conversation_type, standing] += 1
        count[each.room.conversation_type, f"{standing}_bytes"] += each.size
    return +count


def by_class(answer: MessagingOrderAnswered) -> Counter[tuple[str, str]]:
    """Return the same of an answer."""
    assert answer.refused == ""
    count = Counter[tuple[str, str]]()
    for found in answer.classes:
        for standing in STANDINGS:
            count[found.conversation_type, standing] += getattr(found, standing)
            count[found.conversation_type, f"{standing}_bytes"] += getattr(found, f"{standing}_bytes")
    return +count


def some_terms(chance: random.Random, items: Sequence[Written]) -> Terms:
    """Return rules, locks and erasures that meet at the edges of these items."""
    rooms = sorted({each.room.conversation for each in items})

    def period() -> OrderedPeriod:
        return OrderedPeriod(years=chance.randrange(4), months=chance.randrange(14), days=chance.randrange(3))

    def types() -> tuple[str, ...] | None:
        return chance.choice([None, None, tuple(chance.sample(TYPES, chance.randrange(1, 3)))])

    rules = [
        OrderedRule(
            rule=UUID(int=number),
            version=1,
            kind=chance.choice(["deletion", "deletion", "floor"]),
            period=period(),
            grace_seconds=chance.choice([0, 86_400, 90 * 86_400]),
            conversation_types=types(),
            conversations=chance.choice([None, None, tuple(chance.sample(rooms, 2))]),
        )
        for number in range(chance.randrange(1, 5))
    ]
    locks = [
        OrderedLock(lock=UUID(int=50 + n), period=period(), conversation_types=types())
        for n in range(chance.randrange(2))
    ]
    erasures = [
        OrderedErasure(erasure=UUID(int=70 + n), subject=one.sender, requested_at=moment)
        for n in range(chance.randrange(3))
        for one in [chance.choice(items)]
        for moment in [chance.choice([one.sent_at, NOON - timedelta(days=9), NOON + timedelta(days=1)])]
    ]
    as_of = chance.choice([NOON, chance.choice(items).sent_at + timedelta(days=731)])
    return Terms(as_of=min(as_of, NOON), rules=tuple(rules), locks=tuple(locks), erasures=tuple(erasures))


def some_hold(chance: random.Random, items: Sequence[Written], number: int) -> Hold:
    """Return a hold of any form whose range begins or ends at an item."""
    since, until = sorted(each.sent_at for each in chance.sample(list(items), 2))
    people = frozenset(each.sender for each in chance.sample(list(items), 2))
    rooms = frozenset(each.room.conversation for each in chance.sample(list(items), 1))
    return Hold(
        UUID(int=900 + number),
        chance.choice([people, people, frozenset()]),
        chance.choice([rooms, frozenset(), frozenset()]),
        chance.choice([since, None]),
        chance.choice([until, None]) if since < until else None,
    )


@pytest.mark.parametrize("seed", range(8))
async def test_counts_by_class_are_those_of_every_single_decision(logbook: Logbook, seed: int) -> None:
    chance = random.Random(seed)
    items = town(chance)
    logbook.write(items)
    logbook.write(town(random.Random(99)), THEIRS)
    holds: list[Hold] = []
    for number in range(6):
        terms = some_terms(chance, items)
        answer = await logbook.ask(terms)
        assert by_class(answer) == by_item(items, terms, holds)
        assert answer.generation == len(holds)
        assert answer.digest == digest_of_result(OURS, terms, len(holds), answer.classes)
        hold = some_hold(chance, items, number)
        holds.append(hold)
        await logbook.hold(hold)


async def test_what_goes_is_dated_from_the_oldest_to_the_newest(logbook: Logbook) -> None:
    items = town(random.Random(1))
    logbook.write(items)
    terms = Terms(as_of=NOON, rules=(RULE,))
    claims = claims_of(terms, [])
    going = [
        each.sent_at
        for each in items
        if standing_of(disposition_of(each.item, *claims), NOON).value in ("hidden", "ripe")
    ]
    answer = await logbook.ask(terms)
    assert min(each.first_at for each in answer.classes if each.first_at) == min(going)
    assert max(each.last_at for each in answer.classes if each.last_at) == max(going)


async def test_samples_are_named_with_the_trace_of_their_own_decision(logbook: Logbook) -> None:
    items = town(random.Random(2))
    logbook.write(items)
    await logbook.hold(Hold(UUID(int=900), custodians=frozenset({items[0].sender})))
    answer = await logbook.ask(Terms(as_of=NOON, rules=(RULE,)))
    assert {sample.standing for sample in answer.samples} >= {"retained", "preserved", "ripe"}
    written = {(each.room.conversation, each.seq): each for each in items}
    for sample in answer.samples:
        assert written[sample.conversation, sample.seq].sent_at == sample.sent_at
        winners = [step.voice for step in sample.trace if step.won]
        assert ("hold" in winners) == (sample.standing == "preserved" or winners == ["hold"])


async def test_a_hold_that_is_taken_for_released_keeps_nothing_in_a_dry_run(logbook: Logbook) -> None:
    items = town(random.Random(6))
    logbook.write(items)
    holds = [Hold(UUID(int=900)), Hold(UUID(int=901), custodians=frozenset({items[0].sender}))]
    for hold in holds:
        await logbook.hold(hold)
    terms = Terms(as_of=NOON, rules=(RULE,), without_holds=(UUID(int=900),))
    assert by_class(await logbook.ask(terms)) == by_item(items, terms, holds[1:])


async def test_nothing_that_was_never_ordered_is_due(logbook: Logbook) -> None:
    items = town(random.Random(3))
    logbook.write(items)
    answer = await logbook.ask(Terms(as_of=NOON))
    assert sum(found.retained for found in answer.classes) == len(items)
    assert {found.ripe + found.hidden + found.preserved for found in answer.classes} == {0}


async def test_an_order_is_answered_once_however_many_ask_for_it(logbook: Logbook) -> None:
    logbook.write(town(random.Random(4), items=30))
    order = await logbook.receive(Terms(as_of=NOON, rules=(RULE,)))
    for _ in range(3):
        await logbook.answer_orders()
    assert [answer.order for answer in logbook.answers()] == [order]


async def test_an_order_that_another_answers_is_passed_over(logbook: Logbook) -> None:
    order = await logbook.receive(Terms(as_of=NOON))
    orders = logbook.answer_orders.orders
    async with orders.open(OURS, order) as first, orders.open(OURS, order) as second:
        assert first is not None
        assert second is None


async def test_an_order_whose_answer_was_cut_off_is_answered_anew(logbook: Logbook) -> None:
    async def cut_off() -> None:
        async with logbook.answer_orders.orders.open(OURS, order) as opened:
            assert opened is not None
            await opened.generation()
            raise ConnectionAbortedError

    order = await logbook.receive(Terms(as_of=NOON))
    with pytest.raises(ConnectionAbortedError):
        await cut_off()
    assert logbook.answers() == []
    await logbook.answer_orders()
    assert len(logbook.answers()) == 1


@pytest.mark.planted
async def test_an_order_that_cannot_be_read_keeps_no_other_from_its_answer(logbook: Logbook) -> None:
    broken, sound = await logbook.receive(Terms(as_of=NOON)), await logbook.receive(Terms(as_of=NOON))
    with psycopg.connect(logbook.database.admin_dsn.reveal()) as admin:
        admin.execute("UPDATE messaging.disposition_order SET body = '{' WHERE order_id = %s", (broken,))
    with pytest.raises(msgspec.DecodeError):
        await logbook.answer_orders()
    assert [answer.order for answer in logbook.answers()] == [sound]


@pytest.mark.planted
@pytest.mark.parametrize(
    ("statement", "honest", "defect", "at_an_edge"),
    [
        ("_TALLY_BY_TIME", "p.sent_at >= s.due_before", "p.sent_at > s.due_before", True),
        ("_TALLY_BY_TIME", "b.last_at < c.ripe_before", "b.last_at <= c.ripe_before", True),
        ("_TALLY_BY_ALL", "p.sent_at < greatest(c.due_before", "p.sent_at <= greatest(c.due_before", True),
        ("_TALLY_BY_ALL", "AND g.seqs @> i.seq", "AND NOT g.seqs @> i.seq", False),
        ("_TALLY_BY_ALL", "WHEN h.seq IS NOT NULL THEN 'preserved'", "WHEN false THEN 'preserved'", False),
    ],
)
async def test_a_statement_that_counts_wrongly_is_found_out_by_its_samples(
    logbook: Logbook,
    monkeypatch: pytest.MonkeyPatch,
    statement: str,
    honest: str,
    defect: str,
    *,
    at_an_edge: bool,
) -> None:
    items = town(random.Random(5))
    logbook.write(items)
    if statement == "_TALLY_BY_ALL":
        reader = items[0].room.spans[0][0]
        await logbook.hold(Hold(UUID(int=900), custodians=frozenset({reader})))
    # a bound that ends at an item to the microsecond: whoever counts one too many has it as his newest
    edge = next(each for each in items if each.seq > 5 and each.sent_at < NOON - timedelta(days=800))
    as_of = edge.sent_at.replace(year=edge.sent_at.year + 2) - timedelta(microseconds=1)
    if "b." in honest:  # a block that no bound cuts through: it ends where what is ripe does
        monkeypatch.setattr(dispositions, "BOX_SEQS", edge.seq + 1)
        as_of += timedelta(seconds=RULE.grace_seconds)
    terms = Terms(as_of=as_of if at_an_edge else NOON, rules=(RULE,))
    assert (await logbook.ask(terms)).refused == ""
    whole = getattr(dispositions, statement)
    assert honest in whole
    monkeypatch.setattr(dispositions, statement, whole.replace(honest, defect))
    answer = await logbook.ask(terms)
    assert (answer.refused, answer.classes) == (SAMPLES_DIFFER, ())


MESSAGES = 221_619
_CONVERSATIONS, _PEOPLE = 2_800, 400


_HEADS = f"""
    INSERT INTO messaging.conversation_head (tenant, conversation, kind, last_seq)
    SELECT %(tenant)s, ('00000000-0000-0000-0001-' || lpad(to_hex(n), 12, '0'))::uuid, 1 + n %% 3, 9999
      FROM generate_series(1, {_CONVERSATIONS}) n"""
_SPANS = f"""
    INSERT INTO messaging.participant_span
           (tenant, conversation, principal, from_seq, administrator)
    SELECT DISTINCT h.tenant, h.conversation, ('00000000-0000-0000-0002-' || lpad(to_hex(
           (n * 7 + abs(hashtext(h.conversation::text) %% 9973)) %% {_PEOPLE}), 12, '0'))::uuid, 1, false
      FROM messaging.conversation_head h, generate_series(1, 20) n"""
_ENTRIES = f"""
    INSERT INTO messaging.entry (tenant, conversation, seq, kind, revision, message, actor, sent_at,
           members_version, subjects, metadata_commitment, commit)
    SELECT %(tenant)s, c.conversation, 1 + n / {_CONVERSATIONS}, 4, 0, gen_random_uuid(),
           ('00000000-0000-0000-0002-' || lpad(to_hex(n %% {_PEOPLE}), 12, '0'))::uuid,
           %(at)s - make_interval(mins => n * 20), 1, '{{}}', decode(repeat('00', 32), 'hex'),
           gen_random_uuid()
      FROM generate_series(0, {MESSAGES} - 1) n
      JOIN (SELECT h.conversation, row_number() OVER () - 1 AS place
              FROM messaging.conversation_head h) c ON c.place = n %% {_CONVERSATIONS}"""
_PAYLOADS = """
    INSERT INTO messaging.payload (tenant, conversation, seq, sent_at, dek, sealed)
    SELECT e.tenant, e.conversation, e.seq, e.sent_at, gen_random_uuid(), decode(repeat('ab', 180), 'hex')
      FROM messaging.entry e"""


@pytest.mark.parametrize(
    "held",
    [pytest.param(False, marks=pytest.mark.prove), True],
    ids=["without holds", "behind holds"],
)
async def test_of_221619_messages_each_is_counted_once(logbook: Logbook, *, held: bool) -> None:
    with psycopg.connect(logbook.database.admin_dsn.reveal(), autocommit=True) as admin:
        for statement in (_HEADS, _SPANS, _ENTRIES, _PAYLOADS):
            admin.execute(statement, {"tenant": OURS, "at": NOON})
        admin.execute("ANALYZE messaging.entry, messaging.payload, messaging.participant_span")
    if held:
        people = [UUID(f"00000000-0000-0000-0002-{number:012x}") for number in range(60)]
        await logbook.hold(Hold(UUID(int=900), custodians=frozenset(people)))
        await logbook.hold(Hold(UUID(int=901), until=NOON - timedelta(days=2000)))
    order = await logbook.receive(Terms(as_of=NOON, rules=(RULE,)))
    await logbook.answer_orders()
    (answer,) = [each for each in logbook.answers() if each.order == order]
    assert sum(f.retained + f.preserved + f.hidden + f.ripe for f in answer.classes) == MESSAGES
    assert any(found.preserved for found in answer.classes) is held
