"""The closing of data keys in PostgreSQL, by the role messaging_closer; each statement names its tenant."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from libs.barrier.generation import generation_of, share_generation
from libs.contracts.retention import KeysEmptied
from libs.db.pool import CrossingDatabase, Transaction
from libs.events.outbox import append, record_of
from libs.kernel.clock import Clock
from libs.kernel.ids import ConversationId, DekId, Ids, MessageId, TenantId
from services.messaging.domain.entries import ConversationKind
from services.messaging.domain.epochs import Month
from services.messaging.domain.errors import DispositionsStopped
from services.messaging.ports import Closing, Retired, Survivor
from services.messaging.store.unavailable import log_unavailable
from services.messaging.store.waiting_closings import waiting_closings

_SCHEMA: Final = "messaging"

_PARKED: Final = "SELECT FROM messaging.parked p WHERE p.tenant = %s LIMIT 1"

_UNRETIRED: Final = """
    SELECT c.dek FROM messaging.closing c
     WHERE c.tenant = %s AND c.order_id = %s AND c.retired_at IS NULL
       AND c.stated_at IS NULL AND c.shredded_at IS NULL
     ORDER BY c.dek LIMIT %s"""

_RETIRED: Final = """
    UPDATE messaging.closing c SET retired_at = %s
     WHERE c.tenant = %s AND c.order_id = %s AND c.dek = ANY (%s::uuid[]) AND c.retired_at IS NULL"""

# A conversation that was imported is of one source, which one run brings.
_UNFENCED: Final = """
    SELECT c.dek, c.conversation, c.since, c.until, c.retired_at,
           CASE WHEN h.kind = %s THEN coalesce((
               SELECT r.finished_at IS NOT NULL
                 FROM messaging.imported_line i
                 JOIN messaging.import_run r ON r.tenant = i.tenant AND r.run = i.run
                WHERE i.tenant = c.tenant AND i.conversation = c.conversation LIMIT 1), false) END AS brought
      FROM messaging.closing c
      JOIN messaging.conversation_head h ON h.tenant = c.tenant AND h.conversation = c.conversation
     WHERE c.tenant = %s AND c.order_id = %s AND c.retired_at IS NOT NULL AND c.fenced_at IS NULL
       AND c.stated_at IS NULL AND c.shredded_at IS NULL
     ORDER BY c.until, c.dek LIMIT %s"""

_FENCED: Final = """
    UPDATE messaging.closing c SET fenced_at = %s
     WHERE c.tenant = %s AND c.order_id = %s AND c.dek = ANY (%s::uuid[])
       AND c.retired_at IS NOT NULL AND c.fenced_at IS NULL"""

_LEFT: Final = """
    EXISTS (SELECT FROM messaging.payload p
             WHERE p.tenant = c.tenant AND p.conversation = c.conversation
               AND p.sent_at >= c.since AND p.sent_at < c.until AND p.dek = c.dek)"""

_FILLED: Final = f"""
    SELECT c.dek, c.conversation, c.since, c.until FROM messaging.closing c
     WHERE c.tenant = %s AND c.order_id = %s AND c.fenced_at IS NOT NULL
       AND c.stated_at IS NULL AND c.shredded_at IS NULL AND {_LEFT}
     ORDER BY c.dek LIMIT %s"""

_SURVIVORS: Final = """
    SELECT p.seq, p.sent_at, p.sealed, e.message, e.revision
      FROM messaging.payload p
      JOIN messaging.entry e ON e.tenant = p.tenant AND e.conversation = p.conversation AND e.seq = p.seq
     WHERE p.tenant = %s AND p.conversation = %s AND p.sent_at >= %s AND p.sent_at < %s AND p.dek = %s
       AND p.seq > %s
     ORDER BY p.seq LIMIT %s"""

_SHARE_HEAD: Final = """
    SELECT FROM messaging.conversation_head h WHERE h.tenant = %s AND h.conversation = %s FOR SHARE"""

_REPLACE: Final = """
    UPDATE messaging.payload p SET dek = %s, sealed = k.sealed
      FROM unnest(%s::bigint[], %s::timestamptz[], %s::bytea[]) AS k (seq, sent_at, sealed)
     WHERE p.tenant = %s AND p.conversation = %s AND p.seq = k.seq AND p.sent_at = k.sent_at
       AND p.dek = %s"""

_EMPTY: Final = f"""
    SELECT c.dek, c.conversation FROM messaging.closing c
     WHERE c.tenant = %s AND c.order_id = %s AND c.fenced_at IS NOT NULL
       AND c.stated_at IS NULL AND c.shredded_at IS NULL
       AND c.again_generation <= %s AND (c.again_at IS NULL OR c.again_at <= %s) AND NOT {_LEFT}
     ORDER BY c.dek LIMIT %s FOR UPDATE OF c SKIP LOCKED"""

_LOCK_HEADS: Final = """
    SELECT FROM messaging.conversation_head h
     WHERE h.tenant = %s AND h.conversation = ANY (%s::uuid[]) ORDER BY h.conversation FOR UPDATE"""

_STATE: Final = f"""
    UPDATE messaging.closing c SET stated_at = %s, stated_generation = %s
     WHERE c.tenant = %s AND c.order_id = %s AND c.dek = ANY (%s::uuid[]) AND NOT {_LEFT}
    RETURNING c.dek"""

_SHREDDED: Final = """
    UPDATE messaging.closing c SET shredded_at = %s
     WHERE c.tenant = %s AND c.order_id = %s AND c.dek = ANY (%s::uuid[]) AND c.shredded_at IS NULL"""

_AGAIN: Final = """
    UPDATE messaging.closing c
       SET again_generation = %s, again_at = CASE WHEN c.stated_generation < %s THEN %s ELSE %s END,
           stated_at = NULL, stated_generation = NULL
     WHERE c.tenant = %s AND c.order_id = %s AND c.dek = ANY (%s::uuid[]) AND c.shredded_at IS NULL"""


class PostgresClosings:
    """Closes keys, each step in a transaction of its own."""

    def __init__(self, database: CrossingDatabase, clock: Clock, ids: Ids) -> None:
        """Use the pool `database`, of the role messaging_closer."""
        self._database = database
        self._clock = clock
        self._ids = ids

    async def waiting(self) -> list[tuple[TenantId, UUID]]:
        """Return the orders that are over, and of which a key is to be closed and not stated empty."""
        async with self._begin() as tx:
            return await waiting_closings(tx)

    async def unretired(self, tenant: TenantId, order: UUID, most: int) -> list[DekId]:
        """Return keys of an order that the key service was not asked to retire yet."""
        async with self._begin() as tx:
            rows = await tx.fetch_all(_UNRETIRED, (tenant, order, most))
        return [DekId(row.dek) for row in rows]

    async def note_retired(self, tenant: TenantId, order: UUID, deks: Sequence[DekId]) -> None:
        """Keep that the key service hands them out no more."""
        async with self._begin() as tx:
            await tx.execute(_RETIRED, (self._clock.now(), tenant, order, list(deks)))

    async def unfenced(self, tenant: TenantId, order: UUID, most: int) -> list[Retired]:
        """Return retired keys, those of the oldest months first, under which payloads are still taken."""
        async with self._begin() as tx:
            rows = await tx.fetch_all(_UNFENCED, (int(ConversationKind.IMPORT), tenant, order, most))
        return [Retired(_closing_of(row), row.retired_at, row.brought) for row in rows]

    async def fence(self, tenant: TenantId, order: UUID, deks: Sequence[DekId]) -> None:
        """From the commit on, let the database refuse payloads that come under these keys."""
        async with self._begin() as tx:
            await tx.execute(_FENCED, (self._clock.now(), tenant, order, list(deks)))

    async def filled(self, tenant: TenantId, order: UUID, most: int) -> list[Closing]:
        """Return fenced keys under which there are survivors."""
        async with self._begin() as tx:
            rows = await tx.fetch_all(_FILLED, (tenant, order, most))
        return [_closing_of(row) for row in rows]

    async def survivors(self, tenant: TenantId, closing: Closing, after: int, most: int) -> list[Survivor]:
        """Return what is still sealed under a key, behind the `seq` `after`, in order."""
        named = (tenant, closing.conversation, *closing.month, closing.dek, after, most)
        async with self._begin() as tx:
            rows = await tx.fetch_all(_SURVIVORS, named)
        return [
            Survivor(row.seq, row.sent_at, MessageId(row.message), row.revision, bytes(row.sealed))
            for row in rows
        ]

    async def replace(self, tenant: TenantId, closing: Closing, dek: DekId, anew: Sequence[Survivor]) -> int:
        """Put records of the key `dek` in the places of the old ones, where these still are; count them.

        It shares the conversation's head: nobody states that `dek` is empty before this is committed.
        """
        async with self._begin() as tx:
            await _pass(tx, tenant)
            await tx.execute(_SHARE_HEAD, (tenant, closing.conversation))
            columns = (
                [each.seq for each in anew],
                [each.sent_at for each in anew],
                [each.sealed for each in anew],
            )
            return await tx.execute(_REPLACE, (dek, *columns, tenant, closing.conversation, closing.dek))

    async def state_empty(self, tenant: TenantId, order: UUID, most: int) -> int:
        """State behind the holds that stand here which fenced keys have nothing left; return how many.

        What is being committed to their conversations is waited for, and what comes after it is refused.
        """
        now = self._clock.now()
        async with self._begin() as tx:
            generation = await _pass(tx, tenant)
            rows = await tx.fetch_all(_EMPTY, (tenant, order, generation, now, most))
            if not rows:
                return 0
            await tx.execute(_LOCK_HEADS, (tenant, list({row.conversation for row in rows})))
            deks = [row.dek for row in rows]
            stated = await tx.fetch_all(_STATE, (now, generation, tenant, order, deks))
            if stated:
                emptied = KeysEmptied(
                    order=order, generation=generation, deks=tuple(sorted(row.dek for row in stated))
                )
                await append(tx, _SCHEMA, [record_of(emptied, tenant, self._ids, self._clock)])
        return len(stated)

    @asynccontextmanager
    async def _begin(self) -> AsyncIterator[Transaction]:
        with log_unavailable():
            async with self._database.begin() as tx:
                yield tx


class PostgresStatedClosings:
    """Takes in what became of keys, within a projector's transaction, by the role messaging_projector."""

    def __init__(self, tx: Transaction) -> None:
        """Write in `tx`, beside the projector's cursor."""
        self._tx = tx

    async def note_shredded(self, tenant: TenantId, order: UUID, deks: Sequence[DekId], at: datetime) -> None:
        """Keep that the keys are gone: nothing is left to do for them."""
        await self._tx.execute(_SHREDDED, (at, tenant, order, list(deks)))

    async def state_again(
        self,
        tenant: TenantId,
        order: UUID,
        deks: Sequence[DekId],
        generation: int,
        now: datetime,
        later: datetime,
    ) -> None:
        """Let them be stated empty again behind `generation`; at `later` if that was known when stated."""
        row = (generation, generation, now, later, tenant, order, list(deks))
        await self._tx.execute(_AGAIN, row)


async def _pass(tx: Transaction, tenant: TenantId) -> int:
    """Share the generation that stands here, to the commit, and return it.

    Raises GenerationPassed if it is being raised at this very moment: it is tried again.
    """
    generation = await generation_of(tx, _SCHEMA, tenant)
    await share_generation(tx, _SCHEMA, tenant, generation)
    if await tx.fetch_one(_PARKED, (tenant,)) is not None:
        raise DispositionsStopped
    return generation


def _closing_of(row: Any) -> Closing:
    return Closing(DekId(row.dek), ConversationId(row.conversation), Month(row.since, row.until))
