"""The acts of the key service, counted over the rows that they left: not over its outbox or its facts."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_PLATFORM = "'00000000-0000-0000-0000-000000000000'::uuid AS tenant, count(*) AS acts"
"""The platform's own acts belong to the nil tenant."""
_ANY = "HAVING count(*) > 0"

ACTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "keys.kek.created": (
            "SELECT tenant, count(*) AS acts FROM keys.kek WHERE NOT predates_audit GROUP BY tenant"
        ),
        "keys.dek.created": (
            "SELECT tenant, count(*) AS acts FROM keys.dek WHERE NOT predates_audit GROUP BY tenant"
        ),
        "keys.dek.retired": "SELECT tenant, count(*) AS acts FROM keys.dek_retirement GROUP BY tenant",
        "keys.dek.shredded": (
            "SELECT tenant, count(*) AS acts FROM keys.dek WHERE shredded_at IS NOT NULL GROUP BY tenant"
        ),
        "keys.dek.unwrapped": (
            "SELECT tenant, count(*) AS acts FROM keys.key_access"
            " WHERE action = 'keys.dek.unwrapped' GROUP BY tenant"
        ),
        "keys.dek.unwrapped-for-matter": (
            "SELECT tenant, count(*) AS acts FROM keys.key_access"
            " WHERE action = 'keys.dek.unwrapped-for-matter' GROUP BY tenant"
        ),
        "keys.fingerprint-key.obtained": (
            "SELECT tenant, count(*) AS acts FROM keys.key_access"
            " WHERE action = 'keys.fingerprint-key.obtained' GROUP BY tenant"
        ),
        "keys.signing-key.created": (
            f"SELECT {_PLATFORM} FROM keys.signing_key WHERE NOT predates_audit {_ANY}"
        ),
        "keys.signing-key.leased": f"SELECT {_PLATFORM} FROM keys.signing_key_lease {_ANY}",
        "keys.signing-key.retired": f"SELECT {_PLATFORM} FROM keys.signing_key_retirement {_ANY}",
    }
)
"""Each kind of act → how many of its rows each tenant has."""
