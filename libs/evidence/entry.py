"""An entry of a conversation in the tree of its commit: the lower of the two levels of a message's proof."""

import hashlib
from collections.abc import Sequence
from uuid import UUID

from libs.evidence.canonical import canonical_line, parse_json
from libs.evidence.detail import Run
from libs.evidence.errors import EvidenceRefused
from libs.kernel.framing import framed
from libs.merkle.hashing import HASH_BYTES, leaf_hash

_METADATA = b"muniment/entry-metadata/v1"
_BODY = b"muniment/entry-body/v1"
_NO_BODY = bytes(HASH_BYTES)

BODY_MEMBERS = ("text", "name", "reason", "topic")
"""Of which a body has one.

What a message says, how a conversation is called, why a message was retracted, what a conversation is about.
"""


def metadata_commitment(metadata: bytes, salt: bytes) -> bytes:
    """Return the 32-byte commitment to an entry's canonical metadata."""
    return hashlib.sha256(framed(_METADATA, salt, metadata)).digest()


def body_commitment(body: bytes, salt: bytes) -> bytes:
    """Return the 32-byte commitment to a body as it was sent."""
    return hashlib.sha256(framed(_BODY, salt, body)).digest()


def body_holding(member: str, text: str) -> bytes:
    """Return the body as it was committed to whose one member `member` is `text`: its canonical JSON."""
    return canonical_line({member: text})


def find_member(body: bytes) -> tuple[str, str] | None:
    """Return the one member of a body and its text, None where `body_holding` would not give the body."""
    try:
        value = parse_json(body, "body")
        if not isinstance(value, dict) or len(value) != 1:
            return None
        ((member, text),) = value.items()
        known = member in BODY_MEMBERS and isinstance(text, str)
        return (member, text) if known and body_holding(member, text) == body else None
    except EvidenceRefused:
        return None


def entry_leaf(metadata: bytes, body: bytes | None) -> bytes:
    """Return the leaf hash of an entry, from its commitments (32 bytes each; None: it has no body)."""
    return leaf_hash(metadata + (_NO_BODY if body is None else body))


def place_in(runs: Sequence[Run], conversation: UUID, seq: int) -> tuple[int, int]:
    """Return where an entry stands in the tree of its commit, and the size of that tree.

    Raises EvidenceRefused for runs that are not in order or overlap, and for an entry outside of them.
    """
    size, place, before = 0, None, ("", -1)
    for run in runs:
        if run.first > run.last or (run.conversation, run.first) <= before:
            raise EvidenceRefused("the runs of the commit are not in order", "runs")
        if run.conversation == str(conversation) and run.first <= seq <= run.last:
            place = size + seq - run.first
        size, before = size + run.last - run.first + 1, (run.conversation, run.last)
    if place is None:
        raise EvidenceRefused(f"the commit did not bring entry {seq} of this conversation", "runs")
    return place, size
