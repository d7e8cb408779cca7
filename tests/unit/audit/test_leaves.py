"""Leaves and commitments of entries are the bytes that a general encoder of RFC 8785 writes."""

import hashlib
from datetime import UTC, datetime
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from libs.contracts.facts import Actor, Entity, MessagingFact, Run
from libs.evidence.canonical import canonical
from libs.evidence.leaf import parse_leaf
from libs.kernel.framing import framed
from libs.kernel.ids import TenantId
from services.audit.domain.entries import SourcedFact, entries_of, salted
from services.audit.usecases.sequence import detail_of

HASHES = st.binary(min_size=32, max_size=32)
NUMBERS = st.integers(0, 2**63 - 1)
INSTANTS = st.datetimes(timezones=st.just(UTC)).filter(lambda at: at.year >= 2000)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
SALT = bytes(range(16))
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def told(fact: MessagingFact, log: UUID, event: UUID, part: int, position: int) -> SourcedFact:
    return SourcedFact(
        tenant=TenantId(log),
        fact=event,
        source="messaging",
        part=part,
        position=position,
        root=fact.root,
        at=fact.at,
        detail=detail_of(fact),
    )


def committed(detail: dict[str, object]) -> str:
    """Return the commitment to a detail, by nothing but the general encoder and SHA-256."""
    framing = framed(b"muniment/audit-detail/v1", SALT, canonical(detail))
    return hashlib.sha256(framing).hexdigest()


@given(st.uuids(), NUMBERS, st.uuids(), st.integers(0, 63), INSTANTS, st.none() | HASHES)
def test_a_leaf_is_canonical(
    log: UUID, number: int, fact: UUID, part: int, at: datetime, root: bytes | None
) -> None:
    act = MessagingFact(act=uuid4(), action="messaging.x", actor=Actor(kind="system"), at=at, root=root)
    (entry,) = entries_of(salted([told(act, log, fact, part, number)], [SALT]), number)
    rooted = {} if root is None else {"root": root.hex()}
    detail: dict[str, object] = {
        "action": "messaging.x",
        "actor": {"kind": "system"},
        "approvals": [],
        "count": "1",
        "entities": [],
        "matter": None,
        "outcome": "done",
        "runs": [],
        "visibility": "legal",
    }
    assert entry.leaf == canonical(
        {
            "v": 1,
            "log": str(log),
            "index": str(number),
            "fact": str(fact),
            "source": "messaging",
            "part": part,
            "position": str(number),
            "at": f"{at:%Y-%m-%dT%H:%M:%S.%f}Z",
            "detail": committed(detail),
            **rooted,
        }
    )
    assert parse_leaf(entry.leaf).index == entry.index == number


@given(
    st.none() | st.uuids(),
    st.none() | TEXTS,
    st.lists(st.uuids(), max_size=3),
    st.lists(st.tuples(TEXTS, TEXTS), max_size=3, unique=True),
    st.lists(st.tuples(st.uuids(), NUMBERS, NUMBERS), max_size=2),
)
def test_a_leaf_commits_to_the_canonical_detail(
    one: UUID | None,
    name: str | None,
    approvals: list[UUID],
    entities: list[tuple[str, str]],
    runs: list[tuple[UUID, int, int]],
) -> None:
    act = MessagingFact(
        act=uuid4(),
        action="messaging.x",
        actor=Actor(kind="principal", id=one, name=name),
        at=NOON,
        approvals=tuple(approvals),
        entities=tuple(Entity(kind=kind, id=value) for kind, value in entities),
        matter=one,
        runs=tuple(Run(conversation=where, first=first, last=last) for where, first, last in runs),
    )
    (entry,) = entries_of(salted([told(act, uuid4(), uuid4(), 0, 1)], [SALT]), 0)
    actor = {"kind": "principal", "id": None if one is None else str(one), "name": name}
    assert parse_leaf(entry.leaf).detail.hex() == committed(
        {
            "action": "messaging.x",
            "actor": {key: value for key, value in actor.items() if value is not None},
            "approvals": [str(approval) for approval in approvals],
            "count": "1",
            "entities": [{"kind": kind, "id": value} for kind, value in entities],
            "matter": None if one is None else str(one),
            "outcome": "done",
            "runs": [
                {"conversation": str(where), "first": str(first), "last": str(last)}
                for where, first, last in runs
            ],
            "visibility": "legal",
        }
    )
