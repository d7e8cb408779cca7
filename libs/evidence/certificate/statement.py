"""What a certificate states (`certificate.json`), and the note that signs it."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from libs.evidence.canonical import Fields, canonical, encoded, parse_canonical
from libs.evidence.certificate.result import digest_of, parse_result
from libs.evidence.errors import EvidenceRefused
from libs.evidence.production.manifest import (
    FileRef,
    file_in,
    file_object,
    instant_in,
    instant_text,
)
from libs.merkle.hashing import HASH_BYTES
from libs.merkle.note import sign_note

STATEMENT: Final = "certificate.json"
NOTE: Final = "certificate.note"
LOG: Final = "log.json"
ISSUED: Final = "retention.certificate.issued"
"""The act of the audit log that names a certificate by its hash."""
CERTIFICATE_ENTITY: Final = "disposition-certificate"
DIGEST_ENTITY: Final = "certificate-digest"

_WORD: Final = re.compile(r"[A-Za-z][A-Za-z-]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Approval:
    """Who asked for the run, and who else approved it."""

    request: UUID
    requested_by: UUID
    requested_at: datetime
    approved_by: UUID
    approved_at: datetime


@dataclass(frozen=True, slots=True)
class Counts:
    """What the run did: items destroyed, hidden and spared, bytes of sealed bodies, data keys of these."""

    destroyed: int
    hidden: int
    spared: int
    bytes: int
    deks: int


@dataclass(frozen=True, slots=True)
class Confirmation:
    """One store has confirmed, last at `at`: so many items are gone from it, or so many data keys (one None).

    From `unrecoverable_after` on no backup of that store holds them; None where it says no such time.
    """

    store: str
    at: datetime
    items: int | None = None
    deks: int | None = None
    unrecoverable_after: datetime | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """A file of items, and how many."""

    file: FileRef
    items: int


@dataclass(frozen=True, slots=True)
class Statement:
    """What a certificate states. It has the id of the run that it is for.

    `result` is the object whose hash `digest` was approved. `refused` says in a word why the run ended
    early, and is empty where it was carried out. `erased_live_at`: from then on no store holds any of it;
    `unrecoverable_after`: nor does any backup of the keys that had sealed it.
    """

    certificate: UUID
    tenant: UUID
    made_at: datetime
    ordered_at: datetime
    refused: str
    dry_run: UUID
    digest: bytes
    result: Mapping[str, Any]
    approvals: tuple[Approval, ...]
    counts: Counts
    confirmations: tuple[Confirmation, ...]
    erased_live_at: datetime
    unrecoverable_after: datetime
    segments: tuple[Segment, ...]


def segment_path(number: int) -> str:
    """Return the path of the segment with this number, from 1 on."""
    return f"items/{number:06}.jsonl"


def paths_of(statement: Statement) -> tuple[str, ...]:
    """Return the paths of a certificate's files, in the order in which they stand in a zip."""
    return (STATEMENT, NOTE, *(each.file.path for each in statement.segments), LOG)


def dump_statement(statement: Statement) -> bytes:
    """Return `certificate.json`. Raises EvidenceRefused for what could not be read back."""
    data = canonical(_statement_object(statement))
    if parse_statement(data) != statement:
        raise EvidenceRefused("the certificate would be read as another", STATEMENT)
    return data


def parse_statement(data: bytes) -> Statement:
    """Read `certificate.json`, in its one spelling. Raises EvidenceRefused."""
    fields = Fields(parse_canonical(data, STATEMENT), STATEMENT)
    if fields.raw("v") != 1 or fields.raw("kind") != "certificate":
        raise EvidenceRefused("this is no certificate that is known", STATEMENT)
    result = fields.raw("result")
    parse_result(result, f"{STATEMENT}.result")
    statement = Statement(
        certificate=fields.uuid("certificate"),
        tenant=fields.uuid("tenant"),
        made_at=instant_in(fields, "made_at"),
        ordered_at=instant_in(fields, "ordered_at"),
        refused=_word(fields, "refused") if fields.has("refused") else "",
        dry_run=fields.uuid("dry_run"),
        digest=fields.hexed("digest", HASH_BYTES),
        result=result,
        approvals=tuple(_approval(each) for each in fields.items("approvals")),
        counts=_counts(fields.raw("counts")),
        confirmations=tuple(_confirmation(each) for each in fields.items("confirmations")),
        erased_live_at=instant_in(fields, "erased_live_at"),
        unrecoverable_after=instant_in(fields, "unrecoverable_after"),
        segments=tuple(_segment(each) for each in fields.items("segments")),
    )
    fields.end()
    if digest_of(result) != statement.digest:
        raise EvidenceRefused("the result is not the one whose hash was approved", f"{STATEMENT}.digest")
    return statement


def certificates_origin(instance: str, tenant: UUID) -> str:
    """Return the name under which a tenant's certificates are signed."""
    return f"{instance}/certificates/{tenant}"


def note_text(instance: str, statement: Statement, data: bytes) -> str:
    """Return the text that is signed: origin, certificate, hash of `certificate.json`, a line each."""
    digest = encoded(hashlib.sha256(data).digest())
    return f"{certificates_origin(instance, statement.tenant)}\n{statement.certificate}\n{digest}\n"


def sign_statement(
    instance: str, statement: Statement, public: bytes, sign: Callable[[bytes], bytes]
) -> tuple[bytes, bytes]:
    """Return `certificate.json` and `certificate.note`; `sign` is given the text's bytes and answers 64."""
    data = dump_statement(statement)
    name = certificates_origin(instance, statement.tenant)
    return data, sign_note(note_text(instance, statement, data), name, public, sign).encode()


def _statement_object(statement: Statement) -> dict[str, Any]:
    members: dict[str, Any] = {
        "v": 1,
        "kind": "certificate",
        "certificate": str(statement.certificate),
        "tenant": str(statement.tenant),
        "made_at": instant_text(statement.made_at),
        "ordered_at": instant_text(statement.ordered_at),
        "refused": statement.refused or None,
        "dry_run": str(statement.dry_run),
        "digest": statement.digest.hex(),
        "result": statement.result,
        "approvals": [_approval_object(each) for each in statement.approvals],
        "counts": _counts_object(statement.counts),
        "confirmations": [_confirmation_object(each) for each in statement.confirmations],
        "erased_live_at": instant_text(statement.erased_live_at),
        "unrecoverable_after": instant_text(statement.unrecoverable_after),
        "segments": [{**file_object(each.file), "items": str(each.items)} for each in statement.segments],
    }
    return _present(members)


def _approval_object(approval: Approval) -> dict[str, str]:
    return {
        "request": str(approval.request),
        "requested_by": str(approval.requested_by),
        "requested_at": instant_text(approval.requested_at),
        "approved_by": str(approval.approved_by),
        "approved_at": instant_text(approval.approved_at),
    }


def _approval(value: object) -> Approval:
    fields = Fields(value, f"{STATEMENT}.approvals")
    approval = Approval(
        fields.uuid("request"),
        fields.uuid("requested_by"),
        instant_in(fields, "requested_at"),
        fields.uuid("approved_by"),
        instant_in(fields, "approved_at"),
    )
    fields.end()
    return approval


def _counts_object(counts: Counts) -> dict[str, str]:
    names = ("destroyed", "hidden", "spared", "bytes", "deks")
    return {name: str(getattr(counts, name)) for name in names}


def _counts(value: object) -> Counts:
    fields = Fields(value, f"{STATEMENT}.counts")
    counts = Counts(
        fields.number("destroyed"),
        fields.number("hidden"),
        fields.number("spared"),
        fields.number("bytes"),
        fields.number("deks"),
    )
    fields.end()
    return counts


def _confirmation_object(confirmation: Confirmation) -> dict[str, Any]:
    after = confirmation.unrecoverable_after
    return _present(
        {
            "store": confirmation.store,
            "at": instant_text(confirmation.at),
            "items": None if confirmation.items is None else str(confirmation.items),
            "deks": None if confirmation.deks is None else str(confirmation.deks),
            "unrecoverable_after": None if after is None else instant_text(after),
        }
    )


def _confirmation(value: object) -> Confirmation:
    fields = Fields(value, f"{STATEMENT}.confirmations")
    confirmation = Confirmation(
        _word(fields, "store"),
        instant_in(fields, "at"),
        fields.number("items") if fields.has("items") else None,
        fields.number("deks") if fields.has("deks") else None,
        instant_in(fields, "unrecoverable_after") if fields.has("unrecoverable_after") else None,
    )
    fields.end()
    if (confirmation.items is None) == (confirmation.deks is None):
        raise EvidenceRefused("a store confirms items or data keys, one of them", fields.where)
    return confirmation


def _segment(value: object) -> Segment:
    fields = Fields(value, f"{STATEMENT}.segments")
    segment = Segment(file_in(fields), fields.number("items"))
    fields.end()
    return segment


def _word(fields: Fields, name: str) -> str:
    value = fields.text(name)
    if not _WORD.fullmatch(value):
        raise EvidenceRefused("a word is missing", f"{fields.where}.{name}")
    return value


def _present(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def refs_of(files: Sequence[tuple[bytes, int, int]]) -> tuple[Segment, ...]:
    """Return segments by hash, size and number of items, in the order of their paths."""
    return tuple(
        Segment(FileRef(segment_path(number), sha256, size), items)
        for number, (sha256, size, items) in enumerate(files, 1)
    )
