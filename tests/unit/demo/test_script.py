"""From a corpus to what is to be said."""

import gzip
import json
from pathlib import Path

import pytest

from services.runner.corpus import Row
from services.runner.demo.script import OWN_CORPUS, person_of, read_script, script_of
from services.runner.errors import RunnerError

ROWS = [
    Row("2010-01-01", "#ubuntu", "zed|away", "hello"),
    Row("2010-01-01", "#ubuntu", "mo", "zed|away: hi, and thanks"),
    Row("2010-01-02", "#ubuntu", "mo", ""),
    Row("2010-01-01", "#ubuntu", "zed|away", "mo, you are welcome"),
]


def test_one_conversation_is_made_for_each_channel_and_day_in_the_order_of_the_corpus() -> None:
    script = script_of(ROWS)
    assert [conversation.name for conversation in script.conversations] == [
        "#ubuntu 2010-01-01",
        "#ubuntu 2010-01-02",
    ]
    assert [line.speaker for line in script.conversations[0].lines] == [0, 1, 0]
    assert script.messages == 4


def test_no_handle_is_left_where_somebody_speaks_or_is_addressed() -> None:
    script = script_of(ROWS)
    assert script.conversations[0].lines[1].text == f"{person_of(0).display_name}: hi, and thanks"
    assert script.conversations[0].lines[2].text == f"{person_of(1).display_name}, you are welcome"
    assert "zed" not in json.dumps([person.user_name for person in script.people])


def test_the_same_corpus_gives_the_same_script() -> None:
    assert script_of(ROWS) == script_of(list(ROWS))


def test_an_empty_text_stays_a_message() -> None:
    assert script_of(ROWS).conversations[1].lines[0].text == ""


def test_somebody_listens_where_one_talks_alone() -> None:
    assert script_of(ROWS).conversations[1].people == (1, 0)
    assert script_of(ROWS[:1]).conversations[0].people == (0, 1)
    assert len(script_of(ROWS[:1]).people) == 2


def test_deliveries_are_every_message_to_everybody_but_its_speaker() -> None:
    rows = [Row("d", "#c", nick, "x") for nick in ("a", "b", "c")]
    assert script_of(rows).deliveries == 6


def test_people_are_told_apart_by_their_user_names() -> None:
    assert len({person_of(number).user_name for number in range(20_000)}) == 20_000


def test_a_conversation_of_more_than_a_thousand_people_is_refused_in_one_sentence() -> None:
    rows = [Row("d", "#c", f"n{number}", "x") for number in range(1001)]
    with pytest.raises(RunnerError, match="1000 at most"):
        script_of(rows)


def test_a_gzipped_corpus_is_read_whatever_its_name_and_only_as_far_as_the_limit(tmp_path: Path) -> None:
    lines = "".join(
        json.dumps({"date": "d", "time": "12:00", "channel": "#c", "nick": f"n{i % 3}", "text": f"t{i}"})
        + "\n"
        for i in range(10)
    )
    corpus = tmp_path / "corpus"
    corpus.write_bytes(gzip.compress(lines.encode()))
    assert read_script(corpus, None).messages == 10
    assert read_script(corpus, 4).messages == 4


@pytest.mark.parametrize("content", [b"no json\n", b'{"date": 1}\n', b"\x1f\x8bnot gzip"])
def test_a_file_that_is_no_corpus_is_named_in_one_sentence(tmp_path: Path, content: bytes) -> None:
    corpus = tmp_path / "broken"
    corpus.write_bytes(content)
    with pytest.raises(RunnerError, match="broken cannot be read as a corpus"):
        read_script(corpus, None)


def test_a_missing_and_an_empty_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RunnerError, match="cannot be read"):
        read_script(tmp_path / "nothing", None)
    (tmp_path / "empty").touch()
    with pytest.raises(RunnerError, match="holds no message"):
        read_script(tmp_path / "empty", None)


def test_the_project_s_own_conversations_are_a_script() -> None:
    script = read_script(None, None)
    assert OWN_CORPUS.is_file()
    assert script.messages >= 60
    assert len(script.conversations) >= 4
    assert all(len(conversation.people) >= 3 for conversation in script.conversations)
