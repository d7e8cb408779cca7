"""What the world is told of audit's refusals."""

from libs.host.problems import ProblemRow, ProblemTable
from services.audit.domain.errors import ForeignFact, IntegrationLost, LogDamaged, SigningUnavailable

PROBLEMS: ProblemTable = {
    ForeignFact: ProblemRow(500, "urn:problem:foreign-fact", "A fact came by another service's outbox"),
    LogDamaged: ProblemRow(500, "urn:problem:log-damaged", "The log does not hold what it should"),
    IntegrationLost: ProblemRow(500, "urn:problem:integration-lost", "Another process extends the log"),
    SigningUnavailable: ProblemRow(503, "urn:problem:signing-unavailable", "No key to sign with is at hand"),
}
