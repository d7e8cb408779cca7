"""What goes into a production comes out of its files: every entry, in order, byte for byte."""

import gzip
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.utils import parseaddr
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.evidence.production.manifest import Bates, Format
from libs.evidence.production.readback import ReadBack, read_back
from services.ediscovery.domain.productions.items import (
    Conversation,
    File,
    Item,
    Kind,
    Numbered,
    Person,
    Produced,
)
from services.ediscovery.domain.productions.produce import Producer, writer_of
from services.ediscovery.domain.productions.rsmf import manifest_of
from services.ediscovery.domain.productions.rsmf_rules import judge_rsmf
from services.ediscovery.domain.productions.sources import Presence, Span
from tests.unit.evidence.logs import START
from tests.unit.productions.made import BATES, DOMAIN, ODD, PEOPLE, TALKS, Said, conversation, talk

SAMPLE = Path(__file__).parents[4] / "shared/data/corpus/ubuntu-irc-sample.jsonl.gz"
HEADERS = {"Message", "Date", "From", "To", "Subject", "MIME", "Content", "X"}
FORMATS = st.sampled_from(Format)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


def files_of(
    form: Format, items: Iterable[Item], part_entries: int = 4, bates: Bates | None = BATES
) -> list[File]:
    producer = Producer(writer_of(form, DOMAIN), bates, part_entries=part_entries)
    return [file for item in items for file in producer.feed(item)] + producer.flush()


def shown_in(form: Format, files: Iterable[File]) -> list[ReadBack]:
    data = [file for file in files if file.path.startswith("data/")]
    return [entry for file in data for entry in read_back(form, file.data, file.path)]


def as_shown(item: Produced) -> ReadBack:
    return ReadBack(item.conversation.id, item.seq, item.sent_at, item.sender, item.body)


def entries_of(talks: Iterable[Sequence[Said]]) -> list[Produced]:
    return [entry.produced(None) for entries in talks for entry in entries]


@pytest.mark.parametrize("form", Format)
def test_odd_texts_come_back_as_they_were(form: Format):
    items = entries_of(TALKS)
    assert {item.body.decode() for item in items if item.body is not None} >= set(ODD)
    assert shown_in(form, files_of(form, items)) == [as_shown(item) for item in items]


@settings(max_examples=60, deadline=None)
@given(
    FORMATS,
    st.lists(st.tuples(TEXT, st.integers(0, 30), TEXT), min_size=1, max_size=12),
    st.integers(1, 6),
    TEXT,
)
def test_whatever_is_said_comes_back_as_it_was(
    form: Format, said: list[tuple[str, int, str]], part_entries: int, name: str
):
    people = tuple(Person(UUID(int=number + 1), name) for number, (_, _, name) in enumerate(said))
    about = Conversation(UUID(int=0x200), "group", name, people)
    items = [
        Produced(
            about,
            seq,
            list(Kind)[hours % len(Kind)],
            UUID(int=seq),
            START + timedelta(hours=hours),
            people[hours % len(people)].id,
            text.encode(),
            audience=tuple(person.id for person in people),
            parent=UUID(int=max(seq - 1, 1)),
        )
        for seq, (text, hours, _) in enumerate(said, 1)
    ]
    files = files_of(form, items, part_entries)
    assert shown_in(form, files) == [as_shown(item) for item in items]
    if form is Format.RSMF:
        for file in files:
            if file.path.endswith(".rsmf"):
                verdict = judge_rsmf(file.data)
                assert (verdict.errors, verdict.warnings) == ([], [])


@pytest.mark.parametrize("form", [Format.JSONL, Format.EML, Format.EML_DAY])
@given(body=st.binary(max_size=200))
@settings(max_examples=30, deadline=None)
def test_bytes_that_are_no_text_come_back_as_they_were(form: Format, body: bytes):
    items = entries_of([talk(conversation(1), [body])])
    assert shown_in(form, files_of(form, items)) == [as_shown(item) for item in items]


def test_bytes_that_are_no_text_are_an_error_in_a_format_of_texts():
    files = files_of(Format.RSMF, entries_of([talk(conversation(1), [b"\xff", b"text"])]), 10)
    errors = [json.loads(file.data) for file in files if file.path.startswith("errors/")]
    assert [(each["seq"], each["reason"]) for each in errors] == [("2", "not-text")]
    assert [entry.seq for entry in shown_in(Format.RSMF, files)] == [1, 3]


@pytest.mark.parametrize("form", [Format.EML, Format.EML_DAY, Format.RSMF])
def test_nothing_that_people_choose_can_begin_a_header(form: Format):
    evil = "x\r\nBcc: everybody@example.com\r\n\r\n<b>\0"
    about = Conversation(UUID(int=7), "group", evil, (Person(UUID(int=1), evil, f"a@b.example\r\n{evil}"),))
    for file in files_of(form, entries_of([talk(about, [evil.encode()])])):
        if file.path.startswith("data/"):
            mail = message_from_bytes(file.data, policy=policy.default)
            assert mail["Bcc"] is None
            assert {name.split("-")[0] for name in mail} <= HEADERS
            assert file.data.isascii()
            assert all(len(line) <= 998 for line in file.data.split(b"\r\n"))


@settings(max_examples=150, deadline=None)
@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=80))
def test_names_are_shown_by_mail_programs_as_they_were_chosen(name: str):
    about = Conversation(UUID(int=7), "group", name, (Person(UUID(int=1), name, "a@b.example"),))
    (file,) = [
        file for file in files_of(Format.EML, entries_of([talk(about, [])])) if file.path.startswith("data/")
    ]
    mail = message_from_bytes(file.data)
    assert message_from_bytes(file.data, policy=policy.default)["Subject"] == name
    assert str(make_header(decode_header(str(mail["From"])))) == f"{name} <a@b.example>"
    assert parseaddr(str(mail["From"]))[1] == "a@b.example"
    assert all(len(line) <= 76 for line in file.data.split(b"\r\n") if b"=?" in line)


def test_a_mail_has_the_same_id_in_every_production_and_no_other_has_it():
    ids = []
    for bates in (BATES, None):
        files = files_of(Format.EML, entries_of(TALKS), bates=bates)
        ids.append(
            [
                str(message_from_bytes(file.data)["Message-ID"])
                for file in files
                if file.path.startswith("data/")
            ]
        )
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == len(ids[0])


def revised(seq: int, kind: Kind, body: bytes | None, **more: Any) -> Produced:
    fields: dict[str, Any] = {"parent": UUID(int=1), "message": UUID(int=1), "revision": seq - 1, **more}
    return Produced(
        conversation(1),
        seq,
        kind,
        sent_at=START + timedelta(minutes=seq),
        sender=PEOPLE[0].id,
        body=body,
        audience=(PEOPLE[0].id, PEOPLE[1].id),
        **fields,
    )


@pytest.mark.parametrize("form", Format)
def test_edits_retractions_and_reactions_come_back_each_in_its_place(form: Format):
    items = [
        revised(1, Kind.MESSAGE, b"first", parent=None),
        revised(2, Kind.REVISION, b"second", previous=b"first"),
        revised(3, Kind.REACTION, "👍".encode(), message=UUID(int=3)),
        revised(4, Kind.REACTION, "👍".encode(), message=UUID(int=4)),
        revised(5, Kind.RETRACTION, None),
    ]
    files = files_of(form, items, 10)
    assert shown_in(form, files) == [as_shown(item) for item in items]


def test_an_rsmf_file_says_what_later_entries_say_of_a_message():
    items = [
        revised(1, Kind.MESSAGE, b"first", parent=None),
        revised(2, Kind.REVISION, b"second", previous=b"first"),
        revised(3, Kind.REACTION, "👍".encode(), message=UUID(int=3)),
        revised(4, Kind.RETRACTION, None),
    ]
    message, edit, _, _ = manifest_of([Numbered(item, None) for item in items], [])["events"]
    assert message["deleted"]
    assert message["body"] == "first"
    assert message["reactions"] == [{"value": "👍", "count": 1, "participants": [str(PEOPLE[0].id)]}]
    assert [(each["previous"], each["new"]) for each in edit["edits"]] == [("first", "second")]
    assert edit["parent"] == message["id"]


@pytest.mark.parametrize("form", Format)
def test_a_version_says_what_came_after_it_and_is_read_back_as_it_was(form: Format):
    items = [
        revised(1, Kind.MESSAGE, b"first", parent=None, superseded_by=2, retracted_by=3),
        revised(2, Kind.REVISION, b"second", parent=None, retracted_by=3),
        revised(3, Kind.RETRACTION, b"a mistake", parent=None),
    ]
    files = files_of(form, items, 10)
    assert shown_in(form, files) == [as_shown(item) for item in items]
    if form is not Format.RSMF:
        data = b"".join(file.data for file in files if file.path.startswith("data/")).lower()
        assert len(re.findall(rb"superseded.by\W+2", data)) == 1
        assert len(re.findall(rb"retracted.by\W+3", data)) == 2
        return
    first, second, retraction = manifest_of([Numbered(item, None) for item in items], [])["events"]
    assert (first["deleted"], second["deleted"], retraction.get("deleted")) == (True, True, None)
    assert {"name": "superseded_by", "value": "2"} in first["custom"]
    assert retraction["body"] == "a mistake"
    # the file of another day says it too
    (alone,) = manifest_of([Numbered(items[0], None)], [])["events"]
    assert alone["deleted"]


def sample_entries() -> list[Produced]:
    """Return the corpus sample as conversations of a channel and day."""
    found: list[Produced] = []
    about, seq, before = conversation(1), 0, ""
    people: dict[str, Person] = {}
    with gzip.open(SAMPLE, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if row["date"] != before:
                before, seq = row["date"], 0
                about = Conversation(UUID(int=about.id.int + 1), "import", row["channel"], ())
            seq += 1
            nick = people.setdefault(row["nick"], Person(UUID(int=0x10000 + len(people)), "pseudonym"))
            sent_at = datetime.fromisoformat(f"{row['date']}T{row['time']}:00+00:00")
            found.append(
                Produced(
                    about,
                    seq,
                    Kind.MESSAGE,
                    UUID(int=len(found)),
                    sent_at,
                    nick.id,
                    row["text"].encode(),
                    audience=(nick.id,),
                )
            )
    return found


@pytest.mark.skipif(not SAMPLE.exists(), reason="the corpus sample is not beside this checkout")
@pytest.mark.parametrize("form", Format)
@pytest.mark.parametrize("count", [4_000, pytest.param(21_747, marks=pytest.mark.prove)])
def test_a_corpus_comes_back_as_it_was(form: Format, count: int):
    items = sample_entries()[:count]
    shown = shown_in(form, files_of(form, items, 1_000))
    assert len(shown) == len(items) == count
    assert shown == [as_shown(item) for item in items]
    assert sum(len(entry.body or b"") for entry in shown) == sum(len(item.body or b"") for item in items)


class Crowd(tuple[Any, ...]):  # noqa: SLOT001 - it keeps its count
    """Many who were there: it counts how many times all of them are gone through."""

    walks = 0

    def __iter__(self) -> Iterator[Any]:
        self.walks += 1
        return super().__iter__()


def test_a_file_of_many_entries_goes_through_a_crowd_as_often_as_one_of_few() -> None:
    def walks(entries: int) -> int:
        people, audience = Crowd(PEOPLE), Crowd(person.id for person in PEOPLE)
        about = replace(conversation(1), people=people)
        said = talk(about, [b"so"] * entries, step=0)
        items = [replace(each.produced(None), audience=audience) for each in said]
        people.walks = 0
        files_of(Format.RSMF, items, 100)
        return people.walks + audience.walks

    assert walks(80) == walks(2) > 0


def test_the_audience_is_the_very_same_until_somebody_comes_or_goes() -> None:
    ids = [person.id for person in PEOPLE[:3]]
    presence = Presence([Span(ids[0], 1, None), Span(ids[1], 1, 4), Span(ids[2], 3, None)])
    there = [presence.at(seq).with_author(ids[0]) for seq in range(1, 7)]
    assert [each.order for each in there] == [tuple(ids[:2])] * 2 + [tuple(ids)] * 2 + [(ids[0], ids[2])] * 2
    assert all(set(each.order) == each.ids for each in there)
    assert there[0] is there[1]
    assert there[2] is there[3]
    assert there[4] is there[5]
    assert presence.at(6).with_author(ids[1]).order == (ids[0], ids[2], ids[1])
