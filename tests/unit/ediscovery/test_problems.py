"""Every refusal of the search has its problem."""

from libs.host.approvals import APPROVAL_PROBLEMS
from libs.host.problems import uncovered
from services.ediscovery.domain import errors
from services.ediscovery.domain.productions.errors import OutOfOrder
from services.ediscovery.edge.problems import PROBLEMS


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
        errors.ProductionRefused,
        errors.ProductionUnfinished,
        errors.ProofsBehind,
    }
    assert uncovered(PROBLEMS, "services.ediscovery.") == []
