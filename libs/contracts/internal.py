"""The calls between services, under `/internal/…`: msgspec structs as MessagePack.

Ids travel as 16 bytes. Structs that carry keys, tokens or passwords print as stars.
"""

from datetime import datetime
from typing import Annotated, Final, TypeVar
from uuid import UUID

import msgspec

MEDIA_TYPE: Final = "application/msgpack"
BATCH_LIMIT: Final = 200
"""Items of one obtain or unwrap, at most."""

Instant = Annotated[datetime, msgspec.Meta(tz=True)]
T = TypeVar("T")


class MalformedMessage(ValueError):
    """A body is not the MessagePack of what was expected; the text names the place, no value."""


class Wire(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message between services."""


class SecretWire(Wire, frozen=True, kw_only=True, omit_defaults=True):
    """A message that must not be seen: it prints as stars."""

    def __repr__(self) -> str:
        """Return the name alone."""
        return f"{type(self).__name__}(***)"


class Done(Wire):
    """The act is done; there is nothing more to say."""


# keys


class DekScope(Wire):
    """What a DEK is for: a conversation and the epoch (`2026-11`) of `sent_at`."""

    tenant: UUID
    conversation: UUID
    epoch: str


class ObtainDeks(Wire):
    """POST /internal/deks/obtain: get or make, `act` names the act that the keys serve."""

    items: tuple[DekScope, ...]
    purpose: str
    act: str


class ObtainedDek(SecretWire):
    """A DEK in clear, 32 bytes, for memory alone."""

    dek: UUID
    key: bytes
    kek_version: int


class ObtainedDeks(Wire):
    """The answer to ObtainDeks, item by item in its order."""

    items: tuple[ObtainedDek, ...]


class DekReference(Wire):
    """A DEK of a tenant."""

    tenant: UUID
    dek: UUID


class UnwrapDeks(Wire):
    """POST /internal/deks/unwrap."""

    items: tuple[DekReference, ...]
    purpose: str
    act: str


class UnwrappedDek(SecretWire):
    """A DEK in clear, or the code of the problem (`not-found`) that stands in its way."""

    dek: UUID
    key: bytes | None = None
    problem: str | None = None


class UnwrappedDeks(Wire):
    """The answer to UnwrapDeks, item by item in its order."""

    items: tuple[UnwrappedDek, ...]


class ObtainFingerprintKey(Wire):
    """POST /internal/fingerprint-keys/obtain."""

    tenant: UUID


class FingerprintKey(SecretWire):
    """The tenant's key for fingerprints of bodies, 32 bytes."""

    key: bytes


class LeaseTokenKey(Wire):
    """POST /internal/signing-keys/tokens/lease."""


class TokenKeyLease(SecretWire):
    """An Ed25519 seed (32 bytes) that signs access tokens until `not_after`."""

    kid: str
    private: bytes
    not_after: Instant


# identity


class CreateTenant(Wire):
    """POST /internal/tenants."""

    slug: str
    name: str
    local_sign_in: bool = False


class TenantMade(Wire):
    """The answer to CreateTenant."""

    tenant: UUID


class IssueScimToken(Wire):
    """POST /internal/tenants/{tenant}/scim-tokens."""


class ScimToken(SecretWire):
    """A bearer token for the tenant's SCIM endpoints, shown once."""

    token: str
    expires_at: Instant


class IssueSignInCodes(Wire):
    """POST /internal/tenants/{tenant}/sign-in-codes."""

    principals: tuple[UUID, ...]


class SignInCode(SecretWire):
    """A one-time code that starts a session within the hour."""

    principal: UUID
    code: str


class SignInCodes(Wire):
    """The answer to IssueSignInCodes, in its order."""

    codes: tuple[SignInCode, ...]


class SetPassword(SecretWire):
    """POST /internal/tenants/{tenant}/passwords."""

    principal: UUID
    password: str


class GrantRole(Wire):
    """POST /internal/tenants/{tenant}/roles."""

    principal: UUID
    role: str


class Revocation(Wire):
    """What is refused from `at` on: one session, or every session of a principal that started before."""

    position: int
    tenant: UUID
    at: Instant
    session: UUID | None = None
    principal: UUID | None = None


class Revocations(Wire):
    """GET /internal/revocations?after=N: those after N, and the position up to which the answer is whole."""

    position: int
    items: tuple[Revocation, ...] = ()


# every service with an outbox


class OutboxRow(Wire):
    """One record of an outbox."""

    position: int
    tenant: UUID
    name: str
    body: bytes


class OutboxPage(Wire):
    """GET /internal/outbox?part=P&after=N&limit=L: records in order, none when there is nothing after N."""

    part: int
    rows: tuple[OutboxRow, ...] = ()


class ReportCursors(Wire):
    """POST /internal/cursors: a consumer's positions by partition."""

    consumer: str
    cursors: dict[int, int]


_ENCODER = msgspec.msgpack.Encoder(uuid_format="bytes")


def pack(message: Wire) -> bytes:
    """Return the message as MessagePack."""
    return _ENCODER.encode(message)


def unpack(body: bytes, kind: type[T]) -> T:
    """Return the message of `kind` that the bytes hold. Raises MalformedMessage."""
    try:
        return msgspec.msgpack.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as defect:
        _, found, place = str(defect).rpartition(" - at ")
        msg = f"{kind.__name__} is unreadable at {place}" if found else f"{kind.__name__} is unreadable"
        raise MalformedMessage(msg) from None
