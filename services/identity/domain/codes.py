"""Secrets that people and machines carry: one-time sign-in codes and SCIM tokens, kept as hashes."""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from libs.kernel.ids import TenantId

CODE_LIFETIME: Final = timedelta(hours=1)
CODE_BYTES: Final = 13
"""Randomness asked for a code; 100 of its bits are used."""
SCIM_SECRET_BYTES: Final = 32
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CODE_LENGTH: Final = 20
_GROUP: Final = 4
_MISREAD: Final = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None})
_SCIM_PREFIX: Final = "mscim_"


@dataclass(frozen=True, slots=True)
class SignInCode:
    """A one-time code: the tenant's slug and 100 random bits, e.g. `acme.9X3K-…`."""

    slug: str
    letters: str

    def text(self) -> str:
        """Return the code as a person reads and types it."""
        groups = [self.letters[at : at + _GROUP] for at in range(0, _CODE_LENGTH, _GROUP)]
        return f"{self.slug}.{'-'.join(groups)}"

    def digest(self) -> bytes:
        """Return what is kept of the code: SHA-256 of its letters (100 bits need no slow hash)."""
        return hashlib.sha256(self.letters.encode()).digest()


def code_of(slug: str, randomness: bytes) -> SignInCode:
    """Return the code of 13 random bytes, in Crockford's base 32, which has no letters to misread."""
    number = int.from_bytes(randomness[:CODE_BYTES])
    letters = "".join(_ALPHABET[(number >> (5 * place)) & 31] for place in range(_CODE_LENGTH))
    return SignInCode(slug, letters)


def find_code(text: str) -> SignInCode | None:
    """Return the code that a person typed, whatever its case and hyphens; None if it is none."""
    slug, dot, letters = text.strip().partition(".")
    letters = letters.upper().translate(_MISREAD)
    if not dot or len(letters) != _CODE_LENGTH or not set(letters) <= set(_ALPHABET):
        return None
    return SignInCode(slug.lower(), letters)


@dataclass(frozen=True, slots=True)
class ScimToken:
    """A bearer token for one tenant's SCIM endpoint; it names the tenant and proves it by its secret."""

    tenant: TenantId
    secret: bytes

    def text(self) -> str:
        """Return the token as the directory's administrator pastes it."""
        raw = base64.urlsafe_b64encode(self.tenant.bytes + self.secret).rstrip(b"=")
        return _SCIM_PREFIX + raw.decode()

    def digest(self) -> bytes:
        """Return what is kept of the token: SHA-256 of its secret."""
        return hashlib.sha256(self.secret).digest()


def find_scim_token(text: str) -> ScimToken | None:
    """Return what the text says, or None if it is no SCIM token; whether it is good stays open."""
    if not text.startswith(_SCIM_PREFIX) or not text.isascii():
        return None
    body = text.removeprefix(_SCIM_PREFIX)
    try:
        raw = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        return None
    if len(raw) != 16 + SCIM_SECRET_BYTES:
        return None
    return ScimToken(TenantId(UUID(bytes=raw[:16])), raw[16:])
