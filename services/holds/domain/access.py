"""Who may know of a hold, and do something with it: the words of the policies."""

from typing import Final

from libs.kernel.actors import Actor, Facts
from libs.kernel.ids import TenantId
from services.holds.domain.holds import Hold

PLACE: Final = "PlaceHold"
READ: Final = "ReadHold"
READ_REASON: Final = "ReadHoldReason"
READ_GENERATION: Final = "ReadHoldGeneration"
REQUEST_RELEASE: Final = "RequestRelease"
DECIDE_RELEASE: Final = "DecideRelease"


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
