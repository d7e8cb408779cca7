"""Partitions and positions: pure rules."""

from collections import Counter
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from libs.contracts.facts import IdentityFact
from libs.contracts.streams import PARTITIONS, Lane
from libs.events.projector import in_turn
from libs.events.records import Passage, StreamItem, StreamRecord, dense_after, in_lane, partition_of
from libs.events.shift import _start_of
from libs.events.stream import id_of, position_of
from libs.kernel.ids import TenantId

TENANT = TenantId(UUID(int=7))


def record_at(position: int, part: int = 0) -> StreamRecord:
    return StreamRecord(part, position, TENANT, "sample.note.made.v1", b"{}")


@given(st.lists(st.uuids(), min_size=1, max_size=3))
def test_a_partition_lies_in_the_64_and_depends_on_nothing_but_its_keys(keys: list[UUID]) -> None:
    assert 0 <= partition_of(*keys) < PARTITIONS
    assert partition_of(*keys) == partition_of(*(UUID(bytes=key.bytes) for key in keys))


def test_many_conversations_of_one_tenant_fill_all_partitions_about_evenly() -> None:
    counts = Counter(partition_of(TENANT, UUID(int=number)) for number in range(6400))
    assert set(counts) == set(range(PARTITIONS))
    assert max(counts.values()) < 200


def test_two_keys_are_not_one_longer_key() -> None:
    pairs = [(UUID(int=number), UUID(int=number + 1)) for number in range(50)]
    assert [partition_of(one, two) for one, two in pairs] != [partition_of(two, one) for one, two in pairs]


@given(cursor=st.integers(0, 20), positions=st.lists(st.integers(1, 30), unique=True).map(sorted))
def test_what_is_dense_after_a_cursor_begins_there_and_has_no_hole(cursor: int, positions: list[int]) -> None:
    dense = [record.position for record in dense_after(cursor, [record_at(at) for at in positions])]
    assert dense == list(range(cursor + 1, cursor + 1 + len(dense)))
    assert dense == positions[: len(dense)]


@given(cursor=st.integers(0, 20), positions=st.lists(st.integers(1, 30)))
def test_an_events_turn_comes_once_and_in_order(cursor: int, positions: list[int]) -> None:
    records, reached = in_turn([record_at(at) for at in positions], {0: cursor})
    due = [record.position for record in records]
    assert due == list(range(cursor + 1, cursor + 1 + len(due)))
    assert reached == {0: cursor + len(due)}


def test_partitions_take_turns_of_their_own() -> None:
    records = [record_at(4, part=1), record_at(9, part=2), record_at(5, part=1), record_at(1, part=3)]
    due, reached = in_turn(records, {1: 3, 2: 7, 3: 0})
    assert due == [records[0], records[2], records[3]]
    assert reached == {1: 5, 2: 7, 3: 1}


def test_a_passage_leads_over_what_is_in_another_lane() -> None:
    ours = [record_at(1), record_at(5), record_at(9)]
    items: list[StreamItem] = [ours[0], Passage(0, 2, 4), ours[1], Passage(0, 7, 8), ours[2]]
    assert dense_after(0, items) == items[:3]
    assert dense_after(2, items[1:]) == items[1:3]  # told anew after a crash, from an earlier position on
    assert in_turn(items, {0: 0}) == (ours[:2], {0: 5})
    assert in_turn(items, {0: 4}) == (ours[1:2], {0: 5})


@given(st.lists(st.booleans(), max_size=30))
def test_each_record_is_in_one_lane_and_every_lane_leads_as_far(facts: list[bool]) -> None:
    names = [IdentityFact.name if fact else "sample.note.made.v1" for fact in facts]
    records = [StreamRecord(0, at, TENANT, name, b"") for at, name in enumerate(names, 1)]
    lanes = [in_turn(in_lane(records, lane), {0: 0}) for lane in Lane]
    assert [reached for _, reached in lanes] == [{0: len(records)}] * len(lanes)
    assert sorted(record for due, _ in lanes for record in due) == records


@given(position=st.integers(1, 2**60))
def test_a_position_comes_out_of_its_id_as_it_went_in(position: int) -> None:
    assert position_of(id_of(position).encode()) == position


def test_publishing_goes_on_where_the_shorter_lane_ends() -> None:
    assert _start_of([7, 8], head=9, slowest=2) == 7


def test_publishing_into_an_empty_lane_begins_at_the_slowest_consumer() -> None:
    assert _start_of([None, 7], head=9, slowest=2) == 2


def test_publishing_to_nobody_begins_with_the_last_entries() -> None:
    assert _start_of([None, 7], head=9, slowest=None) == 0
    assert _start_of([None, 7], head=25_000, slowest=None) == 15_000


def test_a_stream_that_knows_more_than_its_outbox_is_not_believed() -> None:
    assert _start_of([12, 9], head=9, slowest=3) == 3
    assert _start_of([12, 9], head=9, slowest=11) == 9
