"""What the world is told of audit's refusals."""

from libs.host.problems import ProblemRow, ProblemTable
from services.audit.domain.errors import ForeignFact, GrowthRefused, LogDamaged

PROBLEMS: ProblemTable = {
    ForeignFact: ProblemRow(500, "urn:problem:foreign-fact", "A fact came by another service's outbox"),
    GrowthRefused: ProblemRow(500, "urn:problem:growth-refused", "The log's tree could not be written"),
    LogDamaged: ProblemRow(500, "urn:problem:log-damaged", "The log does not hold what it should"),
}
