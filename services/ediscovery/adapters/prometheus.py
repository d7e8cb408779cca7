"""How far the index is behind, and whether one was lost, in metrics."""

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

    def is_lost(self, tenant: TenantId) -> None:
        """Count it, and have an error in the log."""
        self._lost.inc()
        get_logger().error("an index is lost, and is made anew", tenant=tenant)

    def lags(self, seconds: float) -> None:
        """Show the seconds (0: everything can be found)."""
        self._seconds.set(seconds)
