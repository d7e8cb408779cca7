"""The corpus that is made where there is none."""

from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from services.runner.bench.command import measured_by
from services.runner.bench.corpora import LINES_A_DAY, Load, corpus_of, made_rows
from services.runner.corpus import rows_of
from services.runner.errors import RunnerError
from services.runner.imports import plan_of


def test_the_same_corpus_is_made_each_time_whatever_its_size() -> None:
    rows = list(made_rows(3_000))
    assert rows == list(made_rows(3_000))
    assert rows[:100] == list(made_rows(100))
    assert len(rows) == 3_000


def test_a_made_corpus_is_a_corpus_and_is_gone_at_the_end() -> None:
    with corpus_of(Load(messages=250)) as path:
        assert [row for _, row in rows_of(path)] == list(made_rows(250))
        assert plan_of(path).lines == 250
    assert not path.exists()


def test_a_corpus_that_is_given_stays_as_it_is(tmp_path) -> None:
    given = tmp_path / "corpus.jsonl"
    given.write_text("{}")
    with corpus_of(Load(given)) as path:
        assert path == given
    assert given.exists()


def test_lines_go_on_in_time_and_all_of_them_are_old() -> None:
    rows = list(made_rows(2 * LINES_A_DAY + 1))
    times = [datetime.fromisoformat(f"{row.date}T{row.time}").replace(tzinfo=UTC) for row in rows]
    assert all(one <= other for one, other in pairwise(times))
    assert len({row.date for row in rows}) == 3
    assert len(list(made_rows(0))) == 0


def test_words_and_speakers_are_spread_unevenly() -> None:
    rows = list(made_rows(2_000))
    words = Counter(word for row in rows for word in row.text.split())
    (_, most), *_ = words.most_common()
    assert most > 20 * sorted(words.values())[len(words) // 2]
    assert sum(1 for count in words.values() if count == 1) > 1_000
    speakers = Counter(row.nick for row in rows)
    assert speakers.most_common(1)[0][1] > 20 * min(speakers.values())


def test_a_day_has_no_more_speakers_than_a_conversation_takes() -> None:
    assert len({row.nick for row in made_rows(LINES_A_DAY)}) <= 1_000


@pytest.mark.parametrize(
    ("area", "messages", "why"),
    [
        (
            "weather",
            None,
            "there is nothing to measure called weather; there is: messaging, audit, retention, ediscovery",
        ),
        ("audit", 100, "audit is measured on no corpus"),
    ],
)
def test_what_cannot_be_measured_is_said(area: str, messages: int | None, why: str) -> None:
    with pytest.raises(RunnerError, match=why):
        measured_by(area, None, messages)


def test_a_corpus_that_is_given_is_not_cut(tmp_path) -> None:
    with pytest.raises(RunnerError, match="has the number of messages that it has"):
        measured_by("retention", tmp_path / "corpus.jsonl", 100)
