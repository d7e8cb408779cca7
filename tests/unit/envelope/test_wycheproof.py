"""The primitives against Google's Wycheproof vectors, which collect the mistakes of others."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from libs.envelope.errors import RecordRefused
from libs.envelope.primitives import NONCE_SIZE, Aead, derived

PROJECT: Final = Path(__file__).resolve().parents[3]
VECTORS: Final = PROJECT.parent / "shared" / "data" / "crypto"

Vector = dict[str, Any]


def vectors_of(name: str) -> list[Vector]:
    file = VECTORS / name
    if not file.exists():
        pytest.skip(f"the Wycheproof vectors are not at {file}")
    groups = json.loads(file.read_text())["testGroups"]
    return [{**vector, "tagSize": group.get("tagSize")} for group in groups for vector in group["tests"]]


def unhex(vector: Vector, name: str) -> bytes:
    return bytes.fromhex(vector[name])


def gcm_vectors() -> tuple[list[Vector], list[Vector]]:
    """Return the vectors with nonces of 96 bits and all the others."""
    vectors = vectors_of("aes_gcm_test.json")
    ours = [vector for vector in vectors if len(unhex(vector, "iv")) == NONCE_SIZE]
    return ours, [vector for vector in vectors if vector not in ours]


def test_every_valid_gcm_vector_with_a_nonce_of_96_bits_agrees_both_ways() -> None:
    valid = [vector for vector in gcm_vectors()[0] if vector["result"] == "valid"]
    assert len(valid) > 50
    for vector in valid:
        aead = Aead(unhex(vector, "key"))
        sealed = unhex(vector, "ct") + unhex(vector, "tag")
        nonce, bound = unhex(vector, "iv"), unhex(vector, "aad")
        assert aead.encrypt(nonce, unhex(vector, "msg"), bound) == sealed, vector["tcId"]
        assert aead.decrypt(nonce, sealed, bound) == unhex(vector, "msg"), vector["tcId"]


def test_every_invalid_gcm_vector_with_a_nonce_of_96_bits_is_refused() -> None:
    invalid = [vector for vector in gcm_vectors()[0] if vector["result"] == "invalid"]
    assert len(invalid) > 50
    for vector in invalid:
        with pytest.raises(RecordRefused):
            Aead(unhex(vector, "key")).decrypt(
                unhex(vector, "iv"), unhex(vector, "ct") + unhex(vector, "tag"), unhex(vector, "aad")
            )


def test_every_gcm_vector_with_another_nonce_is_refused_even_the_valid_ones() -> None:
    others = gcm_vectors()[1]
    assert any(vector["result"] == "valid" for vector in others)
    for vector in others:
        aead = Aead(unhex(vector, "key"))
        with pytest.raises(RecordRefused):
            aead.decrypt(
                unhex(vector, "iv"), unhex(vector, "ct") + unhex(vector, "tag"), unhex(vector, "aad")
            )
        with pytest.raises(ValueError, match="12 bytes"):
            aead.encrypt(unhex(vector, "iv"), unhex(vector, "msg"), unhex(vector, "aad"))


def test_every_hkdf_vector_agrees() -> None:
    vectors = vectors_of("hkdf_sha256_test.json")
    for vector in vectors:
        secret, salt, purpose = (unhex(vector, name) for name in ("ikm", "salt", "info"))
        if vector["result"] == "valid":
            okm = derived(secret, purpose, salt=salt, size=vector["size"])
            assert okm == unhex(vector, "okm"), vector["tcId"]
        else:
            with pytest.raises(ValueError, match="Cannot derive"):
                derived(secret, purpose, salt=salt, size=vector["size"])
    assert {vector["result"] for vector in vectors} == {"valid", "invalid"}
