"""What the world is told of retention's refusals."""

from libs.disposition.errors import PeriodRefused, PresetRefused
from libs.host.approvals import APPROVAL_PROBLEMS
from libs.host.problems import ProblemRow, ProblemTable
from services.retention.domain.errors import (
    AnswerForeign,
    CertificateDiffers,
    CertificateUnavailable,
    RetentionNotFound,
    RuleEnded,
    RuleRefused,
    RunPending,
    RunRefused,
    VersionPassed,
)

PROBLEMS: ProblemTable = {
    **APPROVAL_PROBLEMS,
    RetentionNotFound: ProblemRow(404, "urn:problem:not-found", "Not found"),
    RuleRefused: ProblemRow(
        422, "urn:problem:retention-refused", "This is no rule, lock or order of retention", "{reason}"
    ),
    PeriodRefused: ProblemRow(422, "urn:problem:period-refused", "The period does not do", "{reason}"),
    PresetRefused: ProblemRow(500, "urn:problem:internal", "Internal error"),
    VersionPassed: ProblemRow(
        409, "urn:problem:version-passed", "Somebody changed it meanwhile", "the newest version is {version}"
    ),
    RuleEnded: ProblemRow(409, "urn:problem:rule-ended", "The rule has ended"),
    RunRefused: ProblemRow(409, "urn:problem:run-refused", "This result cannot be carried out", "{reason}"),
    RunPending: ProblemRow(
        409, "urn:problem:run-pending", "Somebody asked for this already", "request {request}"
    ),
    CertificateDiffers: ProblemRow(500, "urn:problem:internal", "Internal error"),
    CertificateUnavailable: ProblemRow(
        503, "urn:problem:certificate-unavailable", "The certificate cannot be had at the moment"
    ),
    AnswerForeign: ProblemRow(
        500, "urn:problem:answer-foreign", "An executor answered what was never ordered"
    ),
}
