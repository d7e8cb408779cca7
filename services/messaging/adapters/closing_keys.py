"""The keys of closings, by the key service: asked for to seal survivors anew, and kept for no longer."""

from collections.abc import Sequence
from typing import Final, TypeVar
from uuid import UUID

from libs.contracts.internal import (
    DekKey,
    DekNamed,
    DekWanted,
    Done,
    KeysOf,
    ObtainDeks,
    RetireDeks,
    UnwrapDeks,
    Wire,
)
from libs.envelope.sealing import SealingKey
from libs.host.clients import PeerNotFound, PeerRefused, PeerUnavailable, ServiceClient
from libs.kernel.ids import DekId, TenantId
from libs.kernel.randomness import Randomness
from services.messaging.adapters.keys import EnvelopeKey
from services.messaging.domain.errors import KeysUnavailable
from services.messaging.ports import Closing

_RESEAL: Final = "reseal"
"""The purpose, in the key-access log."""

V = TypeVar("V")


class KeyServiceClosingKeys:
    """The `ClosingKeys` port by the key service's internal routes."""

    def __init__(self, service: ServiceClient, randomness: Randomness) -> None:
        """Ask `service`; draw nonces from `randomness`."""
        self._service = service
        self._randomness = randomness

    async def retire(self, tenant: TenantId, order: UUID, deks: Sequence[DekId]) -> None:
        """Let what these keys are for be sealed under their successors; they open on."""
        wanted = RetireDeks(tenant=tenant, order=order, deks=tuple(deks))
        await self._asked("/internal/deks/retire", wanted, Done)

    async def pair(self, tenant: TenantId, order: UUID, closing: Closing) -> tuple[EnvelopeKey, EnvelopeKey]:
        """Return a key that is being closed, to open by, and its successor, to seal by."""
        act = f"order {order}"
        named = DekNamed(tenant=tenant, dek=closing.dek)
        wanted = DekWanted(tenant=tenant, conversation=closing.conversation, epoch=closing.month.epoch)
        unwrap = UnwrapDeks(items=(named,), purpose=_RESEAL, act=act)
        obtain = ObtainDeks(items=(wanted,), purpose=_RESEAL, act=act)
        old = self._key_of(await self._asked("/internal/deks/unwrap", unwrap, KeysOf))
        new = self._key_of(await self._asked("/internal/deks/obtain", obtain, KeysOf))
        if old.dek != closing.dek or new.dek == closing.dek:
            raise KeysUnavailable
        return old, new

    def _key_of(self, answer: KeysOf) -> EnvelopeKey:
        key: DekKey = answer.items[0]
        if key.dek is None or key.key is None:
            raise KeysUnavailable
        return EnvelopeKey(SealingKey(DekId(key.dek), key.key), self._randomness)

    async def _asked(self, path: str, message: Wire, kind: type[V]) -> V:
        try:
            return await self._service.call(path, message, kind)
        except PeerUnavailable as error:
            raise KeysUnavailable(float(error.retry_after_seconds)) from error
        except (PeerNotFound, PeerRefused) as error:
            raise KeysUnavailable from error
