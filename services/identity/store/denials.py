"""Denials in PostgreSQL: one row for each tenant, principal, act and minute, never changed."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from libs.db.pool import Transaction
from libs.kernel.denials import Denial

_ADD: Final = """
INSERT INTO identity.denial (tenant, denial, principal, act, minute, count)
SELECT tenant, denial, principal, act, minute, count
  FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::text[], %s::timestamptz[], %s::bigint[])
       AS row (tenant, denial, principal, act, minute, count)
"""


class PostgresDenials:
    """The denials of the transaction's tenant."""

    def __init__(self, tx: Transaction) -> None:
        """Speak through `tx`."""
        self._tx = tx

    async def add(self, rows: Sequence[tuple[UUID, Denial]]) -> None:
        """Keep denials of the transaction's tenant, each under an id."""
        denials = [denial for _, denial in rows]
        await self._tx.execute(
            _ADD,
            (
                [denial.tenant for denial in denials],
                [row for row, _ in rows],
                [denial.principal for denial in denials],
                [denial.act for denial in denials],
                [denial.minute for denial in denials],
                [denial.count for denial in denials],
            ),
        )
