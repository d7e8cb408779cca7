"""A production is the same however often it is made, wherever it was cut off."""

import itertools
import json
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.evidence.errors import EvidenceRefused
from libs.evidence.production.folder import ProductionFolder
from libs.evidence.production.manifest import Bates, Format, Reason, Scope
from services.ediscovery.domain.productions.errors import OutOfOrder
from services.ediscovery.domain.productions.items import (
    Excluded,
    ExcludedRun,
    Failed,
    File,
    Item,
    Kind,
    Produced,
)
from services.ediscovery.domain.productions.produce import Producer, state_from, writer_of
from tests.unit.evidence.logs import START
from tests.unit.productions.made import BATES, DOMAIN, LOG, PEOPLE, TALKS, Made, conversation, talk

ITEMS = list(LOG.items(Scope(until=START + timedelta(hours=20)), b"budget"))


def place_of(item: Item) -> tuple[UUID, int]:
    if isinstance(item, Produced):
        return item.conversation.id, item.seq
    return (item.conversation, item.last if isinstance(item, ExcludedRun) else item.seq)


@pytest.mark.parametrize("form", Format)
def test_the_same_items_give_the_same_files(form: Format):
    once, _ = Made(form).files(ITEMS)
    again, _ = Made(form).files(ITEMS)
    assert once == again
    assert len({file.path for file in once}) == len(once)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(Format), st.integers(1, 7), st.integers(0, 40), st.booleans())
def test_a_production_that_was_cut_off_goes_on_to_the_same_files(
    form: Format, part_entries: int, cut: int, paged: bool
):
    bates = replace(BATES, page_characters=20) if paged else BATES
    made = Made(form, bates=bates, part_entries=part_entries)
    items = [*ITEMS, ExcludedRun(UUID(int=0x900), 1, 5, Reason.QUERY), Failed(UUID(int=0x900), 6, "no-key")]
    whole, producer = made.files(items)
    there = whole[: min(cut, len(whole))]
    state = state_from([file for file in there if file.path.startswith("index/")], bates)
    rest, resumed = made.files(
        [item for item in items if state.last is None or place_of(item) > state.last], state
    )
    assert {**dict(there), **dict(rest)} == dict(whole)
    assert resumed.state == producer.state


def test_a_folder_goes_on_after_its_last_whole_part(tmp_path: Path):
    whole, _ = Made().files(ITEMS)
    folder = ProductionFolder(tmp_path)
    for file in whole[:5]:
        folder.write(*file)
    (tmp_path / "data" / "000004.jsonl.part").write_bytes(b"half")
    state = state_from((File(*segment) for segment in folder.segments()), BATES)
    assert len(state.segments) == 2
    folder.drop_unfinished()
    rest, _ = Made().files([item for item in ITEMS if state.last and place_of(item) > state.last], state)
    for file in rest:
        folder.write(*file)
    found = {
        str(path.relative_to(tmp_path)): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()
    }
    assert found == dict(whole)


@pytest.mark.parametrize("form", Format)
@pytest.mark.parametrize("torn", [b"", b"half", None])
def test_a_part_whose_file_did_not_reach_the_disk_is_written_anew(
    tmp_path: Path, form: Format, torn: bytes | None
):
    made = Made(form)
    whole, _ = made.files(ITEMS)
    folder = ProductionFolder(tmp_path)
    for file in whole:
        folder.write(*file)
    folder.sync()
    assert len(list(folder.segments())) == len([file for file in whole if file.path.startswith("index/")])
    lost = tmp_path / next(file.path for file in whole if file.path.startswith("data/000002"))
    lost.unlink() if torn is None else lost.write_bytes(torn)
    state = state_from((File(*segment) for segment in folder.segments()), BATES)
    assert len(state.segments) == 1
    for file in made.files([item for item in ITEMS if state.last and place_of(item) > state.last], state)[0]:
        folder.write(*file)
    assert all((tmp_path / file.path).read_bytes() == file.data for file in whole)


def test_a_missing_segment_is_no_state():
    segments = [file for file in Made().files(ITEMS)[0] if file.path.startswith("index/")]
    with pytest.raises(EvidenceRefused):
        state_from(segments[1:])


def test_counts_add_up():
    failed = Failed(UUID(int=0x900), 6, "no-key")
    run = ExcludedRun(UUID(int=0x900), 1, 5, Reason.PRIVILEGE)
    disposed = Excluded(UUID(int=0x900), 7, Reason.DISPOSED, certificate=UUID(int=5))
    counts = Made().files([*ITEMS, run, failed, disposed])[1].state.counts
    assert counts.in_scope == len(ITEMS) + 7
    assert counts.produced == sum(isinstance(item, Produced) for item in ITEMS)
    assert (counts.errors, counts.excluded[Reason.PRIVILEGE], counts.excluded[Reason.DISPOSED]) == (1, 5, 1)


@pytest.mark.parametrize("wrong", [[0, 0], [1, 0], [0, 2, 1]])
def test_items_out_of_order_are_refused(wrong: list[int]):
    items = [ITEMS[0], ITEMS[1], ITEMS[-1]]
    with pytest.raises(OutOfOrder):
        Made().files([items[at] for at in wrong])


def test_a_run_that_goes_backwards_or_over_its_neighbour_is_refused():
    for run in (ExcludedRun(UUID(int=1), 5, 4, Reason.QUERY), ExcludedRun(UUID(int=1), 2, 4, Reason.QUERY)):
        with pytest.raises(OutOfOrder):
            Made().files([Excluded(UUID(int=1), 2, Reason.QUERY), run])


def numbers_of(files: list[File]) -> list[list[str]]:
    lines = [
        json.loads(line)
        for file in files
        if file.path.startswith("index/")
        for line in file.data.splitlines()
        if b'"bates"' in line
    ]
    return [line["bates"] for line in lines]


def test_pages_are_numbered_without_a_gap():
    items = [entry.produced(None) for entry in talk(conversation(1), [b"", b"x" * 10, b"x" * 11, b"x" * 30])]
    files, _ = Made(bates=Bates("A-", 4, 98, 10)).files(items)
    assert numbers_of(files) == [
        ["A-0098", "A-0098"],
        ["A-0099", "A-0099"],
        ["A-0100", "A-0100"],
        ["A-0101", "A-0102"],
        ["A-0103", "A-0105"],
    ]


@pytest.mark.parametrize("reason", ["", "what Anna said", "no-key\n", "x" * 65])
def test_the_reason_of_a_failure_is_a_word_and_no_content(reason: str):
    with pytest.raises(ValueError, match="a word"):
        Failed(UUID(int=1), 1, reason)


def test_an_entry_that_cannot_be_written_takes_no_number():
    items = [entry.produced(None) for entry in talk(conversation(1), [b"\xff", b"text"])]
    files, producer = Made(Format.RSMF, bates=Bates("A", 2, 1)).files(items)
    assert [first for first, _ in numbers_of(files)] == ["A01", "A02"]
    assert producer.state.counts.errors == 1


def test_numbers_that_end_are_refused():
    with pytest.raises(EvidenceRefused):
        Made(bates=Bates("A", 1, 8)).files(ITEMS)
    with pytest.raises(EvidenceRefused):
        Bates("../A", 4, 1)


@pytest.mark.parametrize("form", [Format.RSMF, Format.EML_DAY])
def test_a_day_stays_in_one_file_unless_it_is_very_long(form: Format):
    for length, files in ((7, 1), (40, 3)):
        items = [entry.produced(None) for entry in talk(conversation(1), [b"x"] * (length - 1), step=0)]
        made, _ = Made(form, part_entries=4).files(items)
        data = [file for file in made if file.path.startswith("data/")]
        assert len(data) == files
    days = [entry.produced(None) for entry in talk(conversation(1), [b"x"] * 3, step=24)]
    assert len([file for file in Made(form).files(days)[0] if file.path.startswith("data/")]) == 4


def endless(count: int) -> Iterator[Produced]:
    """Give a long conversation, entry by entry."""
    about = conversation(1)
    for seq in range(1, count + 1):
        yield Produced(
            about, seq, Kind.MESSAGE, UUID(int=seq), START + timedelta(seconds=seq), PEOPLE[0].id, b"x" * 200
        )


@pytest.mark.parametrize("form", Format)
def test_memory_stays_flat_however_long_a_production_is(form: Format):
    def most(count: int) -> int:
        producer = Producer(writer_of(form, DOMAIN), BATES, part_entries=100)
        tracemalloc.start()
        for item in endless(count):
            producer.feed(item)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak

    most(500)
    assert most(6_000) < 1.3 * most(1_500) + 200_000


def test_every_talk_of_these_tests_has_a_beginning():
    assert all(entries[0].kind is Kind.CREATED for entries in TALKS)
    assert len(list(itertools.islice(endless(3), 3))) == 3
