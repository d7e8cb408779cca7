"""How far the index is behind, in metrics."""

from libs.telemetry.metrics import Metrics


class IndexSigns:
    """Shows it in the metrics of one process."""

    def __init__(self, metrics: Metrics) -> None:
        """Show in `metrics`."""
        self._seconds = metrics.gauge(
            "index_lag_seconds", "Since when the oldest message is committed that cannot be found yet."
        )

    def lags(self, seconds: float) -> None:
        """Show the seconds (0: everything can be found)."""
        self._seconds.set(seconds)
