"""What the world is told of the search's refusals."""

from libs.host.problems import ProblemRow, ProblemTable
from services.ediscovery.domain.errors import ExpungeUnfinished, IndexUnavailable, NameUnknown, QueryRefused

PROBLEMS: ProblemTable = {
    QueryRefused: ProblemRow(
        422, "urn:problem:query-refused", "The query cannot be read", "column {column}: {reason}"
    ),
    NameUnknown: ProblemRow(
        422, "urn:problem:name-unknown", "A name in the query is not known", "what stands after {field}:"
    ),
    IndexUnavailable: ProblemRow(503, "urn:problem:index-unavailable", "The search engine does not answer"),
    ExpungeUnfinished: ProblemRow(
        503, "urn:problem:expunge-unfinished", "The search engine still holds what was to be destroyed"
    ),
}
