"""The decision of a group commit."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from services.messaging.domain.entries import ClientKey, ConversationKey, Draft, EntryKind
from services.messaging.domain.errors import ClientIdConflict, ConversationNotFound
from services.messaging.domain.log import (
    CommitPlan,
    Head,
    KnownSend,
    Refused,
    Repeated,
    Stale,
    client_key_of,
    plan_commit,
)
from tests.unit.messaging.drafts import draft, key_of


def test_survivors_get_the_next_seq_of_their_conversation() -> None:
    drafts = [draft(client_id="a"), draft(conversation="other", client_id="b"), draft(client_id="c")]
    plan = plan_commit(drafts, {key_of(): Head(7, 1), key_of("other"): Head(0 + 1, 1)}, {})
    assert [entry.seq for entry in plan.entries()] == [8, 2, 9]
    assert plan.heads == {key_of(): Head(9, 1), key_of("other"): Head(2, 1)}


def test_a_repeated_send_returns_its_first_place_and_makes_nothing_new() -> None:
    first = draft(client_id="a", message="first")
    plan = plan_commit([first, draft(client_id="a", message="second")], {key_of(): Head(1, 1)}, {})
    assert plan.outcomes[1] == Repeated(2, first.message)
    assert len(plan.entries()) == 1


def test_the_same_id_with_another_body_is_a_conflict() -> None:
    drafts = [draft(client_id="a"), draft(client_id="a", fingerprint=b"g")]
    refused = plan_commit(drafts, {key_of(): Head(1, 1)}, {}).outcomes[1]
    assert isinstance(refused, Refused)
    assert isinstance(refused.reason, ClientIdConflict)


def test_the_same_id_in_another_conversation_is_a_conflict() -> None:
    drafts = [draft(client_id="a"), draft(client_id="a", conversation="other")]
    plan = plan_commit(drafts, {key_of(): Head(1, 1), key_of("other"): Head(1, 1)}, {})
    assert isinstance(plan.outcomes[1], Refused)


def test_two_people_may_use_the_same_client_id() -> None:
    plan = plan_commit(
        [draft(client_id="a", actor="ada"), draft(client_id="a", actor="bo")], {key_of(): Head(1, 1)}, {}
    )
    assert [entry.seq for entry in plan.entries()] == [2, 3]


def test_a_send_to_a_conversation_that_does_not_exist_is_refused() -> None:
    refused = plan_commit([draft(client_id="a")], {}, {}).outcomes[0]
    assert isinstance(refused, Refused)
    assert isinstance(refused.reason, ConversationNotFound)


def test_a_send_decided_under_another_membership_is_decided_again() -> None:
    assert plan_commit([draft(version=1)], {key_of(): Head(9, 4)}, {}).outcomes == [Stale(4)]


def test_a_membership_entry_makes_later_drafts_of_the_batch_stale() -> None:
    removal = draft(kind=EntryKind.PARTICIPANTS_REMOVED, subjects=("bo",))
    plan = plan_commit([removal, draft(actor="bo", client_id="late")], {key_of(): Head(3, 1)}, {})
    assert plan.outcomes[1] == Stale(4)
    assert plan.heads[key_of()] == Head(4, 4)


def test_creating_an_existing_conversation_is_a_repetition() -> None:
    creation = draft(kind=EntryKind.CONVERSATION_CREATED, version=0)
    assert plan_commit([creation], {key_of(): Head(5, 1)}, {}).outcomes == [Repeated(1, creation.message)]


_NAMES = st.sampled_from(["a", "b", "c"])
_DRAFTS = st.lists(
    st.builds(
        draft,
        conversation=_NAMES,
        actor=_NAMES,
        client_id=st.sampled_from([None, "1", "2", "3", "4"]),
        fingerprint=st.sampled_from([b"x", b"y"]),
        version=st.sampled_from([0, 1, 1, 1]),
        kind=st.sampled_from(
            [EntryKind.MESSAGE_CREATED, EntryKind.MESSAGE_CREATED, EntryKind.PARTICIPANTS_ADDED]
        ),
    ),
    max_size=30,
)


def _defects(drafts: Sequence[Draft], heads: dict[ConversationKey, Head], plan: CommitPlan) -> list[str]:
    """Return what is wrong with a plan: gaps, repetitions, lost or doubled drafts."""
    found = [] if len(plan.outcomes) == len(drafts) else ["a draft without an outcome"]
    for key, head in heads.items():
        seqs = [entry.seq for entry in plan.entries() if entry.draft.key == key]
        if seqs != list(range(head.last_seq + 1, head.last_seq + 1 + len(seqs))):
            found.append("seq is not dense")
        if plan.heads.get(key, head).last_seq != head.last_seq + len(seqs):
            found.append("the head does not stand at the last entry")
    clients = [client_key_of(entry.draft) for entry in plan.entries() if entry.draft.client_id]
    if len(clients) != len(set(clients)):
        found.append("a client id was committed twice")
    return found


@given(_DRAFTS, st.integers(1, 50))
def test_whatever_is_sent_the_log_stays_dense_and_nothing_is_doubled(drafts: list[Draft], last: int) -> None:
    heads = {key_of(name): Head(last, 1) for name in ("a", "b", "c")}
    assert _defects(drafts, heads, plan_commit(drafts, heads, {})) == []


@given(_DRAFTS)
def test_committing_a_batch_again_makes_nothing_new(drafts: list[Draft]) -> None:
    sends = [one for one in drafts if one.client_id is not None and one.kind is EntryKind.MESSAGE_CREATED]
    heads = {key_of(name): Head(1, 1) for name in ("a", "b", "c")}
    first = plan_commit(sends, heads, {})
    known: dict[ClientKey, KnownSend] = {}
    for entry in first.entries():
        client = client_key_of(entry.draft)
        assert client is not None
        known[client] = KnownSend(
            entry.draft.key.conversation, entry.seq, entry.draft.message, entry.draft.fingerprint
        )
    again = plan_commit(sends, {**heads, **first.heads}, known)
    assert [one for one in again.entries() if client_key_of(one.draft) in known] == []


def test_the_check_of_density_sees_a_planted_gap() -> None:
    heads = {key_of("a"): Head(1, 1)}
    drafts = [draft(conversation="a", client_id="1"), draft(conversation="a", client_id="2")]
    plan = plan_commit(drafts, {key_of("a"): Head(2, 1)}, {})  # numbered from a head that was read too early
    assert "seq is not dense" in _defects(drafts, heads, plan)
