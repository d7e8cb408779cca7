"""Salted commitments to an entry's metadata and to its body, each provable without the other.

A commitment is SHA-256 over a label, a 16-byte salt and the canonical bytes, framed by their lengths.
The salts lie inside the sealed payload and die with it: what stays in the log cannot be guessed.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from libs.kernel.ids import MessageId, PrincipalId
from services.messaging.domain.entries import ConversationKey, EntryKind, Provenance

SALT_BYTES = 16


class Described(Protocol):
    """What the metadata say of an entry beside its place: a draft knows it, and the log keeps it."""

    @property
    def kind(self) -> EntryKind:
        """What it records."""
        ...

    @property
    def message(self) -> MessageId:
        """Its message."""
        ...

    @property
    def revision(self) -> int:
        """Which revision of the message."""
        ...

    @property
    def actor(self) -> PrincipalId:
        """Who did it."""
        ...

    @property
    def sent_at(self) -> datetime:
        """When, in UTC."""
        ...

    @property
    def subjects(self) -> Sequence[PrincipalId]:
        """Whom it was done to."""
        ...

    @property
    def provenance(self) -> Provenance | None:
        """Where it was imported from, None for what was said here."""
        ...


def metadata_of(key: ConversationKey, entry: Described, seq: int) -> bytes:
    """Return an entry's metadata as canonical JSON (RFC 8785): sorted keys, ASCII, integers only.

    Every value is a UUID, an integer, a timestamp or a hash in hex, so that no string needs an escape. An
    entry that was not imported has no `provenance`.
    """
    provenance = ""
    if entry.provenance is not None:
        source, line = entry.provenance
        provenance = f'"provenance":{{"line":{line},"source":"{source.hex()}"}},'
    subjects = ",".join(f'"{subject}"' for subject in entry.subjects)
    return (
        f'{{"actor":"{entry.actor}","conversation":"{key.conversation}","kind":{int(entry.kind)},'
        f'"message":"{entry.message}",{provenance}"revision":{entry.revision},'
        f'"sent_at":"{entry.sent_at.replace(tzinfo=None).isoformat(timespec="microseconds")}Z","seq":{seq},"subjects":[{subjects}],'
        f'"tenant":"{key.tenant}"}}'
    ).encode()
