"""The keys of access tokens: leased to identity, published to everyone, replaced in time."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from infra.engines.openbao import OpenBaoServer
from libs.authn.jwks import keys_of
from libs.authn.service_tokens import public_key_of
from libs.contracts import internal as wire
from libs.contracts.events import PLATFORM_TENANT, SigningKeyCreated, SigningKeyLeased
from services.keys.domain.signing import kid_of
from services.keys.settings import Settings
from tests.integration.keys.service import NOON, Service, problem_of, running
from tests.support.engines import ServiceDatabase

DAY = 86_400
JWKS = "/keys/v1/jwks.json"


async def published(keys: Service) -> list[str]:
    answer = await keys.http.get(JWKS)
    assert answer.status_code == 200
    return [key["kid"] for key in answer.json()["keys"]]


async def test_everyone_who_leases_gets_the_same_key_for_a_month(keys: Service) -> None:
    first = await keys.lease()
    keys.clock.advance(28.9 * DAY)
    second = await keys.lease()
    assert (first.kid, first.private) == (second.kid, second.private)
    assert len(first.private) == 32


@pytest.mark.parametrize(
    ("use", "length", "renewed_after"),
    [
        ("tokens", timedelta(hours=24), timedelta(hours=1)),
        ("checkpoints", timedelta(hours=1), timedelta(minutes=5)),
    ],
)
async def test_a_lease_says_when_to_ask_again_and_when_to_stop(
    keys: Service, use: str, length: timedelta, renewed_after: timedelta
) -> None:
    lease = await keys.lease(use)
    assert (lease.not_after, lease.renew_at) == (NOON + length, NOON + renewed_after)


async def test_the_keys_of_tokens_and_of_checkpoints_are_different_ones(keys: Service) -> None:
    tokens, checkpoints = await keys.lease("tokens"), await keys.lease("checkpoints")
    assert tokens.kid != checkpoints.kid
    assert tokens.private != checkpoints.private
    assert await published(keys) == [tokens.kid]


async def test_what_is_leased_signs_what_the_published_key_checks(keys: Service) -> None:
    lease = await keys.lease()
    answer = await keys.http.get(JWKS)
    assert "max-age=60" in answer.headers["cache-control"]
    public = keys_of(answer.content)[lease.kid]
    assert public.public_bytes_raw() == public_key_of(lease.private)
    assert lease.kid == kid_of(public_key_of(lease.private))
    assert answer.json()["keys"][0].keys() == {"kty", "crv", "use", "alg", "kid", "x"}


async def test_a_successor_is_leased_a_day_before_the_end_and_both_are_published_until_the_last_token_is_over(
    keys: Service,
) -> None:
    first = await keys.lease()
    keys.clock.advance(29 * DAY + 1)
    second = await keys.lease()
    assert second.kid != first.kid
    assert await published(keys) == [first.kid, second.kid]
    keys.clock.advance(DAY - 1 + 14 * 60)
    assert await published(keys) == [first.kid, second.kid]
    keys.clock.advance(61)
    assert await published(keys) == [second.kid]


async def test_many_who_lease_at_once_in_two_processes_get_one_key(
    keys: Service, settings: Settings, database: ServiceDatabase
) -> None:
    async with running(settings, database) as other:
        leases = await asyncio.gather(*(service.lease() for service in (keys, other) for _ in range(5)))
    assert len({lease.kid for lease in leases}) == 1
    assert await published(keys) == [leases[0].kid]
    assert sum(isinstance(event, SigningKeyCreated) for event in keys.events()) == 1


async def test_each_key_and_each_lease_is_a_fact_of_the_platform(keys: Service) -> None:
    lease = await keys.lease()
    await keys.lease()
    assert keys.events() == [
        SigningKeyCreated(kid=lease.kid, use="tokens", not_after=NOON + timedelta(days=30)),
        SigningKeyLeased(kid=lease.kid, service="identity"),
        SigningKeyLeased(kid=lease.kid, service="identity"),
    ]
    assert {envelope.tenant for envelope, _ in keys.outbox()} == {PLATFORM_TENANT}


async def test_tokens_can_be_checked_while_the_vault_is_sealed(
    keys_on_own_vault: Service, fresh_openbao: OpenBaoServer
) -> None:
    lease = await keys_on_own_vault.lease()
    fresh_openbao.seal()
    assert await published(keys_on_own_vault) == [lease.kid]


@pytest.mark.parametrize("column", ["sealed", "kid"])
async def test_a_signing_key_whose_row_was_altered_is_not_leased(keys: Service, column: str) -> None:
    lease = await keys.lease()
    if column == "kid":
        keys.tamper("UPDATE keys.signing_key SET kid = 'another'")
    else:
        keys.tamper("UPDATE keys.signing_key SET sealed = overlay(sealed placing 'AAAA' from 20)")
    answer = await keys.post("/internal/signing-keys/tokens/lease", wire.LeaseSigningKey(), "identity")
    assert problem_of(answer) == (503, "key-unavailable")
    assert [type(event) for event in keys.events()] == [SigningKeyCreated, SigningKeyLeased]
    assert lease.private not in answer.content


async def test_a_data_key_and_a_signing_key_cannot_stand_in_for_each_other(
    keys: Service, tenant: UUID, conversation: UUID
) -> None:
    await keys.lease()
    key = await keys.obtain_one(tenant, conversation)
    keys.tamper("UPDATE keys.signing_key SET sealed = (SELECT wrapped FROM keys.dek WHERE dek = %s)", key.dek)
    answer = await keys.post("/internal/signing-keys/tokens/lease", wire.LeaseSigningKey(), "identity")
    assert problem_of(answer) == (503, "key-unavailable")
