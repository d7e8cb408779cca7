"""Every refusal of the search has its problem."""

from datetime import UTC, datetime
from uuid import uuid4

from libs.host.approvals import APPROVAL_PROBLEMS
from libs.host.problems import problem_of, uncovered
from services.ediscovery.domain import errors
from services.ediscovery.domain.productions.errors import OutOfOrder
from services.ediscovery.edge.problems import PROBLEMS


def test_what_cannot_be_taken_any_more_says_until_when_it_could():
    expired = errors.ProductionExpired(uuid4(), datetime(2026, 12, 24, 9, 5, tzinfo=UTC))
    problem = problem_of(expired, PROBLEMS, "r")
    assert (problem.status, problem.code) == (410, "production-expired")
    assert "2026-12-24T09:05Z" in (problem.detail or "")


def test_every_refusal_has_a_row():
    assert set(PROBLEMS) == {
        *APPROVAL_PROBLEMS,
        OutOfOrder,
        errors.NotFound,
        errors.MatterConflict,
        errors.MatterRefused,
        errors.CorrespondenceUnavailable,
        errors.KeyRefused,
        errors.QueryRefused,
        errors.NameUnknown,
        errors.IndexRebuilding,
        errors.IndexUnavailable,
        errors.ExpungeUnfinished,
        errors.ExpungesStopped,
        errors.ProductionConflict,
        errors.ProductionExpired,
        errors.ProductionRefused,
        errors.ProductionUnfinished,
        errors.ProofsBehind,
    }
    assert uncovered(PROBLEMS, "services.ediscovery.") == []
