"""The months of payloads, made ahead so that no send waits for one."""

from datetime import date

from libs.db.pool import CrossingDatabase
from services.messaging.store.unavailable import log_unavailable

_MAKE = "SELECT messaging.make_payload_months(%s, %s)"
MONTHS_AHEAD = 3


class PostgresMonths:
    """Makes partitions by the `messaging_publisher` role, through a function of the schema's owner."""

    def __init__(self, database: CrossingDatabase) -> None:
        """Make them in `database`."""
        self._database = database

    async def make_ahead(self, today: date) -> None:
        """Make this month and the next two, where they are missing."""
        with log_unavailable():
            async with self._database.begin() as tx:
                await tx.execute(_MAKE, (today, MONTHS_AHEAD))
