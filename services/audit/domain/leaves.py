"""The canonical bytes of a leaf, and of the detail that it commits to. Source: RFC 8785 (JCS).

Written out by hand in the order of the names: a generic canonical encoder costs more than everything
else that sequencing does.
"""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from uuid import UUID

from libs.kernel.framing import framed

_DETAIL = b"muniment/audit-detail/v1"
_ESCAPES = {code: f"\\u{code:04x}" for code in range(0x20)} | {
    0x08: "\\b",
    0x09: "\\t",
    0x0A: "\\n",
    0x0C: "\\f",
    0x0D: "\\r",
    0x22: '\\"',
    0x5C: "\\\\",
}


def leaf_of(  # noqa: PLR0913 - the names of a leaf
    *,
    tenant: UUID,
    index: int,
    fact: UUID,
    source: str,
    part: int,
    position: int,
    at: datetime,
    detail: bytes,
    root: bytes | None,
) -> bytes:
    """Return the leaf: ids of the log itself and a commitment (32 bytes), nothing that names a person.

    `root` (32 bytes) is that of a messaging commit, None for every other fact.
    """
    rooted = "" if root is None else f'"root":"{root.hex()}",'
    return (
        f'{{"at":"{_instant(at)}","detail":"{detail.hex()}","fact":"{fact}","index":"{index}",'
        f'"log":"{tenant}","part":{part},"position":"{position}",{rooted}"source":{_quoted(source)},"v":1}}'
    ).encode()


def detail_object_of(  # noqa: PLR0913 - the names of a detail
    *,
    action: str,
    actor_kind: str,
    actor_id: UUID | None,
    actor_name: str | None,
    approvals: Iterable[UUID],
    count: int,
    entities: Iterable[tuple[str, str]],
    matter: UUID | None,
    outcome: str,
    runs: Iterable[tuple[UUID, int, int]],
) -> bytes:
    """Return the detail in its canonical bytes."""
    identified = "" if actor_id is None else f'"id":"{actor_id}",'
    named = "" if actor_name is None else f',"name":{_quoted(actor_name)}'
    approved = ",".join([f'"{approval}"' for approval in approvals])
    served = "null" if matter is None else f'"{matter}"'
    listed = ",".join([f'{{"id":{_quoted(name)},"kind":{_quoted(kind)}}}' for kind, name in entities])
    ran = ",".join(
        [
            f'{{"conversation":"{conversation}","first":"{first}","last":"{last}"}}'
            for conversation, first, last in runs
        ]
    )
    return (
        f'{{"action":{_quoted(action)},"actor":{{{identified}"kind":{_quoted(actor_kind)}{named}}},'
        f'"approvals":[{approved}],"count":"{count}","entities":[{listed}],'
        f'"matter":{served},"outcome":{_quoted(outcome)},'
        f'"runs":[{ran}]}}'
    ).encode()


def commit_to_detail(detail: bytes, salt: bytes) -> bytes:
    """Return the 32-byte commitment to a detail's canonical bytes; the salt has 16 bytes."""
    return hashlib.sha256(framed(_DETAIL, salt, detail)).digest()


def _instant(at: datetime) -> str:
    return f"{at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def _quoted(text: str) -> str:
    """Return a JSON string as RFC 8785, section 3.2.2.2, writes it."""
    return f'"{text.translate(_ESCAPES)}"'
