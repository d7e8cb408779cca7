"""Signing keys for access tokens: made, leased, published and retired by the clock."""

import hashlib
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from libs.kernel.framing import framed

SEED_SIZE: Final = 32
SEALING_KEY: Final = "signing"
"""The key in Transit that seals signing keys."""

TOKENS: Final = "tokens"
"""The use of the keys that sign access tokens."""
PUBLISHED_AFTER_END: Final = timedelta(minutes=15)
"""A token lives at most five minutes: its key can be checked until the last one and every clock is past."""
SUCCEEDED_BEFORE_END: Final = timedelta(hours=24)
"""A lease is never shorter than this, so that a holder that is cut off for a while keeps signing."""

_BINDING: Final = b"muniment signing key v1"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An Ed25519 key as it is stored; signs in [not_before, not_after) and is published somewhat longer."""

    kid: str
    use: str
    ordinal: int
    public: bytes
    sealed: str
    not_before: datetime
    not_after: datetime

    @property
    def published_until(self) -> datetime:
        """The instant from which its public key is no longer published."""
        return self.not_after + PUBLISHED_AFTER_END


@dataclass(frozen=True, slots=True, repr=False)
class ClearSigningKey:
    """A private seed (32 bytes), for the memory of the one service that signs with it."""

    kid: str
    private: bytes
    not_after: datetime

    def __repr__(self) -> str:
        """Name the key without showing it."""
        return f"ClearSigningKey({self.kid})"


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


def binding_of(kid: str, use: str) -> bytes:
    """Return what the sealing binds: a sealed key opens under its own name and use alone."""
    return framed(_BINDING, kid.encode(), use.encode())


def context_of(use: str) -> bytes:
    """Return the context from which the vault derives the sealing key."""
    return framed(_BINDING, use.encode())


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
