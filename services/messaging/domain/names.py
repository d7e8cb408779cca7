"""Ids that are functions of what they name, so that making the same thing again is the same thing."""

import hashlib
from uuid import UUID

from libs.kernel.framing import framed


def named(*parts: bytes) -> UUID:
    """Return a UUID of version 8 whose bits are a hash of the parts. Source: RFC 9562, section 5.8."""
    digest = int.from_bytes(hashlib.blake2b(framed(*parts), digest_size=16).digest())
    versioned = (digest & ~(0xF << 76)) | (0x8 << 76)
    return UUID(int=(versioned & ~(0b11 << 62)) | (0b10 << 62))
