"""Signing keys by their use: made, leased, succeeded by the clock or before it, and published for ever."""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

from libs.kernel.framing import framed

SEED_SIZE: Final = 32
SEALING_KEY: Final = "signing"
"""The key in Transit that seals signing keys."""


class Use(StrEnum):
    """What a key signs; a key of one use signs nothing else."""

    TOKENS = "tokens"
    CHECKPOINTS = "checkpoints"
    PRODUCTIONS = "productions"
    CERTIFICATES = "certificates"


class Initiator(StrEnum):
    """Who has a key made: the service itself, when its predecessor's end is near, or the operator."""

    KEYS = "keys"
    OPERATOR = "operator"


class LeaseTerm(NamedTuple):
    """How long a holder may sign without asking again, and after how long he is to ask."""

    length: timedelta
    renewed_after: timedelta


LEASE_TERMS: Final[Mapping[Use, LeaseTerm]] = MappingProxyType(
    {
        Use.TOKENS: LeaseTerm(timedelta(hours=24), timedelta(hours=1)),
        Use.CHECKPOINTS: LeaseTerm(timedelta(hours=1), timedelta(minutes=5)),
        Use.PRODUCTIONS: LeaseTerm(timedelta(hours=1), timedelta(minutes=5)),
        Use.CERTIFICATES: LeaseTerm(timedelta(hours=1), timedelta(minutes=5)),
    }
)
"""A rotated key is out of use after `renewed_after` where all is well, and after `length` in any case."""
PUBLISHED_AFTER_END: Final = timedelta(minutes=15)
"""A token lives at most five minutes: its key can be checked until the last one and every clock is past."""
SUCCEEDED_BEFORE_END: Final = timedelta(hours=24)
"""No lease is longer than this: a lease never outlasts its key."""

_UNDER_WAY: Final = timedelta(minutes=1)
"""For leases that are given while a key is rotated, and for clocks that differ."""

_BINDING: Final = b"muniment signing key v1"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An Ed25519 key as it is stored: it signs in [not_before, not_after).

    `not_after` is what was foreseen when it was made, or an earlier end, where another took its place.
    """

    kid: str
    use: Use
    ordinal: int
    public: bytes
    sealed: str
    not_before: datetime
    not_after: datetime

    @property
    def published_until(self) -> datetime:
        """The instant from which nothing current can be signed by it."""
        return self.not_after + PUBLISHED_AFTER_END


@dataclass(frozen=True, slots=True, repr=False)
class ClearSigningKey:
    """A private seed (32 bytes), for the memory of the one service that signs with it.

    It signs until `not_after`, the end of the lease; from `renew_at` on the holder asks again.
    """

    kid: str
    private: bytes
    not_after: datetime
    renew_at: datetime

    def __repr__(self) -> str:
        """Name the key without showing it."""
        return f"ClearSigningKey({self.kid})"


class Lease(NamedTuple):
    """A lease of the key `kid`, from `at` to `not_after`; its holder asks again from `renew_at` on."""

    kid: str
    service: str
    at: datetime
    renew_at: datetime
    not_after: datetime


def lease_of(key: SigningKey, service: str, now: datetime) -> Lease:
    """Return the lease of `key` that begins `now`; it never outlasts the key."""
    term = LEASE_TERMS[key.use]
    end = min(now + term.length, key.not_after)
    return Lease(key.kid, service, now, min(now + term.renewed_after, end), end)


def end_of_retired(use: Use, now: datetime) -> datetime:
    """Return the end of a key that is rotated `now`: when the last lease of it is over."""
    return now + LEASE_TERMS[use].length + _UNDER_WAY


def retired(key: SigningKey, not_after: datetime) -> SigningKey:
    """Return the key with its new end."""
    return replace(key, not_after=not_after)


def needs_successor(newest: SigningKey | None, now: datetime) -> bool:
    """Say whether a new key is to be made before anything is leased."""
    return newest is None or newest.not_after - now < SUCCEEDED_BEFORE_END


def ordinal_after(newest: SigningKey | None) -> int:
    """Return the place of the next key of its use; the first is 1."""
    return 1 if newest is None else newest.ordinal + 1


def kid_of(public: bytes) -> str:
    """Return the key's name, its JWK thumbprint. Source: RFC 7638, RFC 8037 (appendix A.3)."""
    members = f'{{"crv":"Ed25519","kty":"OKP","x":"{_base64url(public)}"}}'
    return _base64url(hashlib.sha256(members.encode()).digest())


def binding_of(kid: str, use: Use) -> bytes:
    """Return what the sealing binds: a sealed key opens under its own name and use alone."""
    return framed(_BINDING, kid.encode(), use.encode())


def context_of(use: Use) -> bytes:
    """Return the context from which the vault derives the sealing key."""
    return framed(_BINDING, use.encode())


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
