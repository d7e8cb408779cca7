"""Retention's acts, counted over the rows that they left: not over its outbox, nor over facts."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

ACTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "retention.rule.made": (
            "SELECT tenant, count(*) AS acts FROM retention.rule_version"
            " WHERE version = 1 AND NOT ended GROUP BY tenant"
        ),
        "retention.rule.changed": (
            "SELECT tenant, count(*) AS acts FROM retention.rule_version"
            " WHERE version > 1 AND NOT ended GROUP BY tenant"
        ),
        "retention.rule.ended": (
            "SELECT tenant, count(*) AS acts FROM retention.rule_version WHERE ended GROUP BY tenant"
        ),
        "retention.lock.made": (
            "SELECT tenant, count(*) AS acts FROM retention.lock_version WHERE version = 1 GROUP BY tenant"
        ),
        "retention.lock.extended": (
            "SELECT tenant, count(*) AS acts FROM retention.lock_version WHERE version > 1 GROUP BY tenant"
        ),
        "retention.erasure.requested": (
            "SELECT tenant, count(*) AS acts FROM retention.erasure GROUP BY tenant"
        ),
        "retention.order.issued": (
            "SELECT tenant, count(*) AS acts FROM retention.disposition_order GROUP BY tenant"
        ),
        "retention.order.answered": ("SELECT tenant, count(*) AS acts FROM retention.answer GROUP BY tenant"),
        "retention.order.completed": (
            "SELECT tenant, count(*) AS acts FROM retention.completion GROUP BY tenant"
        ),
        "retention.certificate.issued": (
            "SELECT tenant, count(*) AS acts FROM retention.certificate GROUP BY tenant"
        ),
        "retention.run.requested": (
            "SELECT tenant, count(*) AS acts FROM retention.approval"
            " WHERE act = 'retention.run' GROUP BY tenant"
        ),
        "retention.run.approved": (
            "SELECT tenant, count(*) AS acts FROM retention.approval"
            " WHERE act = 'retention.run' AND approved GROUP BY tenant"
        ),
        "retention.run.refused": (
            "SELECT tenant, count(*) AS acts FROM retention.approval"
            " WHERE act = 'retention.run' AND NOT approved GROUP BY tenant"
        ),
        "retention.access.denied": "SELECT tenant, count(*) AS acts FROM retention.denial GROUP BY tenant",
    }
)
"""Each kind of act → how many of its rows each tenant has."""
