"""Sealing and opening records under one data key."""

from hmac import compare_digest
from typing import Final

from libs.envelope.errors import KeyExhausted, RecordRefused
from libs.envelope.place import Place, binding_of
from libs.envelope.primitives import Aead, derived
from libs.envelope.record import HEADER_SIZE, MARK, MINIMUM_SIZE, NONCE_AT
from libs.kernel.ids import DekId

DEK_SIZE: Final = 32
RECORDS_PER_KEY: Final = 1 << 20
"""Far below the 2^32 random nonces a key may see (NIST SP 800-38D, section 8.3)."""

_ENCRYPTION: Final = b"muniment record v1 encryption"
_COMMITMENT: Final = b"muniment record v1 commitment"


class SealingKey:
    """One data key, made ready once: both derivations and the cipher's key schedule are kept.

    AES-GCM alone commits to no key: one ciphertext can be crafted that opens under two. Hence the
    commitment in each header, compared before anything is decrypted.
    """

    __slots__ = ("_aead", "_prefix", "_sealed", "dek")

    def __init__(self, dek_id: DekId, dek: bytes, *, sealed: int = 0) -> None:
        """Derive from `dek` (32 bytes) the keys of the records that `dek_id` names.

        `sealed` is the number of records that are known to be sealed under it already.
        """
        if len(dek) != DEK_SIZE:
            msg = f"a data key has {DEK_SIZE} bytes"
            raise ValueError(msg)
        self.dek = dek_id
        self._aead = Aead(derived(dek, _ENCRYPTION))
        self._prefix = MARK + dek_id.bytes + derived(dek, _COMMITMENT)
        self._sealed = sealed

    @property
    def sealed(self) -> int:
        """Return how many records were sealed under this key, as far as this object knows."""
        return self._sealed

    def seal(self, plaintext: bytes, place: Place, nonce: bytes) -> bytes:
        """Return the record of `plaintext`, which opens at `place` alone; `nonce` is 12 random bytes.

        Raises KeyExhausted after 2^20 records, ValueError for a nonce of another size.
        """
        if self._sealed >= RECORDS_PER_KEY:
            raise KeyExhausted(self.dek)
        header = self._prefix + nonce
        sealed = self._aead.encrypt(nonce, plaintext, header + binding_of(place))
        self._sealed += 1
        return header + sealed

    def open(self, record: bytes, place: Place) -> bytes:
        """Return the plaintext of a record that was sealed under this key at this place.

        Raises RecordRefused, whatever the defect is.
        """
        if len(record) < MINIMUM_SIZE or not compare_digest(record[:NONCE_AT], self._prefix):
            raise RecordRefused
        header = record[:HEADER_SIZE]
        return self._aead.decrypt(header[NONCE_AT:], record[HEADER_SIZE:], header + binding_of(place))

    def __repr__(self) -> str:
        """Name the key without showing any of it."""
        return f"SealingKey({self.dek})"

    def __reduce__(self) -> str:
        """Refuse to be pickled or copied: a data key leaves its process in no form."""
        msg = "a sealing key stays in the memory of its process"
        raise TypeError(msg)
