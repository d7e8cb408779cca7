"""What an import does follows from its source, and its entries from what was approved."""

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.kernel.ids import PrincipalId, TenantId
from services.messaging.domain.entries import ConversationKey, Draft, EntryKind, Provenance
from services.messaging.domain.errors import ImportRefused
from services.messaging.domain.imports import (
    Accepted,
    Batch,
    ImportPlan,
    Line,
    Part,
    RefusedLine,
    Wanted,
    author_of,
    batch_digest,
    conversation_of,
    decide_line,
    decide_wanted,
    import_digest,
    plan_import,
    pseudonym_of,
    run_of,
)
from services.messaging.domain.log import Head
from services.messaging.domain.membership import MOST_PARTICIPANTS
from tests.unit.messaging.drafts import NOON, TENANT, draft, key_of, named

SOURCE, OTHER = b"\xab" * 32, b"\xac" * 32
LINE = Line(7, "2006-06-01", "11:22", "#ubuntu", "frenkel", "hello")
THEIRS = TenantId(UUID(int=5))


def test_ids_follow_from_tenant_and_source():
    makers = (
        run_of,
        lambda tenant, source: conversation_of(tenant, source, "#c", "2006-06-01"),
        lambda tenant, source: author_of(tenant, source, "nick"),
    )
    made = [
        make(tenant, source) for make in makers for tenant in (TENANT, THEIRS) for source in (SOURCE, OTHER)
    ]
    assert len(set(made)) == len(made)
    assert made == [
        make(tenant, source) for make in makers for tenant in (TENANT, THEIRS) for source in (SOURCE, OTHER)
    ]
    assert all(identifier.version == 8 for identifier in made)


def test_channel_and_day_are_not_run_together():
    assert conversation_of(TENANT, SOURCE, "#c2", "006") != conversation_of(TENANT, SOURCE, "#c", "2006")


def test_a_pseudonym_tells_authors_apart_and_not_who_they_are():
    ada, bo = (author_of(TENANT, SOURCE, nick) for nick in ("ada", "bo"))
    assert pseudonym_of(ada) != pseudonym_of(bo)
    assert "ada" not in pseudonym_of(ada).lower()


@pytest.mark.parametrize("field", Line._fields)
def test_every_part_of_a_line_is_part_of_the_hash_that_is_approved(field: str):
    other: dict[str, Any] = {field: 8 if field == "number" else "x"}
    changed = LINE._replace(**other)
    assert batch_digest([changed]) != batch_digest([LINE])


def test_moving_text_between_fields_is_another_batch():
    one, other = LINE._replace(nick="ab", text="c"), LINE._replace(nick="a", text="bc")
    assert batch_digest([one]) != batch_digest([other])
    assert batch_digest([one, other]) != batch_digest([other, one])


def wanted(**changes: object) -> Wanted:
    plan = Wanted(SOURCE, "archive", 1, (Batch(batch_digest([LINE]), 1),), ())
    return plan._replace(**changes)  # type: ignore[arg-type]


def test_what_is_approved_covers_source_batches_people_and_tenant():
    ada, bo = PrincipalId(named("ada")), PrincipalId(named("bo"))
    plans = [
        wanted(),
        wanted(source=OTHER),
        wanted(batches=(Batch(b"x" * 32, 1),)),
        wanted(people=(("nick", ada),)),
        wanted(people=(("nick", bo),)),
        wanted(people=(("other", ada),)),
    ]
    digests = {import_digest(TENANT, plan) for plan in plans} | {import_digest(THEIRS, plans[0])}
    assert len(digests) == len(plans) + 1
    one, two = ("nick", ada), ("other", bo)
    assert import_digest(TENANT, wanted(people=(one, two))) == import_digest(
        TENANT, wanted(people=(two, one))
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"batches": ()},
        {"lines": 2},
        {"batches": (Batch(b"x" * 32, 0),), "lines": 0},
        {"batches": (Batch(b"x" * 32, 1001),), "lines": 1001},
        {"people": (("nick", PrincipalId(named("ada"))), ("nick", PrincipalId(named("bo"))))},
    ],
    ids=str,
)
def test_what_describes_no_import_is_refused(changes: dict[str, object]):
    decide_wanted(wanted())
    with pytest.raises(ImportRefused):
        decide_wanted(wanted(**changes))


@pytest.mark.parametrize(
    ("date", "time", "at"),
    [
        ("2006-06-01", "", datetime(2006, 6, 1, tzinfo=UTC)),
        ("2006-06-01", "11:22", datetime(2006, 6, 1, 11, 22, tzinfo=UTC)),
        ("2006-06-01", "11:22:33.5", datetime(2006, 6, 1, 11, 22, 33, 500_000, tzinfo=UTC)),
        ("2006-06-01", "11:22+02:00", datetime(2006, 6, 1, 9, 22, tzinfo=UTC)),
        ("2006-06-01", "11:22Z", datetime(2006, 6, 1, 11, 22, tzinfo=UTC)),
    ],
)
def test_a_line_is_sent_when_it_says_in_utc(date: str, time: str, at: datetime):
    decided = decide_line(LINE._replace(date=date, time=time), NOON)
    assert isinstance(decided, Accepted)
    assert decided.sent_at == at


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"date": "yesterday"}, "cannot be read"),
        ({"date": "2006-02-30"}, "cannot be read"),
        ({"date": ""}, "cannot be read"),
        ({"time": "25:00"}, "cannot be read"),
        ({"date": "0001-01-01", "time": "00:00+14:00"}, "cannot be read"),
        ({"date": "2026-11-25"}, "future"),
        ({"nick": ""}, "nobody"),
        ({"channel": ""}, "no channel"),
        ({"text": ""}, "says nothing"),
    ],
    ids=str,
)
def test_a_line_that_is_no_message_is_refused_in_one_sentence(changes: dict[str, Any], why: str):
    decided = decide_line(LINE._replace(**changes), NOON)
    assert isinstance(decided, RefusedLine)
    assert why in decided.why
    assert decided.number == 7


def imported(kind: EntryKind, line: int, actor: str, subjects: tuple[str, ...] = ()) -> Draft:
    made = draft(kind=kind, actor=actor, version=0, subjects=subjects)
    return made._replace(provenance=Provenance(SOURCE, line))


def part(*speakers: str, first: int = 1) -> Part:
    subjects = tuple(dict.fromkeys(speakers))
    return Part(
        key_of(),
        imported(EntryKind.CONVERSATION_CREATED, first, "officer", subjects),
        imported(EntryKind.PARTICIPANTS_ADDED, first, "officer", subjects),
        tuple(
            imported(EntryKind.MESSAGE_CREATED, first + place, speaker)
            for place, speaker in enumerate(speakers)
        ),
    )


def brought(batches: list[list[str]]) -> list[ImportPlan]:
    """Return the plans of batches of speakers that come one after the other to one conversation."""
    heads: dict[ConversationKey, Head] = {key_of(): Head(0, 0)}
    present: dict[ConversationKey, frozenset[PrincipalId]] = {}
    plans = []
    for speakers in batches:
        plan = plan_import([part(*speakers)], heads, present)
        plans.append(plan)
        if plan.entries:
            heads[key_of()] = Head(plan.entries[-1].seq, plan.entries[-1].members_version)
        joined = {person for entry in plan.entries for person in entry.draft.subjects}
        present[key_of()] = present.get(key_of(), frozenset()) | joined
    return plans


SPEAKERS = st.lists(st.sampled_from(["ada", "bo", "cy", "di"]), min_size=1, max_size=6)


@given(batches=st.lists(SPEAKERS, min_size=1, max_size=5))
def test_however_lines_are_cut_everybody_is_brought_in_once_and_before_he_speaks(batches):
    entries = [entry for plan in brought(batches) for entry in plan.entries]
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    assert entries[0].draft.kind is EntryKind.CONVERSATION_CREATED
    said = [entry for entry in entries if not entry.draft.kind.changes_members]
    assert [entry.draft.actor for entry in said] == [named(each) for speakers in batches for each in speakers]
    members: list[UUID] = []
    version = 0
    for entry in entries:
        if entry.draft.kind.changes_members:
            assert entry.draft.subjects
            members += entry.draft.subjects
            version = entry.seq
        else:
            assert entry.draft.actor in members
        assert entry.members_version == entry.draft.members_version == version
    assert len(members) == len(set(members))
    assert all(one.seq < two.seq for one, two in pairwise(entries))


def test_a_conversation_of_a_thousand_authors_takes_no_more():
    crowd = [f"p{number}" for number in range(MOST_PARTICIPANTS)]
    first, second = brought([crowd[:-1], [crowd[-1], "too many", "p0"]])
    assert first.refused == []
    assert [(line.number, "authors" in line.why) for line in second.refused] == [(2, True)]
    assert [entry.draft.actor for entry in second.entries[1:]] == [named(crowd[-1]), named("p0")]
