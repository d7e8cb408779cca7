"""A certificate of disposition with its entry in a log, for tests that then tamper with it."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from libs.contracts.retention import (
    ClassFound,
    OrderedErasure,
    OrderedLock,
    OrderedPeriod,
    OrderedRule,
    Terms,
    digest_of_result,
    result_object,
)
from libs.disposition.claims import Item
from libs.disposition.decision import Dispose, destroyer_of, disposition_of
from libs.evidence.bundle import act_bundle
from libs.evidence.certificate.items import DestroyedLine, item_line
from libs.evidence.certificate.result import parse_result
from libs.evidence.certificate.statement import (
    CERTIFICATE_ENTITY,
    DIGEST_ENTITY,
    ISSUED,
    LOG,
    NOTE,
    STATEMENT,
    Approval,
    Confirmation,
    Counts,
    Statement,
    refs_of,
    segment_path,
    sign_statement,
)
from libs.evidence.detail import Actor, Detail, Entity, detail_commitment
from libs.evidence.leaf import Leaf, leaf_of
from libs.evidence.trust import Trust, TrustedKey
from libs.merkle.hashing import leaf_hash
from libs.merkle.tree import inclusion_proof
from tests.unit.evidence.logs import INSTANCE, KEY, SALT, START, STRANGER, TENANT, TRUST, leaves_of, note_of

CERTIFICATE = UUID("0190a1b2-0000-7000-8000-0000000000c1")
SIGNED = Trust(
    INSTANCE,
    (
        *TRUST.keys,
        TrustedKey("z1", "certificates", "ed25519", KEY.public_key().public_bytes_raw(), START, None),
    ),
)
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
ADA, BEN = UUID(int=11), UUID(int=12)
ROOM, DESK = UUID(int=21), UUID(int=22)
TERMS = Terms(
    as_of=NOON,
    rules=(
        OrderedRule(
            rule=UUID(int=31), version=2, kind="deletion", period=OrderedPeriod(years=2), grace_seconds=86_400
        ),
        OrderedRule(
            rule=UUID(int=32),
            version=1,
            kind="deletion",
            period=OrderedPeriod(years=5),
            conversations=(DESK,),
        ),
        OrderedRule(
            rule=UUID(int=33),
            version=1,
            kind="floor",
            period=OrderedPeriod(years=1),
            conversation_types=("group",),
        ),
    ),
    locks=(OrderedLock(lock=UUID(int=34), period=OrderedPeriod(months=6)),),
    erasures=(OrderedErasure(erasure=UUID(int=35), subject=ADA, requested_at=NOON - timedelta(days=9)),),
)
GENERATION = 4


@dataclass
class Sent:
    """What was sent: by a rule it went, or by Ada's request."""

    conversation: UUID
    conversation_type: str
    sender: UUID
    at: datetime


def sent() -> list[Sent]:
    """Return what several voices destroy, in the order of its places."""
    old = datetime(2020, 2, 29, 10, tzinfo=UTC)
    return [
        *(Sent(ROOM, "group", BEN, old + timedelta(days=day)) for day in range(5)),
        *(Sent(ROOM, "group", ADA, NOON - timedelta(days=500 + day)) for day in range(3)),
        *(Sent(DESK, "group", BEN, old + timedelta(hours=hour)) for hour in range(4)),
    ]


@dataclass
class Made:
    """A certificate as retention would make it; a forger replaces what he likes before it is written."""

    lines: list[DestroyedLine] = field(default_factory=list)
    segment_items: int = 5
    change: Callable[[Statement], Statement] = lambda statement: statement
    key = KEY

    def __post_init__(self) -> None:
        """Decide about everything that was sent."""
        self.lines = self.lines or lines()

    def segments(self) -> list[bytes]:
        """Return the segments."""
        cut = range(0, len(self.lines), self.segment_items)
        return [b"".join(map(item_line, self.lines[at : at + self.segment_items])) for at in cut]

    def statement(self) -> Statement:
        """Return what is stated."""
        counts = Counts(
            len(self.lines),
            len(self.lines) + 1,
            0,
            sum(each.size for each in self.lines),
            len({each.dek for each in self.lines}),
        )
        found = [
            ClassFound(conversation_type="group", hidden=1, ripe=counts.destroyed, ripe_bytes=counts.bytes)
        ]
        until = NOON + timedelta(days=8)
        statement = Statement(
            certificate=CERTIFICATE,
            tenant=TENANT,
            made_at=NOON + timedelta(hours=3),
            ordered_at=NOON,
            refused="",
            dry_run=UUID(int=41),
            digest=digest_of_result(TENANT, TERMS, GENERATION, found),
            result=result_object(TENANT, TERMS, GENERATION, found),
            approvals=(Approval(UUID(int=42), ADA, NOON, BEN, NOON + timedelta(minutes=1)),),
            counts=counts,
            confirmations=(
                Confirmation("ediscovery", NOON + timedelta(hours=1), items=counts.destroyed),
                Confirmation("keys", NOON + timedelta(hours=2), deks=counts.deks, unrecoverable_after=until),
                Confirmation("messaging", NOON + timedelta(minutes=9), items=counts.destroyed),
            ),
            erased_live_at=NOON + timedelta(hours=2),
            unrecoverable_after=until,
            segments=refs_of(
                [(hashlib.sha256(data).digest(), len(data), data.count(b"\n")) for data in self.segments()]
            ),
        )
        return self.change(statement)

    def files(self) -> dict[str, bytes]:
        """Return every file of it."""
        public = self.key.public_key().public_bytes_raw()
        data, note = sign_statement(INSTANCE, self.statement(), public, self.key.sign)
        segments = {segment_path(number): each for number, each in enumerate(self.segments(), 1)}
        return {STATEMENT: data, NOTE: note, **segments, LOG: logged(data)}

    def write(self, folder: Path) -> Path:
        """Write it below a folder."""
        for path, data in self.files().items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
        return folder


def lines(items: Sequence[Sent] | None = None) -> list[DestroyedLine]:
    """Return the line of each item, by its own decision."""
    result = parse_result(
        result_object(TENANT, TERMS, GENERATION, [ClassFound(conversation_type="group")]), "result"
    )
    made = []
    for seq, each in enumerate(items or sent(), 1):
        item = Item(each.conversation, each.conversation_type, each.at, each.sender, frozenset())
        decided = disposition_of(item, result.rules, (), result.locks, result.erasures, NOON)
        assert isinstance(decided, Dispose)
        step = destroyer_of(decided)
        made.append(
            DestroyedLine(
                each.conversation,
                seq,
                each.conversation_type,
                each.at,
                UUID(int=500 + seq),
                hashlib.sha256(b"m%d" % seq).digest(),
                hashlib.sha256(b"b%d" % seq).digest(),
                UUID(int=600 + seq // 3),
                100 + seq,
                decided.due_at,
                decided.destroy_at,
                NOON + timedelta(minutes=seq),
                step.voice.value,
                step.source,
                step.version,
            )
        )
    return made


def logged(
    statement: bytes,
    certificate: UUID = CERTIFICATE,
    action: str = ISSUED,
    source: str = "retention",
    outcome: str = "done",
) -> bytes:
    """Return the evidence of the act that names a certificate, in a log of nine entries."""
    named = (
        Entity(CERTIFICATE_ENTITY, str(certificate)),
        Entity(DIGEST_ENTITY, hashlib.sha256(statement).hexdigest()),
    )
    detail = Detail(action, Actor("service", name="retention"), outcome, "legal", entities=named)
    leaf = leaf_of(Leaf(TENANT, 4, UUID(int=5), source, 12, 5, START, detail_commitment(detail, SALT)))
    leaves = leaves_of(9)
    leaves[4] = leaf
    proof = inclusion_proof([leaf_hash(each) for each in leaves], 4)
    return act_bundle(leaf, proof, note_of(leaves), detail=detail, salt=SALT)


def resigned(made: Made, **changes: object) -> Made:
    """Return a certificate of which something is stated otherwise, signed by the right key all the same."""
    before = made.change
    made.change = lambda statement: replace(before(statement), **changes)  # type: ignore[arg-type]
    return made


__all__ = ["SIGNED", "STRANGER", "Made", "logged", "resigned"]
