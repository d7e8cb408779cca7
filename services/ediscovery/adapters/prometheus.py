"""How far the index is behind, whether one was lost, and whether its engine answers, in metrics."""

from libs.kernel.ids import TenantId
from libs.telemetry.logs import get_logger
from libs.telemetry.metrics import Metrics


class IndexSigns:
    """Shows it in the metrics of one process."""

    def __init__(self, metrics: Metrics) -> None:
        """Show in `metrics`."""
        self._seconds = metrics.gauge(
            "index_lag_seconds", "Since when the oldest message is committed that cannot be found yet."
        )

        self._lost = metrics.counter(
            "index_lost", "How often an index was found to be lost or damaged, and was begun anew."
        )
        self._answers = metrics.gauge("search_engine_answers", "Whether the search engine answers.")
        self._reason: str | None = None

    def is_lost(self, tenant: TenantId) -> None:
        """Count it, and have an error in the log."""
        self._lost.inc()
        get_logger().error("an index is lost, and is made anew", tenant=tenant)

    def engine(self, reason: str | None) -> None:
        """Show why the engine does not answer, None when it does; the log hears of changes alone."""
        self._answers.set(reason is None)
        if (reason is None) != (self._reason is None):
            if reason is None:
                get_logger().info("the search engine answers again")
            else:
                get_logger().warning("the search engine does not answer", reason=reason)
        self._reason = reason

    def lags(self, seconds: float) -> None:
        """Show the seconds (0: everything can be found)."""
        self._seconds.set(seconds)
