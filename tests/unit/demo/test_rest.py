"""What is imported, who of it are custodians, and what they could read, told from the texts alone."""

import json
from datetime import date
from pathlib import Path

import pytest

from services.runner.corpus import rows_of
from services.runner.demo import compliance, rest
from services.runner.demo.officials import OFFICIALS
from services.runner.demo.rest import OWN_ARCHIVE, WRITTEN_ON, busiest, numbers_of, reached, rest_of
from services.runner.demo.script import read_script
from services.runner.demo.searching import reach_of, word_of
from services.runner.errors import RunnerError


def corpus_of(folder: Path, *lines: tuple[str, str, str]) -> Path:
    """Write lines of (channel, nick, text), all of one day."""
    file = folder / "corpus.jsonl"
    rows = [{"date": "2019-01-02", "channel": each[0], "nick": each[1], "text": each[2]} for each in lines]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_what_a_corpus_holds_beyond_the_limit_is_imported(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, ("#a", "ann", "1"), ("#a", "bob", "2"), ("#b", "ann", "3"))
    path = rest_of(corpus, 2, None, tmp_path, WRITTEN_ON)
    assert path is not None
    assert [row.text for _, row in rows_of(path)] == ["3"]
    assert rest_of(corpus, 3, None, tmp_path, WRITTEN_ON) is None
    assert rest_of(corpus, 2, OWN_ARCHIVE, tmp_path, WRITTEN_ON) == OWN_ARCHIVE


def test_the_own_archive_is_as_old_as_on_the_day_it_was_written(tmp_path: Path) -> None:
    path = rest_of(None, 64, None, tmp_path, date(2027, 11, 20))
    assert path is not None
    written = [date.fromisoformat(row.date) for _, row in rows_of(OWN_ARCHIVE)]
    read = [date.fromisoformat(row.date) for _, row in rows_of(path)]
    assert {(day - old).days for day, old in zip(read, written, strict=True)} == {365}
    seven_years = date(WRITTEN_ON.year - 7, WRITTEN_ON.month, WRITTEN_ON.day)
    behind = [(seven_years - day).days for day in written]
    assert any(days > 30 for days in behind), "something is to be destroyed"
    assert any(0 < days < 25 for days in behind), "something is in its time of grace"
    assert any(days < 0 for days in behind), "something is too young"


def test_custodians_are_the_busiest_and_stand_in_the_directory_whether_they_spoke_live_or_not(
    tmp_path: Path,
) -> None:
    corpus = corpus_of(tmp_path, *[("#a", nick, "x") for nick in ("d", "d", "d", "c", "c", "b", "b", "a")])
    assert busiest(corpus) == ["d", "c", "b"]
    archive = compliance.archive_of(corpus, {"a": 0, "c": 1}, 2)
    assert archive.custodians == {"d": 2, "c": 1, "b": 3}
    assert len(archive.others) == 2 + len(OFFICIALS)
    assert archive.others[-len(OFFICIALS) :] == tuple(OFFICIALS)
    assert numbers_of(None, None)["marta"] == 0


def test_an_author_sees_all_of_his_conversation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.runner.imports.MOST_LINES", 2)
    corpus = corpus_of(
        tmp_path,
        ("#a", "ann", "1"),
        ("#b", "ann", "2"),
        ("#a", "ann", "3"),
        ("#a", "bob", "4"),
        ("#a", "ann", "5"),
        ("#b", "ann", "6"),
    )
    assert [line.text for line in reached(corpus, ["bob"])] == ["1", "3", "4", "5"]
    assert [line.text for line in reached(corpus, ["nobody"])] == []


def test_the_word_that_is_searched_stands_in_the_most_messages(tmp_path: Path) -> None:
    corpus = corpus_of(
        tmp_path, ("#a", "ann", "zebra zebra"), ("#a", "bob", "The ZEBRA"), ("#b", "cy", "zebra")
    )
    assert word_of(reach_of(read_script(None, None), [], corpus, ["bob"])) == ("zebra", 2)
    live = reach_of(read_script(None, None), [0], corpus, [])
    assert 0 < live.messages < read_script(None, None).messages
    assert word_of(rest.Reach()) == ("nothing", 0)


def test_what_cannot_be_read_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(RunnerError, match="cannot be read as a corpus"):
        busiest(tmp_path / "none")
    with pytest.raises(RunnerError, match="No such file"):
        rest_of(None, 1, None, tmp_path / "nowhere", WRITTEN_ON)
