"""Whatever identity refuses has a problem document."""

import services.identity.wiring  # noqa: F401 - loads every module that may define an error
from libs.host.problems import uncovered
from services.identity.edge.problems import PROBLEMS


def test_every_error_of_identity_has_a_problem_row():
    assert uncovered(PROBLEMS, "services.identity") == []
