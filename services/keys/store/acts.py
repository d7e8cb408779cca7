"""The acts of the key service, counted over the rows that they left: not over its outbox or its facts."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from libs.db.pool import CrossingDatabase
from libs.kernel.ids import TenantId
from services.keys.ports.acts import CountedActs

_PLATFORM = "'00000000-0000-0000-0000-000000000000'::uuid AS tenant, count(*) AS acts"
"""The platform's own acts belong to the nil tenant."""

ACTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "keys.kek.created": (
            "SELECT tenant, count(*) AS acts FROM keys.kek WHERE NOT predates_audit GROUP BY tenant"
        ),
        "keys.dek.created": (
            "SELECT tenant, count(*) AS acts FROM keys.dek WHERE NOT predates_audit GROUP BY tenant"
        ),
        "keys.dek.unwrapped": (
            "SELECT tenant, count(*) AS acts FROM keys.key_access"
            " WHERE action = 'keys.dek.unwrapped' GROUP BY tenant"
        ),
        "keys.fingerprint-key.obtained": (
            "SELECT tenant, count(*) AS acts FROM keys.key_access"
            " WHERE action = 'keys.fingerprint-key.obtained' GROUP BY tenant"
        ),
        "keys.signing-key.created": f"SELECT {_PLATFORM} FROM keys.signing_key WHERE NOT predates_audit",
        "keys.signing-key.leased": f"SELECT {_PLATFORM} FROM keys.signing_key_lease",
        "keys.signing-key.retired": f"SELECT {_PLATFORM} FROM keys.signing_key_retirement",
    }
)
"""Each kind of act → how many of its rows each tenant has."""

_HEADS: Final = "SELECT part, position FROM keys.outbox_head ORDER BY part"


class PostgresActs:
    """Counts what one snapshot of the database holds."""

    def __init__(self, database: CrossingDatabase) -> None:
        """Use `database` as the role keys_publisher."""
        self._database = database

    async def count(self) -> CountedActs:
        """Return the counts and, of the same snapshot, the heads of the outbox. Raises DatabaseUnavailable.

        Every row of a key access is looked at: minutes apart, not seconds, is how often to ask.
        """
        async with self._database.begin() as tx:
            await tx.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            heads = await tx.fetch_all(_HEADS)
            acts = {
                (action, TenantId(row.tenant)): row.acts
                for action, statement in ACTS.items()
                for row in await tx.fetch_all(statement)
                if row.acts
            }
        return CountedActs({row.part: row.position for row in heads}, acts)
