"""What the world is told of audit's refusals."""

from libs.host.problems import ProblemRow, ProblemTable
from services.audit.domain.errors import ForeignFact, IntegrationLost, LogDamaged, SigningUnavailable
from services.audit.domain.reading import EntryNotFound, NotYetPublished, RangeRefused, RangeTooLong

PROBLEMS: ProblemTable = {
    EntryNotFound: ProblemRow(404, "urn:problem:not-found", "Not found"),
    NotYetPublished: ProblemRow(
        503, "urn:problem:not-yet-published", "No checkpoint covers this entry yet", "try again in a second"
    ),
    RangeRefused: ProblemRow(
        422, "urn:problem:range-refused", "The log has no such range", "it has {size} entries"
    ),
    RangeTooLong: ProblemRow(
        422, "urn:problem:range-too-long", "Too many entries at once", "at most {most} are given at once"
    ),
    ForeignFact: ProblemRow(500, "urn:problem:foreign-fact", "A fact came by another service's outbox"),
    LogDamaged: ProblemRow(500, "urn:problem:log-damaged", "The log does not hold what it should"),
    IntegrationLost: ProblemRow(500, "urn:problem:integration-lost", "Another process extends the log"),
    SigningUnavailable: ProblemRow(503, "urn:problem:signing-unavailable", "No key to sign with is at hand"),
}
