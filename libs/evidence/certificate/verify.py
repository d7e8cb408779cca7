"""Checks a certificate off line: its signature, every item, each item's decision, and its place in the log.

What is proved and what is only said, under the signature, are told apart: that the items were due by the
approved terms is computed anew; that a store let go of them is its own word. Segments are read one by one.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final
from uuid import UUID

from libs.disposition.claims import Item
from libs.disposition.decision import Dispose, destroyer_of, disposition_of
from libs.disposition.trace import Voice
from libs.evidence.bundle import ACT
from libs.evidence.canonical import Fields, parse_json
from libs.evidence.certificate.items import DestroyedLine, parse_item
from libs.evidence.certificate.result import Result, parse_result
from libs.evidence.certificate.statement import (
    CERTIFICATE_ENTITY,
    DIGEST_ENTITY,
    ISSUED,
    LOG,
    NOTE,
    STATEMENT,
    Counts,
    Segment,
    Statement,
    certificates_origin,
    note_text,
    parse_statement,
    paths_of,
    segment_path,
)
from libs.evidence.detail import Entity
from libs.evidence.errors import EvidenceRefused
from libs.evidence.log import trusted_checkpoint
from libs.evidence.production.manifest import MOST_FILE_BYTES
from libs.evidence.proofs import included_leaf, shown_detail
from libs.evidence.trust import CERTIFICATES, Trust, origin_of
from libs.merkle.checkpoint import Checkpoint
from libs.merkle.errors import NoteRefused
from libs.merkle.note import key_id_of, parse_note, verify_note

STORES: Final = ("ediscovery", "keys", "messaging")
"""Whose confirmations a certificate cannot lack; it may have more."""
TRUST: Final = "trust.json"
"""Not of the certificate, but what it is checked by; it may lie in the same folder."""


@dataclass(frozen=True, slots=True)
class CertificateFound:
    """What holds of a certificate: its statement, the hash of that, and the entry `index` of the log."""

    statement: Statement
    result: Result
    digest: bytes
    checkpoint: Checkpoint
    index: int


def is_certificate(path: Path) -> bool:
    """Tell whether a folder is, or claims to be, a certificate."""
    return path.is_dir() and ((path / NOTE).is_file() or (path / STATEMENT).is_file())


def verify_certificate(folder: Path, trust: Trust) -> CertificateFound:
    """Return what the certificate in `folder` shows. Raises EvidenceRefused for what does not hold."""
    data = _read(folder, STATEMENT)
    statement = parse_statement(data)
    result = parse_result(statement.result, f"{STATEMENT}.result")
    _verify_note(_read(folder, NOTE), statement, data, trust)
    last = _verify_items(folder, statement, result)
    _verify_statement(statement, result, last)
    digest = hashlib.sha256(data).digest()
    checkpoint, index = _verify_log(_read(folder, LOG), statement, digest, trust)
    _refuse_more_files(folder, statement)
    return CertificateFound(statement, result, digest, checkpoint, index)


def sentences_of(found: CertificateFound) -> tuple[str, ...]:
    """Return what a certificate shows: as it was signed, what of it is proved, and what is attested alone."""
    statement, counts = found.statement, found.statement.counts
    stores = ", ".join(each.store for each in statement.confirmations)
    signed = (
        f"Certificate {statement.certificate} is as it was signed: {counts.destroyed} items"
        f" ({counts.bytes} bytes) were destroyed, and the {counts.deks} data keys that had sealed them."
    )
    proved = (
        "Proved: by the approved terms each item was due, and it was destroyed after its time;"
        f" entry {found.index} of {found.checkpoint.origin} names this certificate."
    )
    attested = (
        f"Attested alone: no hold up to generation {found.result.generation} covered them; {stores} have let"
        f" go of them, the last at {statement.erased_live_at.isoformat()}; no backup of their keys is left"
        f" from {statement.unrecoverable_after.isoformat()} on."
    )
    return signed, proved, attested


def recheck(item: DestroyedLine, result: Result, where: str) -> None:
    """Decide about an item anew, by the approved terms and what the line says of it.

    Its sender is not named; by a request for erasure it is the subject's own. Another's request could
    change nothing where a rule has the earlier word. What holds covered cannot be seen: that none did is
    attested. Raises EvidenceRefused.
    """
    sender = None
    if item.voice == Voice.ERASURE:
        subjects = {each.erasure: each.subject for each in result.erasures}
        sender = None if item.source is None else subjects.get(item.source)
    decided = disposition_of(
        Item(item.conversation, item.conversation_type, item.sent_at, sender, frozenset()),
        result.rules,
        (),
        result.locks,
        result.erasures,
        result.as_of,
    )
    if not isinstance(decided, Dispose) or decided.destroy_at > result.as_of:
        raise EvidenceRefused("by the approved terms this item was not to be destroyed", where)
    step = destroyer_of(decided)
    said = (item.voice, item.source, item.version, item.due_at, item.destroy_at)
    if said != (step.voice.value, step.source, step.version, decided.due_at, decided.destroy_at):
        raise EvidenceRefused("by the approved terms it was due by another word, or at another time", where)
    if item.destroyed_at < item.destroy_at:
        raise EvidenceRefused("the item was destroyed before its time", where)


def _verify_items(folder: Path, statement: Statement, result: Result) -> datetime:
    """Check every item, and return when the last was destroyed."""
    items = size = 0
    deks: set[UUID] = set()
    before: tuple[UUID, int] | None = None
    last = statement.ordered_at
    for number, segment in enumerate(statement.segments, 1):
        if segment.file.path != segment_path(number):
            raise EvidenceRefused("a segment is missing", segment.file.path)
        counted = 0
        for where, line in _lines(folder, segment):
            item = parse_item(line, where)
            if before is not None and item.place <= before:
                raise EvidenceRefused("the item is out of order, or stands twice", where)
            recheck(item, result, where)
            before, last = item.place, max(last, item.destroyed_at)
            counted, size = counted + 1, size + item.size
            deks.add(item.dek)
        if counted != segment.items:
            raise EvidenceRefused("the segment has another number of items than is said", segment.file.path)
        items += counted
    said = statement.counts
    if (said.destroyed, said.bytes, said.deks) != (items, size, len(deks)) or not items:
        raise EvidenceRefused("the counts are not those of the items", f"{STATEMENT}.counts")
    return last


def _verify_statement(statement: Statement, result: Result, last: datetime) -> None:
    """Check what the statement says against what was approved, and against itself."""
    if result.tenant != statement.tenant:
        raise EvidenceRefused("the result is of another tenant", f"{STATEMENT}.result.tenant")
    counts = statement.counts
    if not _within(counts, result):
        raise EvidenceRefused("more was done than was approved", f"{STATEMENT}.counts")
    if not statement.approvals or any(
        each.requested_by == each.approved_by or each.approved_at < each.requested_at
        for each in statement.approvals
    ):
        raise EvidenceRefused("nobody but who asked for it approved it", f"{STATEMENT}.approvals")
    _verify_confirmations(statement, last)


def _within(counts: Counts, result: Result) -> bool:
    return (
        counts.destroyed <= result.ripe and counts.bytes <= result.ripe_bytes and counts.hidden <= result.due
    )


def _verify_confirmations(statement: Statement, last: datetime) -> None:
    where = f"{STATEMENT}.confirmations"
    counts, stores = statement.counts, [each.store for each in statement.confirmations]
    if stores != sorted(set(stores)):
        raise EvidenceRefused("the stores are not in order, or one stands twice", where)
    if missing := sorted(set(STORES) - set(stores)):
        raise EvidenceRefused(f"{missing[0]} has not confirmed", where)
    for each in statement.confirmations:
        if each.items is not None and each.items < counts.destroyed:
            raise EvidenceRefused(f"{each.store} has confirmed fewer items than were destroyed", where)
        if each.deks is not None and each.deks != counts.deks:
            raise EvidenceRefused(f"{each.store} has confirmed another number of data keys", where)
    if statement.erased_live_at != max(last, *(each.at for each in statement.confirmations)):
        raise EvidenceRefused("this is not when the last store confirmed", f"{STATEMENT}.erased_live_at")
    ends = [each.unrecoverable_after for each in statement.confirmations if each.unrecoverable_after]
    if not ends or statement.unrecoverable_after != max(ends):
        raise EvidenceRefused("this is not when the last backup ends", f"{STATEMENT}.unrecoverable_after")


def _verify_log(data: bytes, statement: Statement, digest: bytes, trust: Trust) -> tuple[Checkpoint, int]:
    """Check that the log has an act that names exactly this certificate; return where."""
    fields = Fields(parse_json(data, LOG), LOG)
    if fields.raw("v") != 1 or fields.raw("kind") != ACT or fields.items("others"):
        raise EvidenceRefused("this is no evidence of an act", LOG)
    checkpoint = trusted_checkpoint(fields.text("checkpoint").encode(), trust, LOG)
    if checkpoint.origin != origin_of(trust.instance, statement.tenant):
        raise EvidenceRefused("the checkpoint is of another log", LOG)
    leaf_bytes, proof = fields.text("leaf").encode(), fields.hashes("proof")
    leaf = included_leaf(leaf_bytes, proof, checkpoint, statement.tenant, LOG)
    detail = shown_detail(fields, leaf, f"{LOG}.detail")
    fields.end()
    if (leaf.source, detail.action, detail.outcome) != ("retention", ISSUED, "done"):
        raise EvidenceRefused("the entry of the log is of no certificate", LOG)
    named = (
        Entity(CERTIFICATE_ENTITY, str(statement.certificate)),
        Entity(DIGEST_ENTITY, digest.hex()),
    )
    if detail.entities != named:
        raise EvidenceRefused("the entry of the log is of another certificate", LOG)
    return checkpoint, leaf.index


def _verify_note(data: bytes, statement: Statement, content: bytes, trust: Trust) -> None:
    """Check that a key for certificates, in its time, signed exactly this statement."""
    origin = certificates_origin(trust.instance, statement.tenant)
    try:
        note = parse_note(data)
        signed = verify_note(note, trust.verifiers(origin, CERTIFICATES))
    except NoteRefused as refused:
        raise EvidenceRefused(refused.reason, NOTE) from None
    if note.text != note_text(trust.instance, statement, content):
        raise EvidenceRefused("the signature is of another certificate", NOTE)
    ids = {signature.key_id for signature in signed}
    keys = [key for key in trust.keys if key.use == CERTIFICATES and key_id_of(origin, key.public) in ids]
    if not any(
        key.not_before <= statement.made_at and (key.not_after is None or statement.made_at < key.not_after)
        for key in keys
    ):
        raise EvidenceRefused("the key that signed was not in use when the certificate was made", NOTE)


def _lines(folder: Path, segment: Segment) -> Iterator[tuple[str, bytes]]:
    """Give each line of a segment, when it is the one that was signed, and where it stands."""
    path = segment.file.path
    data = _read(folder, path)
    if len(data) != segment.file.size or hashlib.sha256(data).digest() != segment.file.sha256:
        raise EvidenceRefused("the file is not the one that was signed", path)
    *lines, rest = data.split(b"\n")
    if rest:
        raise EvidenceRefused("the last line is not whole", path)
    for number, line in enumerate(lines, 1):
        yield f"{path}:{number}", line


def _refuse_more_files(folder: Path, statement: Statement) -> None:
    """Refuse files that nothing names: named ones were all there."""
    named = {*paths_of(statement), TRUST}
    for path in folder.rglob("*"):
        if not path.is_dir() and path.relative_to(folder).as_posix() not in named:
            raise EvidenceRefused("the certificate does not name this file", path.name)


def _read(folder: Path, name: str) -> bytes:
    path = folder / name
    try:
        if path.is_symlink() or path.stat().st_size > MOST_FILE_BYTES:
            raise EvidenceRefused("the file is too long, or leads elsewhere", name)
        return path.read_bytes()
    except OSError:
        raise EvidenceRefused("the file is missing", name) from None
