"""The events of the barrier: what is to be preserved, and who has begun to preserve it.

Every change of a tenant's holds raises the tenant's generation by one; the events carry it.
"""

from typing import ClassVar
from uuid import UUID

from libs.contracts.cloudevents import Event, Instant


class HoldPlaced(Event, frozen=True, kw_only=True):
    """What these custodians sent or received, and all of these conversations, is to be preserved.

    It concerns what was sent from `since` on and before `until` (None: open); a hold that names nobody and
    nothing concerns everything of that time. It is in force when every executor has confirmed `generation`.
    """

    name: ClassVar[str] = "holds.hold.placed.v1"
    hold: UUID
    generation: int
    custodians: tuple[UUID, ...] = ()
    conversations: tuple[UUID, ...] = ()
    since: Instant | None = None
    until: Instant | None = None


class HoldReleased(Event, frozen=True, kw_only=True):
    """A hold ended; that by itself destroys nothing."""

    name: ClassVar[str] = "holds.hold.released.v1"
    hold: UUID
    generation: int


class GenerationConfirmed(Event, frozen=True, kw_only=True):
    """From this commit on an executor destroys nothing by an order of a lower generation.

    Whoever confirms a generation has confirmed all before it. One event for each executor.
    """

    generation: int


class MessagingGenerationConfirmed(GenerationConfirmed, frozen=True, kw_only=True):
    """Messaging preserves."""

    name: ClassVar[str] = "messaging.generation.confirmed.v1"


class KeysGenerationConfirmed(GenerationConfirmed, frozen=True, kw_only=True):
    """The key service preserves."""

    name: ClassVar[str] = "keys.generation.confirmed.v1"


class EdiscoveryGenerationConfirmed(GenerationConfirmed, frozen=True, kw_only=True):
    """EDiscovery preserves."""

    name: ClassVar[str] = "ediscovery.generation.confirmed.v1"


CONFIRMATIONS: tuple[type[GenerationConfirmed], ...] = (
    MessagingGenerationConfirmed,
    KeysGenerationConfirmed,
    EdiscoveryGenerationConfirmed,
)
BARRIER: tuple[type[Event], ...] = (HoldPlaced, HoldReleased, *CONFIRMATIONS)
