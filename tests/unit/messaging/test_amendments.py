"""Amendments: chains of revisions in a commit, and what is shown of a message once it was amended."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.client.state import Shown
from libs.client.view import View
from libs.contracts.socket import (
    Ack,
    Body,
    Entry,
    EntryKind,
    Retract,
    Revise,
    Send,
    Text,
    Utterance,
    Version,
    amended_by,
)
from services.messaging.domain.amendments import Amended, MessageKey, is_in_time
from services.messaging.domain.entries import EntryKind as LoggedKind
from services.messaging.domain.errors import MessageRetracted
from services.messaging.domain.feed import Feed
from services.messaging.domain.log import Appended, Head, Refused, Repeated, Stale, plan_commit
from tests.unit.messaging.drafts import NOON, draft, key_of

REVISED, RETRACTED = LoggedKind.MESSAGE_REVISED, LoggedKind.MESSAGE_RETRACTED
HEADS = {key_of(): Head(9, 1)}
AT_TWO = MessageKey(key_of(), 2)


def test_a_first_revision_follows_the_message_and_a_later_one_the_revision() -> None:
    first = plan_commit([draft(kind=REVISED, revision=1, message_seq=2)], HEADS, {})
    assert [entry.seq for entry in first.entries()] == [10]
    second = draft(kind=REVISED, revision=4, message_seq=2)
    assert plan_commit([second], HEADS, {}, {AT_TWO: Amended(3)}).entries()[0].draft is second


def test_what_was_decided_under_an_earlier_revision_is_decided_again() -> None:
    late = draft(kind=REVISED, revision=1, message_seq=2)
    assert plan_commit([late], HEADS, {}, {AT_TWO: Amended(1)}).outcomes == [Stale(1)]
    assert plan_commit([late, late], HEADS, {}).outcomes[1] == Stale(1)


def test_of_two_revisions_in_one_commit_the_second_follows_the_first() -> None:
    chain = [draft(kind=REVISED, revision=number, message_seq=2) for number in (1, 2)]
    assert [entry.seq for entry in plan_commit(chain, HEADS, {}).entries()] == [10, 11]


@pytest.mark.parametrize("kind", [REVISED, RETRACTED])
def test_nothing_follows_a_retraction(kind: LoggedKind) -> None:
    chain = [
        draft(kind=RETRACTED, revision=1, message_seq=2),
        draft(kind=kind, revision=2, message_seq=2),
        draft(kind=kind, revision=1, message_seq=2),
    ]
    outcomes = plan_commit(chain, HEADS, {}).outcomes
    assert isinstance(outcomes[0], Appended)
    assert all(
        isinstance(each, Refused) and isinstance(each.reason, MessageRetracted) for each in outcomes[1:]
    )


def test_a_repeated_amendment_says_when_it_was_made() -> None:
    once = draft(kind=REVISED, revision=1, message_seq=2, client_id="a")
    plan = plan_commit([once, once], HEADS, {})
    assert plan.outcomes[1] == Repeated(10, once.message, NOON)


def test_amendments_change_no_membership() -> None:
    assert not any(kind.changes_members for kind in LoggedKind if kind.amends)
    assert plan_commit([draft(kind=REVISED, revision=1, message_seq=2)], HEADS, {}).heads == {
        key_of(): Head(10, 1)
    }


def test_time_ends_with_its_last_second() -> None:
    assert is_in_time(NOON, NOON + timedelta(seconds=59), 60)
    assert not is_in_time(NOON, NOON + timedelta(seconds=60), 60)
    assert not is_in_time(NOON, NOON, 0)
    assert is_in_time(NOON, NOON + timedelta(days=9_999), None)


# What is shown.

ME = UUID(int=1)


def shown(seq: int, of: int, kind: str, text: str | None = None, revision: int = 0) -> Entry:
    at = datetime(2026, 11, 24, tzinfo=UTC) + timedelta(seconds=seq)
    return Entry(
        seq=seq,
        kind=kind,
        revision=revision,
        actor=ME,
        sent_at=at,
        committed_at=at,
        members_version=1,
        message=UUID(int=1_000 + of),
        body=None if text is None else Body(text=text),
        message_seq=None if kind == EntryKind.MESSAGE_CREATED else of,
    )


def log_of(acts: Sequence[tuple[str, int]]) -> list[Entry]:
    """Return a conversation as it was live: acts on messages, those that cannot be left out."""
    log: list[Entry] = []
    revisions: dict[int, int] = {}
    gone: set[int] = set()
    for act, pick in acts:
        seq = len(log) + 1
        if act == "send" or not revisions:
            revisions[seq] = 0
            log.append(shown(seq, seq, EntryKind.MESSAGE_CREATED, f"text {seq}"))
            continue
        of = sorted(revisions)[pick % len(revisions)]
        if of in gone:
            continue
        revisions[of] += 1
        if act == "revise":
            log.append(shown(seq, of, EntryKind.MESSAGE_REVISED, f"text {seq}", revisions[of]))
        else:
            gone.add(of)
            log.append(shown(seq, of, EntryKind.MESSAGE_RETRACTED, None, revisions[of]))
    return log


def snapshot_of(log: Sequence[Entry]) -> list[Entry]:
    """Return a conversation as a reader of the log would be shown it."""
    amendments = [entry for entry in log if entry.message_seq is not None]
    return [amended_by(entry, amendments) for entry in log]


def view_of(*stretches: Sequence[Entry]) -> View:
    view = View()
    for stretch in stretches:
        view.take(stretch)
    return view


ACTS = st.lists(
    st.tuples(st.sampled_from(["send", "revise", "revise", "retract"]), st.integers(0, 9)), max_size=25
)


@given(ACTS, st.data())
def test_a_snapshot_and_what_came_since_are_the_view_of_a_fresh_snapshot(
    acts: list[tuple[str, int]], data: st.DataObject
) -> None:
    log = log_of(acts)
    then = data.draw(st.integers(0, len(log)))
    read = data.draw(st.integers(then, len(log)))
    fresh = view_of(snapshot_of(log))
    assert view_of(snapshot_of(log[:then]), log[then:]).messages == fresh.messages
    # a snapshot that was read later than its cursor, and a repetition of it
    ahead = snapshot_of(log[:read])[:then]
    assert view_of(ahead, log[then:]).messages == fresh.messages
    assert view_of(log, snapshot_of(log)).messages == fresh.messages


@given(ACTS)
def test_a_snapshot_has_the_text_in_force_and_no_other(acts: list[tuple[str, int]]) -> None:
    log = log_of(acts)
    assert defects_of(snapshot_of(log), log) == []


def defects_of(snapshot: Sequence[Entry], log: Sequence[Entry]) -> list[str]:
    """Return what a snapshot shows and must not, or must show and does not."""
    of = {entry.seq: entry.message_seq or entry.seq for entry in log}
    gone = {of[entry.seq] for entry in log if entry.kind == EntryKind.MESSAGE_RETRACTED}
    last = {of[entry.seq]: entry for entry in log if entry.body is not None}
    allowed = {entry.body.text for at, entry in last.items() if at not in gone and entry.body is not None}
    found = [body.text for entry in snapshot if (body := entry.body) is not None]
    found += [
        body.text
        for entry in snapshot
        if entry.current is not None and (body := entry.current.body) is not None
    ]
    told = [f"{text} is shown" for text in found if text not in allowed]
    return told + [f"{text} is missing" for text in allowed if text not in found]


def test_the_judge_of_snapshots_sees_an_earlier_text_that_was_left_in() -> None:
    log = log_of([("send", 0), ("revise", 0), ("retract", 0)])
    assert defects_of([log[0], *snapshot_of(log)[1:]], log) == ["text 1 is shown"]
    assert defects_of(log[:2], log[:2]) == ["text 1 is shown"]
    assert defects_of([], log[:2]) == ["text 2 is missing"]


def test_a_feed_forgets_what_was_amended() -> None:
    feed: Feed[Entry] = Feed()
    feed.load(0)
    log = log_of([("send", 0), ("send", 0), ("revise", 0)])
    for entry in log:
        feed.accept(entry.seq, entry)
    feed.change(lambda entry: amended_by(entry, log[2:]))
    passed = feed.since(0)
    assert passed is not None
    assert [entry.body for _, entry in passed] == [None, log[1].body, log[2].body]
    assert passed[0][1].current == Version(seq=3, revision=1, sent_at=log[2].sent_at, body=log[2].body)


def test_what_a_device_says_itself_is_seen_as_others_see_it() -> None:
    log = log_of([("send", 0), ("send", 0), ("revise", 0), ("retract", 1)])
    view = View(ME)
    frames: list[Utterance] = [
        Send(id=UUID(int=1), conversation=UUID(int=9), body=Text(text="text 1")),
        Send(id=UUID(int=2), conversation=UUID(int=9), body=Text(text="text 2")),
        Revise(id=UUID(int=3), conversation=UUID(int=9), seq=1, body=Text(text="text 3")),
        Retract(id=UUID(int=4), conversation=UUID(int=9), seq=2),
    ]
    for entry, frame in zip(log, frames, strict=True):
        ack = Ack(
            id=frame.id,
            conversation=frame.conversation,
            seq=entry.seq,
            message=entry.message or UUID(int=0),
            committed_at=entry.committed_at,
        )
        view.show(Shown(frame.conversation, entry.seq, None, ack, frame))
    assert view.messages == view_of(snapshot_of(log)).messages


def test_a_version_of_what_was_said_before_ones_time_is_a_message_without_a_beginning() -> None:
    log = log_of([("send", 0), ("revise", 0)])
    (message,) = view_of(log[1:]).messages
    assert (message.seq, message.version_seq, message.committed_at, message.text) == (1, 2, None, "text 2")


def test_an_amended_entry_keeps_its_place_and_its_time() -> None:
    log = log_of([("send", 0), ("revise", 0)])
    changed = amended_by(log[0], log[1:])
    assert msgspec.structs.replace(changed, body=log[0].body, current=None, superseded=False) == log[0]
