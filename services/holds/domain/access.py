"""Who may know of a hold, and do something with it: the words of the policies."""

from dataclasses import dataclass
from typing import Final, Protocol

from libs.kernel.ids import PrincipalId, TenantId
from services.holds.domain.holds import Hold

PLACE: Final = "PlaceHold"
READ: Final = "ReadHold"
READ_REASON: Final = "ReadHoldReason"
READ_GENERATION: Final = "ReadHoldGeneration"
REQUEST_RELEASE: Final = "RequestRelease"
DECIDE_RELEASE: Final = "DecideRelease"


class Actor(Protocol):
    """A principal acting in a session; the verified access token's actor is one."""

    @property
    def tenant(self) -> TenantId:
        """The tenant."""

    @property
    def principal(self) -> PrincipalId:
        """The person."""

    @property
    def roles(self) -> frozenset[str]:
        """The roles."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is acted on: its kind, its tenant, and the names of the facts that hold of it."""

    kind: str
    tenant: TenantId
    holding: frozenset[str] = frozenset()


def facts_of(hold: Hold, actor: Actor) -> Facts:
    """Return a hold as the policies know it.

    Who placed a hold knows of it, even if he counted himself among its custodians.
    """
    concerned = actor.principal in hold.terms.custodians and actor.principal != hold.placed_by
    facts = {"silent": hold.terms.silent, "custodian": concerned}
    return Facts("Hold", hold.tenant, frozenset(name for name, holds in facts.items() if holds))


def any_hold(tenant: TenantId) -> Facts:
    """Return the hold that hides least: who may not read even that one may read none."""
    return Facts("Hold", tenant)


def organisation(tenant: TenantId) -> Facts:
    """Return the organisation itself, in which holds are placed."""
    return Facts("Tenant", tenant)
