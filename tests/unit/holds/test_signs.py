"""What executors owe is shown in metrics, and said once when it is late and once when it is over."""

import structlog

from libs.telemetry.metrics import Metrics
from services.holds.adapters.prometheus import WaitingSigns
from services.holds.ports.register import Waiting

LATE, AGAIN = (
    "holds are not in force: an executor does not confirm them",
    "an executor confirms holds again",
)


def test_a_late_executor_is_an_error_once_and_its_return_is_said_once() -> None:
    with structlog.testing.capture_logs() as said:
        signs = WaitingSigns(Metrics("holds"), late_seconds=60.0)
        for seconds in (0.0, 60.0, 61.0, 300.0, 0.0, 0.0):
            signs.waits(Waiting("keys", int(seconds > 0), None), seconds)
            signs.waits(Waiting("messaging", 0, None), 0.0)
    assert [(line["log_level"], line["event"], line["executor"]) for line in said] == [
        ("error", LATE, "keys"),
        ("info", AGAIN, "keys"),
    ]
