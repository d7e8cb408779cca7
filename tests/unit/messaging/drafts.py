"""Drafts for tests of pure rules."""

from datetime import UTC, datetime
from uuid import UUID, uuid5

from libs.kernel.ids import ConversationId, DeviceId, MessageId, PrincipalId, TenantId
from services.messaging.domain.entries import ConversationKey, Draft, EntryKind

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
TENANT = TenantId(UUID("01900000-0000-7000-8000-000000000001"))


def named(name: str) -> UUID:
    """Return an id that is always the same for a name."""
    return uuid5(TENANT, name)


def key_of(conversation: str = "plans") -> ConversationKey:
    return ConversationKey(TENANT, ConversationId(named(conversation)))


def draft(
    *,
    conversation: str = "plans",
    actor: str = "ada",
    client_id: str | None = None,
    kind: EntryKind = EntryKind.MESSAGE_CREATED,
    version: int = 1,
    fingerprint: bytes = b"f",
    message: str = "m",
    subjects: tuple[str, ...] = (),
    revision: int = 0,
    message_seq: int | None = None,
) -> Draft:
    return Draft(
        key=key_of(conversation),
        kind=kind,
        message=MessageId(named(message)),
        actor=PrincipalId(named(actor)),
        device=DeviceId(named(f"{actor}'s phone")),
        sent_at=NOON,
        members_version=version,
        metadata_salt=b"s" * 16,
        client_id=None if client_id is None else named(client_id),
        fingerprint=fingerprint,
        subjects=tuple(PrincipalId(named(subject)) for subject in subjects),
        revision=revision,
        message_seq=message_seq,
    )
