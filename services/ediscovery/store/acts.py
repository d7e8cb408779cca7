"""eDiscovery's acts, counted over the rows that they left: not over its outbox, nor over facts."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

ACTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ediscovery.matter.made": "SELECT tenant, count(*) AS acts FROM ediscovery.matter GROUP BY tenant",
        "ediscovery.member.added": "SELECT tenant, count(*) AS acts FROM ediscovery.member GROUP BY tenant",
        "ediscovery.search.made": (
            "SELECT tenant, count(*) AS acts FROM ediscovery.search_made GROUP BY tenant"
        ),
        "ediscovery.message.viewed": (
            "SELECT tenant, count(*) AS acts FROM ediscovery.message_viewed GROUP BY tenant"
        ),
        "ediscovery.items.expunged": (
            "SELECT tenant, count(*) AS acts FROM ediscovery.expunged GROUP BY tenant"
        ),
        "ediscovery.production.requested": (
            "SELECT tenant, count(*) AS acts FROM ediscovery.production GROUP BY tenant"
        ),
        "ediscovery.production.approved": (
            "SELECT tenant, count(*) AS acts FROM ediscovery.approval WHERE approved GROUP BY tenant"
        ),
        "ediscovery.production.refused": (
            "SELECT tenant, count(*) AS acts FROM ediscovery.approval WHERE NOT approved GROUP BY tenant"
        ),
        "ediscovery.production.made": (
            "SELECT tenant, count(*) AS acts FROM ediscovery.production_made GROUP BY tenant"
        ),
        "ediscovery.production.failed": (
            "SELECT tenant, count(*) AS acts FROM ediscovery.production_failed GROUP BY tenant"
        ),
        "ediscovery.production.taken": (
            "SELECT tenant, count(*) AS acts FROM ediscovery.production_taken GROUP BY tenant"
        ),
        "ediscovery.production.removed": (
            "SELECT tenant, count(*) AS acts FROM ediscovery.production_removed GROUP BY tenant"
        ),
        "ediscovery.index.dropped": (
            "SELECT tenant, count(*) AS acts FROM ediscovery.index_dropped GROUP BY tenant"
        ),
        "ediscovery.index.rebuild-begun": (
            "SELECT tenant, count(*) AS acts FROM ediscovery.index_rebuild GROUP BY tenant"
        ),
        "ediscovery.index.rebuilt": (
            "SELECT tenant, count(*) AS acts FROM ediscovery.index_rebuild"
            " WHERE ended_at IS NOT NULL GROUP BY tenant"
        ),
        "ediscovery.access.denied": "SELECT tenant, count(*) AS acts FROM ediscovery.denial GROUP BY tenant",
    }
)
"""Each kind of act → how many of its rows each tenant has."""
