"""What later entries say of a message and its versions, as a part of the statements that ask for it."""

from typing import Final

VERSIONS: Final = """
      LEFT JOIN messaging.amendment m
        ON m.tenant = e.tenant AND m.conversation = e.conversation AND m.seq = e.seq
      LEFT JOIN LATERAL (
           SELECT min(n.seq) FILTER (WHERE NOT n.retracts AND n.seq > e.seq) AS superseded_by,
                  min(n.seq) FILTER (WHERE n.retracts AND n.seq > e.seq) AS retracted_by,
                  array_agg(n.seq ORDER BY n.seq) FILTER (WHERE NOT n.retracts) AS versions
             FROM messaging.amendment n
            WHERE n.tenant = e.tenant AND n.conversation = e.conversation
              AND n.message_seq = coalesce(m.message_seq, e.seq)) c ON true"""
"""Joins to an entry `e` what it amends (`m`), and what amends its message (`c`)."""
