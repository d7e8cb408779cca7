"""What the world is told of audit's refusals."""

from libs.host.problems import ProblemRow, ProblemTable
from services.audit.domain.errors import (
    EntryNotFound,
    ForeignFact,
    GrowthRefused,
    LogDamaged,
    RangeRefused,
    RangeTooLong,
)

PROBLEMS: ProblemTable = {
    EntryNotFound: ProblemRow(404, "urn:problem:not-found", "Not found"),
    RangeRefused: ProblemRow(
        422, "urn:problem:range-refused", "The log has no such range", "it has {size} entries"
    ),
    RangeTooLong: ProblemRow(
        422, "urn:problem:range-too-long", "Too many entries at once", "at most {most} are given at once"
    ),
    ForeignFact: ProblemRow(500, "urn:problem:foreign-fact", "A fact came by another service's outbox"),
    GrowthRefused: ProblemRow(500, "urn:problem:growth-refused", "The log's tree could not be written"),
    LogDamaged: ProblemRow(500, "urn:problem:log-damaged", "The log does not hold what it should"),
}
