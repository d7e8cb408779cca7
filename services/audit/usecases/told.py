"""What the audit service tells of its own acts: who read, never what was read or asked for."""

from uuid import UUID

from libs.contracts.facts import Actor, AuditFact, Entity
from libs.kernel.denials import Denial
from services.audit.domain.reading import ACCESS_DENIED, Reading


def fact_of_reading(reading: Reading, service: str | None = None) -> AuditFact:
    """Return the fact of a reading, by a person or a `service`.

    A search for a silent hold must not tell of the hold.
    """
    return AuditFact(
        act=reading.reading,
        action=reading.action,
        actor=Actor(kind="principal", id=reading.principal)
        if service is None
        else Actor(kind="service", name=service),
        at=reading.at,
        entities=(Entity(kind="log", id=str(reading.log)),),
        count=reading.times,
    )


def fact_of_denial(denial: Denial, act: UUID) -> AuditFact:
    """Return the fact of the denials of one reader, act and minute."""
    return AuditFact(
        act=act,
        action=ACCESS_DENIED,
        actor=Actor(kind="principal", id=denial.principal),
        at=denial.minute,
        entities=(Entity(kind="act", id=denial.act),),
        outcome="refused",
        count=denial.count,
    )
