"""The logs of all tenants, counted by what entries tell, and read leaf by leaf."""

from collections.abc import Iterable
from typing import Final

import psycopg

from libs.db.pool import CrossingDatabase
from libs.kernel.ids import TenantId
from libs.kernel.secrets import Secret
from services.audit.domain.reconciling import Positions, Standing
from services.audit.ports.books import Progress
from services.audit.store.evidence import PostgresEvidence

_CONSUMER: Final = "audit"
_CURSORS: Final = """
SELECT source, part, position FROM audit.projection_cursor WHERE consumer = %s AND source = ANY(%s::text[])
"""
_LOGS: Final = """
SELECT l.tenant, l.sequenced,
       coalesce((SELECT t.integrated FROM audit.tree t WHERE t.tenant = l.tenant), 0) AS integrated
  FROM audit.log l
"""
# Tenant by tenant along the key: reading every entry to name a few tenants would take as long as a walk.
_WITH_LOGS: Final = """
WITH RECURSIVE found (tenant) AS (
    (SELECT e.tenant FROM audit.entry e ORDER BY e.tenant LIMIT 1)
    UNION ALL
    SELECT (SELECT e.tenant FROM audit.entry e WHERE e.tenant > f.tenant ORDER BY e.tenant LIMIT 1)
      FROM found f WHERE f.tenant IS NOT NULL
)
SELECT f.tenant FROM found f WHERE f.tenant IS NOT NULL UNION SELECT l.tenant FROM audit.log l
"""
_DETAILS: Final = """
SELECT e.tenant, d.action, count(*) AS entries
  FROM unnest(%s::smallint[], %s::bigint[]) AS p (part, position)
  JOIN audit.entry e ON e.part = p.part AND e.position <= p.position
  JOIN audit.detail d ON d.tenant = e.tenant AND d.index = e.index
 WHERE e.source = %s
 GROUP BY e.tenant, d.action
"""


def tenants_with_logs(dsn: Secret) -> set[TenantId]:
    """Return whose logs there are, as the role audit_sequencer sees them: also of whom nobody else knows.

    By a connection of its own, for a command. Raises psycopg.Error.
    """
    with psycopg.connect(dsn.reveal(), autocommit=True, application_name="audit-verify") as connection:
        return {TenantId(tenant) for (tenant,) in connection.execute(_WITH_LOGS)}


class PostgresBooks:
    """Reads across tenants, and nothing that tells of a person."""

    def __init__(self, database: CrossingDatabase) -> None:
        """Read by `database`, as audit_sequencer; plans over whole tables must be open to it."""
        self._database = database

    async def progress(self, sources: Iterable[str]) -> Progress:
        """Return how far sources and logs are, of one snapshot."""
        cursors: dict[str, dict[int, int]] = {source: {} for source in sources}
        async with self._database.begin() as tx:
            await tx.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            for row in await tx.fetch_all(_CURSORS, (_CONSUMER, list(cursors))):
                cursors[row.source][row.part] = row.position
            rows = await tx.fetch_all(_LOGS)
        return Progress(
            cursors, {TenantId(row.tenant): Standing(row.sequenced, row.integrated) for row in rows}
        )

    async def details_counted(self, source: str, positions: Positions) -> dict[tuple[TenantId, str], int]:
        """Return the number of details by tenant and action whose facts lie within `positions`."""
        async with self._database.begin() as tx:
            rows = await tx.fetch_all(_DETAILS, (list(positions.keys()), list(positions.values()), source))
        return {(TenantId(row.tenant), row.action): row.entries for row in rows}

    async def leaves(self, tenant: TenantId, first: int, count: int) -> list[bytes]:
        """Return `count` leaves of a log from the index `first` on. Raises LogDamaged at a gap."""
        async with self._database.begin() as tx:
            return await PostgresEvidence(tx, tenant).leaves(first, count)
