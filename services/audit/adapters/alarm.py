"""The alarm by what operators watch: errors in the log, and gauges."""

from typing import Final

from libs.telemetry.logs import get_logger
from libs.telemetry.metrics import Metrics
from services.audit.domain.errors import LogDamaged
from services.audit.domain.reconciling import Reconciliation

_MOST_TOLD: Final = 20
"""Lines of one comparison; the gauge counts them all."""


class GaugesAndErrors:
    """Rings by `muniment_audit_disagreements`, `…_unsettled` and `…_left_out`, each 0 when all is well."""

    def __init__(self, metrics: Metrics) -> None:
        """Show the gauges in `metrics`."""
        self._log = get_logger()
        self._disagreements = metrics.gauge(
            "audit_disagreements", "tenants and actions whose acts and entries disagree"
        )
        self._unsettled = metrics.gauge(
            "audit_unsettled", "sources whose acts could not be compared with entries last time"
        )
        self._left_out = metrics.gauge(
            "audit_left_out", "logs that are damaged or without a checkpoint, and were not compared last time"
        )

    def counted(self, found: Reconciliation) -> None:
        """Say which acts and entries disagree, by ids and counts alone."""
        self._disagreements.set(len(found.disagreements))
        self._unsettled.set(len(found.unsettled))
        self._left_out.set(len(found.left_out))
        for one in found.disagreements[:_MOST_TOLD]:
            self._log.error("acts and entries disagree", **one._asdict())
        for source, reason in found.unsettled.items():
            self._log.warning("acts cannot be compared", source=source, reason=reason)
        for tenant, reason in list(found.left_out.items())[:_MOST_TOLD]:
            self._log.warning("a log cannot be compared", log=tenant, reason=reason)

    def damaged(self, damage: LogDamaged) -> None:
        """Say which log cannot be walked, and from where on."""
        self._log.error("a log is damaged", log=damage.tenant, index=damage.index, reason=damage.reason)
