"""What every vault adapter keeps, shown on Transit of a real OpenBao."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from libs.kernel.clock import SystemClock
from libs.kernel.secrets import Secret
from libs.telemetry.metrics import Metrics
from services.keys.adapters.openbao import BATCH, TransitVault, VaultAccess
from services.keys.domain.errors import VaultUnavailable
from services.keys.ports.vault import Clear, KekRefused, Vault, Wrapped
from tests.support.engines import Engines
from tests.support.keeper import free_port

POLICY = (Path(__file__).parents[3] / "policies" / "vault" / "keys.hcl").read_text()
HERE, ELSEWHERE = uuid4().bytes, uuid4().bytes
KEY = bytes(range(32))


@pytest.fixture
async def vault(engines: Engines) -> AsyncIterator[Vault]:
    with engines.alone("vault-policy"):
        role = engines.openbao.provision(policy=POLICY)
    adapter = TransitVault(
        VaultAccess(engines.openbao.address, role.role_id, role.secret_id), SystemClock(), Metrics("keys")
    )
    yield adapter
    await adapter.close()


@pytest.fixture
async def kek(vault: Vault) -> str:
    name = f"tenant-{uuid4()}"
    await vault.create_kek(name)
    return name


async def wrapped(vault: Vault, kek: str, context: bytes = HERE, binding: bytes = b"row 1") -> Wrapped:
    (text,) = await vault.wrap(kek, [Clear(KEY, context, binding)])
    return Wrapped(text, context, binding)


async def test_what_was_wrapped_is_unwrapped(vault: Vault, kek: str) -> None:
    assert await vault.unwrap(kek, [await wrapped(vault, kek)]) == [KEY]


async def test_one_key_wrapped_twice_looks_different(vault: Vault, kek: str) -> None:
    assert (await wrapped(vault, kek)).text != (await wrapped(vault, kek)).text


async def test_making_a_kek_again_keeps_it(vault: Vault, kek: str) -> None:
    key = await wrapped(vault, kek)
    await vault.create_kek(kek)
    assert await vault.unwrap(kek, [key]) == [KEY]


async def test_a_key_wrapped_for_another_tenant_does_not_open(vault: Vault, kek: str) -> None:
    other = f"tenant-{uuid4()}"
    await vault.create_kek(other)
    assert await vault.unwrap(other, [await wrapped(vault, kek)]) == [None]


async def test_a_key_wrapped_for_another_conversation_does_not_open(vault: Vault, kek: str) -> None:
    key = await wrapped(vault, kek)
    assert await vault.unwrap(kek, [Wrapped(key.text, ELSEWHERE, key.binding)]) == [None]


async def test_a_key_wrapped_for_another_row_does_not_open(vault: Vault, kek: str) -> None:
    key = await wrapped(vault, kek)
    assert await vault.unwrap(kek, [Wrapped(key.text, key.context, b"row 2")]) == [None]


@pytest.mark.parametrize("text", ["", "vault:v1:", "vault:v1:AAAA", "vault:v9:AAAA", "rubbish", "vault:v1:é"])
async def test_what_is_no_wrapped_key_does_not_open_and_hurts_no_other(
    vault: Vault, kek: str, text: str
) -> None:
    key = await wrapped(vault, kek)
    assert await vault.unwrap(kek, [key, Wrapped(text, HERE, b"row 1"), key]) == [KEY, None, KEY]


async def test_a_kek_that_does_not_exist_is_refused_and_not_made_by_the_way(vault: Vault, kek: str) -> None:
    absent = f"tenant-{uuid4()}"
    with pytest.raises(KekRefused):
        await vault.wrap(absent, [Clear(KEY, HERE, b"")])
    with pytest.raises(KekRefused):
        await vault.unwrap(absent, [await wrapped(vault, kek)])


@pytest.mark.parametrize("count", [0, 1, BATCH, BATCH + 1, 2 * BATCH + 7])
async def test_any_number_of_keys_comes_back_in_order(vault: Vault, kek: str, count: int) -> None:
    keys = [number.to_bytes(32) for number in range(count)]
    texts = await vault.wrap(kek, [Clear(key, HERE, key[-4:]) for key in keys])
    opened = await vault.unwrap(
        kek, [Wrapped(text, HERE, key[-4:]) for key, text in zip(keys, texts, strict=True)]
    )
    assert opened == keys


async def test_a_vault_that_is_not_there_is_unavailable() -> None:
    access = VaultAccess(f"http://127.0.0.1:{free_port()}", "role", Secret("secret"))
    absent = TransitVault(access, SystemClock(), Metrics("keys"))
    with pytest.raises(VaultUnavailable):
        await absent.create_kek("tenant-x")
    with pytest.raises(VaultUnavailable):
        await absent.answers()
    await absent.close()


async def test_a_sign_in_that_is_refused_is_unavailability(engines: Engines) -> None:
    access = VaultAccess(engines.openbao.address, "role", Secret("secret"))
    stranger = TransitVault(access, SystemClock(), Metrics("keys"))
    with pytest.raises(VaultUnavailable):
        await stranger.create_kek("tenant-x")
    assert await stranger.answers()
    await stranger.close()
