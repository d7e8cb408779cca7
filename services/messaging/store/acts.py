"""Messaging's acts, counted over the rows that they left: not over its outbox, nor over facts."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_BEFORE = "'00000000-0000-0000-0000-000000000000'::uuid"
"""Entries from before the audit log: no commit of theirs was told of."""

ACTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "messaging.entries.committed": (
            "SELECT tenant, count(DISTINCT commit) AS acts FROM messaging.entry"
            f" WHERE commit <> {_BEFORE} GROUP BY tenant"
        ),
        "messaging.conversations.committed": (
            "SELECT tenant, count(*) AS acts FROM messaging.map GROUP BY tenant"
        ),
        "messaging.conversation.created": (
            "SELECT tenant, count(*) AS acts FROM messaging.entry"
            f" WHERE kind = 1 AND commit <> {_BEFORE} GROUP BY tenant"
        ),
        "messaging.participants.added": (
            "SELECT tenant, count(*) AS acts FROM messaging.entry"
            f" WHERE kind = 2 AND commit <> {_BEFORE} GROUP BY tenant"
        ),
        "messaging.participants.removed": (
            "SELECT tenant, count(*) AS acts FROM messaging.entry"
            f" WHERE kind = 3 AND commit <> {_BEFORE} GROUP BY tenant"
        ),
        "messaging.name.changed": (
            "SELECT tenant, count(*) AS acts FROM messaging.entry"
            f" WHERE kind = 7 AND commit <> {_BEFORE} GROUP BY tenant"
        ),
        "messaging.topic.changed": (
            "SELECT tenant, count(*) AS acts FROM messaging.entry"
            f" WHERE kind = 8 AND commit <> {_BEFORE} GROUP BY tenant"
        ),
        "messaging.administrators.added": (
            "SELECT tenant, count(*) AS acts FROM messaging.entry"
            f" WHERE kind = 9 AND commit <> {_BEFORE} GROUP BY tenant"
        ),
        "messaging.administrators.removed": (
            "SELECT tenant, count(*) AS acts FROM messaging.entry"
            f" WHERE kind = 10 AND commit <> {_BEFORE} GROUP BY tenant"
        ),
        "messaging.history.opened": (
            "SELECT tenant, count(*) AS acts FROM messaging.entry"
            f" WHERE kind = 11 AND commit <> {_BEFORE} GROUP BY tenant"
        ),
        "messaging.history.closed": (
            "SELECT tenant, count(*) AS acts FROM messaging.entry"
            f" WHERE kind = 12 AND commit <> {_BEFORE} GROUP BY tenant"
        ),
        "messaging.announcements.begun": (
            "SELECT tenant, count(*) AS acts FROM messaging.entry"
            f" WHERE kind = 13 AND commit <> {_BEFORE} GROUP BY tenant"
        ),
        "messaging.announcements.ended": (
            "SELECT tenant, count(*) AS acts FROM messaging.entry"
            f" WHERE kind = 14 AND commit <> {_BEFORE} GROUP BY tenant"
        ),
        "messaging.conversation.archived": (
            "SELECT tenant, count(*) AS acts FROM messaging.entry"
            f" WHERE kind = 15 AND commit <> {_BEFORE} GROUP BY tenant"
        ),
        "messaging.conversation.reopened": (
            "SELECT tenant, count(*) AS acts FROM messaging.entry"
            f" WHERE kind = 16 AND commit <> {_BEFORE} GROUP BY tenant"
        ),
        "messaging.message.revised": (
            "SELECT tenant, count(*) AS acts FROM messaging.amendment WHERE NOT retracts GROUP BY tenant"
        ),
        "messaging.message.retracted": (
            "SELECT tenant, count(*) AS acts FROM messaging.amendment WHERE retracts GROUP BY tenant"
        ),
        "messaging.amendment-rules.changed": (
            "SELECT tenant, count(*) AS acts FROM messaging.amendment_rules GROUP BY tenant"
        ),
        "messaging.evidence.taken": (
            "SELECT tenant, count(*) AS acts FROM messaging.evidence_taking GROUP BY tenant"
        ),
        "messaging.import.requested": (
            "SELECT tenant, count(*) AS acts FROM messaging.approval"
            " WHERE act = 'messaging.import' GROUP BY tenant"
        ),
        "messaging.import.approved": (
            "SELECT tenant, count(*) AS acts FROM messaging.approval"
            " WHERE act = 'messaging.import' AND approved GROUP BY tenant"
        ),
        "messaging.import.refused": (
            "SELECT tenant, count(*) AS acts FROM messaging.approval"
            " WHERE act = 'messaging.import' AND NOT approved GROUP BY tenant"
        ),
        "messaging.import.begun": (
            "SELECT tenant, count(begun_at) AS acts FROM messaging.import_run GROUP BY tenant"
        ),
        "messaging.import.finished": (
            "SELECT tenant, count(finished_at) AS acts FROM messaging.import_run GROUP BY tenant"
        ),
        "messaging.items.disposed": (
            "SELECT tenant, count(*) AS acts FROM messaging.disposal_batch GROUP BY tenant"
        ),
        "messaging.disposition.completed": (
            "SELECT tenant, count(completed_at) AS acts FROM messaging.disposition_order GROUP BY tenant"
        ),
        "messaging.access.denied": "SELECT tenant, count(*) AS acts FROM messaging.denial GROUP BY tenant",
    }
)
"""Each kind of act → how many of its rows each tenant has."""
