"""Signing keys that are rotated before their time, and trust.json, which forgets none."""

from base64 import b64decode
from datetime import datetime, timedelta

import pytest

from libs.authn.service_tokens import public_key_of
from libs.contracts import internal as wire
from tests.integration.keys.service import NOON, Service, problem_of
from tests.integration.keys.test_signing_keys import DAY, published

TRUST = "/keys/v1/trust.json"


async def trusted(keys: Service) -> dict[str, dict[str, str]]:
    """Return the keys of trust.json by kid."""
    answer = await keys.http.get(TRUST)
    assert answer.status_code == 200
    document = answer.json()
    assert (document["v"], document["instance"]) == (1, "muniment.local")
    return {key["kid"]: key for key in document["keys"]}


async def test_trust_names_every_key_that_was_ever_leased_with_its_range(keys: Service) -> None:
    leases: list[tuple[str, datetime, wire.SigningKeyLease]] = []
    for _ in range(3):
        now = keys.clock.now()
        leases += [(use, now, await keys.lease(use)) for use in ("tokens", "checkpoints")]
        assert (await keys.rotate("checkpoints")).status_code == 200
        keys.clock.advance(40 * DAY)
    keys_known = await trusted(keys)
    for use, at, lease in leases:
        key = keys_known[lease.kid]
        assert key.keys() == {"kid", "use", "algorithm", "public", "not_before", "not_after"}
        assert (key["use"], key["algorithm"]) == (use, "ed25519")
        assert b64decode(key["public"]) == public_key_of(lease.private)
        assert datetime.fromisoformat(key["not_before"]) <= at
        assert lease.not_after <= datetime.fromisoformat(key["not_after"])
    assert len({lease.kid for _, _, lease in leases}) == 6


async def test_before_anything_was_signed_trust_is_empty(keys: Service) -> None:
    assert await trusted(keys) == {}


async def test_the_successor_signs_at_once_and_the_old_key_ends_with_its_last_lease(keys: Service) -> None:
    old = await keys.lease("checkpoints")
    keys.clock.advance(3_600)
    last = await keys.lease("checkpoints")
    answer = (await keys.rotate("checkpoints")).json()
    assert [retired["kid"] for retired in answer["retired"]] == [old.kid]
    new = await keys.lease("checkpoints")
    assert new.kid == answer["kid"] != old.kid
    ends = datetime.fromisoformat((await trusted(keys))[old.kid]["not_after"])
    assert last.not_after < ends == keys.clock.now() + timedelta(hours=1, minutes=1)
    assert datetime.fromisoformat((await trusted(keys))[new.kid]["not_before"]) == keys.clock.now()


async def test_instants_are_written_in_utc_to_the_microsecond(keys: Service) -> None:
    lease = await keys.lease("checkpoints")
    key = (await trusted(keys))[lease.kid]
    assert key["not_before"] == "2026-11-24T12:00:00.000000Z"
    assert key["not_after"] == "2026-12-24T12:00:00.000000Z"


async def test_a_rotated_token_key_is_published_until_its_last_token_is_over(keys: Service) -> None:
    old = await keys.lease()
    new = (await keys.rotate("tokens")).json()["kid"]
    assert await published(keys) == [old.kid, new]
    keys.clock.advance(DAY + 15 * 60)
    assert await published(keys) == [old.kid, new]
    keys.clock.advance(60)
    assert await published(keys) == [new]


async def test_rotating_one_use_leaves_the_other_as_it_is(keys: Service) -> None:
    tokens = await keys.lease("tokens")
    await keys.rotate("checkpoints")
    assert (await keys.lease("tokens")).kid == tokens.kid


async def test_a_key_that_was_never_there_is_simply_made(keys: Service) -> None:
    answer = (await keys.rotate("checkpoints")).json()
    assert answer["retired"] == []
    assert (await keys.lease("checkpoints")).kid == answer["kid"]
    assert datetime.fromisoformat(answer["not_after"]) == NOON + timedelta(days=30)


async def test_a_key_is_retired_once_however_often_it_is_rotated(keys: Service) -> None:
    first = await keys.lease("checkpoints")
    second = (await keys.rotate("checkpoints")).json()
    ends = (await trusted(keys))[first.kid]["not_after"]
    keys.clock.advance(60)
    third = (await keys.rotate("checkpoints")).json()
    assert [retired["kid"] for retired in third["retired"]] == [second["kid"]]
    assert (await trusted(keys))[first.kid]["not_after"] == ends


@pytest.mark.parametrize("caller", ["identity", "messaging", "media", "audit"])
async def test_nobody_but_the_operator_rotates_a_key(keys: Service, caller: str) -> None:
    assert problem_of(await keys.rotate("checkpoints", caller)) == (403, "service-not-allowed")
    assert await trusted(keys) == {}


async def test_a_use_that_does_not_exist_is_not_rotated(keys: Service) -> None:
    assert problem_of(await keys.rotate("greetings")) == (404, "not-found")
