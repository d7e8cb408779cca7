"""What the figures of eDiscovery are reckoned from, and what is asked for them."""

import os
import time
from collections import Counter

import pytest

from services.ediscovery.domain.query import ids_as_written, parse, resolve
from services.runner.bench.corpora import made_rows
from services.runner.bench.ediscovery import Asked, figures_of_delays, figures_of_queries
from services.runner.bench.processes import PeakMemory
from services.runner.bench.queries import queries_of, said_of
from services.runner.bench.sends import Round
from services.runner.corpus import Row
from services.runner.errors import RunnerError

SOMEBODY = "01890a5d-ac96-774b-bcce-b302099a8057"


def test_queries_are_of_all_kinds_none_twice_and_the_platform_can_read_each() -> None:
    queries = queries_of(said_of(made_rows(2_000)), [SOMEBODY], [SOMEBODY])
    for _, query in queries:
        resolve(parse(query), ids_as_written)
    kinds = Counter(kind for kind, _ in queries)
    assert len(kinds) == 15
    assert set(kinds.values()) == {12}
    assert len({query for _, query in queries}) > 0.9 * len(queries)


def test_what_a_corpus_says_is_ranked_by_how_many_messages_say_it() -> None:
    rows = list(made_rows(2_000))
    said = said_of(rows)
    texts = [f" {row.text} " for row in rows]
    found = [sum(f" {word} " in text for text in texts) for word in (said.frequent[0], said.middling[0])]
    assert found[0] > 10 * found[1] > 0
    assert all(sum(f" {word} " in text for text in texts) == 1 for word in said.rare)
    assert all(any(f" {one} {other} " in text for text in texts) for one, other in said.pairs)


def test_a_corpus_that_says_next_to_nothing_cannot_be_searched_in() -> None:
    with pytest.raises(RunnerError, match="says too little"):
        said_of([Row("2020-01-01", "#room", "ann", "hello there")])


@pytest.mark.parametrize(("slow", "holds"), [(5, True), (6, False)])
def test_queries_hold_when_no_more_than_five_of_a_hundred_are_slow(slow: int, holds: bool) -> None:
    asked = [Asked("a phrase", 0.5)] * slow + [Asked("a rare word", 0.2)] * (100 - slow)
    median, worst, *kinds = figures_of_queries(asked)
    assert (median.value, worst.holds) == (200.0, holds)
    assert [(each.name, each.value) for each in kinds] == [
        ("query for a phrase, p50", 500.0),
        ("query for a rare word, p50", 200.0),
    ]


def test_a_delay_under_a_smaller_load_than_promised_does_not_hold() -> None:
    load, _, delay = figures_of_delays(Round([0.01], 474.0), [0.5] * 20)
    assert (load.holds, delay.holds) == (False, True)
    load, _, delay = figures_of_delays(Round([0.01], 476.0), [0.5] * 18 + [2.1] * 2)
    assert (load.holds, delay.holds) == (True, False)


def test_the_most_memory_is_seen_though_it_was_given_back() -> None:
    with PeakMemory(os.getpid()) as memory:
        before, until = memory.most, time.monotonic() + 60
        held = bytearray(b"x") * (64 * 1024**2)
        while memory.most < before + 48 * 1024**2 and time.monotonic() < until:
            time.sleep(0.05)
        del held
    assert memory.most > before + 48 * 1024**2
