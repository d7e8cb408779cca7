"""What executors owe, in metrics, and in a log line at each change."""

from libs.telemetry.logs import get_logger
from libs.telemetry.metrics import Metrics
from services.holds.ports.register import Waiting


class WaitingSigns:
    """Shows in the metrics of one process; an executor that makes holds wait for long is an error."""

    def __init__(self, metrics: Metrics, late_seconds: float) -> None:
        """Count in `metrics`; call a hold late that waits for more than `late_seconds`."""
        self._holds = metrics.gauge(
            "holds_unconfirmed", "Holds that an executor has not confirmed.", ["executor"]
        )
        self._seconds = metrics.gauge(
            "holds_unconfirmed_seconds",
            "For how long the oldest hold has been waiting for an executor.",
            ["executor"],
        )
        self._late_seconds = late_seconds
        self._late: set[str] = set()
        self._log = get_logger()

    def waits(self, waiting: Waiting, seconds: float) -> None:
        """Show for how long the oldest hold has been waiting for an executor (0: none waits)."""
        self._holds.labels(waiting.executor).set(waiting.holds)
        self._seconds.labels(waiting.executor).set(seconds)
        late = seconds > self._late_seconds
        if late and waiting.executor not in self._late:
            self._late.add(waiting.executor)
            self._log.error(
                "holds are not in force: an executor does not confirm them",
                executor=waiting.executor,
                holds=waiting.holds,
            )
        elif not late and waiting.executor in self._late:
            self._late.discard(waiting.executor)
            self._log.info("an executor confirms holds again", executor=waiting.executor)
