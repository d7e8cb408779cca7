"""The record, byte by byte.

======  ====  =====================================================================================
offset  size  what
======  ====  =====================================================================================
0       2     magic, ``MU``
2       1     version, 0x01
3       1     suite, 0x01: AES-256-GCM, keys by HKDF-SHA256, key commitment
4       16    id of the data key (DEK)
20      32    key commitment: a digest of the data key that two keys do not share
52      12    nonce
64      n     ciphertext, as long as the plaintext
64+n    16    tag
======  ====  =====================================================================================

The associated data are the header (bytes 0 to 63) followed by the place's binding (`binding_of`).
"""

from typing import Final
from uuid import UUID

from libs.envelope.errors import RecordRefused
from libs.envelope.primitives import TAG_SIZE
from libs.kernel.ids import DekId

MARK: Final = b"MU\x01\x01"
"""Magic, version and suite of the one format that exists so far."""

DEK_AT: Final = 4
COMMITMENT_AT: Final = 20
NONCE_AT: Final = 52
HEADER_SIZE: Final = 64
MINIMUM_SIZE: Final = HEADER_SIZE + TAG_SIZE


def dek_of(record: bytes) -> DekId:
    """Return the id of the data key that the record names; says nothing about whether it opens.

    Raises RecordRefused when the bytes are no record of this format.
    """
    if len(record) < MINIMUM_SIZE or record[:DEK_AT] != MARK:
        raise RecordRefused
    return DekId(UUID(bytes=bytes(record[DEK_AT:COMMITMENT_AT])))
