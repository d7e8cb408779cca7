"""What the audit log is told: ids alone, never a query or a text."""

from typing import Final
from uuid import UUID

from libs.contracts.facts import Actor, EdiscoveryFact, Entity
from libs.kernel.denials import Denial

ACCESS_DENIED: Final = "ediscovery.access.denied"


def fact_of_denial(denial: Denial, act: UUID) -> EdiscoveryFact:
    """Return the fact of the denials of one person, act and minute; it names no matter."""
    return EdiscoveryFact(
        act=act,
        action=ACCESS_DENIED,
        actor=Actor(kind="principal", id=denial.principal),
        at=denial.minute,
        entities=(Entity(kind="act", id=denial.act),),
        outcome="refused",
        count=denial.count,
    )
