"""The manifest of a production, and the note that signs it."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from libs.evidence.canonical import Fields, canonical, encoded, parse_canonical
from libs.evidence.detail import SALT_BYTES, Detail, detail_object, parse_detail
from libs.evidence.errors import EvidenceRefused
from libs.evidence.zipping import PATH
from libs.merkle.hashing import HASH_BYTES
from libs.merkle.note import sign_note

MANIFEST = "manifest.json"
NOTE = "manifest.note"
MOST_FILE_BYTES = 1 << 28
"""No file of a production is longer, so that whoever checks it can hold one."""

_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z", re.ASCII)
_PREFIX = re.compile(r"([A-Za-z0-9][A-Za-z0-9_-]{0,31})?", re.ASCII)
_DIGITS = re.compile(r"[0-9]{1,18}", re.ASCII)
_WIDEST = 18


class Format(StrEnum):
    """How the entries are written."""

    JSONL = "jsonl"
    EML = "eml"
    EML_DAY = "eml-day"
    RSMF = "rsmf"


class Reason(StrEnum):
    """Why an entry of a conversation in scope was not produced.

    OUTSIDE: sent at a time outside of the scope, which its metadata prove. ABSENT: no custodian was there
    when it was sent, or sent it, which the metadata of all entries up to it prove. QUERY: it does not match.
    PRIVILEGE: privileged. DISPOSED: destroyed, under a certificate.
    """

    OUTSIDE = "outside"
    ABSENT = "absent"
    QUERY = "query"
    PRIVILEGE = "privilege"
    DISPOSED = "disposed"


@dataclass(frozen=True, slots=True)
class FileRef:
    """A file of the production, by its path, its SHA-256 (32 bytes) and its size in bytes."""

    path: str
    sha256: bytes
    size: int


@dataclass(frozen=True, slots=True)
class Scope:
    """What was asked for, whatever the query: all of it must hold; None sets no limit of that kind.

    `conversations` by name; those in which one of `custodians` ever took part; sent from `since` on and
    before `until` (aware).
    """

    conversations: tuple[UUID, ...] | None = None
    custodians: tuple[UUID, ...] | None = None
    since: datetime | None = None
    until: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse ids that are not in order, each once: one scope has one spelling."""
        for ids in (self.conversations, self.custodians):
            if ids is not None and list(ids) != sorted(set(ids)):
                raise EvidenceRefused("the ids are not in order, or one stands twice", "scope")

    def covers(self, sent_at: datetime) -> bool:
        """Tell whether something sent at this time is within the scope."""
        begun = self.since is None or self.since <= sent_at
        return begun and (self.until is None or sent_at < self.until)


@dataclass(frozen=True, slots=True)
class Bates:
    """How pages are numbered: `prefix`, then a number of `width` digits from `start` on.

    Each message has one number, or, where `page_characters` is set, one for each page of so many.
    """

    prefix: str
    width: int
    start: int
    page_characters: int | None = None

    def __post_init__(self) -> None:
        """Refuse what makes no number that can name a file."""
        well = 1 <= self.width <= _WIDEST and self.start >= 0 and self.page_characters != 0
        if not well or not _PREFIX.fullmatch(self.prefix):
            raise EvidenceRefused("numbers cannot be made like this", "bates")

    def label(self, number: int) -> str:
        """Return the number as it is printed. Raises EvidenceRefused where its width is used up."""
        if number >= 10**self.width:
            raise EvidenceRefused(f"there is no number after {self.prefix}{'9' * self.width}", "bates")
        return f"{self.prefix}{number:0{self.width}}"

    def number(self, label: str) -> int:
        """Return the number that `label` prints. Raises EvidenceRefused for any other text."""
        digits = label.removeprefix(self.prefix)
        if not _DIGITS.fullmatch(digits) or self.label(int(digits)) != label:
            raise EvidenceRefused("this is no number of this production", label)
        return int(digits)


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the entries in scope; `pages` are the numbers used, of Bates."""

    produced: int
    excluded: Mapping[Reason, int]
    errors: int
    redacted: int = 0
    pages: int = 0

    @property
    def in_scope(self) -> int:
        """How many entries the conversations in scope have."""
        return self.produced + sum(self.excluded.values()) + self.errors


@dataclass(frozen=True, slots=True)
class Completeness:
    """What the log committed to about all conversations: a leaf with the root of their map, and its detail.

    `proof` is the leaf's inclusion under the manifest's checkpoint; `segments` hold the conversations.
    """

    leaf: bytes
    proof: tuple[bytes, ...]
    detail: Detail
    salt: bytes
    segments: tuple[FileRef, ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a production is. `made_at` is the one time in it that a repetition changes."""

    production: UUID
    tenant: UUID
    made_at: datetime
    format: Format
    scope: Scope
    counts: Counts
    segments: tuple[FileRef, ...]
    query: str | None = None
    matter: UUID | None = None
    approvals: tuple[UUID, ...] = ()
    bates: Bates | None = None
    checkpoint: bytes | None = None
    completeness: Completeness | None = None


def dump_manifest(manifest: Manifest) -> bytes:
    """Return `manifest.json`. Raises EvidenceRefused for what could not be read back."""
    data = canonical(_manifest_object(manifest))
    if parse_manifest(data) != manifest:
        raise EvidenceRefused("the manifest would be read as another", MANIFEST)
    return data


def parse_manifest(data: bytes) -> Manifest:
    """Read `manifest.json`, in its one spelling. Raises EvidenceRefused."""
    fields = Fields(parse_canonical(data, MANIFEST), MANIFEST)
    if fields.raw("v") != 1 or fields.raw("kind") != "production":
        raise EvidenceRefused("this is no manifest that is known", MANIFEST)
    manifest = Manifest(
        production=fields.uuid("production"),
        tenant=fields.uuid("tenant"),
        made_at=instant_in(fields, "made_at"),
        format=_format(fields),
        scope=_scope(Fields(fields.raw("scope"), f"{MANIFEST}.scope")),
        counts=_counts(Fields(fields.raw("counts"), f"{MANIFEST}.counts")),
        segments=file_refs(fields, "segments"),
        query=fields.text("query") if fields.has("query") else None,
        matter=fields.uuid("matter") if fields.has("matter") else None,
        approvals=_uuids(fields, "approvals"),
        bates=_bates(Fields(fields.raw("bates"), f"{MANIFEST}.bates")) if fields.has("bates") else None,
        checkpoint=fields.text("checkpoint").encode() if fields.has("checkpoint") else None,
        completeness=_completeness(fields) if fields.has("completeness") else None,
    )
    fields.end()
    if manifest.completeness is not None and manifest.checkpoint is None:
        raise EvidenceRefused("completeness is claimed without a checkpoint", MANIFEST)
    return manifest


def productions_origin(instance: str, tenant: UUID) -> str:
    """Return the name under which a tenant's productions are signed."""
    return f"{instance}/productions/{tenant}"


def note_text(instance: str, manifest: Manifest, data: bytes) -> str:
    """Return the text that is signed: origin, production, and the hash of `manifest.json`, a line each."""
    digest = encoded(hashlib.sha256(data).digest())
    return f"{productions_origin(instance, manifest.tenant)}\n{manifest.production}\n{digest}\n"


def sign_manifest(
    instance: str, manifest: Manifest, public: bytes, sign: Callable[[bytes], bytes]
) -> tuple[bytes, bytes]:
    """Return `manifest.json` and `manifest.note`; `sign` is given the text's bytes and answers 64."""
    data = dump_manifest(manifest)
    name = productions_origin(instance, manifest.tenant)
    return data, sign_note(note_text(instance, manifest, data), name, public, sign).encode()


def file_object(ref: FileRef) -> dict[str, str]:
    """Return a file as it stands in manifests and segments."""
    return {"path": ref.path, "sha256": ref.sha256.hex(), "size": str(ref.size)}


def file_in(fields: Fields) -> FileRef:
    """Read what `file_object` writes. Raises EvidenceRefused, also for paths that lead elsewhere."""
    ref = FileRef(fields.text("path"), fields.hexed("sha256", HASH_BYTES), fields.number("size"))
    if not PATH.fullmatch(ref.path) or ref.size > MOST_FILE_BYTES:
        raise EvidenceRefused("no file of a production has this path or size", fields.where)
    return ref


def file_refs(fields: Fields, name: str) -> tuple[FileRef, ...]:
    """Read a list of files."""
    found = []
    for value in fields.items(name):
        members = Fields(value, f"{fields.where}.{name}")
        found.append(file_in(members))
        members.end()
    return tuple(found)


def instant_text(instant: datetime) -> str:
    """Return an aware time in UTC with six digits."""
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def parse_instant(text: str, where: str) -> datetime:
    """Read what `instant_text` writes. Raises EvidenceRefused."""
    try:
        found = datetime.fromisoformat(text) if _INSTANT.fullmatch(text) else None
    except ValueError:
        found = None
    if found is None:
        raise EvidenceRefused("a time in UTC is missing", where)
    return found


def instant_in(fields: Fields, name: str) -> datetime:
    """Read a time."""
    return parse_instant(fields.text(name), f"{fields.where}.{name}")


def _manifest_object(manifest: Manifest) -> dict[str, Any]:
    members: dict[str, Any] = {
        "v": 1,
        "kind": "production",
        "production": str(manifest.production),
        "tenant": str(manifest.tenant),
        "made_at": instant_text(manifest.made_at),
        "format": str(manifest.format),
        "scope": _scope_object(manifest.scope),
        "counts": _counts_object(manifest.counts),
        "segments": [file_object(ref) for ref in manifest.segments],
        "query": manifest.query,
        "matter": None if manifest.matter is None else str(manifest.matter),
        "approvals": [str(each) for each in manifest.approvals],
        "bates": None if manifest.bates is None else _bates_object(manifest.bates),
        "checkpoint": None if manifest.checkpoint is None else manifest.checkpoint.decode(),
        "completeness": None
        if manifest.completeness is None
        else _completeness_object(manifest.completeness),
    }
    return _present(members)


def _scope_object(scope: Scope) -> dict[str, Any]:
    return _present(
        {
            "conversations": None
            if scope.conversations is None
            else [str(each) for each in scope.conversations],
            "custodians": None if scope.custodians is None else [str(each) for each in scope.custodians],
            "since": None if scope.since is None else instant_text(scope.since),
            "until": None if scope.until is None else instant_text(scope.until),
        }
    )


def _scope(fields: Fields) -> Scope:
    scope = Scope(
        _uuids(fields, "conversations") if fields.has("conversations") else None,
        _uuids(fields, "custodians") if fields.has("custodians") else None,
        instant_in(fields, "since") if fields.has("since") else None,
        instant_in(fields, "until") if fields.has("until") else None,
    )
    fields.end()
    return scope


def _counts_object(counts: Counts) -> dict[str, Any]:
    return {
        "in_scope": str(counts.in_scope),
        "produced": str(counts.produced),
        "excluded": {str(reason): str(counts.excluded.get(reason, 0)) for reason in Reason},
        "errors": str(counts.errors),
        "redacted": str(counts.redacted),
        "pages": str(counts.pages),
    }


def _counts(fields: Fields) -> Counts:
    in_scope, excluded = fields.number("in_scope"), Fields(fields.raw("excluded"), fields.where)
    counts = Counts(
        fields.number("produced"),
        {reason: excluded.number(reason) for reason in Reason},
        fields.number("errors"),
        fields.number("redacted"),
        fields.number("pages"),
    )
    excluded.end()
    fields.end()
    if counts.in_scope != in_scope:
        raise EvidenceRefused(
            "what was produced, excluded and in error is not what was in scope", fields.where
        )
    return counts


def _bates_object(bates: Bates) -> dict[str, str]:
    page = {} if bates.page_characters is None else {"page_characters": str(bates.page_characters)}
    return {"prefix": bates.prefix, "width": str(bates.width), "start": str(bates.start), **page}


def _bates(fields: Fields) -> Bates:
    page = fields.number("page_characters") if fields.has("page_characters") else None
    bates = Bates(fields.text("prefix"), fields.number("width"), fields.number("start"), page)
    fields.end()
    return bates


def _completeness_object(claim: Completeness) -> dict[str, Any]:
    return {
        "leaf": claim.leaf.decode(),
        "proof": [encoded(each) for each in claim.proof],
        "detail": detail_object(claim.detail),
        "salt": claim.salt.hex(),
        "segments": [file_object(ref) for ref in claim.segments],
    }


def _completeness(outer: Fields) -> Completeness:
    where = f"{MANIFEST}.completeness"
    fields = Fields(outer.raw("completeness"), where)
    claim = Completeness(
        fields.text("leaf").encode(),
        tuple(fields.hashes("proof")),
        parse_detail(fields.raw("detail"), f"{where}.detail"),
        fields.hexed("salt", SALT_BYTES),
        file_refs(fields, "segments"),
    )
    fields.end()
    return claim


def _format(fields: Fields) -> Format:
    try:
        return Format(fields.text("format"))
    except ValueError:
        raise EvidenceRefused("the format is not known", f"{MANIFEST}.format") from None


def _uuids(fields: Fields, name: str) -> tuple[UUID, ...]:
    values: Sequence[Any] = fields.items(name)
    return tuple(Fields({name: value}, fields.where).uuid(name) for value in values)


def _present(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
