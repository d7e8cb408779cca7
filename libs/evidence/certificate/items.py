"""The lines of a segment: one destroyed item each, in one spelling.

Members: `conversation`, `seq`, `conversation_type`, `sent_at`, `commit` (the act of the log whose root leads
to the item), `metadata_commitment`, `body_commitment`, `dek` (the data key that had sealed it), `bytes`,
`due_at`, `destroy_at`, `destroyed_at`, and by whose word: `voice`, `source`, and `version` of a rule.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from libs.evidence.canonical import Fields, canonical_line, parse_json
from libs.evidence.errors import EvidenceRefused
from libs.evidence.production.manifest import instant_in, instant_text
from libs.merkle.hashing import HASH_BYTES


@dataclass(frozen=True, slots=True)
class DestroyedLine:
    """An item that was destroyed; nothing of what was said is left in it, and instants are aware."""

    conversation: UUID
    seq: int
    conversation_type: str
    sent_at: datetime
    commit: UUID
    metadata_commitment: bytes
    body_commitment: bytes
    dek: UUID
    size: int
    due_at: datetime
    destroy_at: datetime
    destroyed_at: datetime
    voice: str
    source: UUID | None = None
    version: int | None = None

    @property
    def place(self) -> tuple[UUID, int]:
        """Return what items are in order of."""
        return self.conversation, self.seq


def item_line(item: DestroyedLine) -> bytes:
    """Return the line of an item, with its newline."""
    members = {
        "conversation": str(item.conversation),
        "seq": str(item.seq),
        "conversation_type": item.conversation_type,
        "sent_at": instant_text(item.sent_at),
        "commit": str(item.commit),
        "metadata_commitment": item.metadata_commitment.hex(),
        "body_commitment": item.body_commitment.hex(),
        "dek": str(item.dek),
        "bytes": str(item.size),
        "due_at": instant_text(item.due_at),
        "destroy_at": instant_text(item.destroy_at),
        "destroyed_at": instant_text(item.destroyed_at),
        "voice": item.voice,
        "source": None if item.source is None else str(item.source),
        "version": None if item.version is None else str(item.version),
    }
    present = {name: value for name, value in members.items() if value is not None}
    return canonical_line(present) + b"\n"


def parse_item(data: bytes, where: str) -> DestroyedLine:
    """Read a line without its newline, in its one spelling. Raises EvidenceRefused for every other one."""
    fields = Fields(parse_json(data, where), where)
    item = DestroyedLine(
        fields.uuid("conversation"),
        fields.number("seq"),
        fields.text("conversation_type"),
        instant_in(fields, "sent_at"),
        fields.uuid("commit"),
        fields.hexed("metadata_commitment", HASH_BYTES),
        fields.hexed("body_commitment", HASH_BYTES),
        fields.uuid("dek"),
        fields.number("bytes"),
        instant_in(fields, "due_at"),
        instant_in(fields, "destroy_at"),
        instant_in(fields, "destroyed_at"),
        fields.text("voice"),
        source=fields.uuid("source") if fields.has("source") else None,
        version=fields.number("version") if fields.has("version") else None,
    )
    fields.end()
    if item_line(item) != data + b"\n":
        raise EvidenceRefused("the line is not in its one spelling", where)
    return item
