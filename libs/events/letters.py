"""A worker's rows in its own service's schema: the inbox of what was done, and the dead letters."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from libs.db.names import identifier_of
from libs.db.pool import Transaction
from libs.events.records import StreamRecord


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event on which a worker could not act, after all its tries."""

    record: StreamRecord
    reason: str
    tries: int
    at: datetime


class WorkerRows:
    """The inbox and the dead letters of one worker of one source."""

    def __init__(self, schema: str, worker: str, source: str) -> None:
        """Use the tables that `libs.db.migrations.create_projection` makes in `schema`."""
        self._schema = identifier_of(schema)
        self._worker = worker
        self._source = source

    async def accept(self, tx: Transaction, event_id: UUID) -> bool:
        """Note the event as done; return False when it is already."""
        inserted = await tx.execute(
            f"INSERT INTO {self._schema}.inbox (worker, event_id) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            (self._worker, event_id),
        )
        return inserted == 1

    async def forget_before(self, tx: Transaction, days: int) -> None:
        """Remove inbox rows older than `days`, by when no stream can bring the event again."""
        await tx.execute(
            f"DELETE FROM {self._schema}.inbox WHERE worker = %s AND at < now() - make_interval(days => %s)",
            (self._worker, days),
        )

    async def bury(self, tx: Transaction, record: StreamRecord, reason: str, tries: int) -> None:
        """Keep an event on which nobody could act."""
        await tx.execute(
            f"INSERT INTO {self._schema}.dead_letter"
            " (tenant, worker, source, part, position, name, body, reason, tries)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            (
                record.tenant,
                self._worker,
                self._source,
                record.part,
                record.position,
                record.name,
                record.body,
                reason,
                tries,
            ),
        )

    async def letters(self, tx: Transaction, limit: int) -> list[DeadLetter]:
        """Return the oldest dead letters."""
        rows = await tx.fetch_all(
            "SELECT tenant, part, position, name, body, reason, tries, at"
            f" FROM {self._schema}.dead_letter WHERE worker = %s AND source = %s"
            " ORDER BY at, part, position LIMIT %s",
            (self._worker, self._source, limit),
        )
        return [
            DeadLetter(
                StreamRecord(row.part, row.position, row.tenant, row.name, row.body),
                row.reason,
                row.tries,
                row.at,
            )
            for row in rows
        ]

    async def take(self, tx: Transaction, record: StreamRecord) -> bool:
        """Remove a dead letter; return False when it is gone already."""
        removed = await tx.execute(
            f"DELETE FROM {self._schema}.dead_letter"
            " WHERE tenant = %s AND worker = %s AND source = %s AND part = %s AND position = %s",
            (record.tenant, self._worker, self._source, record.part, record.position),
        )
        return removed == 1
