"""Telling an event that cannot be taken in from a world that is not ready for it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import psycopg
from redis.exceptions import RedisError

from libs.contracts.events import CloudEvent, decode
from libs.db.errors import DatabaseUnavailable
from libs.db.pool import Transaction
from libs.events.records import StreamRecord

Apply = Callable[[Transaction, CloudEvent, int], Awaitable[None]]
"""The effect of one event, at its position, by statements of the given transaction alone."""

ApplyMany = Callable[[Transaction, Sequence[StreamRecord]], Awaitable[None]]
"""The effect of many records at once, each partition's in order, by statements of the given transaction.

It decodes what it needs itself. When it fails for a batch, it is tried again record by record.
"""

WORLD_AWAY = (
    DatabaseUnavailable,
    psycopg.OperationalError,  # also deadlocks and timeouts: the same event may succeed next time
    psycopg.InterfaceError,
    psycopg.errors.UndefinedTable,  # code that is ahead of its migration, or without its rights:
    psycopg.errors.UndefinedColumn,  # parking every tenant's events for that would help nobody
    psycopg.errors.InsufficientPrivilege,
    RedisError,
    OSError,
    TimeoutError,
)
"""What is nobody's event's fault, and is waited out."""


@dataclass(eq=False)
class EffectFailed(Exception):
    """An event's effect was refused for a reason that lies in the event."""

    record: StreamRecord
    reason: str


async def apply_record(apply: Apply, tx: Transaction, record: StreamRecord) -> None:
    """Decode `record` and run its effect. Raises EffectFailed, or one of WORLD_AWAY as it is.

    The reason names the error's type alone: its text may hold content.
    """
    try:
        event, _ = decode(record.body)
        await apply(tx, event, record.position)
    except WORLD_AWAY:
        raise
    except Exception as error:
        raise EffectFailed(record, type(error).__name__) from error


def one_by_one(apply: Apply) -> ApplyMany:
    """Return the effect of many records as that of each in turn."""

    async def apply_each(tx: Transaction, records: Sequence[StreamRecord]) -> None:
        for record in records:
            await apply_record(apply, tx, record)

    return apply_each


async def apply_records(apply: ApplyMany, tx: Transaction, records: Sequence[StreamRecord]) -> None:
    """Run the effect of `records`. Raises EffectFailed, or one of WORLD_AWAY as it is."""
    try:
        await apply(tx, records)
    except (*WORLD_AWAY, EffectFailed):
        raise
    except Exception as error:
        raise EffectFailed(records[0], type(error).__name__) from error
