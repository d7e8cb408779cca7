"""What obtaining does when others make the same keys at the same moment, on a keystore that lets them."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID

import pytest

from libs.kernel.clock import ManualClock
from libs.kernel.ids import ConversationId, DekId, SystemIds, TenantId
from libs.kernel.randomness import SeededRandomness
from services.keys.domain.access import Access
from services.keys.domain.deks import ClearDek, Dek, DekScope, DekWish
from services.keys.domain.errors import KeysContended
from services.keys.ports.keystore import SigningKeys
from services.keys.ports.vault import Clear, Wrapped
from services.keys.usecases.obtain_deks import ObtainDeks

ACCESS = Access("messaging", "seal", "send")
WISH = DekWish(DekScope(TenantId(UUID(int=1)), ConversationId(UUID(int=2)), "2026-11"))


class OpenVault:
    """Wraps by hiding nothing: what matters here is who calls when."""

    def __init__(self, keystore: "ContendedKeystore") -> None:
        self._keystore = keystore

    async def create_kek(self, name: str) -> None:
        self._keystore.refuse_open_transaction()

    async def wrap(self, kek: str, keys: Sequence[Clear]) -> list[str]:
        self._keystore.refuse_open_transaction()
        return [f"vault:v1:{key.key.hex()}" for key in keys]

    async def unwrap(self, kek: str, keys: Sequence[Wrapped]) -> list[bytes | None]:
        self._keystore.refuse_open_transaction()
        return [bytes.fromhex(key.text.removeprefix("vault:v1:")) for key in keys]


class ContendedKeystore:
    """A keystore in memory in which another wins the first `defeats` races for a key."""

    def __init__(self, defeats: int) -> None:
        self.rows: dict[DekScope, Dek] = {}
        self.accesses: list[DekId] = []
        self._defeats = defeats
        self._open = 0

    def refuse_open_transaction(self) -> None:
        assert self._open == 0, "the vault was called within a transaction"

    @asynccontextmanager
    async def begin(self, tenant: TenantId) -> AsyncIterator["ContendedKeystore"]:
        self._open += 1
        yield self
        self._open -= 1

    def begin_signing(self) -> AbstractAsyncContextManager[SigningKeys]:
        msg = "nothing here signs"
        raise AssertionError(msg)

    async def has_kek(self, kek: str) -> bool:
        return bool(self.rows)

    async def add_kek(self, kek: str, version: int, access: Access) -> None: ...

    async def newest_deks(self, scopes: Collection[DekScope]) -> dict[DekScope, Dek]:
        return {scope: self.rows[scope] for scope in scopes if scope in self.rows}

    async def find_dek(self) -> Dek | None:
        return next(iter(self.rows.values()), None)

    async def deks_named(self, deks: Collection[DekId]) -> dict[DekId, Dek]:
        return {dek.dek: dek for dek in self.rows.values() if dek.dek in deks}

    async def add_deks(self, deks: Sequence[Dek], access: Access) -> set[DekId]:
        if self._defeats and deks:
            self._defeats -= 1
            for dek in deks:
                winner = DekId(UUID(int=77))
                self.rows[dek.scope] = Dek(winner, dek.scope, 1, dek.kek, "vault:v1:" + "77" * 32)
            return set()
        self.rows |= {dek.scope: dek for dek in deks}
        return {dek.dek for dek in deks}

    async def retire_deks(self, deks: Sequence[Dek], order: UUID, service: str) -> None:
        msg = "nothing here is retired"
        raise AssertionError(msg)

    async def record_access(self, deks: Sequence[Dek], access: Access) -> None:
        self.accesses += [dek.dek for dek in deks]


def obtaining(keystore: ContendedKeystore) -> ObtainDeks:
    clock, randomness = ManualClock(datetime(2026, 11, 1, tzinfo=UTC)), SeededRandomness(1)
    return ObtainDeks(keystore, OpenVault(keystore), SystemIds(clock, randomness), randomness)


async def test_who_loses_the_race_for_a_key_hands_out_the_winners() -> None:
    keystore = ContendedKeystore(defeats=1)
    (answer,) = await obtaining(keystore)([WISH], ACCESS)
    assert isinstance(answer, ClearDek)
    assert (answer.dek, answer.key) == (UUID(int=77), b"\x77" * 32)
    assert keystore.accesses == [answer.dek]


async def test_a_key_that_was_not_kept_is_never_handed_out() -> None:
    keystore = ContendedKeystore(defeats=1)
    answers = await obtaining(keystore)([WISH, WISH], ACCESS)
    assert {answer.dek for answer in answers if isinstance(answer, ClearDek)} == {
        keystore.rows[WISH.scope].dek
    }


async def test_a_race_that_is_lost_again_and_again_ends_with_an_error_that_says_so() -> None:
    class EverContended(ContendedKeystore):
        async def newest_deks(self, scopes: Collection[DekScope]) -> dict[DekScope, Dek]:
            return {}

    keystore = EverContended(defeats=100)
    with pytest.raises(KeysContended):
        await obtaining(keystore)([WISH], ACCESS)
    assert keystore.accesses == []
