"""The audit facts of the key service: one for each act, written beside the rows of the act itself."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final
from uuid import UUID

from libs.contracts.facts import Actor, Entity, KeysFact
from libs.kernel.ids import DekId
from services.keys.domain.access import Access, Given
from services.keys.domain.deks import Dek, DekScope, has_conversation
from services.keys.domain.signing import Initiator, Lease, SigningKey

MOST_DEKS_NAMED: Final = 100
"""Data keys that one fact names; the key-access log names all of them, under the id that the fact gives."""

GIVEN: Final[Mapping[Given, str]] = MappingProxyType(
    {Given.DEKS: "keys.dek.unwrapped", Given.FINGERPRINT_KEY: "keys.fingerprint-key.obtained"}
)
"""What was given → the act, in the key-access log and in the audit log."""
GIVEN_FOR_MATTERS: Final = "keys.dek.unwrapped-for-matter"
"""The act where keys served a legal matter: it shows to nobody who must not know of it."""

_INITIATORS: Final[Mapping[Initiator, Actor]] = MappingProxyType(
    {
        Initiator.KEYS: Actor(kind="service", name="keys"),
        Initiator.OPERATOR: Actor(kind="operator"),
    }
)


def kek_created(act: UUID, kek: str, access: Access, at: datetime) -> KeysFact:
    """Return the fact that a tenant's KEK was made for a service that asked for data keys."""
    return KeysFact(
        act=act,
        action="keys.kek.created",
        actor=_asking(access),
        at=at,
        entities=(Entity(kind="kek", id=kek),),
    )


def dek_created(dek: Dek, access: Access, at: datetime) -> KeysFact:
    """Return the fact that a data key was made; the act is named as the key is."""
    return KeysFact(
        act=dek.dek,
        action="keys.dek.created",
        actor=_asking(access),
        at=at,
        entities=tuple(_parts_of(dek)),
    )


def dek_retired(act: UUID, dek: Dek, order: UUID, service: str, at: datetime) -> KeysFact:
    """Return the fact that a data key seals nothing more, for the sake of an order of disposition."""
    return KeysFact(
        act=act,
        action="keys.dek.retired",
        actor=Actor(kind="service", name=service),
        at=at,
        entities=(Entity(kind="order", id=str(order)), *_parts_of(dek)),
    )


def dek_shredded(act: UUID, dek: DekId, scope: DekScope, order: UUID, at: datetime) -> KeysFact:
    """Return the fact that a data key was destroyed, by an order of disposition."""
    return KeysFact(
        act=act,
        action="keys.dek.shredded",
        actor=_INITIATORS[Initiator.KEYS],
        at=at,
        entities=(
            Entity(kind="order", id=str(order)),
            Entity(kind="dek", id=str(dek)),
            Entity(kind="epoch", id=scope.epoch),
            Entity(kind="conversation", id=str(scope.conversation)),
        ),
    )


def keys_given(act: UUID, given: Given, deks: Sequence[DekId], access: Access, at: datetime) -> KeysFact:
    """Return the fact that data keys were given to a service; `act` is their row in the key-access log.

    It names the first `MOST_DEKS_NAMED` keys; where there were more, it says how many.
    """
    named = [Entity(kind="dek", id=str(dek)) for dek in deks[:MOST_DEKS_NAMED]]
    if len(deks) > len(named):
        named.append(Entity(kind="dek-count", id=str(len(deks))))
    return KeysFact(
        act=act,
        action=GIVEN_FOR_MATTERS if access.is_legal else GIVEN[given],
        actor=_asking(access),
        at=at,
        matter=access.matter,
        entities=(
            Entity(kind="key-access", id=str(act)),
            Entity(kind="purpose", id=access.purpose),
            Entity(kind="act", id=access.act),
            *named,
        ),
    )


def signing_key_created(act: UUID, key: SigningKey, initiator: Initiator, at: datetime) -> KeysFact:
    """Return the fact that a signing key was made."""
    return KeysFact(
        act=act,
        action="keys.signing-key.created",
        actor=_INITIATORS[initiator],
        at=at,
        entities=(_key(key.kid), Entity(kind="use", id=key.use)),
    )


def signing_key_leased(act: UUID, lease: Lease) -> KeysFact:
    """Return the fact that a signing key was given to a service."""
    return KeysFact(
        act=act,
        action="keys.signing-key.leased",
        actor=Actor(kind="service", name=lease.service),
        at=lease.at,
        entities=(_key(lease.kid),),
    )


def signing_key_retired(
    act: UUID, key: SigningKey, successor: SigningKey, initiator: Initiator, at: datetime
) -> KeysFact:
    """Return the fact that a signing key ends before its time."""
    return KeysFact(
        act=act,
        action="keys.signing-key.retired",
        actor=_INITIATORS[initiator],
        at=at,
        entities=(_key(key.kid), Entity(kind="successor", id=successor.kid), Entity(kind="use", id=key.use)),
    )


def _asking(access: Access) -> Actor:
    return Actor(kind="service", name=access.service)


def _key(kid: str) -> Entity:
    return Entity(kind="key", id=kid)


def _parts_of(dek: Dek) -> Iterator[Entity]:
    yield Entity(kind="dek", id=str(dek.dek))
    yield Entity(kind="kek", id=dek.kek)
    yield Entity(kind="epoch", id=dek.scope.epoch)
    if has_conversation(dek.scope):
        yield Entity(kind="conversation", id=str(dek.scope.conversation))
