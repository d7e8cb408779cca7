"""A token that anything is wrong with is refused, and every refusal is the same."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from libs.authn.actor import Actor
from libs.authn.errors import Unauthenticated
from libs.authn.jwks import StaticKeySource
from libs.authn.service_tokens import ServiceTokenSigner, public_key_of
from libs.authn.tokens import TokenSigner, TokenVerifier
from libs.kernel.clock import ManualClock
from libs.kernel.ids import DeviceId, PrincipalId, SessionId, SystemIds, TenantId
from libs.kernel.randomness import SeededRandomness

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
CLOCK = ManualClock(NOON)
IDS = SystemIds(CLOCK, SeededRandomness(1))
SEED = b"\x01" * 32
OTHER_SEED = b"\x02" * 32
KEYS = StaticKeySource({"key-1": public_key_of(SEED), "key-2": public_key_of(OTHER_SEED)})
ACTOR = Actor(
    tenant=TenantId(IDS.uuid7()),
    principal=PrincipalId(IDS.uuid7()),
    session=SessionId(IDS.uuid7()),
    device=DeviceId(IDS.uuid7()),
    roles=frozenset({"employee", "it_admin"}),
    expires_at=NOON + timedelta(seconds=300),
)


def good_token(clock: ManualClock = CLOCK) -> str:
    signed = TokenSigner("key-1", SEED, clock, IDS).sign(
        tenant=ACTOR.tenant,
        principal=ACTOR.principal,
        session=ACTOR.session,
        device=ACTOR.device,
        roles=ACTOR.roles,
    )
    return signed.token


def claims_of(token: str) -> dict[str, Any]:
    decoded: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return decoded


def resigned(seed: bytes = SEED, *, headers: dict[str, Any] | None = None, **changed: Any) -> str:
    claims = {name: value for name, value in (claims_of(good_token()) | changed).items() if value is not None}
    key = Ed25519PrivateKey.from_private_bytes(seed)
    return jwt.encode(
        claims, key, algorithm="EdDSA", headers={"kid": "key-1", "typ": "at+jwt"} | (headers or {})
    )


def part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def unsigned(alg: str) -> str:
    head = part({"alg": alg, "typ": "at+jwt", "kid": "key-1"})
    return f"{head}.{part(claims_of(good_token()))}."


def hmac_with_the_public_key(*, form: str) -> str:
    public = Ed25519PrivateKey.from_private_bytes(SEED).public_key()
    key = {
        "raw": public.public_bytes_raw(),
        "pem": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    }[form]
    head = part({"alg": "HS256", "typ": "at+jwt", "kid": "key-1"})
    signed = f"{head}.{part(claims_of(good_token()))}"
    mac = (
        base64.urlsafe_b64encode(hmac.new(key, signed.encode(), hashlib.sha256).digest())
        .rstrip(b"=")
        .decode()
    )
    return f"{signed}.{mac}"


def without_kid() -> str:
    signed = f"{part({'alg': 'EdDSA', 'typ': 'at+jwt'})}.{part(claims_of(good_token()))}"
    signature = Ed25519PrivateKey.from_private_bytes(SEED).sign(signed.encode())
    return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def with_another_body(**changed: Any) -> str:
    head, _, signature = good_token().split(".")
    return f"{head}.{part(claims_of(good_token()) | changed)}.{signature}"


def now(seconds: float) -> int:
    return int((NOON + timedelta(seconds=seconds)).timestamp())


FORGERIES: dict[str, Callable[[], str]] = {
    "nothing": lambda: "",
    "no token at all": lambda: "not a token",
    "two dots": lambda: "..",
    "not ascii": lambda: "ä.ö.ü",
    "alg none": lambda: unsigned("none"),
    "alg None": lambda: unsigned("None"),
    "alg EdDSA without a signature": lambda: unsigned("EdDSA"),
    "HS256 with the public key": lambda: hmac_with_the_public_key(form="raw"),
    "HS256 with the public key in PEM": lambda: hmac_with_the_public_key(form="pem"),
    "an unknown kid": lambda: resigned(headers={"kid": "key-3"}),
    "another key's kid": lambda: resigned(headers={"kid": "key-2"}),
    "no kid": without_kid,
    "a kid that is no text": lambda: part({"alg": "EdDSA", "typ": "at+jwt", "kid": 1}) + ".e30.e30",
    "signed by a stranger": lambda: resigned(b"\x03" * 32),
    "of another type": lambda: resigned(headers={"typ": "JWT"}),
    "for another audience": lambda: resigned(aud="elsewhere"),
    "for several audiences": lambda: resigned(aud=["muniment", "elsewhere"]),
    "without audience": lambda: resigned(aud=None),
    "from another issuer": lambda: resigned(iss="mint"),
    "without issuer": lambda: resigned(iss=None),
    "expired": lambda: resigned(iat=now(-301), exp=now(-1)),
    "expiring now": lambda: resigned(iat=now(-300), exp=now(0)),
    "not yet issued": lambda: resigned(iat=now(60), exp=now(120)),
    "not yet valid": lambda: resigned(nbf=now(60)),
    "living too long": lambda: resigned(exp=now(301)),
    "without expiry": lambda: resigned(exp=None),
    "without tenant": lambda: resigned(tenant=None),
    "with a tenant that is no id": lambda: resigned(tenant="acme"),
    "with roles that are no list": lambda: resigned(roles="employee"),
    "with an expiry that is no number": lambda: resigned(exp="never"),
    "moved to another tenant": lambda: with_another_body(tenant=str(IDS.uuid7())),
    "with one role more": lambda: with_another_body(roles=["auditor"]),
    "truncated by one character": lambda: good_token()[:-1],
    "truncated to two parts": lambda: good_token().rsplit(".", 1)[0],
    "truncated in the middle": lambda: good_token()[: len(good_token()) // 2],
    "with a trailing part": lambda: good_token() + ".e30",
    "far too long": lambda: good_token() + "A" * 5000,
    "a service's token": lambda: ServiceTokenSigner("muniment", SEED, CLOCK, IDS).token_for("muniment"),
}


@pytest.mark.parametrize("forged", FORGERIES.values(), ids=FORGERIES.keys())
async def test_a_forged_token_is_refused_without_saying_why(forged):
    with pytest.raises(Unauthenticated) as refusal:
        await TokenVerifier(KEYS, CLOCK).verify(forged())

    assert repr(refusal.value) == "Unauthenticated()"
    assert refusal.value.__cause__ is None


async def test_a_signed_token_says_who_acts():
    assert await TokenVerifier(KEYS, CLOCK).verify(good_token()) == ACTOR


async def test_a_resigned_copy_is_accepted_so_that_the_table_of_forgeries_proves_something():
    assert await TokenVerifier(KEYS, CLOCK).verify(resigned()) == ACTOR


async def test_a_token_dies_at_the_second_it_names():
    clock = ManualClock(NOON)
    token = good_token(clock)
    verifier = TokenVerifier(KEYS, clock)
    clock.advance(299.9)
    await verifier.verify(token)
    clock.advance(0.1)

    with pytest.raises(Unauthenticated):
        await verifier.verify(token)


async def test_a_signer_whose_clock_is_a_little_ahead_is_understood():
    ahead = ManualClock(NOON + timedelta(seconds=4))
    assert (await TokenVerifier(KEYS, CLOCK).verify(good_token(ahead))).session == ACTOR.session


async def test_no_token_is_signed_for_longer_than_five_minutes():
    signed = TokenSigner("key-1", SEED, CLOCK, IDS).sign(
        tenant=ACTOR.tenant,
        principal=ACTOR.principal,
        session=ACTOR.session,
        device=ACTOR.device,
        roles=ACTOR.roles,
        lifetime=timedelta(days=1),
    )
    assert signed.expires_at == NOON + timedelta(seconds=300)
    assert signed.expires_in(NOON) == 300
    assert await TokenVerifier(KEYS, CLOCK).verify(signed.token) == ACTOR
