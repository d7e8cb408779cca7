"""What is sealed for an entry: two salts, then the body as it was sent."""

from typing import NamedTuple

from services.messaging.domain.commitments import SALT_BYTES
from services.messaging.domain.errors import BodyRefused

MOST_BODY_BYTES = 32_768


class Payload(NamedTuple):
    """The clear payload of an entry; the salts are those of its two commitments (16 bytes each)."""

    metadata_salt: bytes
    body_salt: bytes
    body: bytes


def packed(payload: Payload) -> bytes:
    """Return the payload's bytes for the seal: metadata salt (16), body salt (16), body."""
    return payload.metadata_salt + payload.body_salt + payload.body


def unpacked(plaintext: bytes) -> Payload:
    """Return the payload that `packed` made."""
    return Payload(
        plaintext[:SALT_BYTES], plaintext[SALT_BYTES : 2 * SALT_BYTES], plaintext[2 * SALT_BYTES :]
    )


def decide_body(body: bytes) -> bytes:
    """Return a body that may be sent. Raises BodyRefused above 32 KiB."""
    if len(body) > MOST_BODY_BYTES:
        raise BodyRefused(len(body), MOST_BODY_BYTES)
    return body
