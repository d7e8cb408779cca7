"""A service proves which service it is, to one target, for a minute."""

import base64
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.authn.errors import Unauthenticated
from libs.authn.service_tokens import ServiceTokenSigner, ServiceTokenVerifier, public_key_of
from libs.kernel.clock import ManualClock
from libs.kernel.ids import SystemIds
from libs.kernel.randomness import SeededRandomness

MESSAGING, KEYS = b"\x01" * 32, b"\x02" * 32
PEERS = {
    "messaging": base64.b64encode(public_key_of(MESSAGING)).decode(),
    "keys": base64.b64encode(public_key_of(KEYS)).decode(),
}


@pytest.fixture
def clock():
    return ManualClock(datetime(2026, 1, 1, tzinfo=UTC))


def signer_of(service: str, seed: bytes, clock: ManualClock) -> ServiceTokenSigner:
    return ServiceTokenSigner(service, seed, clock, SystemIds(clock, SeededRandomness(1)))


def test_a_peer_is_known_by_its_token(clock):
    token = signer_of("messaging", MESSAGING, clock).token_for("identity")
    assert ServiceTokenVerifier("identity", PEERS, clock).verify(token) == "messaging"


def test_a_token_is_handed_out_again_for_half_a_minute_only(clock):
    signer = signer_of("messaging", MESSAGING, clock)
    first = signer.token_for("identity")
    clock.advance(29)
    assert signer.token_for("identity") == first
    assert signer.token_for("keys") != first
    clock.advance(1)
    assert signer.token_for("identity") != first


def test_a_token_dies_after_a_minute_even_where_it_was_seen_before(clock):
    verifier = ServiceTokenVerifier("identity", PEERS, clock)
    token = signer_of("messaging", MESSAGING, clock).token_for("identity")
    verifier.verify(token)
    clock.advance(59)
    verifier.verify(token)
    clock.advance(1)
    with pytest.raises(Unauthenticated):
        verifier.verify(token)


def forged(clock: ManualClock, seed: bytes = MESSAGING, typ: str = "svc+jwt", **changed: Any) -> str:
    now = int(clock.now().timestamp())
    claims = {"iss": "messaging", "aud": "identity", "iat": now, "exp": now + 60} | changed
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(
        claims, Ed25519PrivateKey.from_private_bytes(seed), algorithm="EdDSA", headers={"typ": typ}
    )


def test_a_faithful_copy_is_accepted_so_that_the_forgeries_prove_something(clock):
    assert ServiceTokenVerifier("identity", PEERS, clock).verify(forged(clock)) == "messaging"


@pytest.mark.parametrize(
    "changed",
    [
        {"seed": KEYS},
        {"typ": "at+jwt"},
        {"iss": "keys"},
        {"iss": "stranger"},
        {"iss": None},
        {"aud": "keys"},
        {"aud": ["identity", "keys"]},
        {"aud": None},
        {"iat": 1767225600 + 60, "exp": 1767225600 + 120},
        {"iat": 1767225600 - 61, "exp": 1767225600 - 1},
        {"exp": 1767225600 + 3600},
        {"exp": None},
    ],
    ids=str,
)
def test_a_forged_service_token_is_refused(clock, changed):
    assert clock.now().timestamp() == 1767225600
    with pytest.raises(Unauthenticated):
        ServiceTokenVerifier("identity", PEERS, clock).verify(forged(clock, **changed))


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "é", "A" * 5000])
def test_what_is_no_token_is_refused(clock, token):
    with pytest.raises(Unauthenticated):
        ServiceTokenVerifier("identity", PEERS, clock).verify(token)
