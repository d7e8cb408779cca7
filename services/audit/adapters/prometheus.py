"""What integration shows of itself: metrics, and log lines at each change."""

from libs.telemetry.logs import get_logger
from libs.telemetry.metrics import Metrics
from services.audit.domain.errors import LogDamaged


class IntegrationSigns:
    """Counts in the metrics of one process."""

    def __init__(self, metrics: Metrics) -> None:
        """Count in `metrics`."""
        self._sequenced = metrics.counter("audit_sequenced", "Facts that were given their index.")
        self._integrated = metrics.counter("audit_integrated", "Entries under a signed checkpoint.")
        self._waiting = metrics.gauge("audit_waiting", "Entries that no checkpoint covers yet.")
        self._damaged = metrics.gauge("audit_damaged_logs", "Logs that do not lead to their checkpoints.")
        self._log = get_logger()
        self._without_key = False

    def sequenced(self, entries: int) -> None:
        """Count facts that became entries."""
        self._sequenced.inc(entries)

    def integrated(self, entries: int, waiting: int) -> None:
        """Say how many entries got into their trees, and how many wait."""
        self._integrated.inc(entries)
        self._waiting.set(waiting)

    def waits_for_key(self, *, waits: bool) -> None:
        """Say once that there is no key to sign with, and once that there is one again."""
        if waits != self._without_key:
            self._without_key = waits
            if waits:
                self._log.warning("there is no key to sign checkpoints with")
            else:
                self._log.info("checkpoints are signed again")

    def stands_by(self) -> None:
        """Show no log that waits or is damaged, and no lack of a key: another process knows."""
        self._waiting.set(0)
        self._damaged.set(0)
        self._without_key = False

    def damaged(self, damage: LogDamaged) -> None:
        """Say loudly that a log cannot grow."""
        self._log.error("a log is damaged", tenant=damage.tenant, index=damage.index, reason=damage.reason)

    def damaged_logs(self, count: int) -> None:
        """Say how many logs cannot grow at present."""
        self._damaged.set(count)

    async def has_key(self) -> bool:
        """Tell whether checkpoints can be signed: a check of readiness."""
        return not self._without_key
