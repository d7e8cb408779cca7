"""Typed events and their CloudEvents envelope.

Events carry references and key versions, never content. Readers are tolerant: fields are only added,
always with a default, and an unknown field or event is no error. The snapshots in
`tests/contract/events/schemas` hold each event's fields: one that vanishes or changes fails there.
"""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import ClassVar
from uuid import UUID

import msgspec

from libs.contracts.cloudevents import (
    CONTENT_TYPE,
    PLATFORM_TENANT,
    SPEC_VERSION,
    CloudEvent,
    Event,
    Instant,
    MalformedEvent,
    source_of,
)
from libs.contracts.facts import FACTS
from libs.contracts.holds import BARRIER
from libs.contracts.retention import DISPOSITION

__all__ = [
    "CONTENT_TYPE",
    "EVENTS",
    "PLATFORM_TENANT",
    "SPEC_VERSION",
    "CloudEvent",
    "Event",
    "Instant",
    "MalformedEvent",
    "decode",
    "encode",
    "event_of",
    "names_of",
    "source_of",
]


class TenantCreated(Event, frozen=True, kw_only=True):
    """A tenant was made."""

    name: ClassVar[str] = "identity.tenant.created.v1"
    tenant: UUID
    slug: str
    title: str = msgspec.field(name="name")


class PrincipalProvisioned(Event, frozen=True, kw_only=True):
    """A person came into the tenant's directory; the names are directory data."""

    name: ClassVar[str] = "identity.principal.provisioned.v1"
    principal: UUID
    display_name: str
    active: bool
    roles: tuple[str, ...]


class PrincipalUpdated(Event, frozen=True, kw_only=True):
    """A person's directory data changed; the event carries the whole new state."""

    name: ClassVar[str] = "identity.principal.updated.v1"
    principal: UUID
    display_name: str
    active: bool
    roles: tuple[str, ...]


class PrincipalDeactivated(Event, frozen=True, kw_only=True):
    """A person may no longer sign in; every session ends with it."""

    name: ClassVar[str] = "identity.principal.deactivated.v1"
    principal: UUID


class SessionStarted(Event, frozen=True, kw_only=True):
    """A device signed in."""

    name: ClassVar[str] = "identity.session.started.v1"
    session: UUID
    principal: UUID
    device: UUID


class SessionRevoked(Event, frozen=True, kw_only=True):
    """A session ended; its access tokens are refused from now on."""

    name: ClassVar[str] = "identity.session.revoked.v1"
    session: UUID
    principal: UUID
    reason: str


class RoleGranted(Event, frozen=True, kw_only=True):
    """A principal received a role."""

    name: ClassVar[str] = "identity.role.granted.v1"
    principal: UUID
    role: str


class RoleRevoked(Event, frozen=True, kw_only=True):
    """A principal lost a role."""

    name: ClassVar[str] = "identity.role.revoked.v1"
    principal: UUID
    role: str


class KekCreated(Event, frozen=True, kw_only=True):
    """A tenant's key-encryption key was made; `kek` is its name in Transit."""

    name: ClassVar[str] = "keys.kek.created.v1"
    kek: str
    kek_version: int


class DekCreated(Event, frozen=True, kw_only=True):
    """A data-encryption key was made for a conversation's epoch (`2026-11`)."""

    name: ClassVar[str] = "keys.dek.created.v1"
    dek: UUID
    conversation: UUID
    epoch: str
    kek_version: int


class DekUnwrapped(Event, frozen=True, kw_only=True):
    """Data-encryption keys were given to a service: one entry of the key-access log."""

    name: ClassVar[str] = "keys.dek.unwrapped.v1"
    deks: tuple[UUID, ...]
    purpose: str
    act: str
    service: str


class SigningKeyCreated(Event, frozen=True, kw_only=True):
    """A key that signs was made for a `use` (`tokens`): a fact of the platform, whose tenant is nil."""

    name: ClassVar[str] = "keys.signing-key.created.v1"
    kid: str
    use: str
    not_after: Instant


class SigningKeyLeased(Event, frozen=True, kw_only=True):
    """A signing key was given to a service: a fact of the platform, whose tenant is nil."""

    name: ClassVar[str] = "keys.signing-key.leased.v1"
    kid: str
    service: str


class CommittedEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a conversation's log by reference; `message`, `dek` and `sent_at` only for messages.

    Who is added sees what is said from then on, or all from `seen_from` on, where that is set. A revision or
    retraction has the `message` of what it amends, whose first entry is at `message_seq`.
    """

    seq: int
    kind: str
    message: UUID | None
    revision: int
    dek: UUID | None
    sent_at: Instant | None
    seen_from: int | None = None
    message_seq: int | None = None


class EntriesCommitted(Event, frozen=True, kw_only=True):
    """Entries were appended to a conversation's log in one commit, in order of `seq`."""

    name: ClassVar[str] = "messaging.entries.committed.v1"
    conversation: UUID
    partition: int
    members_version: int
    entries: tuple[CommittedEntry, ...]


_ALL: tuple[type[Event], ...] = (
    TenantCreated,
    PrincipalProvisioned,
    PrincipalUpdated,
    PrincipalDeactivated,
    SessionStarted,
    SessionRevoked,
    RoleGranted,
    RoleRevoked,
    KekCreated,
    DekCreated,
    DekUnwrapped,
    SigningKeyCreated,
    SigningKeyLeased,
    EntriesCommitted,
    *BARRIER,
    *DISPOSITION,
    *FACTS,
)

EVENTS: Mapping[str, type[Event]] = MappingProxyType({event.name: event for event in _ALL})
"""Every event there is, by name."""


def names_of(*kinds: type[Event]) -> frozenset[str]:
    """Return the names of the events of these kinds."""
    return frozenset(name for name, event in EVENTS.items() if issubclass(event, kinds))


_ENCODER = msgspec.json.Encoder()
_ENVELOPES = msgspec.json.Decoder(CloudEvent)
_READERS: Mapping[str, msgspec.json.Decoder[Event]] = MappingProxyType(
    {name: msgspec.json.Decoder(event) for name, event in EVENTS.items()}
)


def encode(
    event: Event,
    *,
    id: UUID,  # noqa: A002 - the attribute's name in CloudEvents
    time: datetime,
    tenant: UUID,
    subject: str | None = None,
    traceparent: str | None = None,
) -> bytes:
    """Return the event in its envelope, as JSON; `time` is aware, `subject` the id of what it is about."""
    envelope = CloudEvent(
        specversion=SPEC_VERSION,
        id=id,
        source="/" + source_of(event.name),
        type=event.name,
        time=time,
        tenant=tenant,
        subject=subject,
        traceparent=traceparent,
        data=msgspec.Raw(_ENCODER.encode(event)),
    )
    return _ENCODER.encode(envelope)


def decode(body: bytes) -> tuple[CloudEvent, Event | None]:
    """Return the envelope and its event, None if this reader does not know the event's name.

    Raises MalformedEvent when the envelope or the data of a known event cannot be read.
    """
    try:
        envelope = _ENVELOPES.decode(body)
    except msgspec.DecodeError as defect:
        raise MalformedEvent(_place_of(defect)) from None
    if envelope.specversion != SPEC_VERSION:
        msg = "the envelope is not of CloudEvents 1.0"
        raise MalformedEvent(msg)
    return envelope, event_of(envelope)


def event_of(envelope: CloudEvent) -> Event | None:
    """Return the envelope's event, None if this reader does not know its name. Raises MalformedEvent."""
    reader = _READERS.get(envelope.type)
    if reader is None:
        return None
    try:
        return reader.decode(envelope.data)
    except msgspec.DecodeError as defect:
        msg = f"{envelope.type}: {_place_of(defect)}"
        raise MalformedEvent(msg) from None


def _place_of(defect: msgspec.DecodeError) -> str:
    """Return where the defect lies; msgspec's text itself may quote a value."""
    _, found, place = str(defect).rpartition(" - at ")
    return f"unreadable at {place}" if found else "unreadable"
