"""A witness notices each planted defect, and nothing where all is well."""

from datetime import UTC, datetime
from uuid import UUID

from libs.client.state import Shown
from libs.contracts.socket import Ack, Body, Entry, EntryKind
from services.runner.demo.script import Line
from services.runner.demo.witness import Testimony, Witness, close

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
ROOM = UUID(int=10)
PRINCIPALS = [UUID(int=100), UUID(int=101), UUID(int=102)]
ME = 1
LINES = [Line(0, "one"), Line(1, "two, by me"), Line(2, "three"), Line(0, "four")]
FIRST_SEQ = 2


def entry_of(number: int, *, text: str | None = None, actor: UUID | None = None) -> Shown:
    line = LINES[number]
    return Shown(
        ROOM,
        FIRST_SEQ + number,
        Entry(
            seq=FIRST_SEQ + number,
            kind=EntryKind.MESSAGE_CREATED,
            revision=1,
            actor=actor or PRINCIPALS[line.speaker],
            sent_at=NOON,
            committed_at=NOON,
            members_version=1,
            body=Body(text=line.text if text is None else text),
        ),
    )


def ack_of(number: int) -> Shown:
    identity = UUID(int=number)
    seq = FIRST_SEQ + number
    return Shown(
        ROOM,
        seq,
        None,
        Ack(id=identity, conversation=ROOM, seq=seq, message=identity, committed_at=NOON),
    )


def creation() -> Shown:
    return Shown(
        ROOM,
        1,
        Entry(
            seq=1,
            kind=EntryKind.CONVERSATION_CREATED,
            revision=1,
            actor=PRINCIPALS[0],
            sent_at=NOON,
            committed_at=NOON,
            members_version=1,
        ),
    )


def judged(*seen: Shown) -> Testimony:
    """Return what comes of it when the recipient sees exactly this."""
    testimony = Testimony()
    witness = Witness("#room", ME, LINES, PRINCIPALS, FIRST_SEQ, testimony)
    for shown in seen:
        witness.saw(shown)
    return close([(witness, len(LINES))], testimony)


def test_a_complete_delivery_is_counted_without_a_fault() -> None:
    testimony = judged(creation(), entry_of(0), ack_of(1), entry_of(2), entry_of(3))
    assert (testimony.delivered, testimony.missing, testimony.faults) == (3, 0, 0)


def test_an_own_message_that_comes_by_a_page_is_no_delivery() -> None:
    testimony = judged(entry_of(0), entry_of(1), entry_of(2), entry_of(3))
    assert (testimony.delivered, testimony.missing, testimony.faults) == (3, 0, 0)


def test_a_dropped_delivery_is_reported_as_it_goes_and_in_the_end() -> None:
    testimony = judged(entry_of(0), ack_of(1), entry_of(3))
    assert (testimony.delivered, testimony.missing, testimony.faults) == (2, 1, 1)
    assert "left out" in testimony.sentences[0]


def test_a_dropped_last_delivery_is_reported_in_the_end() -> None:
    testimony = judged(entry_of(0), ack_of(1), entry_of(2))
    assert (testimony.delivered, testimony.missing, testimony.faults) == (2, 1, 0)


def test_a_doubled_delivery_is_reported_and_counted_once() -> None:
    testimony = judged(entry_of(0), entry_of(0), entry_of(2), entry_of(3))
    assert (testimony.delivered, testimony.missing, testimony.faults) == (3, 0, 1)
    assert "twice" in testimony.sentences[0]


def test_two_swapped_deliveries_are_reported() -> None:
    testimony = judged(entry_of(0), entry_of(3), entry_of(2))
    assert (testimony.delivered, testimony.missing) == (3, 0)
    assert testimony.faults == 2
    assert "after a later one" in testimony.sentences[1]


def test_an_altered_text_is_reported() -> None:
    testimony = judged(entry_of(0, text="uno"), entry_of(2), entry_of(3))
    assert testimony.faults == 1
    assert "text" in testimony.sentences[0]


def test_a_wrong_speaker_is_reported() -> None:
    assert judged(entry_of(0, actor=UUID(int=7)), entry_of(2), entry_of(3)).faults == 1


def test_a_message_that_nobody_said_is_reported() -> None:
    beyond = Shown(ROOM, FIRST_SEQ + len(LINES), entry_of(3).entry)
    testimony = judged(entry_of(0), entry_of(2), entry_of(3), beyond)
    assert testimony.faults == 1
    assert "nobody said" in testimony.sentences[0]


def test_only_the_first_faults_are_put_into_words() -> None:
    testimony = judged(*[entry_of(0)] * 50)
    assert testimony.faults == 49
    assert len(testimony.sentences) == 5
    other = Testimony(sentences=["more"], faults=1)
    testimony.add(other)
    assert (testimony.faults, len(testimony.sentences)) == (50, 5)
