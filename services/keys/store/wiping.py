"""Wiping the file of keys.dek, by the role keys_shredder: what was shredded is no longer in it."""

from typing import Final

import psycopg

from libs.db.pool import CrossingDatabase
from libs.kernel.clock import Clock
from services.keys.domain.errors import WipingPutOff

_SHREDDED: Final = "(SELECT count(*) FROM keys.dek d WHERE d.shredded_at IS NOT NULL)"
_DUE: Final = f"SELECT w.shredded FROM keys.wiping w WHERE w.shredded <> {_SHREDDED}"
_WIPED: Final = f"UPDATE keys.wiping SET shredded = {_SHREDDED}, at = %s"


class PostgresWiping:
    """Wipes the file of keys.dek; what was shredded is counted, tenants apart or not."""

    def __init__(self, database: CrossingDatabase, clock: Clock) -> None:
        """Use the pool `database`, of the role keys_shredder."""
        self._database = database
        self._clock = clock

    async def is_due(self) -> bool:
        """Say whether keys were shredded since it was last done. Raises DatabaseUnavailable."""
        async with self._database.begin() as tx:
            return await tx.fetch_one(_DUE) is not None

    async def wipe(self) -> None:
        """Write the table anew. Raises DatabaseUnavailable, and WipingPutOff while somebody reads on."""
        try:
            async with self._database.begin() as tx:
                await tx.execute("SELECT keys.write_deks_anew()")
                # behind its lock: whatever is shredded by now was written anew without its text
                await tx.execute(_WIPED, (self._clock.now(),))
        except psycopg.errors.LockNotAvailable:
            raise WipingPutOff from None
