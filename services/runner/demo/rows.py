"""What messaging's own tables hold, counted by SQL: messages, sealed bodies, what is due, what is gone."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import psycopg

from services.messaging.domain.entries import EntryKind
from services.runner.demo.retaining import YEARS
from services.runner.errors import RunnerError

_STORED: Final = """
    SELECT count(*),
           count(p.sealed) FILTER (WHERE octet_length(p.sealed) > 0)
      FROM messaging.entry e
      LEFT JOIN messaging.payload p
        ON (p.tenant, p.conversation, p.seq, p.sent_at) = (e.tenant, e.conversation, e.seq, e.sent_at)
     WHERE e.tenant = %s AND e.kind = %s
"""
_DUE: Final = """
    SELECT count(*)
      FROM messaging.imported_line i
      JOIN messaging.payload p ON (p.tenant, p.conversation, p.seq) = (i.tenant, i.conversation, i.seq)
     WHERE p.tenant = %s
       AND (p.sent_at AT TIME ZONE 'UTC') + make_interval(years => %s) <= (%s AT TIME ZONE 'UTC')
"""
_IN_SCOPE: Final = """
    SELECT count(*) FROM messaging.entry e
     WHERE e.tenant = %s AND e.conversation IN (
           SELECT s.conversation FROM messaging.participant_span s
            WHERE s.tenant = %s AND s.principal = ANY (%s))
"""
_BODIES: Final = "SELECT count(*) FROM messaging.payload WHERE tenant = %s"


def count_stored(database: str, tenant: UUID) -> tuple[int, int]:
    """Return the number of messages in messaging's own tables, and of those with a sealed payload."""
    stored, is_sealed = _counted(database, _STORED, tenant, EntryKind.MESSAGE_CREATED.value)
    return stored, is_sealed


def count_due(database: str, tenant: UUID, as_of: datetime) -> int:
    """Return how many imported bodies (messages, and names of conversations) were too old at `as_of`."""
    (due,) = _counted(database, _DUE, tenant, YEARS, as_of)
    return due


def count_in_scope(database: str, tenant: UUID, custodians: Sequence[UUID]) -> int:
    """Return how many entries the conversations have in which one of `custodians` ever took part."""
    (entries,) = _counted(database, _IN_SCOPE, tenant, tenant, list(custodians))
    return entries


def count_bodies(database: str, tenant: UUID) -> int:
    """Return how many sealed bodies there are, of messages and of names of conversations."""
    (bodies,) = _counted(database, _BODIES, tenant)
    return bodies


def _counted(database: str, statement: str, *parameters: object) -> list[int]:
    """Return the numbers of the one row. Raises RunnerError."""
    try:
        with psycopg.connect(database, connect_timeout=10) as connection:
            row = connection.execute(statement.encode(), parameters).fetchone()
    except psycopg.Error as defect:
        raise RunnerError(f"the stored messages cannot be counted: {defect}") from defect
    return [int(number) for number in row or ()]
