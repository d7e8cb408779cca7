"""What the world is told of audit's refusals."""

from libs.host.problems import ProblemRow, ProblemTable
from services.audit.domain.errors import ForeignFact, LogDamaged

PROBLEMS: ProblemTable = {
    ForeignFact: ProblemRow(500, "urn:problem:foreign-fact", "A fact came by another service's outbox"),
    LogDamaged: ProblemRow(500, "urn:problem:log-damaged", "The log does not hold what it should"),
}
