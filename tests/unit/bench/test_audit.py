"""What the audit figures are reckoned from."""

from collections.abc import Sequence
from itertools import pairwise
from uuid import UUID, uuid4

import pytest

from libs.contracts.events import decode
from libs.contracts.facts import MessagingFact
from libs.db.arrays import bigints, uuids
from libs.events.records import OutboxRecord
from libs.evidence.folder import FolderSource
from libs.evidence.log import verify_log
from libs.kernel.clock import SystemClock
from libs.kernel.ids import SystemIds, TenantId
from libs.kernel.randomness import SystemRandomness
from services.runner.bench import audit
from services.runner.bench.audit import integrated_per_second, latencies_of, median_round, steadily
from services.runner.bench.facts import Books, records_of
from services.runner.bench.figures import figure_of
from services.runner.bench.plain_rows import TABLES, insert_of, insert_of_arrays, packed_of
from services.runner.bench.walk import leaves_of, write_log_of
from services.runner.errors import RunnerError

ONE, TWO = TenantId(uuid4()), TenantId(uuid4())
CLOCK = SystemClock()
IDS = SystemIds(CLOCK, SystemRandomness())


class QuickBooks(Books):
    """Books whose logs cover everything one look after it was appended."""

    def __init__(self) -> None:
        self.appended: dict[UUID, list[UUID]] = {ONE: [], TWO: []}
        self.commits: list[int] = []
        self._covered: dict[UUID, int] = {}

    def append(self, records: Sequence[OutboxRecord]) -> None:
        self.commits.append(len(records))
        for record in records:
            self.appended[record.tenant].append(decode(record.body)[0].id)

    def integrated(self, tenants: Sequence[TenantId]) -> dict[UUID, int]:
        covered, self._covered = self._covered, {one: len(self.appended[one]) for one in tenants}
        return covered

    def places(self, tenants: Sequence[TenantId]) -> dict[UUID, tuple[UUID, int]]:
        return {fact: (one, index) for one in tenants for index, fact in enumerate(self.appended[one])}


def test_a_figure_with_a_floor_holds_above_it() -> None:
    assert figure_of("integrated", 5000, "1/s", least=5000).holds is True
    below = figure_of("integrated", 4999, "1/s", least=5000)
    assert (below.holds, below.goal) == (False, "at least 5000 1/s")


def test_a_latency_ends_when_the_log_is_first_seen_to_cover_the_fact() -> None:
    first, second, third, other = (uuid4() for _ in range(4))
    committed = {first: 10.0, second: 10.1, third: 10.2, other: 10.0}
    places = {first: (ONE, 0), second: (ONE, 1), third: (ONE, 2), other: (TWO, 0)}
    seen: dict[UUID, list[tuple[float, int]]] = {ONE: [(10.5, 0), (11.0, 2), (12.0, 3)], TWO: [(10.25, 1)]}
    assert latencies_of(committed, places, seen) == pytest.approx([1.0, 0.9, 1.8, 0.25])


def test_a_fact_that_nothing_covers_is_no_quick_one() -> None:
    fact = uuid4()
    with pytest.raises(RunnerError, match="no checkpoint covers"):
        latencies_of({fact: 1.0}, {fact: (ONE, 1)}, {ONE: [(2.0, 1)]})
    with pytest.raises(RunnerError, match="no checkpoint covers"):
        latencies_of({fact: 1.0}, {}, {ONE: [(2.0, 1)]})


def test_the_median_round_keeps_its_own_baseline() -> None:
    assert median_round([(10.0, 10.0), (30.0, 40.0), (1.0, 2.0)]) == (30.0, 40.0)


def test_a_steady_load_is_committed_at_its_pace_and_watched_to_the_end(monkeypatch) -> None:
    monkeypatch.setattr(audit, "STEADY_FACTS", 500)
    books = QuickBooks()
    records = records_of([ONE, TWO], 50, IDS, CLOCK)
    committed, seen = steadily(books, [ONE, TWO], records)
    assert books.commits == [10] * 5
    begun = sorted(set(committed.values()))
    assert len(committed) == 50
    assert begun[-1] - begun[0] >= 0.08
    assert all(one[1] < other[1] for growth in seen.values() for one, other in pairwise(growth))
    assert all(0 < latency < 1 for latency in latencies_of(committed, books.places([ONE, TWO]), seen))


def test_a_backlog_is_one_commit_and_ends_when_all_of_it_is_covered() -> None:
    books = QuickBooks()
    assert integrated_per_second(books, [ONE, TWO], records_of([ONE, TWO], 100, IDS, CLOCK)) > 0
    assert books.commits == [100]


def test_facts_are_of_the_tenants_in_turn_and_look_as_messaging_tells_of_commits() -> None:
    records = records_of([ONE, TWO], 4, IDS, CLOCK)
    assert [record.tenant for record in records] == [ONE, TWO, ONE, TWO]
    _, fact = decode(records[0].body)
    assert isinstance(fact, MessagingFact)
    assert (fact.action, len(fact.runs), len(fact.root or b"")) == ("messaging.entries.committed", 2, 32)


def test_plain_rows_are_one_array_for_each_column() -> None:
    columns = TABLES["detail_entity"]
    tenant = uuid4()
    arrays = packed_of(columns, [(tenant, "commit", "a", 1, 0), (tenant, "commit", "b", 2, 0)])
    assert len(arrays) == len(columns)
    assert (arrays[0], arrays[3]) == (uuids([tenant, tenant]), bigints([1, 2]))
    statement = insert_of_arrays("detail", TABLES["detail"]).as_string()
    assert statement.startswith('INSERT INTO "bench"."detail" ("tenant", "index", "salt"')
    assert '"approvals"::uuid[]' in statement
    assert insert_of("detail", TABLES["detail"]).as_string().endswith("%s::uuid[], %s, %s::jsonb)")


def test_the_log_that_is_walked_is_a_log(tmp_path) -> None:
    leaves = leaves_of(600)
    report = verify_log(FolderSource(tmp_path), write_log_of(leaves, tmp_path))
    assert report.size == 600
