"""AES-GCM commits to no key: a record is crafted that opens under two, and the envelope refuses it."""

from uuid import UUID

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from libs.envelope.errors import RecordRefused
from libs.envelope.place import Place, binding_of
from libs.envelope.primitives import derived
from libs.envelope.record import HEADER_SIZE, NONCE_AT
from libs.envelope.sealing import SealingKey
from libs.kernel.ids import ConversationId, DekId, MessageId, TenantId

BLOCK = 16
ONE = 1 << 127  # the field's one: GCM writes polynomials with the lowest power first
REDUCTION = 0xE1 << 120
PLACE = Place(TenantId(UUID(int=1)), ConversationId(UUID(int=2)), MessageId(UUID(int=3)), 1, "body")
DEK = DekId(UUID(int=7))
FIRST, SECOND = bytes([1]) * 32, bytes([2]) * 32
NONCE = b"twelve bytes"


def product(left: int, right: int) -> int:
    """Multiply in GF(2^128). Source: NIST SP 800-38D, section 6.3, algorithm 1."""
    total = 0
    for bit in range(127, -1, -1):
        if left >> bit & 1:
            total ^= right
        right = (right >> 1) ^ (REDUCTION if right & 1 else 0)
    return total


def power(base: int, exponent: int) -> int:
    result = ONE
    while exponent:
        if exponent & 1:
            result = product(result, base)
        base = product(base, base)
        exponent >>= 1
    return result


def inverse(value: int) -> int:
    return power(value, (1 << 128) - 2)


def blocks_of(data: bytes) -> list[int]:
    padded = data + bytes(-len(data) % BLOCK)
    return [int.from_bytes(padded[at : at + BLOCK]) for at in range(0, len(padded), BLOCK)]


def hashed(subkey: int, blocks: list[int]) -> int:
    """GHASH. Source: NIST SP 800-38D, section 6.4."""
    state = 0
    for block in blocks:
        state = product(state ^ block, subkey)
    return state


def encrypted_block(key: bytes, block: bytes) -> int:
    encryptor = Cipher(AES(key), ECB()).encryptor()  # noqa: S305 - the cipher itself is wanted, for the equation
    return int.from_bytes(encryptor.update(block))


def ciphertext_for_two(first: bytes, second: bytes, nonce: bytes, bound: bytes) -> bytes:
    """Return one block and a tag that both keys accept: one unknown block, one linear equation."""
    counter = nonce + b"\x00\x00\x00\x01"
    lengths = (len(bound) * 8 << 64) | BLOCK * 8
    constant, coefficient = 0, 0
    for key in (first, second):
        subkey = encrypted_block(key, bytes(BLOCK))
        constant ^= hashed(subkey, [*blocks_of(bound), 0, lengths]) ^ encrypted_block(key, counter)
        coefficient ^= power(subkey, 2)  # the unknown block is the last but one
    block = product(constant, inverse(coefficient))
    subkey = encrypted_block(first, bytes(BLOCK))
    tag = hashed(subkey, [*blocks_of(bound), block, lengths]) ^ encrypted_block(first, counter)
    return block.to_bytes(BLOCK) + tag.to_bytes(BLOCK)


def crafted_record(committed: bytes) -> bytes:
    """Return a record with the commitment of `committed` whose ciphertext opens under both keys."""
    header = SealingKey(DEK, committed).seal(b"", PLACE, NONCE)[:HEADER_SIZE]
    keys = [derived(dek, b"muniment record v1 encryption") for dek in (FIRST, SECOND)]
    return header + ciphertext_for_two(keys[0], keys[1], NONCE, header + binding_of(PLACE))


def test_the_crafted_ciphertext_really_opens_under_both_keys_without_the_commitment() -> None:
    record = crafted_record(FIRST)
    header, ciphertext = record[:HEADER_SIZE], record[HEADER_SIZE:]
    texts = {
        AESGCM(derived(dek, b"muniment record v1 encryption")).decrypt(
            header[NONCE_AT:], ciphertext, header + binding_of(PLACE)
        )
        for dek in (FIRST, SECOND)
    }
    assert len(texts) == 2


@pytest.mark.parametrize(("committed", "other"), [(FIRST, SECOND), (SECOND, FIRST)], ids=["first", "second"])
def test_a_record_crafted_to_open_under_two_keys_opens_only_under_the_one_it_commits_to(
    committed: bytes, other: bytes
) -> None:
    record = crafted_record(committed)
    assert SealingKey(DEK, committed).open(record, PLACE)
    with pytest.raises(RecordRefused):
        SealingKey(DEK, other).open(record, PLACE)
