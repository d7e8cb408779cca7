"""What the audit log is told of holds: ids alone, never a reason."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from libs.approvals.facts import fact_of
from libs.approvals.request import Request
from libs.contracts.facts import Actor, Entity, HoldsFact
from libs.contracts.holds import HoldPlaced, HoldReleased
from libs.kernel.denials import Denial
from libs.kernel.ids import PrincipalId
from services.holds.domain.holds import RELEASE, Hold, Release

PLACED: Final = "holds.hold.placed"
IN_FORCE: Final = "holds.hold.in-force"
RELEASE_REQUESTED: Final = "holds.hold.release-requested"
RELEASE_APPROVED: Final = "holds.hold.release-approved"
RELEASE_REFUSED: Final = "holds.hold.release-refused"
ACCESS_DENIED: Final = "holds.access.denied"
MOST_NAMED: Final = 100
"""Custodians, and conversations, that the fact of a hold names; beyond that it says how many there are."""


def event_of(hold: Hold) -> HoldPlaced:
    """Return what executors are told of a new hold."""
    terms = hold.terms
    return HoldPlaced(
        hold=hold.hold,
        generation=hold.generation,
        custodians=tuple(sorted(terms.custodians)),
        conversations=tuple(sorted(terms.conversations)),
        since=terms.since,
        until=terms.until,
    )


def event_of_release(hold: UUID, release: Release) -> HoldReleased:
    """Return what executors are told of the end of a hold."""
    return HoldReleased(hold=hold, generation=release.generation)


def fact_of_placing(hold: Hold) -> HoldsFact:
    """Return the fact that a hold was placed; the act is named as the hold is.

    Of a silent hold it tells how many it concerns, not whom: counsel who is one of them reads the log too.
    """
    terms = hold.terms
    most = 0 if terms.silent else MOST_NAMED
    return HoldsFact(
        act=hold.hold,
        action=PLACED,
        actor=Actor(kind="principal", id=hold.placed_by),
        at=hold.placed_at,
        matter=terms.matter,
        entities=(
            _named(hold.hold),
            *_listed("custodian", sorted(terms.custodians), most),
            *_listed("conversation", sorted(terms.conversations), most),
        ),
    )


def fact_of_force(act: UUID, hold: UUID, at: datetime) -> HoldsFact:
    """Return the fact that every executor has confirmed a hold."""
    return HoldsFact(
        act=act,
        action=IN_FORCE,
        actor=Actor(kind="service", name="holds"),
        at=at,
        entities=(_named(hold),),
    )


def fact_of_request(request: Request) -> HoldsFact:
    """Return the fact that somebody asked for a release."""
    return fact_of(
        HoldsFact,
        RELEASE_REQUESTED,
        request.request,
        request,
        request.requester,
        request.requested_at,
        _named(request.subject),
    )


def fact_of_decision(act: UUID, request: Request, by: PrincipalId, at: datetime) -> HoldsFact:
    """Return the fact that somebody else decided on it."""
    action = RELEASE_APPROVED if request.approved else RELEASE_REFUSED
    return fact_of(HoldsFact, action, act, request, by, at, _named(request.subject))


def fact_of_release(act: UUID, request: Request, release: Release) -> HoldsFact:
    """Return the fact that a hold ended by this request."""
    return fact_of(
        HoldsFact, RELEASE, act, request, release.released_by, release.released_at, _named(request.subject)
    )


def fact_of_denial(denial: Denial, act: UUID) -> HoldsFact:
    """Return the fact of the denials of one person, act and minute; it names no hold."""
    return HoldsFact(
        act=act,
        action=ACCESS_DENIED,
        actor=Actor(kind="principal", id=denial.principal),
        at=denial.minute,
        entities=(Entity(kind="act", id=denial.act),),
        outcome="refused",
        count=denial.count,
    )


def _named(hold: UUID) -> Entity:
    return Entity(kind="hold", id=str(hold))


def _listed(kind: str, names: Sequence[UUID], most: int) -> list[Entity]:
    entities = [Entity(kind=kind, id=str(name)) for name in names[:most]]
    if len(names) > most:
        entities.append(Entity(kind=f"{kind}-count", id=str(len(names))))
    return entities
