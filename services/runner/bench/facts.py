"""Facts to load the audit log with: as messaging tells of commits, but without the commits."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final
from uuid import UUID

import psycopg

from libs.contracts.facts import Actor, Entity, MessagingFact, Run
from libs.db.arrays import register_arrays
from libs.events.outbox import append_statement, arrays_of, record_of
from libs.events.records import OutboxRecord
from libs.kernel.clock import Clock
from libs.kernel.ids import Ids, TenantId

SOURCE: Final = "messaging"
TENANTS: Final = 20
RUNS: Final = 2
_A_STATEMENT: Final = 5_000
_STANDING: Final = "SELECT tenant, integrated FROM audit.tree WHERE tenant = ANY(%s)"
_BEHIND: Final = """
    SELECT (SELECT coalesce(sum(h.position), 0) FROM messaging.outbox_head h)
         - (SELECT coalesce(sum(c.position), 0) FROM audit.projection_cursor c
             WHERE c.consumer = 'audit' AND c.source = 'messaging')
         + (SELECT coalesce(sum(l.sequenced), 0) FROM audit.log l)
         - (SELECT coalesce(sum(t.integrated), 0) FROM audit.tree t)"""
_PLACES: Final = "SELECT fact, tenant, index FROM audit.entry WHERE tenant = ANY(%s)"

Connection = psycopg.Connection[tuple[Any, ...]]


def fresh_tenants(ids: Ids) -> list[TenantId]:
    """Return tenants that have no log yet; nobody but the log ever hears of them."""
    return [TenantId(ids.uuid7()) for _ in range(TENANTS)]


def records_of(tenants: Sequence[TenantId], count: int, ids: Ids, clock: Clock) -> list[OutboxRecord]:
    """Return `count` facts of commits, of the tenants in turn."""
    return [
        record_of(_fact(number, ids, clock), tenants[number % len(tenants)], ids, clock)
        for number in range(count)
    ]


def _fact(number: int, ids: Ids, clock: Clock) -> MessagingFact:
    act = ids.uuid7()
    return MessagingFact(
        act=act,
        action="messaging.entries.committed",
        actor=Actor(kind="service", name=SOURCE),
        at=clock.now(),
        entities=(Entity(kind="commit", id=str(act)),),
        root=hashlib.sha256(act.bytes).digest(),
        runs=tuple(Run(conversation=ids.uuid7(), first=number + 1, last=number + 3) for _ in range(RUNS)),
    )


class Books:
    """The outbox that facts are put into and the logs that they get into, past every policy."""

    def __init__(self, connection: "Connection") -> None:
        """Speak by `connection`, which is in autocommit."""
        self._connection = connection

    def append(self, records: Sequence[OutboxRecord]) -> None:
        """Put facts into the outbox by one transaction."""
        with self._connection.transaction():
            for start in range(0, len(records), _A_STATEMENT):
                arrays = arrays_of(records[start : start + _A_STATEMENT])
                self._connection.execute(append_statement(SOURCE).encode(), arrays, prepare=True)

    def integrated(self, tenants: Sequence[TenantId]) -> dict[UUID, int]:
        """Return how many entries of each log a checkpoint covers."""
        rows = self._connection.execute(_STANDING.encode(), (list(tenants),), prepare=True)
        return dict(rows.fetchall())

    def behind(self) -> int:
        """Return how many events are not taken in yet, or not in their trees."""
        row = self._connection.execute(_BEHIND.encode()).fetchone()
        return 0 if row is None else int(row[0])

    def places(self, tenants: Sequence[TenantId]) -> dict[UUID, tuple[UUID, int]]:
        """Return the log and index of every fact of `tenants`."""
        rows = self._connection.execute(_PLACES.encode(), (list(tenants),))
        return {fact: (tenant, index) for fact, tenant, index in rows}


@contextmanager
def books_of(facts: Mapping[str, Any]) -> Iterator[Books]:
    """Give the books of a running deployment."""
    with psycopg.connect(facts["databases"]["audit"], autocommit=True) as connection:
        register_arrays(connection.adapters)
        yield Books(connection)
