"""The detail of an act, which lies beside its leaf and is committed there under a salt."""

import hashlib
from dataclasses import dataclass
from json.encoder import encode_basestring
from typing import Any, NamedTuple

from libs.evidence.canonical import Fields
from libs.evidence.errors import EvidenceRefused
from libs.kernel.framing import framed

SALT_BYTES = 16
_quoted = encode_basestring  # as RFC 8785, section 3.2.2.2, writes a string: of non-ASCII nothing is escaped
_DETAIL = b"muniment/audit-detail/v1"


class Actor(NamedTuple):
    """Who acted."""

    kind: str
    id: str | None = None
    name: str | None = None


class Entity(NamedTuple):
    """What was acted on."""

    kind: str
    id: str


class Run(NamedTuple):
    """Entries `first` to `last` (both included) of a conversation, which one commit brought."""

    conversation: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Detail:
    """What was done, by whom, to what; ids are text as they stand in the committed object.

    `visibility` is the class of readers that may see it, and no later word of anybody changes it.
    """

    action: str
    actor: Actor
    outcome: str
    visibility: str
    count: int = 1
    approvals: tuple[str, ...] = ()
    entities: tuple[Entity, ...] = ()
    matter: str | None = None
    runs: tuple[Run, ...] = ()


def detail_object(detail: Detail) -> dict[str, Any]:
    """Return the object whose canonical bytes are committed."""
    actor = {"kind": detail.actor.kind, "id": detail.actor.id, "name": detail.actor.name}
    return {
        "action": detail.action,
        "actor": {name: value for name, value in actor.items() if value is not None},
        "approvals": list(detail.approvals),
        "count": str(detail.count),
        "entities": [{"kind": entity.kind, "id": entity.id} for entity in detail.entities],
        "matter": detail.matter,
        "outcome": detail.outcome,
        "runs": [
            {"conversation": run.conversation, "first": str(run.first), "last": str(run.last)}
            for run in detail.runs
        ],
        "visibility": detail.visibility,
    }


def parse_detail(value: object, where: str = "detail") -> Detail:
    """Read what `detail_object` writes, strictly. Raises EvidenceRefused."""
    fields = Fields(value, where)
    detail = Detail(
        action=fields.text("action"),
        actor=_actor(fields.raw("actor"), f"{where}.actor"),
        approvals=tuple(_texts(fields.items("approvals"), f"{where}.approvals")),
        count=fields.number("count"),
        entities=tuple(_entity(each, f"{where}.entities") for each in fields.items("entities")),
        matter=fields.raw("matter"),
        outcome=fields.text("outcome"),
        runs=tuple(_run(each, f"{where}.runs") for each in fields.items("runs")),
        visibility=fields.text("visibility"),
    )
    fields.end()
    if detail.matter is not None and not isinstance(detail.matter, str):
        raise EvidenceRefused("a string or null is missing", f"{where}.matter")
    return detail


def detail_bytes(detail: Detail) -> bytes:
    """Return the canonical bytes of `detail_object(detail)`, written out in the order of their names.

    Sequencing does this for every act: the general encoder would cost more than all the rest of it.
    Raises EvidenceRefused for text that UTF-8 cannot hold.
    """
    actor = f'"kind":{_quoted(detail.actor.kind)}'
    if detail.actor.id is not None:
        actor = f'"id":{_quoted(detail.actor.id)},{actor}'
    if detail.actor.name is not None:
        actor = f'{actor},"name":{_quoted(detail.actor.name)}'
    approvals = ",".join([_quoted(approval) for approval in detail.approvals])
    entities = ",".join(
        [f'{{"id":{_quoted(entity.id)},"kind":{_quoted(entity.kind)}}}' for entity in detail.entities]
    )
    runs = ",".join(
        [
            f'{{"conversation":{_quoted(run.conversation)},"first":"{run.first}","last":"{run.last}"}}'
            for run in detail.runs
        ]
    )
    matter = "null" if detail.matter is None else _quoted(detail.matter)
    text = (
        f'{{"action":{_quoted(detail.action)},"actor":{{{actor}}},"approvals":[{approvals}],'
        f'"count":"{detail.count}","entities":[{entities}],"matter":{matter},'
        f'"outcome":{_quoted(detail.outcome)},"runs":[{runs}],'
        f'"visibility":{_quoted(detail.visibility)}}}'
    )
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise EvidenceRefused("the detail has no canonical form", "detail") from None


def detail_commitment(detail: Detail, salt: bytes) -> bytes:
    """Return the 32-byte commitment of a leaf to its detail, under 16 bytes of salt."""
    return commit_to(detail_bytes(detail), salt)


def opened(value: object, salt: bytes, commitment: bytes, where: str) -> Detail:
    """Return the detail that the object `value` is, when it is the one that a leaf commits to.

    Raises EvidenceRefused for any other one, and for any other spelling of it.
    """
    detail = parse_detail(value, where)
    if detail_object(detail) != value or detail_commitment(detail, salt) != commitment:
        raise EvidenceRefused("the detail is not the one that the leaf commits to", where)
    return detail


def commit_to(detail: bytes, salt: bytes) -> bytes:
    """Return the 32-byte commitment to a detail's canonical bytes, under 16 bytes of salt."""
    if len(salt) != SALT_BYTES:
        raise EvidenceRefused("a salt has 16 bytes", "salt")
    return hashlib.sha256(framed(_DETAIL, salt, detail)).digest()


def _actor(value: object, where: str) -> Actor:
    fields = Fields(value, where)
    kind = fields.text("kind")
    identifier = fields.text("id") if fields.has("id") else None
    name = fields.text("name") if fields.has("name") else None
    fields.end()
    return Actor(kind, identifier, name)


def _entity(value: object, where: str) -> Entity:
    fields = Fields(value, where)
    entity = Entity(fields.text("kind"), fields.text("id"))
    fields.end()
    return entity


def _run(value: object, where: str) -> Run:
    fields = Fields(value, where)
    run = Run(str(fields.uuid("conversation")), fields.number("first"), fields.number("last"))
    fields.end()
    return run


def _texts(values: list[Any], where: str) -> list[str]:
    if not all(isinstance(value, str) for value in values):
        raise EvidenceRefused("a string is missing", where)
    return values
