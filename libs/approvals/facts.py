"""What the audit log is told of a request: ids alone, never its reason."""

from datetime import datetime
from typing import TypeVar
from uuid import UUID

from libs.approvals.request import Request
from libs.contracts.facts import Actor, Entity, Fact
from libs.kernel.ids import PrincipalId

F = TypeVar("F", bound=Fact)


def fact_of(
    kind: type[F],
    action: str,
    act: UUID,
    request: Request,
    actor: PrincipalId,
    at: datetime,
    *entities: Entity,
) -> F:
    """Return the fact `action` (one of `libs.contracts.actions`) about `request`, which it names.

    `act` is the id of this act, unique within its source; `entities` are what the request is about.
    """
    return kind(
        act=act,
        action=action,
        actor=Actor(kind="principal", id=actor),
        at=at,
        entities=entities,
        approvals=(request.request,),
    )
