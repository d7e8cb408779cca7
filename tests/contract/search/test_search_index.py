"""What every search index promises; the oracle, tantivy and OpenSearch pass the same tests."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from libs.kernel.ids import TenantId
from services.ediscovery.domain.documents import (
    Change,
    Cursor,
    Document,
    DocumentKey,
    Hit,
    Put,
    Removal,
    hit_of,
    period_of,
)
from services.ediscovery.domain.errors import QueryRefused
from services.ediscovery.domain.oracle import hits_of
from services.ediscovery.domain.query import (
    DEEPEST_QUERY,
    MOST_CLAUSES,
    Prefix,
    Query,
    Scope,
    any_of,
    ids_as_written,
    parse,
    resolve,
    scoped,
)
from services.ediscovery.ports.index import SearchIndex
from tests.contract.search.reference import Log
from tests.contract.search.town import (
    ANNA,
    BEN,
    BOARD,
    CLEO,
    CORPUS,
    DESK,
    MARCH,
    corpus,
    puts,
    queries,
    said,
    shapes,
    town,
)

EVERYTHING = Scope()
STREAM = "messaging/7"
MESSAGES = 1500
SEED = 20261124


def asked(text: str) -> Query:
    """Return a query whose names are ids."""
    return resolve(parse(text), ids_as_written)


async def filled(index: SearchIndex, log: Log, tenant: TenantId, documents: Sequence[Document]) -> None:
    """Bring documents in, and have the log keep them."""
    log.keep(tenant, documents)
    await index.apply(tenant, puts(documents), Cursor(STREAM, len(documents)))


async def everything(index: SearchIndex, tenant: TenantId) -> Sequence[Hit]:
    """Return all hits of all."""
    return await index.search(tenant, asked("a* OR NOT a*"), EVERYTHING, 1000)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("merger", [1, 2, 3, 6, 7]),
        ("MERGER close", [1, 6, 7]),
        ("merg*", [1, 2, 3, 6, 7]),
        ("mergi* OR plan-2026", [2, 4]),
        ('"merger will close"', [1]),
        ('"close will merger"', [7]),
        ('"the the"', [8]),
        ('"the the the the"', []),
        ("merger AND NOT close", [2, 3]),
        ("NOT (merger OR the)", [4, 5, 10]),
        ("NOT merger", [4, 5, 8, 10]),
        ("straße", [6, 10]),
        ("京", [10]),
        ("東京", [10]),
        ("京東", []),
        ("👍", [10]),
        ("don't", [1]),
        ("anna@example.org", [1]),
        ("example.org", [1, 4]),
        ("https://example.org/plan-2026.pdf", [4]),
        ("unheard", []),
        (f"from:{ANNA} merger", [1, 7]),
        (f"NOT from:{ANNA}", [2, 3, 6, 8]),
        (f"in:{DESK}", [3, 7, 8]),
        (f"participant:{BEN} AND merger", [1, 2, 6]),
        (f"participant:{CLEO} OR in:{BOARD} from:{BEN}", [2, 3, 7, 8]),
        ("sent:2026-03-31", [1, 2, 3, 10]),
        ("sent:2026-04-01", [4, 5, 6]),
        ("sent:<2026-04-01 merger", [1, 2, 3]),
        ("sent:>=2026-04-01 merger", [6, 7]),
        ("sent:2026-03-01..2026-04-30 close", [1, 6]),
        ("sent:<0999-01-01", []),
    ],
)
async def test_a_query_finds_these_messages(
    index: SearchIndex, log: Log, tenant: TenantId, text: str, found: list[int]
):
    await filled(index, log, tenant, town())
    hits = await index.search(tenant, asked(text), EVERYTHING, 100)
    assert sorted(hit.key.seq for hit in hits) == found
    assert hits == hits_of(town(), asked(text), 100)


async def test_the_deepest_and_the_widest_query_are_answered(index: SearchIndex, log: Log, tenant: TenantId):
    await filled(index, log, tenant, town())
    deep = "merger"
    for level in range(DEEPEST_QUERY):
        deep = f"({deep} OR friday)" if level % 2 else f"({deep} the*)"
    scope = Scope(participants=frozenset({ANNA, CLEO}), since=MARCH)
    hits = await index.search(tenant, asked(deep), scope, 100)
    assert hits
    assert hits == hits_of(town(), scoped(asked(deep), scope), 100)
    with pytest.raises(QueryRefused):
        asked(f"({deep} friday) OR NOT the")
    wide = any_of([*(Prefix(f"w{number}") for number in range(MOST_CLAUSES - 1)), asked("merger")])
    assert await index.search(tenant, wide, EVERYTHING, 100) == hits_of(town(), asked("merger"), 100)


async def test_as_many_ids_as_a_scope_has_are_compared(index: SearchIndex, log: Log, tenant: TenantId):
    await filled(index, log, tenant, town())
    many = frozenset(UUID(int=number) for number in range(70_000))
    assert await index.search(tenant, asked("merger"), Scope(conversations=many - {DESK}), 100) == hits_of(
        town(), asked(f"merger in:{BOARD}"), 100
    )


async def test_hits_come_in_order_of_time_conversation_and_seq_page_by_page(
    index: SearchIndex, log: Log, tenant: TenantId
):
    await filled(index, log, tenant, list(reversed(town())))
    expected = sorted(map(hit_of, town()), key=lambda hit: hit.standing)
    for size in range(1, len(expected) + 2):
        pages: list[Hit] = []
        while page := await index.search(
            tenant, asked("a* OR NOT a*"), EVERYTHING, size, pages[-1].standing if pages else None
        ):
            assert len(page) == min(size, len(expected) - len(pages))
            pages += page
        assert pages == expected


async def test_outside_its_scope_a_query_finds_nothing(index: SearchIndex, log: Log, tenant: TenantId):
    await filled(index, log, tenant, town())
    scopes = {
        Scope(conversations=frozenset({DESK})): [3, 7],
        Scope(conversations=frozenset()): [],
        Scope(participants=frozenset({BEN})): [1, 2, 6],
        Scope(participants=frozenset({BEN, CLEO}), since=MARCH + timedelta(microseconds=1)): [6, 7],
        Scope(until=MARCH + timedelta(microseconds=1)): [1, 2, 3],
        Scope(since=MARCH, until=MARCH): [],
    }
    for scope, found in scopes.items():
        hits = await index.search(tenant, asked("merger OR NOT (NOT merger)"), scope, 100)
        assert sorted(hit.key.seq for hit in hits) == found


async def test_a_tenant_finds_nothing_of_another(index: SearchIndex, log: Log, tenant: TenantId):
    other = TenantId(uuid4())
    await filled(index, log, tenant, town())
    assert await everything(index, other) == []
    assert await index.count(other) == 0
    assert await index.cursor(other, STREAM) == 0
    assert await index.terms(other) in (set(), [], frozenset())
    await index.drop(other)
    assert await index.count(tenant) == len(town())


async def test_applying_again_changes_nothing(index: SearchIndex, log: Log, tenant: TenantId):
    first, second = said(1, "one"), said(2, "two")
    changes: list[Change] = [Put(1, first), Put(2, second), Removal(3, first.key)]
    log.keep(tenant, [second])
    await index.apply(tenant, changes[:2], Cursor(STREAM, 2))
    assert await everything(index, tenant) == [hit_of(first), hit_of(second)]
    await index.apply(tenant, changes, Cursor(STREAM, 3))
    await index.apply(tenant, changes[:1], Cursor(STREAM, 1))
    await index.apply(tenant, changes, Cursor(STREAM, 3))
    assert await everything(index, tenant) == [hit_of(second)]
    assert await index.cursor(tenant, STREAM) == 3
    assert await index.count(tenant) == 1


async def test_each_stream_has_its_own_cursor(index: SearchIndex, tenant: TenantId):
    await index.apply(tenant, [Put(9, said(1, "one"))], Cursor(STREAM, 9))
    await index.apply(tenant, [Put(2, said(1, "two", conversation=DESK))], Cursor("messaging/8", 2))
    assert await index.count(tenant) == 2
    assert await index.cursor(tenant, STREAM) == 9
    assert await index.cursor(tenant, "messaging/8") == 2
    assert await index.cursor(tenant, "messaging/9") == 0


async def test_a_cursor_moves_without_changes(index: SearchIndex, tenant: TenantId):
    await index.apply(tenant, [], Cursor(STREAM, 5))
    assert await index.cursor(tenant, STREAM) == 5
    assert await index.count(tenant) == 0


async def test_a_document_comes_and_goes_in_one_batch(index: SearchIndex, tenant: TenantId):
    one = said(1, "one")
    await index.apply(tenant, [Put(1, one), Removal(2, one.key)], Cursor(STREAM, 2))
    assert await everything(index, tenant) == []
    await index.apply(tenant, [Removal(3, DocumentKey(DESK, 99))], Cursor(STREAM, 3))
    assert await index.cursor(tenant, STREAM) == 3


async def test_what_was_applied_is_there_after_a_stop(
    open_index: Callable[[], SearchIndex], log: Log, tenant: TenantId
):
    await filled(open_index(), log, tenant, town())
    again = open_index()
    assert await again.count(tenant) == len(town())
    assert await again.cursor(tenant, STREAM) == len(town())
    assert len(await again.search(tenant, asked("merger"), EVERYTHING, 100)) == 5


async def test_the_term_of_an_expunged_message_is_gone_and_everything_else_stays(
    index: SearchIndex, log: Log, tenant: TenantId
):
    secret = said(50, "the canaryword merger")
    await filled(index, log, tenant, [*town(), secret])
    assert "canaryword" in await index.terms(tenant)
    before = await everything(index, tenant)
    log.forget(tenant, secret.key)
    await index.expunge(tenant, [secret.key, DocumentKey(DESK, 99)])
    assert "canaryword" not in await index.terms(tenant)
    assert set(await index.terms(tenant)) == {token for one in town() for token in one.tokens}
    assert await everything(index, tenant) == [hit for hit in before if hit.key != secret.key]
    assert await index.cursor(tenant, STREAM) == len(town()) + 1
    hits = await index.search(tenant, asked('"merger will close" OR canary*'), EVERYTHING, 100)
    assert [hit.key.seq for hit in hits] == [1]


async def test_a_message_that_was_removed_before_is_expunged_too(
    index: SearchIndex, log: Log, tenant: TenantId
):
    secret = said(50, "canaryword")
    await filled(index, log, tenant, [*town(), secret])
    log.forget(tenant, secret.key)
    await index.apply(tenant, [Removal(90, secret.key)], Cursor(STREAM, 90))
    await index.expunge(tenant, [secret.key])
    assert "canaryword" not in await index.terms(tenant)
    await index.apply(tenant, [Put(10, secret)], Cursor(STREAM, 10))
    assert await index.count(tenant) == len(town())


async def test_the_last_message_of_a_month_can_be_expunged(index: SearchIndex, log: Log, tenant: TenantId):
    only = said(1, "canaryword", sent_at=datetime(2020, 2, 29, tzinfo=UTC))
    await filled(index, log, tenant, [only])
    log.forget(tenant, only.key)
    await index.expunge(tenant, [only.key])
    assert list(await index.terms(tenant)) == []
    assert await everything(index, tenant) == []
    await index.apply(tenant, [Put(2, said(2, "new", sent_at=only.sent_at))], Cursor(STREAM, 2))
    assert await index.count(tenant) == 1


async def test_what_is_removed_is_purged_part_by_part(index: SearchIndex, log: Log, tenant: TenantId):
    february, march = (datetime(2020, month, 20, tzinfo=UTC) for month in (2, 3))
    gone = [said(50, "canaryword", sent_at=february), said(51, "canarybird", sent_at=march)]
    stays = [said(52, "quiet", sent_at=february), said(53, "calm", sent_at=march)]
    await filled(index, log, tenant, [*gone, *stays])
    for each in gone:
        log.forget(tenant, each.key)
    parts = await index.remove(tenant, [each.key for each in gone])
    assert await index.search(tenant, asked("canary*"), EVERYTHING, 100) == []
    assert await index.count(tenant) == 2
    for part in parts:
        await index.purge(tenant, part)
        await index.purge(tenant, part)
    await index.expunge(tenant, [each.key for each in gone])
    assert set(await index.terms(tenant)) == {"quiet", "calm"}
    assert list(await index.remove(tenant, [each.key for each in gone])) == []


async def test_expunging_one_tenant_leaves_another_alone(index: SearchIndex, log: Log, tenant: TenantId):
    other = TenantId(uuid4())
    await filled(index, log, tenant, town())
    await filled(index, log, other, town())
    keys = [one.key for one in town()]
    for key in keys:
        log.forget(tenant, key)
    await index.expunge(tenant, keys)
    assert await index.count(tenant) == 0
    assert await index.count(other) == len(town())


async def test_nothing_is_left_of_a_tenant_that_was_dropped(index: SearchIndex, log: Log, tenant: TenantId):
    await filled(index, log, tenant, town())
    await index.drop(tenant)
    assert await everything(index, tenant) == []
    assert list(await index.terms(tenant)) == []
    assert await index.cursor(tenant, STREAM) == 0
    await filled(index, log, tenant, town()[:2])
    assert await index.count(tenant) == 2


@pytest.mark.skipif(not CORPUS.exists(), reason="the corpus lies in ../shared/data, which is missing")
async def test_a_hundred_queries_over_real_messages_give_the_oracle_s_hits(
    index: SearchIndex, log: Log, tenant: TenantId
):
    documents = corpus(MESSAGES)
    await filled(index, log, tenant, documents)
    asked_for = queries(documents, 100, SEED)
    assert set().union(*map(shapes, asked_for)) == {
        "And", "Or", "Not", "Term", "Phrase", "Prefix", "Ids", "SentOn",
    }  # fmt: skip
    scope = Scope(since=documents[100].sent_at)
    answered = 0
    for query in asked_for:
        hits = await index.search(tenant, query, EVERYTHING, MESSAGES)
        assert hits == hits_of(documents, query, MESSAGES), query
        inside = await index.search(tenant, query, scope, 20)
        assert inside == hits_of(documents, scoped(query, scope), 20), query
        answered += bool(hits)
    assert answered > 60


async def test_an_index_that_is_filled_from_the_log_follows_events_afterwards(
    index: SearchIndex, log: Log, tenant: TenantId
):
    documents = town()
    log.keep(tenant, documents)
    for _ in range(2):
        await index.fill(tenant, documents, Cursor("rebuild", 5000))
    assert await index.count(tenant) == len(documents)
    reached = await index.reached(tenant)
    assert reached.cursors == {"rebuild": 5000}
    assert reached.periods == {str(period_of(one.sent_at)) for one in documents}
    await index.apply(tenant, [], Cursor(STREAM, 40))
    gone, late = documents[0], said(900, "late")
    await index.apply(tenant, [Removal(41, gone.key), Put(42, late)], Cursor(STREAM, 42))
    found = {hit.key for hit in await everything(index, tenant)}
    assert found == {one.key for one in [*documents, late]} - {gone.key}
    assert (await index.reached(tenant)).cursors == {"rebuild": 5000, STREAM: 42}
