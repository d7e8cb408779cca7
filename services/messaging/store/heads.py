"""Where logs stand and who takes part, across tenants: ids and positions, nothing else."""

from collections.abc import Sequence

from libs.db.pool import CrossingDatabase
from libs.kernel.ids import ConversationId, PrincipalId, TenantId
from services.messaging.domain.entries import ConversationKey
from services.messaging.store.unavailable import log_unavailable

_POSITIONS = """
    SELECT h.tenant, h.conversation, h.last_seq
      FROM messaging.conversation_head h
      JOIN unnest(%s::uuid[], %s::uuid[]) AS k (tenant, conversation)
        ON h.tenant = k.tenant AND h.conversation = k.conversation"""

_JOINED = """
    SELECT s.tenant, s.conversation, s.principal
      FROM messaging.participant_span s
      JOIN unnest(%s::uuid[], %s::uuid[]) AS k (tenant, principal)
        ON s.tenant = k.tenant AND s.principal = k.principal
     WHERE s.until_seq IS NULL"""


class PostgresHeads:
    """Reads heads by the `messaging_writer` role."""

    def __init__(self, database: CrossingDatabase) -> None:
        """Read from `database`."""
        self._database = database

    async def positions(self, keys: Sequence[ConversationKey]) -> dict[ConversationKey, int]:
        """Return the last `seq` of each conversation."""
        if not keys:
            return {}
        columns = ([key.tenant for key in keys], [key.conversation for key in keys])
        with log_unavailable():
            async with self._database.begin() as tx:
                rows = await tx.fetch_all(_POSITIONS, columns)
        return {
            ConversationKey(TenantId(row.tenant), ConversationId(row.conversation)): row.last_seq
            for row in rows
        }

    async def joined(
        self, principals: Sequence[tuple[TenantId, PrincipalId]]
    ) -> list[tuple[ConversationKey, PrincipalId]]:
        """Return what these principals take part in now."""
        if not principals:
            return []
        columns = ([tenant for tenant, _ in principals], [principal for _, principal in principals])
        with log_unavailable():
            async with self._database.begin() as tx:
                rows = await tx.fetch_all(_JOINED, columns)
        return [
            (
                ConversationKey(TenantId(row.tenant), ConversationId(row.conversation)),
                PrincipalId(row.principal),
            )
            for row in rows
        ]
