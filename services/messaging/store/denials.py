"""Denials as rows, each with its fact in the same transaction."""

from collections.abc import Sequence

from libs.contracts.facts import Actor, Entity, MessagingFact
from libs.db.pool import CrossingDatabase
from libs.events.outbox import append, record_of
from libs.kernel.clock import Clock
from libs.kernel.denials import Denial
from libs.kernel.ids import Ids
from services.messaging.store.unavailable import log_unavailable

_INSERT = """
    INSERT INTO messaging.denial (tenant, denial, principal, act, minute, count)
    SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::text[], %s::timestamptz[], %s::integer[])"""


class PostgresDenials:
    """Writes denials by the `messaging_writer` role."""

    def __init__(self, database: CrossingDatabase, ids: Ids, clock: Clock) -> None:
        """Write to `database`."""
        self._database = database
        self._ids = ids
        self._clock = clock

    async def write(self, denials: Sequence[Denial]) -> None:
        """Write each denial and its fact, in one transaction. Raises LogUnavailable."""
        acts = [self._ids.uuid7() for _ in denials]
        records = [
            record_of(
                MessagingFact(
                    act=act,
                    action="messaging.access.denied",
                    actor=Actor(kind="principal", id=denial.principal),
                    at=denial.minute,
                    entities=(Entity(kind="act", id=denial.act),),
                    outcome="refused",
                    count=denial.count,
                ),
                denial.tenant,
                self._ids,
                self._clock,
            )
            for denial, act in zip(denials, acts, strict=True)
        ]
        columns = (
            [denial.tenant for denial in denials],
            acts,
            [denial.principal for denial in denials],
            [denial.act for denial in denials],
            [denial.minute for denial in denials],
            [denial.count for denial in denials],
        )
        with log_unavailable():
            async with self._database.begin() as tx:
                await tx.execute(_INSERT, columns)
                await append(tx, "messaging", records)
