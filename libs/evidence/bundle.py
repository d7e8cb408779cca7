"""Bundles: evidence in one file of JSON, which a stranger checks with `trust.json` and nothing else.

Every bundle is an object with `"v": 1`, its `kind`, the `checkpoint` (a signed note) that everything in it
leads to, and `others`: further checkpoints of the same log, each `{"checkpoint": note, "proof": [hash…]}`
with the consistency proof between the smaller and the larger of the two. Hashes are base64, commitments and
salts hex, numbers decimal strings; a leaf is the string of its canonical bytes.

- `act`: `leaf`, `proof` (inclusion), optionally `detail` with its `salt`.
- `log-range`: `leaves` in a row, `proof` (of the row), `details`: `[{"index", "detail", "salt"}…]`.
- `conversation-range`: `conversation`, `commits`: `[{"leaf", "proof", "detail", "salt"}…]`, and `entries`
  in a row: `{"seq", "commit": number of its commit, "path"}` with `metadata` (the string of its canonical
  bytes) and `metadata_salt`, or `metadata_commitment`; and with `body` (base64) and `body_salt`, or
  `body_commitment`, or neither where the entry has no body.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from libs.evidence.canonical import encoded
from libs.evidence.detail import Detail, detail_object

ACT = "act"
LOG_RANGE = "log-range"
CONVERSATION_RANGE = "conversation-range"


class Witness(NamedTuple):
    """Another checkpoint of the log, with the proof that the larger tree only appended to the smaller."""

    checkpoint: bytes
    proof: Sequence[bytes]


class Commit(NamedTuple):
    """The leaf of a messaging commit, its inclusion proof, and its detail with the salt."""

    leaf: bytes
    proof: Sequence[bytes]
    detail: Detail
    salt: bytes


class ShownEntry(NamedTuple):
    """An entry of a conversation: each part with its salt, or as its commitment alone.

    `commit` numbers the commit that brought it; `path` is its inclusion proof in the commit's tree. An entry
    without a body has neither `body` nor `body_commitment`.
    """

    seq: int
    commit: int
    path: Sequence[bytes]
    metadata: bytes | None = None
    metadata_salt: bytes | None = None
    metadata_commitment: bytes | None = None
    body: bytes | None = None
    body_salt: bytes | None = None
    body_commitment: bytes | None = None


def act_bundle(
    leaf: bytes,
    proof: Sequence[bytes],
    checkpoint: bytes,
    *,
    detail: Detail | None = None,
    salt: bytes | None = None,
    others: Sequence[Witness] = (),
) -> bytes:
    """Return the evidence of one act; its detail is shown when it is given with its salt."""
    shown = {} if detail is None or salt is None else _opened(detail, salt)
    return _bundle(ACT, checkpoint, others, {"leaf": leaf.decode(), "proof": _hashes(proof), **shown})


def log_range_bundle(
    leaves: Sequence[bytes],
    proof: Sequence[bytes],
    checkpoint: bytes,
    *,
    details: Mapping[int, tuple[Detail, bytes]] | None = None,
    others: Sequence[Witness] = (),
) -> bytes:
    """Return the evidence of leaves in a row; `details` are shown by index, each with its salt."""
    shown = [
        {"index": str(index), **_opened(detail, salt)} for index, (detail, salt) in (details or {}).items()
    ]
    members = {"leaves": [leaf.decode() for leaf in leaves], "proof": _hashes(proof), "details": shown}
    return _bundle(LOG_RANGE, checkpoint, others, members)


def conversation_bundle(
    conversation: UUID,
    entries: Sequence[ShownEntry],
    commits: Sequence[Commit],
    checkpoint: bytes,
    *,
    others: Sequence[Witness] = (),
) -> bytes:
    """Return the evidence of a conversation's entries in a row, by their commits."""
    members = {
        "conversation": str(conversation),
        "commits": [_commit(commit) for commit in commits],
        "entries": [_entry(entry) for entry in entries],
    }
    return _bundle(CONVERSATION_RANGE, checkpoint, others, members)


def _bundle(kind: str, checkpoint: bytes, others: Sequence[Witness], members: dict[str, Any]) -> bytes:
    further = [{"checkpoint": one.checkpoint.decode(), "proof": _hashes(one.proof)} for one in others]
    head = {"v": 1, "kind": kind, "checkpoint": checkpoint.decode(), "others": further}
    return json.dumps({**head, **members}, indent=1, ensure_ascii=False).encode()


def _commit(commit: Commit) -> dict[str, Any]:
    return {
        "leaf": commit.leaf.decode(),
        "proof": _hashes(commit.proof),
        **_opened(commit.detail, commit.salt),
    }


def _entry(entry: ShownEntry) -> dict[str, Any]:
    members = {
        "seq": str(entry.seq),
        "commit": str(entry.commit),
        "path": _hashes(entry.path),
        "metadata": None if entry.metadata is None else entry.metadata.decode(),
        "metadata_salt": _hex(entry.metadata_salt),
        "metadata_commitment": _hex(entry.metadata_commitment),
        "body": None if entry.body is None else encoded(entry.body),
        "body_salt": _hex(entry.body_salt),
        "body_commitment": _hex(entry.body_commitment),
    }
    return {name: value for name, value in members.items() if value is not None}


def _opened(detail: Detail, salt: bytes) -> dict[str, Any]:
    return {"detail": detail_object(detail), "salt": salt.hex()}


def _hashes(proof: Sequence[bytes]) -> list[str]:
    return [encoded(value) for value in proof]


def _hex(value: bytes | None) -> str | None:
    return None if value is None else value.hex()
