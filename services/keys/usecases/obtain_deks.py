"""Get or make the data keys of conversations, in as few calls to the vault as their number allows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from libs.kernel.ids import DekId, Ids, TenantId
from libs.kernel.randomness import Randomness
from services.keys.domain.access import Access
from services.keys.domain.deks import (
    DEK_SIZE,
    ClearDek,
    Dek,
    DekScope,
    DekWish,
    Obstacle,
    binding_of,
    by_tenant,
    context_of,
    generation_after,
    kek_name_of,
    kek_version_of,
    serves,
)
from services.keys.domain.errors import KeysContended
from services.keys.ports.keystore import Keystore
from services.keys.ports.vault import Clear, KekRefused, Vault
from services.keys.usecases.opening import opened

_ROUNDS: Final = 4
"""The second round finds what another made during the first; more happen only under repeated exhaustion."""

Answers = dict[DekScope, ClearDek | Obstacle]


@dataclass(frozen=True, slots=True)
class _Made:
    """A new key, as it is to be stored and as it is handed out once it is."""

    dek: Dek
    clear: ClearDek


class ObtainDeks:
    """Get the newest data key of each scope, or make it; two who ask at once get the same one."""

    def __init__(self, keystore: Keystore, vault: Vault, ids: Ids, randomness: Randomness) -> None:
        """Work on these ports."""
        self._keystore = keystore
        self._vault = vault
        self._ids = ids
        self._randomness = randomness

    async def __call__(self, wishes: Sequence[DekWish], access: Access) -> list[ClearDek | Obstacle]:
        """Return for each wish, in order, a key in clear, or KEY_UNAVAILABLE where the vault refuses.

        Every key that is handed out is in the key-access log, every new one among the published facts.
        Raises VaultUnavailable and KeysContended: then nothing is handed out.
        """
        answers: Answers = {}
        for tenant, distinct in by_tenant(wishes).items():
            answers |= await self._obtain_for(tenant, distinct, access)
        return [answers[wish.scope] for wish in wishes]

    async def _obtain_for(self, tenant: TenantId, wishes: Sequence[DekWish], access: Access) -> Answers:
        answers: Answers = {}
        for _ in range(_ROUNDS):
            open_wishes = [wish for wish in wishes if wish.scope not in answers]
            if not open_wishes:
                return answers
            answers |= await self._round(tenant, open_wishes, access)
        raise KeysContended

    async def _round(self, tenant: TenantId, wishes: Sequence[DekWish], access: Access) -> Answers:
        """Answer the wishes, except those whose key another made at the same moment.

        The vault is called between the two transactions, never within one: no lock waits for it.
        """
        async with self._keystore.begin(tenant) as keys:
            newest = await keys.newest_deks([wish.scope for wish in wishes])
            has_kek = await keys.has_kek(kek_name_of(tenant))
        found = [newest[wish.scope] for wish in wishes if serves(newest.get(wish.scope), wish)]
        lacking = [wish.scope for wish in wishes if not serves(newest.get(wish.scope), wish)]
        clear = await opened(self._vault, found)
        answers: Answers = {dek.scope: clear[dek.dek] for dek in found}
        handed_out = [dek for dek in found if isinstance(clear[dek.dek], ClearDek)]
        try:
            made = await self._make(tenant, lacking, newest, has_kek=has_kek)
        except KekRefused:
            made = []
            answers |= dict.fromkeys(lacking, Obstacle.KEY_UNAVAILABLE)
        return answers | await self._keep(tenant, made, handed_out, access)

    async def _keep(
        self, tenant: TenantId, made: Sequence[_Made], handed_out: Sequence[Dek], access: Access
    ) -> Answers:
        """Store the new keys and log what is handed out; return those new keys that were kept."""
        if not made and not handed_out:
            return {}
        async with self._keystore.begin(tenant) as keys:
            if made:
                await keys.add_kek(kek_name_of(tenant), made[0].dek.kek_version, access)
            names = await keys.add_deks([new.dek for new in made], access)
            kept = [new for new in made if new.dek.dek in names]
            await keys.record_access([*handed_out, *(new.dek for new in kept)], access)
        return {new.dek.scope: new.clear for new in kept}

    async def _make(
        self, tenant: TenantId, scopes: Sequence[DekScope], newest: Mapping[DekScope, Dek], *, has_kek: bool
    ) -> list[_Made]:
        """Return new keys, wrapped and in clear; nothing is stored yet. Raises KekRefused."""
        if not scopes:
            return []
        kek = kek_name_of(tenant)
        # A KEK that was once made is never made again: a new one would hide that the old one is gone.
        if not has_kek:
            await self._vault.create_kek(kek)
        named = [(DekId(self._ids.uuid7()), scope, generation_after(newest.get(scope))) for scope in scopes]
        keys = [
            Clear(self._randomness.bytes(DEK_SIZE), context_of(scope), binding_of(dek, scope, generation))
            for dek, scope, generation in named
        ]
        wrapped = await self._vault.wrap(kek, keys)
        return [
            _Made(Dek(*name, kek, text), ClearDek(name[0], key.key, kek_version_of(text)))
            for name, key, text in zip(named, keys, wrapped, strict=True)
        ]
