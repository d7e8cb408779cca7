"""The device's state machine: whatever happens to frames, everything is shown exactly once and in order."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.client.state import BackOff, Marks, Outbox, Repair, Shown, Timeline
from libs.contracts.socket import Ack, ConversationEntries, Entry, EntryKind, Send, Text

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
ME = UUID(int=1)
OTHER = UUID(int=2)
ROOM = UUID(int=10)
HALL = UUID(int=11)


def entry_of(seq: int, actor: UUID = OTHER) -> Entry:
    return Entry(
        seq=seq,
        kind=EntryKind.MESSAGE_CREATED,
        revision=1,
        actor=actor,
        sent_at=NOON,
        committed_at=NOON,
        members_version=1,
        message=UUID(int=1000 + seq),
    )


def ack_of(seq: int, conversation: UUID = ROOM) -> Ack:
    identity = UUID(int=1000 + seq)
    return Ack(id=identity, conversation=conversation, seq=seq, message=identity, committed_at=NOON)


def send_of(number: int, conversation: UUID = ROOM) -> Send:
    return Send(id=UUID(int=number), conversation=conversation, body=Text(text=f"message {number}"))


def seqs_of(shown: list[Shown], conversation: UUID = ROOM) -> list[int]:
    return [item.seq for item in shown if item.conversation == conversation]


def test_entries_in_order_are_shown_as_they_come() -> None:
    timeline = Timeline()
    assert seqs_of(timeline.take_entries(ROOM, [entry_of(1), entry_of(2)])) == [1, 2]
    assert seqs_of(timeline.take_entries(ROOM, [entry_of(3)])) == [3]
    assert timeline.cursors == {ROOM: 3}


def test_an_entry_that_comes_twice_is_shown_once() -> None:
    timeline = Timeline()
    timeline.take_entries(ROOM, [entry_of(1)])
    assert timeline.take_entries(ROOM, [entry_of(1)]) == []
    assert timeline.repeats == 1


def test_an_early_entry_waits_for_its_predecessor() -> None:
    timeline = Timeline({ROOM: 4})
    assert timeline.take_entries(ROOM, [entry_of(6)]) == []
    assert timeline.gaps() == {ROOM: 4}
    assert seqs_of(timeline.take_entries(ROOM, [entry_of(5)])) == [5, 6]
    assert not timeline.has_gaps


def test_an_ack_that_overtakes_the_entries_of_others_is_held_until_the_gap_closes() -> None:
    timeline = Timeline({ROOM: 4})
    assert timeline.take_ack(ack_of(7)) == []
    assert timeline.cursors == {ROOM: 4}
    shown = timeline.take_entries(ROOM, [entry_of(5), entry_of(6)])
    assert seqs_of(shown) == [5, 6, 7]
    assert shown[-1].ack == ack_of(7)


def test_a_page_is_the_truth_about_its_stretch_and_may_leave_out_what_is_not_for_this_person() -> None:
    timeline = Timeline()
    page = [ConversationEntries(conversation=ROOM, entries=(entry_of(40), entry_of(41)))]
    assert seqs_of(timeline.take_page(page)) == [40, 41]
    assert timeline.cursors == {ROOM: 41}


def test_a_page_closes_a_gap_and_what_waited_behind_it_follows() -> None:
    timeline = Timeline({ROOM: 1})
    timeline.take_entries(ROOM, [entry_of(5), entry_of(3)])
    page = [ConversationEntries(conversation=ROOM, entries=(entry_of(2), entry_of(3), entry_of(4)))]
    assert seqs_of(timeline.take_page(page)) == [2, 3, 4, 5]


def test_an_ack_behind_the_last_entry_of_a_page_is_still_shown() -> None:
    timeline = Timeline({ROOM: 1})
    page = [ConversationEntries(conversation=ROOM, entries=(entry_of(2),))]
    timeline.take_page(page)
    assert seqs_of(timeline.take_ack(ack_of(3))) == [3]


def test_a_page_older_than_what_was_shown_changes_nothing() -> None:
    timeline = Timeline({ROOM: 9})
    page = [ConversationEntries(conversation=ROOM, entries=(entry_of(7), entry_of(8)))]
    assert timeline.take_page(page) == []
    assert timeline.cursors == {ROOM: 9}


@st.composite
def histories(draw: st.DrawFn) -> tuple[dict[UUID, list[bool]], list[tuple[str, UUID, int]]]:
    """Draw logs (conversation → whether each entry is this device's own) and what happens to them."""
    logs = {
        room: draw(st.lists(st.booleans(), min_size=1, max_size=12))
        for room in draw(st.sampled_from([(ROOM,), (ROOM, HALL)]))
    }
    happenings = [
        (happening, room, number)
        for room, log in logs.items()
        for number in range(1, len(log) + 1)
        for happening in draw(
            st.lists(st.sampled_from(["arrives", "arrives", "asks", "answered", "cut"]), max_size=3)
        )
    ]
    return logs, draw(st.permutations(happenings))


class Simulation:
    """One device against a platform that keeps complete logs and delivers as badly as it likes."""

    def __init__(self, logs: dict[UUID, list[bool]]) -> None:
        self.logs = logs
        self.timeline = Timeline()
        self.shown: list[Shown] = []
        self.questions: list[tuple[UUID, int]] = []

    def arrives(self, room: UUID, number: int) -> None:
        """Let entry `number` come live, as an ack where it is this device's own."""
        if self.logs[room][number - 1]:
            self.shown += self.timeline.take_ack(ack_of(number, room))
        else:
            self.shown += self.timeline.take_entries(room, [entry_of(number)])

    def asks(self, room: UUID) -> None:
        """Let a sync be written with the present cursor; it is answered later, or never."""
        self.questions.append((room, self.timeline.cursor_of(room)))

    def answered(self, room: UUID, size: int) -> None:
        """Answer the oldest question about `room`, whatever has happened since, with `size` entries."""
        question = next((item for item in self.questions if item[0] == room), None)
        if question is None:
            return
        self.questions.remove(question)
        numbers = range(question[1] + 1, min(question[1] + size, len(self.logs[room])) + 1)
        entries = tuple(entry_of(number, ME if self.logs[room][number - 1] else OTHER) for number in numbers)
        self.shown += self.timeline.take_page([ConversationEntries(conversation=room, entries=entries)])

    def cut(self) -> None:
        """Lose every answer that is under way."""
        self.questions.clear()

    def sync(self) -> None:
        """Come back for good: page everything missed."""
        self.cut()
        for room in self.logs:
            while self.timeline.cursor_of(room) < len(self.logs[room]):
                self.asks(room)
                self.answered(room, 3)


@given(histories())
def test_any_interleaving_shows_everything_exactly_once_and_in_order(
    history: tuple[dict[UUID, list[bool]], list[tuple[str, UUID, int]]],
) -> None:
    logs, happenings = history
    simulation = Simulation(logs)
    for happening, room, number in happenings:
        if happening == "cut":
            simulation.cut()
        elif happening == "asks":
            simulation.asks(room)
        else:
            getattr(simulation, happening)(room, number)
        for each in logs:
            seqs = seqs_of(simulation.shown, each)
            assert seqs == list(range(1, len(seqs) + 1))
            assert simulation.timeline.cursor_of(each) == len(seqs)
    simulation.sync()
    for each, log in logs.items():
        assert seqs_of(simulation.shown, each) == list(range(1, len(log) + 1))
    assert not simulation.timeline.has_gaps


def test_a_gap_is_asked_about_after_a_grace_and_then_ever_more_seldom() -> None:
    repair = Repair(grace=1.0, longest=3.0)
    assert repair.decide({ROOM: 4}, now=0.0) == {}
    assert repair.wait_of(0.0) == 1.0
    assert repair.decide({ROOM: 4}, now=1.0) == {ROOM: 4}
    assert repair.wait_of(1.0) == 2.0
    assert repair.decide({ROOM: 4}, now=2.9) == {}
    assert repair.decide({ROOM: 4}, now=3.0) == {ROOM: 4}
    assert repair.wait_of(3.0) == 3.0


def test_a_gap_that_moves_gets_a_new_grace_and_a_closed_one_is_forgotten() -> None:
    repair = Repair(grace=1.0)
    repair.decide({ROOM: 4}, now=0.0)
    assert repair.decide({ROOM: 6}, now=1.0) == {}
    assert repair.decide({}, now=1.5) == {}
    assert repair.wait_of(1.5) is None


def test_a_conversation_that_was_never_shown_is_asked_about_at_once() -> None:
    repair = Repair(grace=1.0)
    assert repair.decide({ROOM: 0}, now=0.0) == {ROOM: 0}
    assert repair.wait_of(0.0) == 2.0


def test_a_cut_forgets_the_questions() -> None:
    repair = Repair()
    repair.decide({ROOM: 4}, now=0.0)
    repair.cut()
    assert repair.wait_of(0.0) is None


def test_one_send_of_a_conversation_is_under_way_at_a_time() -> None:
    outbox = Outbox()
    outbox.open()
    assert outbox.put(send_of(1)) == [send_of(1)]
    assert outbox.put(send_of(2)) == []
    assert outbox.put(send_of(3, HALL)) == [send_of(3, HALL)]
    assert outbox.answered(UUID(int=1)) == [send_of(2)]


def test_what_was_written_offline_goes_out_in_order_once_there_is_a_socket() -> None:
    outbox = Outbox()
    assert outbox.put(send_of(1)) == []
    assert outbox.put(send_of(2)) == []
    assert outbox.open() == [send_of(1)]
    assert outbox.answered(UUID(int=1)) == [send_of(2)]
    assert outbox.answered(UUID(int=2)) == []
    assert len(outbox) == 0


def test_an_unacknowledged_send_is_repeated_with_its_id_after_a_cut() -> None:
    outbox = Outbox()
    outbox.open()
    outbox.put(send_of(1))
    outbox.put(send_of(2))
    outbox.cut()
    assert outbox.open() == [send_of(1)]
    assert UUID(int=1) in outbox


def test_a_send_that_was_refused_for_the_moment_is_written_again_before_its_successors() -> None:
    outbox = Outbox()
    outbox.open()
    outbox.put(send_of(1))
    outbox.put(send_of(2))
    assert outbox.again(UUID(int=1)) == [send_of(1)]
    assert outbox.again(UUID(int=99)) == []


def test_an_id_that_is_still_unanswered_is_not_taken_twice() -> None:
    outbox = Outbox()
    outbox.put(send_of(1))
    with pytest.raises(ValueError, match="still unanswered"):
        outbox.put(send_of(1))


@given(st.lists(st.sampled_from(["put", "ack", "cut", "open", "again"]), max_size=60))
def test_a_platform_that_answers_in_the_end_has_every_send_once_and_in_order(happenings: list[str]) -> None:
    outbox = Outbox()
    written: list[UUID] = []
    accepted: list[UUID] = []
    count = 0

    def accept(identity: UUID) -> None:
        if identity not in accepted:
            accepted.append(identity)

    for happening in happenings:
        if happening == "put":
            count += 1
            written += [send.id for send in outbox.put(send_of(count))]
        elif happening == "ack" and outbox.under_way():
            identity = outbox.under_way()[0]
            accept(identity)
            written += [send.id for send in outbox.answered(identity)]
        elif happening == "again" and outbox.under_way():
            written += [send.id for send in outbox.again(outbox.under_way()[0])]
        elif happening == "cut":
            for identity in outbox.under_way():  # committed, but the ack was lost
                accept(identity)
            outbox.cut()
        elif happening == "open":
            outbox.cut()
            written += [send.id for send in outbox.open()]
        assert len(outbox.under_way()) <= 1
    outbox.cut()
    under_way = outbox.open()
    while under_way:
        accept(under_way[0].id)
        under_way = outbox.answered(under_way[0].id)
    assert accepted == [UUID(int=number) for number in range(1, count + 1)]


def test_marks_are_coalesced_to_one_a_second_and_never_go_back() -> None:
    marks = Marks()
    marks.advance(ROOM, delivered=3)
    marks.advance(ROOM, delivered=5, read=2)
    marks.advance(ROOM, delivered=4)
    [mark] = marks.take(now=10.0)
    assert (mark.delivered, mark.read) == (5, 2)
    marks.advance(ROOM, read=5)
    assert marks.take(now=10.5) == []
    assert marks.wait_of(10.5) == 0.5
    assert [item.read for item in marks.take(now=11.0)] == [5]
    assert marks.wait_of(11.0) is None


def test_a_mark_that_says_nothing_new_is_not_written() -> None:
    marks = Marks()
    marks.advance(ROOM, delivered=3)
    marks.take(now=0.0)
    marks.advance(ROOM, delivered=2)
    assert marks.wait_of(5.0) is None


def test_the_marks_of_the_last_moments_are_repeated_after_a_cut() -> None:
    marks = Marks()
    marks.advance(HALL, delivered=1)
    marks.take(now=0.0)
    marks.advance(ROOM, delivered=3)
    marks.take(now=10.0)
    marks.cut(now=11.0)
    assert [mark.conversation for mark in marks.take(now=12.0)] == [ROOM]


def test_back_off_doubles_is_jittered_and_starts_over() -> None:
    back_off = BackOff(first=1.0, longest=5.0)
    assert [back_off.failed(1.0) for _ in range(4)] == [1.0, 2.0, 4.0, 5.0]
    assert back_off.failed(0.5) == 2.5
    back_off.succeeded()
    assert back_off.failed(1.0) == 1.0
