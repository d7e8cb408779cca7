"""The acts of the hold service, counted over the rows that they left: not over its outbox or its facts."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

ACTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "holds.hold.placed": "SELECT tenant, count(*) AS acts FROM holds.hold GROUP BY tenant",
        "holds.hold.in-force": "SELECT tenant, count(*) AS acts FROM holds.in_force GROUP BY tenant",
        "holds.hold.release-requested": "SELECT tenant, count(*) AS acts FROM holds.approval GROUP BY tenant",
        "holds.hold.release-approved": (
            "SELECT tenant, count(*) AS acts FROM holds.approval WHERE approved GROUP BY tenant"
        ),
        "holds.hold.release-refused": (
            "SELECT tenant, count(*) AS acts FROM holds.approval WHERE NOT approved GROUP BY tenant"
        ),
        "holds.hold.released": "SELECT tenant, count(*) AS acts FROM holds.release GROUP BY tenant",
        "holds.access.denied": "SELECT tenant, count(*) AS acts FROM holds.denial GROUP BY tenant",
    }
)
"""Each kind of act → how many of its rows each tenant has."""
