"""Whatever was said and is asked for: an honest production holds, and one that leaves out does not."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.evidence.errors import EvidenceRefused
from libs.evidence.production import verify as production_verify
from libs.evidence.production.manifest import Format, Reason, Scope
from libs.evidence.verify import verify_path
from services.ediscovery.domain.productions.items import ExcludedRun, Item, Produced
from services.messaging.domain.entries import EntryKind
from tests.unit.evidence.logs import START
from tests.unit.productions.made import PEOPLE, SIGNED, TALKS, Log, Made, conversation, talk

BODIES = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), max_size=5)
PARTIES = st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=4, unique=True)
SOME = st.none() | st.lists(st.integers(0, 3), max_size=3, unique=True).map(sorted)


@st.composite
def logs(draw: st.DrawFn) -> Log:
    """Draw the log of one to four conversations."""
    sizes = draw(st.lists(st.tuples(PARTIES, BODIES), min_size=1, max_size=4))
    return Log(
        [
            talk(conversation(number, people), [text.encode() for text in texts], step=7)
            for number, (people, texts) in enumerate(sizes)
        ]
    )


@st.composite
def scopes(draw: st.DrawFn, log: Log) -> Scope:
    """Draw a scope: conversations that exist, or custodians, or times, or nothing."""
    named, custodians = draw(SOME), draw(SOME)
    ids = [head.conversation for head in log.heads]
    return Scope(
        None if named is None else tuple(ids[at] for at in named if at < len(ids)),
        None if custodians is None else tuple(PEOPLE[at].id for at in custodians),
        draw(st.none() | st.just(START + timedelta(hours=9))),
        draw(st.none() | st.just(START + timedelta(hours=25))),
    )


@contextmanager
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp())
    try:
        yield path
    finally:
        shutil.rmtree(path)


@settings(max_examples=80, deadline=None)
@given(st.data(), logs(), st.sampled_from(Format), st.integers(1, 5))
def test_an_honest_production_is_proved(data: st.DataObject, log: Log, form: Format, part_entries: int):
    scope = data.draw(scopes(log))
    with folder() as path:
        manifest = Made(form, scope, log, part_entries=part_entries).write(path)
        report = verify_path(path, SIGNED)
    assert sum(report.proved.values()) == manifest.counts.in_scope
    assert report.attested == {}


@pytest.mark.planted
@settings(max_examples=120, deadline=None)
@given(st.data(), logs(), st.sampled_from(Format))
def test_whatever_is_left_out_is_missed(data: st.DataObject, log: Log, form: Format):
    scope = data.draw(scopes(log))
    items = list(log.items(scope))
    if not items:
        return
    left = data.draw(st.integers(0, len(items) - 1))
    with folder() as path:
        Made(form, scope, log).write(path, [*items[:left], *items[left + 1 :]])
        with pytest.raises(EvidenceRefused):
            verify_path(path, SIGNED)


@pytest.mark.planted
@settings(max_examples=80, deadline=None)
@given(st.data(), logs(), st.sampled_from(Format), st.binary(max_size=5))
def test_whatever_is_said_otherwise_is_noticed(data: st.DataObject, log: Log, form: Format, other: bytes):
    scope = data.draw(scopes(log))
    items: list[Item] = list(log.items(scope))
    said = [
        at for at, item in enumerate(items) if isinstance(item, Produced) and item.body not in (None, other)
    ]
    if not said:
        return
    at = data.draw(st.sampled_from(said))
    item = items[at]
    assert isinstance(item, Produced)
    items[at] = replace(item, body=other)
    with folder() as path:
        Made(form, scope, log).write(path, items)
        try:
            report = verify_path(path, SIGNED)
        except EvidenceRefused:
            return
        # A format of texts takes other bytes for an error, and says so.
        assert (form, report.attested) == (Format.RSMF, {"error": 1})


def test_a_run_is_attested_entry_by_entry(tmp_path: Path):
    items: list[Item] = [
        ExcludedRun(entries[0].conversation.id, 1, len(entries), Reason.QUERY) for entries in TALKS
    ]
    Made(scope=Scope()).write(tmp_path, items)
    assert verify_path(tmp_path, SIGNED).attested == {"query": sum(len(entries) for entries in TALKS)}


def test_the_kinds_that_change_who_is_there_are_those_of_the_log():
    assert {EntryKind(kind) for kind in production_verify._BRINGS_IN} == {
        EntryKind.CONVERSATION_CREATED,
        EntryKind.PARTICIPANTS_ADDED,
    }
    assert EntryKind(production_verify._TAKES_OUT) is EntryKind.PARTICIPANTS_REMOVED
