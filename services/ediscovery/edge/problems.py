"""What the world is told of the search's refusals."""

from libs.host.approvals import APPROVAL_PROBLEMS
from libs.host.problems import ProblemRow, ProblemTable
from services.ediscovery.domain.errors import (
    CorrespondenceUnavailable,
    ExpungesStopped,
    ExpungeUnfinished,
    IndexRebuilding,
    IndexUnavailable,
    KeyRefused,
    MatterConflict,
    MatterRefused,
    NameUnknown,
    NotFound,
    ProductionConflict,
    ProductionExpired,
    ProductionRefused,
    ProductionUnfinished,
    ProofsBehind,
    QueryRefused,
)
from services.ediscovery.domain.productions.errors import OutOfOrder

PROBLEMS: ProblemTable = {
    **APPROVAL_PROBLEMS,
    ProductionRefused: ProblemRow(422, "urn:problem:invalid", "The request is not valid", "{reason}"),
    ProductionConflict: ProblemRow(
        409, "urn:problem:production-conflict", "This id names another production"
    ),
    ProductionUnfinished: ProblemRow(
        409, "urn:problem:production-unfinished", "The production is not made", "it is {stage}"
    ),
    ProductionExpired: ProblemRow(
        410,
        "urn:problem:production-expired",
        "The files of the production are not kept any more",
        "they were kept until {until:%Y-%m-%dT%H:%MZ}; the record and the hash of the manifest stay",
    ),
    ProofsBehind: ProblemRow(503, "urn:problem:unavailable", "Try again later", "nothing was done"),
    MatterRefused: ProblemRow(422, "urn:problem:invalid", "The request is not valid", "{reason}"),
    MatterConflict: ProblemRow(409, "urn:problem:matter-conflict", "This id names another matter"),
    NotFound: ProblemRow(404, "urn:problem:not-found", "Not found"),
    CorrespondenceUnavailable: ProblemRow(
        503, "urn:problem:unavailable", "Try again later", "nothing was done"
    ),
    KeyRefused: ProblemRow(
        503,
        "urn:problem:key-unavailable",
        "This key cannot be had",
        "the vault refuses it; asking again is no remedy",
    ),
    QueryRefused: ProblemRow(
        422, "urn:problem:query-refused", "The query cannot be read", "column {column}: {reason}"
    ),
    NameUnknown: ProblemRow(
        422,
        "urn:problem:name-unknown",
        "A name in the query is not known",
        "column {column}: what stands after {field}: is no one person or thing",
    ),
    IndexUnavailable: ProblemRow(503, "urn:problem:index-unavailable", "The search engine does not answer"),
    ExpungeUnfinished: ProblemRow(
        503, "urn:problem:expunge-unfinished", "The search engine still holds what was to be destroyed"
    ),
    IndexRebuilding: ProblemRow(
        503,
        "urn:problem:index-rebuilding",
        "The index is being made anew",
        "it was lost or damaged; nothing is searched before it is whole again",
    ),
    ExpungesStopped: ProblemRow(
        503,
        "urn:problem:holds-parked",
        "A change of holds could not be taken in",
        "nothing is destroyed until it is replayed",
    ),
    OutOfOrder: ProblemRow(500, "urn:problem:internal", "Internal error"),
}
