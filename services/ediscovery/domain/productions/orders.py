"""A production as it is asked for, approved by another person, and made: what is asked is never changed."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple
from uuid import UUID

from libs.approvals.request import Request, State
from libs.evidence.canonical import canonical
from libs.evidence.production.manifest import Bates, Counts, Format, Scope, instant_text
from libs.kernel.ids import PrincipalId, TenantId
from services.ediscovery.domain.matters import Bounds

PRODUCTION: Final = "ediscovery.production"
"""The act that needs four eyes."""


class Wanted(NamedTuple):
    """What somebody asks for; without a query it is everything of the scope."""

    format: Format
    query: str | None = None
    bates: Bates | None = None


class Extent(NamedTuple):
    """How much the scope had when it was asked for: conversations, and entries of them."""

    conversations: int
    entries: int


@dataclass(frozen=True, slots=True)
class Order:
    """A production that somebody asked for, of what was sent before that moment."""

    tenant: TenantId
    production: UUID
    matter: UUID
    scope: Scope
    wanted: Wanted
    extent: Extent
    asked_by: PrincipalId
    asked_at: datetime
    request: UUID


class Made(NamedTuple):
    """A production that is made; `digest` (32 bytes) is the hash of its manifest."""

    act: UUID
    digest: bytes
    counts: Counts
    at: datetime


class Failure(NamedTuple):
    """A production that cannot be made: `reason` is for a person, and never content."""

    act: UUID
    reason: str
    at: datetime


class Removal(NamedTuple):
    """The files of a production were removed, and its record stays."""

    act: UUID
    at: datetime


class Stage(StrEnum):
    """Where a production stands; before it is made, that is where its request stands."""

    PENDING = "pending"
    APPROVED = "approved"
    REFUSED = "refused"
    EXPIRED = "expired"
    MAKING = "making"
    MADE = "made"
    REMOVED = "removed"
    FAILED = "failed"


class Standing(NamedTuple):
    """A production, the request for it, and what came of it."""

    order: Order
    request: Request
    made: Made | None = None
    failure: Failure | None = None
    removal: Removal | None = None

    def stage(self, now: datetime) -> Stage:
        """Return where it stands at `now`."""
        if self.removal is not None:
            return Stage.REMOVED
        if self.made is not None:
            return Stage.MADE
        if self.failure is not None:
            return Stage.FAILED
        state = self.request.state(now)
        return Stage.MAKING if state is State.USED else Stage(state.value)


def scope_of(bounds: Bounds, asked_at: datetime) -> Scope:
    """Return the scope of a production: the matter's, of what was sent before it was asked for.

    What is sent later is another production's, so that what was approved is what is made.
    """
    until = asked_at if bounds.until is None else min(bounds.until, asked_at)
    return Scope(
        conversations=tuple(sorted(bounds.conversations)) or None,
        custodians=tuple(sorted(bounds.custodians)) or None,
        since=bounds.since,
        until=until,
    )


def digest_of(order: Order) -> bytes:
    """Return the hash of what will be made, which the approval names: of its canonical JSON."""
    return hashlib.sha256(canonical(_object(order))).digest()


def _object(order: Order) -> Mapping[str, Any]:
    scope, bates = order.scope, order.wanted.bates
    members: dict[str, Any] = {
        "v": 1,
        "production": str(order.production),
        "tenant": str(order.tenant),
        "matter": str(order.matter),
        "format": str(order.wanted.format),
        "query": order.wanted.query,
        "conversations": None if scope.conversations is None else list(map(str, scope.conversations)),
        "custodians": None if scope.custodians is None else list(map(str, scope.custodians)),
        "since": None if scope.since is None else instant_text(scope.since),
        "until": None if scope.until is None else instant_text(scope.until),
        "seen": {
            "conversations": str(order.extent.conversations),
            "entries": str(order.extent.entries),
        },
    }
    if bates is not None:
        members["bates"] = {
            "prefix": bates.prefix,
            "width": bates.width,
            "start": str(bates.start),
            "page_characters": None if bates.page_characters is None else str(bates.page_characters),
        }
    return members
