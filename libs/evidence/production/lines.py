"""The lines of a segment: its files, the commits that its proofs lead to, and its entries, one object a line.

- `file`: `path`, `sha256` (hex), `size`.
- `commit`: `number` within the segment, and `leaf`, `proof`, `detail`, `salt` as in a bundle.
- `entry`: `conversation`, `seq`, `status` (`produced`, `excluded`, `error`), and as they apply `reason`,
  `certificate`, `file`, `bates` (first and last number), `redacted`, and `proof`: `commit` (its number),
  `path`, and the metadata and the body's commitment as in a bundle, of the body its salt alone; with
  `body_member` where the file shows the text of that one member of the body, not the body itself.
- `run`: `conversation`, `first`, `last`, `reason`: entries in a row that were excluded for one reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from libs.evidence.bundle import Commit
from libs.evidence.canonical import Fields, canonical_line, encoded, parse_json
from libs.evidence.detail import detail_object
from libs.evidence.errors import EvidenceRefused
from libs.evidence.production.manifest import FileRef, Reason, file_in, file_object


class Status(StrEnum):
    """What became of an entry."""

    PRODUCED = "produced"
    EXCLUDED = "excluded"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class EntryProof:
    """What leads from an entry to the leaf of commit `commit`: its path, and each half or its commitment.

    The body itself stands in the entry's file. An entry without one has neither of its two members.
    """

    commit: int
    path: Sequence[bytes]
    metadata: bytes | None = None
    metadata_salt: bytes | None = None
    metadata_commitment: bytes | None = None
    body_salt: bytes | None = None
    body_commitment: bytes | None = None
    body_member: str | None = None


@dataclass(frozen=True, slots=True)
class EntryLine:
    """An entry of a conversation in scope. `reason` of an exclusion is a Reason's text.

    `proof` is an object yet unread when the line was parsed.
    """

    conversation: UUID
    seq: int
    status: Status
    reason: str | None = None
    certificate: UUID | None = None
    file: str | None = None
    bates: tuple[str, str] | None = None
    redacted: bool = False
    proof: Fields | None = None


@dataclass(frozen=True, slots=True)
class RunLine:
    """Entries `first` to `last` (both included) of a conversation, excluded for one reason."""

    conversation: UUID
    first: int
    last: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class CommitLine:
    """A commit, as an object yet unread."""

    number: int
    shown: Fields


Line = FileRef | CommitLine | EntryLine | RunLine


def file_line(ref: FileRef) -> bytes:
    """Return the line of a file."""
    return _line("file", file_object(ref))


def commit_line(number: int, commit: Commit) -> bytes:
    """Return the line of a commit."""
    members = {
        "number": str(number),
        "leaf": commit.leaf.decode(),
        "proof": [encoded(each) for each in commit.proof],
        "detail": detail_object(commit.detail),
        "salt": commit.salt.hex(),
    }
    return _line("commit", members)


def entry_line(entry: EntryLine, proof: EntryProof | None) -> bytes:
    """Return the line of an entry with its proof, if it has one."""
    members: dict[str, Any] = {
        "conversation": str(entry.conversation),
        "seq": str(entry.seq),
        "status": str(entry.status),
        "reason": entry.reason,
        "certificate": None if entry.certificate is None else str(entry.certificate),
        "file": entry.file,
        "bates": None if entry.bates is None else list(entry.bates),
        "redacted": True if entry.redacted else None,
        "proof": None if proof is None else _proof_object(proof),
    }
    return _line("entry", members)


def run_line(run: RunLine) -> bytes:
    """Return the line of a run."""
    members = {"first": str(run.first), "last": str(run.last), "reason": str(run.reason)}
    return _line("run", {"conversation": str(run.conversation), **members})


def parse_line(data: bytes, where: str) -> Line:
    """Read a line, strictly; what it shows of proofs is not judged here. Raises EvidenceRefused."""
    fields = Fields(parse_json(data, where), where)
    kind = fields.text("kind")
    line: Line
    if kind == "file":
        line = file_in(fields)
    elif kind == "commit":
        return CommitLine(fields.number("number"), fields)
    elif kind == "entry":
        line = _entry(fields)
    elif kind == "run":
        line = _run(fields)
    else:
        raise EvidenceRefused("there is no such kind of line", where)
    fields.end()
    return line


def reason_of(text: str | None, where: str) -> Reason:
    """Read the reason of an exclusion. Raises EvidenceRefused."""
    try:
        return Reason(text or "")
    except ValueError:
        raise EvidenceRefused("this is no reason to exclude anything", where) from None


def _entry(fields: Fields) -> EntryLine:
    return EntryLine(
        fields.uuid("conversation"),
        fields.number("seq"),
        _status(fields),
        reason=fields.text("reason") if fields.has("reason") else None,
        certificate=fields.uuid("certificate") if fields.has("certificate") else None,
        file=fields.text("file") if fields.has("file") else None,
        bates=_bates(fields) if fields.has("bates") else None,
        redacted=fields.has("redacted") and fields.raw("redacted") is True,
        proof=Fields(fields.raw("proof"), fields.where) if fields.has("proof") else None,
    )


def _run(fields: Fields) -> RunLine:
    run = RunLine(
        fields.uuid("conversation"),
        fields.number("first"),
        fields.number("last"),
        reason_of(fields.text("reason"), fields.where),
    )
    if not 1 <= run.first <= run.last:
        raise EvidenceRefused("the run has no entries", fields.where)
    return run


def _bates(fields: Fields) -> tuple[str, str]:
    match fields.items("bates"):
        case [str(first), str(last)]:
            return first, last
    raise EvidenceRefused("a first and a last number are missing", fields.where)


def _status(fields: Fields) -> Status:
    try:
        return Status(fields.text("status"))
    except ValueError:
        raise EvidenceRefused("there is no such status", fields.where) from None


def _proof_object(proof: EntryProof) -> dict[str, Any]:
    halves = {
        "metadata": None if proof.metadata is None else proof.metadata.decode(),
        "metadata_salt": _hex(proof.metadata_salt),
        "metadata_commitment": _hex(proof.metadata_commitment),
        "body_salt": _hex(proof.body_salt),
        "body_commitment": _hex(proof.body_commitment),
        "body_member": proof.body_member,
    }
    shown = {name: value for name, value in halves.items() if value is not None}
    return {"commit": str(proof.commit), "path": [encoded(each) for each in proof.path], **shown}


def _hex(value: bytes | None) -> str | None:
    return None if value is None else value.hex()


def _line(kind: str, members: dict[str, Any]) -> bytes:
    present = {name: value for name, value in members.items() if value is not None}
    return canonical_line({"kind": kind, **present}) + b"\n"
