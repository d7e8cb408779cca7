"""eDiscovery's acts, counted over the rows that they left: not over its outbox, nor over facts."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

ACTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ediscovery.access.denied": "SELECT tenant, count(*) AS acts FROM ediscovery.denial GROUP BY tenant",
    }
)
"""Each kind of act → how many of its rows each tenant has."""
