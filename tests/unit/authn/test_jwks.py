"""Published keys are fetched when they are needed, and never in a flood."""

import json
from datetime import UTC, datetime

import pytest

from libs.authn.errors import VerificationUnavailable
from libs.authn.jwks import JwksKeySource, jwk_of, keys_of
from libs.authn.service_tokens import public_key_of
from libs.kernel.clock import ManualClock

PUBLIC = public_key_of(b"\x01" * 32)


class Publisher:
    """Publishes a set of keys, counts the questions, and can be gone."""

    def __init__(self):
        self.kids = ["key-1"]
        self.asked = 0
        self.gone = False

    async def fetch(self):
        self.asked += 1
        if self.gone:
            raise ConnectionError
        return json.dumps({"keys": [jwk_of(kid, PUBLIC) for kid in self.kids]}).encode()


@pytest.fixture
def clock():
    return ManualClock(datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def publisher():
    return Publisher()


async def test_a_known_key_is_asked_for_once(clock, publisher):
    source = JwksKeySource(publisher.fetch, clock)
    for _ in range(10):
        assert await source.find_key("key-1") is not None
    assert publisher.asked == 1


async def test_a_new_key_is_found_as_soon_as_a_token_names_it(clock, publisher):
    source = JwksKeySource(publisher.fetch, clock)
    await source.find_key("key-1")
    publisher.kids.append("key-2")
    clock.advance(1.0)
    assert await source.find_key("key-2") is not None


async def test_forged_key_names_cannot_make_a_flood(clock, publisher):
    source = JwksKeySource(publisher.fetch, clock)
    for number in range(100):
        assert await source.find_key(f"forged-{number}") is None
        clock.advance(0.02)
    assert publisher.asked == 2


async def test_a_withdrawn_key_stops_working_within_five_minutes(clock, publisher):
    source = JwksKeySource(publisher.fetch, clock)
    await source.find_key("key-1")
    publisher.kids = ["key-2"]
    clock.advance(301)
    assert await source.find_key("key-1") is None


async def test_known_keys_serve_while_the_publisher_is_gone(clock, publisher):
    source = JwksKeySource(publisher.fetch, clock)
    await source.find_key("key-1")
    publisher.gone = True
    clock.advance(301)
    assert await source.find_key("key-1") is not None


async def test_an_unknown_key_of_a_silent_publisher_is_neither_good_nor_bad(clock, publisher):
    publisher.gone = True
    source = JwksKeySource(publisher.fetch, clock)
    with pytest.raises(VerificationUnavailable):
        await source.find_key("key-1")
    publisher.gone = False
    clock.advance(1.0)
    assert await source.find_key("key-1") is not None


def test_keys_of_other_kinds_are_passed_over():
    jwk_set = {
        "keys": [
            {"kty": "RSA", "kid": "rsa", "n": "AQAB", "e": "AQAB"},
            jwk_of("enc", PUBLIC) | {"use": "enc"},
            {key: value for key, value in jwk_of("", PUBLIC).items() if key != "kid"},
            jwk_of("key-1", PUBLIC) | {"unknown": True},
        ]
    }
    assert list(keys_of(json.dumps(jwk_set).encode())) == ["key-1"]


@pytest.mark.parametrize(
    "text",
    [b"", b"{}", b'{"keys": 1}', b'{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": "A"}]}'],
)
def test_a_set_that_is_none_is_a_value_error(text):
    with pytest.raises(ValueError):
        keys_of(text)
