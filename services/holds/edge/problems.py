"""What the world is told of refusals about holds."""

from typing import Final

from libs.host.approvals import APPROVAL_PROBLEMS
from libs.host.problems import ProblemRow, ProblemTable
from services.holds.domain.errors import (
    ConfirmationAhead,
    HoldConflict,
    HoldEnded,
    HoldNotFound,
    HoldRefused,
    HoldsUnavailable,
    ReleasePending,
)

PROBLEMS: Final[ProblemTable] = {
    **APPROVAL_PROBLEMS,
    HoldNotFound: ProblemRow(404, "urn:problem:not-found", "Not found"),
    HoldRefused: ProblemRow(422, "urn:problem:invalid", "The request is not valid", "{reason}"),
    HoldConflict: ProblemRow(409, "urn:problem:hold-conflict", "This id names a hold on other terms"),
    HoldEnded: ProblemRow(409, "urn:problem:hold-ended", "The hold is released already"),
    ReleasePending: ProblemRow(
        409,
        "urn:problem:release-pending",
        "Somebody asked for the release already",
        "request {request} waits for another person",
    ),
    HoldsUnavailable: ProblemRow(503, "urn:problem:unavailable", "Try again later", "nothing was done"),
    ConfirmationAhead: ProblemRow(
        500, "urn:problem:confirmation-ahead", "An executor confirmed what was never given out"
    ),
}
