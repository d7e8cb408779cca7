"""Leaves and commitments are the bytes that a stranger computes."""

from datetime import UTC, datetime
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from libs.evidence.detail import Actor, Detail, Entity, Run, detail_commitment
from libs.evidence.leaf import Leaf
from libs.evidence.leaf import leaf_of as evident_leaf_of
from services.audit.domain.leaves import commit_to_detail, detail_object_of, leaf_of

HASHES = st.binary(min_size=32, max_size=32)
NUMBERS = st.integers(0, 2**63 - 1)
INSTANTS = st.datetimes(timezones=st.just(UTC)).filter(lambda at: at.year >= 2000)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@given(st.uuids(), NUMBERS, st.uuids(), st.integers(0, 63), INSTANTS, HASHES, st.none() | HASHES)
def test_a_leaf_is_that_of_the_evidence(
    log: UUID, number: int, fact: UUID, part: int, at: datetime, detail: bytes, root: bytes | None
) -> None:
    ours = leaf_of(
        tenant=log,
        index=number,
        fact=fact,
        source="identity",
        part=part,
        position=number + 1,
        at=at,
        detail=detail,
        root=root,
    )
    theirs = Leaf(log, number, fact, "identity", part, number + 1, at, detail, root)
    assert ours == evident_leaf_of(theirs)


@given(
    st.none() | st.uuids(),
    st.none() | TEXTS,
    st.lists(st.uuids(), max_size=3),
    st.lists(st.tuples(TEXTS, TEXTS), max_size=3),
    st.lists(st.tuples(st.uuids(), NUMBERS, NUMBERS), max_size=2),
    st.binary(min_size=16, max_size=16),
)
def test_a_commitment_is_that_of_the_evidence(
    one: UUID | None,
    name: str | None,
    approvals: list[UUID],
    entities: list[tuple[str, str]],
    runs: list[tuple[UUID, int, int]],
    salt: bytes,
) -> None:
    ours = detail_object_of(
        action="identity.role.granted",
        actor_kind="principal",
        actor_id=one,
        actor_name=name,
        approvals=approvals,
        count=1,
        entities=entities,
        matter=one,
        outcome="done",
        runs=runs,
    )
    theirs = Detail(
        action="identity.role.granted",
        actor=Actor("principal", None if one is None else str(one), name),
        outcome="done",
        approvals=tuple(map(str, approvals)),
        entities=tuple(Entity(*entity) for entity in entities),
        matter=None if one is None else str(one),
        runs=tuple(Run(str(conversation), first, last) for conversation, first, last in runs),
    )
    assert commit_to_detail(ours, salt) == detail_commitment(theirs, salt)
