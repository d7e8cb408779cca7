"""Audit facts: what every service says of its acts, in the transaction of the act itself.

A fact carries ids, never content, and no name, address or text of a person. Its source is the service
whose outbox it leaves by; one event for each source, all of one shape.
"""

from typing import Annotated, ClassVar
from uuid import UUID

import msgspec

from libs.contracts.cloudevents import Event, Instant

FACT_ACTION = "fact.recorded.v1"
"""How the name of every fact ends: `source.fact.recorded.v1`."""

Hash = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]


class Actor(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who acted: `kind` is principal, service, directory (SCIM), operator or system; `name` a service's."""

    kind: str
    id: UUID | None = None
    name: str | None = None


class Entity(msgspec.Struct, frozen=True, kw_only=True):
    """What was acted on: `kind` is principal, session, conversation, dek, kek, key and the like."""

    kind: str
    id: str


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """Entries `first` to `last` (both included) of a conversation, which one commit brought."""

    conversation: UUID
    first: int
    last: int


class Fact(Event, frozen=True, kw_only=True, omit_defaults=True):
    """One act of a service.

    `act` is the id of the act, and unique within its source; `action` is one of `libs.contracts.actions`;
    `at` is when it was done. `count` is more than one where equal acts are told of together (denials of
    one actor and action within a minute), and how many conversations there are where a map of them is
    committed. `approvals` are the requests that permitted it, `matter` the legal matter that it served.
    `runs` are entries of conversations: those that a commit brought, or of which evidence was taken. `root`
    is a Merkle root: that over the commitments of a commit's entries, in the order of the runs, or that over
    all conversations of the tenant (`libs.evidence.completeness`).
    """

    act: UUID
    action: str
    actor: Actor
    at: Instant
    entities: tuple[Entity, ...] = ()
    outcome: str = "done"
    count: int = 1
    matter: UUID | None = None
    approvals: tuple[UUID, ...] = ()
    root: Hash | None = None
    runs: tuple[Run, ...] = ()


class IdentityFact(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """An act of identity."""

    name: ClassVar[str] = "identity.fact.recorded.v1"


class KeysFact(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """An act of the key service."""

    name: ClassVar[str] = "keys.fact.recorded.v1"


class MessagingFact(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """An act of messaging."""

    name: ClassVar[str] = "messaging.fact.recorded.v1"


class AuditFact(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """An act of the audit service itself: somebody read the log."""

    name: ClassVar[str] = "audit.fact.recorded.v1"


class RetentionFact(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """An act of the retention service."""

    name: ClassVar[str] = "retention.fact.recorded.v1"


class HoldsFact(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """An act of the hold service."""

    name: ClassVar[str] = "holds.fact.recorded.v1"


class EdiscoveryFact(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """An act of eDiscovery."""

    name: ClassVar[str] = "ediscovery.fact.recorded.v1"


FACTS: tuple[type[Fact], ...] = (
    RetentionFact,
    IdentityFact,
    KeysFact,
    MessagingFact,
    AuditFact,
    HoldsFact,
    EdiscoveryFact,
)
