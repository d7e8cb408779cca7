"""The acts of the audit service itself, counted over its readings and denials: not over facts."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

ACTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "audit.log.read": (
            "SELECT tenant, count(*) AS acts FROM audit.reading"
            " WHERE action = 'audit.log.read' GROUP BY tenant"
        ),
        "audit.entries.searched": (
            "SELECT tenant, count(*) AS acts FROM audit.reading"
            " WHERE action = 'audit.entries.searched' GROUP BY tenant"
        ),
        "audit.evidence.taken": (
            "SELECT tenant, count(*) AS acts FROM audit.reading"
            " WHERE action = 'audit.evidence.taken' GROUP BY tenant"
        ),
        "audit.access.denied": "SELECT tenant, count(*) AS acts FROM audit.denial GROUP BY tenant",
    }
)
"""Each kind of act → how many of its rows each tenant has."""
