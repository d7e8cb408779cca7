"""Unwrapping rows: what the use cases share."""

from collections.abc import Sequence

from libs.kernel.ids import DekId
from services.keys.domain.deks import ClearDek, Dek, Obstacle, binding_of, context_of
from services.keys.ports.vault import KekRefused, Vault, Wrapped


async def opened(vault: Vault, deks: Sequence[Dek]) -> dict[DekId, ClearDek | Obstacle]:
    """Return each of one tenant's data keys in clear, or KEY_UNAVAILABLE. Raises VaultUnavailable."""
    if not deks:
        return {}
    wrapped = [
        Wrapped(dek.wrapped, context_of(dek.scope), binding_of(dek.dek, dek.scope, dek.generation))
        for dek in deks
    ]
    try:
        keys = await vault.unwrap(deks[0].kek, wrapped)
    except KekRefused:
        return {dek.dek: Obstacle.KEY_UNAVAILABLE for dek in deks}
    return {
        dek.dek: Obstacle.KEY_UNAVAILABLE if key is None else ClearDek(dek.dek, key, dek.kek_version)
        for dek, key in zip(deks, keys, strict=True)
    }
