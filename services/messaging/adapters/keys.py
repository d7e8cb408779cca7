"""Data keys by the key service: asked for in batches, held for a published time, and never on disk."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar

from libs.contracts.internal import (
    BATCH_LIMIT,
    DekKey,
    DekNamed,
    DekWanted,
    FingerprintKey,
    KeysOf,
    ObtainDeks,
    ObtainFingerprintKey,
    UnwrapDeks,
)
from libs.envelope.place import Place
from libs.envelope.primitives import NONCE_SIZE
from libs.envelope.record import dek_of
from libs.envelope.ring import KeyRing
from libs.envelope.sealing import RECORDS_PER_KEY, SealingKey
from libs.host.clients import PeerNotFound, PeerRefused, PeerUnavailable, ServiceClient
from libs.kernel.clock import Clock
from libs.kernel.errors import DomainError
from libs.kernel.ids import ConversationId, DekId, MessageId, TenantId
from libs.kernel.randomness import Randomness
from services.messaging.domain.entries import ConversationKey
from services.messaging.domain.epochs import epoch_of
from services.messaging.domain.errors import KeyGone, KeysUnavailable

_SEAL = "seal"
_DELIVER = "deliver"
_FIELD = "payload"
_SHREDDED = "not-found"
"""What the key service says of a key that is gone."""

K = TypeVar("K")
V = TypeVar("V")


class _Epoch(NamedTuple):
    """A conversation's month of `sent_at`: one data key."""

    tenant: TenantId
    conversation: ConversationId
    epoch: str


class EnvelopeKey:
    """One data key of the envelope, as the use cases see it."""

    __slots__ = ("_key", "_randomness")

    def __init__(self, key: SealingKey, randomness: Randomness) -> None:
        """Seal and open by `key`, with nonces from `randomness`."""
        self._key = key
        self._randomness = randomness

    @property
    def dek(self) -> DekId:
        """The key's id."""
        return self._key.dek

    def seal(self, plaintext: bytes, key: ConversationKey, message: MessageId, revision: int) -> bytes:
        """Return the sealed record of a payload, which opens at this place alone."""
        place = Place(key.tenant, key.conversation, message, revision, _FIELD)
        return self._key.seal(plaintext, place, self._randomness.bytes(NONCE_SIZE))

    def open(self, record: bytes, key: ConversationKey, message: MessageId, revision: int) -> bytes:
        """Return the clear payload; raises RecordRefused for a record that belongs elsewhere."""
        return self._key.open(record, Place(key.tenant, key.conversation, message, revision, _FIELD))


class Batched(Generic[K, V]):
    """Asks for many things in one request: what is wanted while one request runs goes into the next."""

    def __init__(self, ask: Callable[[Sequence[K]], Awaitable[Sequence[V | DomainError]]]) -> None:
        """Ask by `ask`, which answers in the order of its question: a value, or an error in its place."""
        self._ask = ask
        self._wanted: dict[K, asyncio.Future[V]] = {}
        self._asking: asyncio.Task[None] | None = None

    async def __call__(self, key: K) -> V:
        """Return the answer for `key`, or raise what the request raised."""
        answer = self._wanted.get(key)
        if answer is None:
            answer = self._wanted[key] = asyncio.get_running_loop().create_future()
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask_all())
        return await asyncio.shield(answer)

    async def _ask_all(self) -> None:
        while self._wanted:
            asked = dict(list(self._wanted.items())[:BATCH_LIMIT])
            for key in asked:
                del self._wanted[key]
            try:
                answers = await self._ask(list(asked))
            except Exception as error:  # noqa: BLE001 - everybody who waits is told
                for future in asked.values():
                    _settle(future, error)
            else:
                for future, answer in zip(asked.values(), answers, strict=True):
                    _settle(future, answer)


class KeyServiceKeys:
    """The `Keys` port by the key service's internal routes.

    A key lives here for at most `max_age_seconds`; then it is asked for again, and when the key service
    cannot answer, sends and reads fail closed.
    """

    def __init__(
        self,
        service: ServiceClient,
        clock: Clock,
        randomness: Randomness,
        *,
        max_age_seconds: float,
        max_keys: int,
    ) -> None:
        """Ask `service`; measure ages by `clock`; draw nonces from `randomness`."""
        self._service = service
        self._clock = clock
        self._randomness = randomness
        self._max_age = max_age_seconds
        self._ring = KeyRing(clock, max_keys=max_keys, max_age_seconds=max_age_seconds)
        self._epochs: dict[_Epoch, DekId] = {}
        self._max_epochs = max_keys
        self._fingerprints: dict[TenantId, tuple[bytes, float]] = {}
        self._obtain = Batched(self._obtain_deks)
        self._unwrap = Batched(self._unwrap_deks)
        self._obtain_fingerprint = Batched(self._obtain_fingerprint_keys)

    # Sealing.

    def find_sealing_key(self, key: ConversationKey, sent_at: datetime) -> EnvelopeKey | None:
        """Return the key of a conversation's epoch if it is at hand and may seal more."""
        dek = self._epochs.get(_epoch_of(key, sent_at))
        found = None if dek is None else self._ring.find(dek, _SEAL)
        if found is None or found.sealed >= RECORDS_PER_KEY:
            return None
        return EnvelopeKey(found, self._randomness)

    async def sealing_key(self, key: ConversationKey, sent_at: datetime) -> EnvelopeKey:
        """Return the key of a conversation's epoch. Raises KeysUnavailable."""
        return EnvelopeKey(await self._obtain(_epoch_of(key, sent_at)), self._randomness)

    async def _obtain_deks(self, epochs: Sequence[_Epoch]) -> list[SealingKey | DomainError]:
        wanted = tuple(
            DekWanted(
                tenant=epoch.tenant,
                conversation=epoch.conversation,
                epoch=epoch.epoch,
                exhausted=self._exhausted(epoch),
            )
            for epoch in epochs
        )
        answer = await self._asked(
            "/internal/deks/obtain", ObtainDeks(items=wanted, purpose=_SEAL, act="send"), KeysOf
        )
        keys = [_sealing_key_of(item) for item in answer.items]
        if len(self._epochs) > self._max_epochs:
            self._epochs.clear()
        for epoch, key in zip(epochs, keys, strict=True):
            if isinstance(key, SealingKey):
                self._epochs[epoch] = key.dek
                self._ring.put(key, _SEAL)
        return keys

    def _exhausted(self, epoch: _Epoch) -> DekId | None:
        dek = self._epochs.get(epoch)
        found = None if dek is None else self._ring.find(dek, _SEAL)
        return dek if found is not None and found.sealed >= RECORDS_PER_KEY else None

    # Opening.

    def find_opening_key(self, sealed: bytes) -> EnvelopeKey | None:
        """Return the key that a record names if it is at hand."""
        found = self._ring.find(dek_of(sealed), _DELIVER)
        return None if found is None else EnvelopeKey(found, self._randomness)

    async def fetch_opening_keys(self, tenant: TenantId, sealed: Sequence[bytes]) -> None:
        """Obtain the keys that these records name. Raises KeysUnavailable."""
        deks = {dek_of(record) for record in sealed}
        await asyncio.gather(
            *(
                self._unwrap(DekNamed(tenant=tenant, dek=dek))
                for dek in deks
                if self._ring.find(dek, _DELIVER) is None
            )
        )

    async def _unwrap_deks(self, named: Sequence[DekNamed]) -> list[SealingKey | DomainError]:
        answer = await self._asked(
            "/internal/deks/unwrap",
            UnwrapDeks(items=tuple(named), purpose=_DELIVER, act="deliver"),
            KeysOf,
        )
        keys = [_sealing_key_of(item) for item in answer.items]
        for key in keys:
            if isinstance(key, SealingKey):
                self._ring.put(key, _DELIVER)
        return keys

    # Fingerprints.

    def find_fingerprint_key(self, tenant: TenantId) -> bytes | None:
        """Return the tenant's key for fingerprints of bodies if it is at hand."""
        key, until = self._fingerprints.get(tenant, (None, 0.0))
        return key if until > self._clock.monotonic() else None

    async def fingerprint_key(self, tenant: TenantId) -> bytes:
        """Return the tenant's key for fingerprints of bodies. Raises KeysUnavailable."""
        return await self._obtain_fingerprint(tenant)

    async def _obtain_fingerprint_keys(self, tenants: Sequence[TenantId]) -> list[bytes]:
        keys: list[bytes] = []
        for tenant in tenants:
            answer = await self._asked(
                "/internal/fingerprint-keys/obtain", ObtainFingerprintKey(tenant=tenant), FingerprintKey
            )
            self._fingerprints[tenant] = (answer.key, self._clock.monotonic() + self._max_age)
            keys.append(answer.key)
        return keys

    async def _asked(
        self, path: str, message: ObtainDeks | UnwrapDeks | ObtainFingerprintKey, kind: type[V]
    ) -> V:
        try:
            return await self._service.call(path, message, kind)
        except PeerUnavailable as error:
            raise KeysUnavailable(float(error.retry_after_seconds)) from error
        except (PeerNotFound, PeerRefused) as error:
            raise KeysUnavailable from error


def _epoch_of(key: ConversationKey, sent_at: datetime) -> _Epoch:
    return _Epoch(key.tenant, key.conversation, epoch_of(sent_at))


def _settle(future: "asyncio.Future[V]", answer: V | Exception) -> None:
    """Give whoever waits the answer, or the error in its place."""
    if isinstance(answer, Exception):
        future.set_exception(answer)
        future.exception()  # nobody may be left to hear it
    else:
        future.set_result(answer)


def _sealing_key_of(item: DekKey) -> SealingKey | DomainError:
    """Return the key, or the error of this one item: a tenant whose key is gone goes dark alone."""
    if item.dek is None or item.key is None:
        return KeyGone() if item.problem == _SHREDDED else KeysUnavailable()
    return SealingKey(DekId(item.dek), item.key)
