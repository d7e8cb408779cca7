"""The vault sealed, gone, hung or emptied: nothing is handed out, nothing is lost, and it ends by itself."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from uuid import UUID, uuid4

import httpx
import pytest

from infra.engines import daemon
from infra.engines.openbao import OpenBaoServer, VaultRefused
from infra.engines.valkey import ValkeyServer
from libs.contracts import internal as wire
from libs.contracts.events import DekCreated
from tests.integration.keys.service import (
    POLICY,
    Service,
    named,
    problem_of,
    running,
    settings_of,
    wanted,
)
from tests.support.engines import ServiceDatabase

UNAVAILABLE = (503, "key-service-unavailable")


@pytest.fixture
def keys(keys_on_own_vault: Service) -> Service:
    return keys_on_own_vault


def assert_unavailable(answer: httpx.Response) -> None:
    assert problem_of(answer) == UNAVAILABLE
    assert answer.json()["type"] == "urn:problem:key-service-unavailable"
    assert int(answer.headers["retry-after"]) > 0


async def unwrapping(keys: Service, tenant: UUID, key: wire.DekKey) -> httpx.Response:
    request = wire.UnwrapDeks(items=(named(tenant, key),), purpose="deliver", act="sync")
    return await keys.post("/internal/deks/unwrap", request)


async def asked_while_sealed(
    bao: OpenBaoServer, ask: Callable[[], Awaitable[httpx.Response]]
) -> httpx.Response:
    """Return the answer that was given while the vault was sealed.

    OpenBao unseals itself again after some seconds: an answer counts if it is still sealed afterwards.
    """
    for _ in range(10):
        bao.seal()
        answer = await ask()
        if bao.is_sealed():
            return answer
    pytest.fail("the vault never stayed sealed for the time of one call")


async def unsealed(bao: OpenBaoServer) -> None:
    """Unseal the vault and wait until it leads."""
    with suppress(VaultRefused):
        bao.unseal()
    for _ in range(200):
        if bao.call("GET", "sys/health?sealedcode=200&standbycode=200")["standby"] is False:
            return
        await asyncio.sleep(0.1)
    pytest.fail("the vault did not come back")


async def test_a_sealed_vault_fails_closed_and_all_works_again_once_it_is_unsealed(
    keys: Service, fresh_openbao: OpenBaoServer, tenant: UUID, conversation: UUID
) -> None:
    key = await keys.obtain_one(tenant, conversation)
    before = keys.events()
    fingerprint = wire.ObtainFingerprintKey(tenant=tenant)
    lease = wire.LeaseSigningKey()
    for ask in (
        lambda: keys.ask_for(wanted(tenant, uuid4())),
        lambda: keys.ask_for(wanted(uuid4(), uuid4())),
        lambda: keys.ask_for(wanted(tenant, conversation)),
        lambda: unwrapping(keys, tenant, key),
        lambda: keys.post("/internal/fingerprint-keys/obtain", fingerprint),
        lambda: keys.post("/internal/signing-keys/tokens/lease", lease, "identity"),
    ):
        assert_unavailable(await asked_while_sealed(fresh_openbao, ask))
    assert keys.rows("SELECT count(*) FROM keys.dek") == [(1,)]
    assert keys.events() == before
    assert (await asked_while_sealed(fresh_openbao, lambda: keys.http.get("/readyz"))).status_code == 503
    assert (await asked_while_sealed(fresh_openbao, lambda: keys.http.get("/healthz"))).status_code == 200

    await unsealed(fresh_openbao)
    assert (await keys.obtain_one(tenant, conversation)).key == key.key
    assert (await keys.obtain_one(tenant, uuid4())).key is not None
    assert (await keys.http.get("/readyz")).status_code == 200


async def test_a_vault_that_is_gone_fails_closed_and_all_works_again_once_it_is_back(
    keys: Service, fresh_openbao: OpenBaoServer, tenant: UUID, conversation: UUID
) -> None:
    key = await keys.obtain_one(tenant, conversation)
    fresh_openbao.stop()
    assert_unavailable(await keys.ask_for(wanted(tenant, conversation)))
    assert_unavailable(await unwrapping(keys, tenant, key))
    daemon.start(fresh_openbao)
    assert (await keys.obtain_one(tenant, conversation)).key == key.key


async def test_a_vault_that_hangs_is_not_waited_for(
    keys: Service, fresh_openbao: OpenBaoServer, tenant: UUID, conversation: UUID
) -> None:
    key = await keys.obtain_one(tenant, conversation)
    assert fresh_openbao.pid is not None
    os.kill(fresh_openbao.pid, signal.SIGSTOP)
    try:
        async with asyncio.timeout(20):
            answers = await asyncio.gather(*(keys.ask_for(wanted(tenant, conversation)) for _ in range(20)))
        for answer in answers:
            assert_unavailable(answer)
        assert (await keys.http.get("/healthz")).status_code == 200
    finally:
        os.kill(fresh_openbao.pid, signal.SIGCONT)
    assert (await keys.obtain_one(tenant, conversation)).key == key.key


async def test_the_service_starts_without_a_vault_and_works_once_there_is_one(
    database: ServiceDatabase, fresh_valkey: ValkeyServer, fresh_openbao: OpenBaoServer, tenant: UUID
) -> None:
    settings = settings_of(database, fresh_valkey, fresh_openbao, fresh_openbao.provision(policy=POLICY))
    fresh_openbao.stop()
    async with running(settings, database) as keys:
        assert_unavailable(await keys.ask_for(wanted(tenant, uuid4())))
        assert (await keys.http.get("/keys/v1/jwks.json")).json() == {"keys": []}
        daemon.start(fresh_openbao)
        assert (await keys.obtain_one(tenant, uuid4())).key is not None


def revoke_all_tokens(bao: OpenBaoServer) -> None:
    """Revoke every token but the root's, as their end of life does."""
    root = bao.root_token()
    own = bao.call("GET", "auth/token/lookup-self", token=root)["data"]["accessor"]
    for accessor in bao.call("LIST", "auth/token/accessors", token=root)["data"]["keys"]:
        if accessor != own:
            bao.call("POST", "auth/token/revoke-accessor", token=root, body={"accessor": accessor})


async def test_a_token_that_expired_is_replaced_without_anyone_noticing(
    keys: Service, fresh_openbao: OpenBaoServer, tenant: UUID, conversation: UUID
) -> None:
    key = await keys.obtain_one(tenant, conversation)
    revoke_all_tokens(fresh_openbao)
    keys.clock.advance(10)
    assert (await keys.obtain_one(tenant, conversation)).key == key.key


async def test_a_token_that_expired_while_the_vault_was_sealed_is_replaced_too(
    keys: Service, fresh_openbao: OpenBaoServer, tenant: UUID, conversation: UUID
) -> None:
    key = await keys.obtain_one(tenant, conversation)
    revoke_all_tokens(fresh_openbao)
    keys.clock.advance(10)
    ask = partial(keys.ask_for, wanted(tenant, conversation))
    assert_unavailable(await asked_while_sealed(fresh_openbao, ask))
    await unsealed(fresh_openbao)
    answers = await asyncio.gather(*(keys.obtain_one(tenant, conversation) for _ in range(8)))
    assert {answer.key for answer in answers} == {key.key}


async def test_a_token_is_replaced_before_its_lease_is_over(
    keys: Service, fresh_openbao: OpenBaoServer, tenant: UUID, conversation: UUID
) -> None:
    await keys.obtain_one(tenant, conversation)
    root = fresh_openbao.root_token()

    def tokens() -> int:
        return len(fresh_openbao.call("LIST", "auth/token/accessors", token=root)["data"]["keys"])

    before = tokens()
    keys.clock.advance(1799)
    await keys.obtain_one(tenant, conversation)
    assert tokens() == before
    keys.clock.advance(2)
    await keys.obtain_one(tenant, conversation)
    assert tokens() == before + 1


async def test_a_service_that_the_vault_does_not_let_in_fails_closed_until_it_does(
    keys: Service, fresh_openbao: OpenBaoServer, tenant: UUID
) -> None:
    root = fresh_openbao.root_token()
    role = fresh_openbao.call("GET", "auth/approle/role/keys/role-id", token=root)["data"]["role_id"]
    fresh_openbao.call("POST", "auth/approle/role/keys/role-id", token=root, body={"role_id": "another"})
    assert_unavailable(await keys.ask_for(wanted(tenant, uuid4())))
    fresh_openbao.call("POST", "auth/approle/role/keys/role-id", token=root, body={"role_id": role})
    assert (await keys.obtain_one(tenant, uuid4())).key is not None


async def test_a_draining_service_gives_its_token_back(
    database: ServiceDatabase, fresh_valkey: ValkeyServer, fresh_openbao: OpenBaoServer, tenant: UUID
) -> None:
    settings = settings_of(database, fresh_valkey, fresh_openbao, fresh_openbao.provision(policy=POLICY))
    root = fresh_openbao.root_token()
    async with running(settings, database) as keys:
        await keys.obtain_one(tenant, uuid4())
        tokens = fresh_openbao.call("LIST", "auth/token/accessors", token=root)["data"]["keys"]
        assert len(tokens) == 2
    tokens = fresh_openbao.call("LIST", "auth/token/accessors", token=root)["data"]["keys"]
    assert len(tokens) == 1


async def test_a_tenant_whose_kek_is_destroyed_goes_dark_alone_and_gets_no_new_one(
    keys: Service, fresh_openbao: OpenBaoServer, tenant: UUID, conversation: UUID
) -> None:
    lost = await keys.obtain_one(tenant, conversation)
    other_tenant = uuid4()
    other = await keys.obtain_one(other_tenant, conversation)
    root, path = fresh_openbao.root_token(), f"transit/keys/tenant-{tenant}"
    fresh_openbao.call("POST", f"{path}/config", token=root, body={"deletion_allowed": True})
    fresh_openbao.call("DELETE", path, token=root)
    keys.clock.advance(10)

    old, new, fine = await keys.obtain(
        wanted(tenant, conversation), wanted(tenant, uuid4()), wanted(other_tenant, conversation)
    )
    assert (old.key, old.problem) == (new.key, new.problem) == (None, "key-unavailable")
    assert (fine.key, fine.problem) == (other.key, None)
    gone, there = await keys.unwrap(named(tenant, lost), named(other_tenant, other))
    assert (gone.key, gone.problem) == (None, "key-unavailable")
    assert there.key == other.key
    fingerprint = await keys.post(
        "/internal/fingerprint-keys/obtain", wire.ObtainFingerprintKey(tenant=tenant)
    )
    assert problem_of(fingerprint) == (503, "key-unavailable")
    names = fresh_openbao.call("LIST", "transit/keys", token=root)["data"]["keys"]
    assert names == [f"tenant-{other_tenant}"]
    assert sum(isinstance(event, DekCreated) for event in keys.events()) == 2


@pytest.mark.parametrize("moved", ["from another tenant", "from another conversation", "from another month"])
async def test_a_wrapped_key_moved_to_another_row_does_not_open(
    keys: Service, tenant: UUID, conversation: UUID, moved: str
) -> None:
    """Whoever can write every row of the database can still not put one key in another's place."""
    target = await keys.obtain_one(tenant, conversation)
    source = {
        "from another tenant": await keys.obtain_one(uuid4(), conversation),
        "from another conversation": await keys.obtain_one(tenant, uuid4()),
        "from another month": await keys.obtain_one(tenant, conversation, "2026-10"),
    }[moved]
    keys.rows(
        "UPDATE keys.dek SET wrapped = (SELECT wrapped FROM keys.dek WHERE dek = %s) WHERE dek = %s",
        source.dek,
        target.dek,
    )
    before = keys.events()
    by_scope = await keys.obtain_one(tenant, conversation)
    (by_name,) = await keys.unwrap(named(tenant, target))
    assert (by_scope.key, by_scope.problem) == (by_name.key, by_name.problem) == (None, "key-unavailable")
    assert by_name.dek == target.dek
    assert keys.events() == before
