"""The two primitives that everything here stands on, narrowed to what this platform uses."""

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from libs.envelope.errors import RecordRefused

NONCE_SIZE: Final = 12
TAG_SIZE: Final = 16


def derived(secret: bytes, purpose: bytes, *, salt: bytes = b"", size: int = 32) -> bytes:
    """Return `size` bytes that only the holder of `secret` can derive for `purpose`.

    Raises ValueError for more than 255 blocks. Source: RFC 5869 with SHA-256.
    """
    return HKDF(algorithm=SHA256(), length=size, salt=salt, info=purpose).derive(secret)


class Aead:
    """AES-GCM with nonces of 96 bits and tags of 128 bits, and no others.

    Other nonces are hashed by the mode into ones that can meet (NIST SP 800-38D, section 8.2), and the
    library underneath takes them: hence the refusal here. The object keeps the key schedule.
    """

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        """Make ready a key of 16, 24 or 32 bytes."""
        self._cipher = AESGCM(key)

    def encrypt(self, nonce: bytes, plaintext: bytes, bound: bytes) -> bytes:
        """Return the ciphertext and its tag; raises ValueError for a nonce that has not 12 bytes."""
        if len(nonce) != NONCE_SIZE:
            msg = f"a nonce has {NONCE_SIZE} bytes"
            raise ValueError(msg)
        return self._cipher.encrypt(nonce, plaintext, bound)

    def decrypt(self, nonce: bytes, ciphertext: bytes, bound: bytes) -> bytes:
        """Return the plaintext; raises RecordRefused for every defect."""
        if len(nonce) != NONCE_SIZE or len(ciphertext) < TAG_SIZE:
            raise RecordRefused
        try:
            return self._cipher.decrypt(nonce, ciphertext, bound)
        except InvalidTag:
            raise RecordRefused from None
