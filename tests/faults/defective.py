"""A process with a planted defect: `python -m tests.faults.defective DEFECT serve messaging …`, or `… up`.

It patches the product's own classes, then serves as `muniment` does: the product knows of no defects.
"""

import itertools
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from libs.barrier.errors import GenerationPassed
from libs.barrier.generation import generation_of
from libs.db.pool import Transaction
from libs.events import projector
from libs.events.records import StreamItem
from libs.kernel.ids import TenantId
from services.holds.usecases import confirm as confirm_holds
from services.messaging.adapters.keys import EnvelopeKey
from services.messaging.domain import log
from services.messaging.domain.entries import ConversationKey, Draft, Entry
from services.messaging.domain.log import Appended, Head
from services.messaging.store import disposals, log_writer
from services.messaging.usecases import commit


def ack_before_commit() -> None:
    """Tell the sender as soon as his draft is decided, and commit afterwards; on both ways of a commit."""
    append = log_writer.PostgresLogTransaction.append
    append_where = log_writer.PostgresLogWriter.append_where
    batches: list[list[commit.Pending]] = []
    commit_once = commit.GroupCommit._commit_once

    async def remembering(self: commit.GroupCommit, batch: Sequence[commit.Pending]) -> Any:
        batches.append(list(batch))
        return await commit_once(self, batch)

    def tell(entries: Sequence[Entry]) -> None:
        for pending in batches[-1]:
            for entry in entries:
                if entry.draft is pending.draft and not pending.done.done():
                    pending.done.set_result(Appended(entry))

    async def telling(self: log_writer.PostgresLogTransaction, entries: Sequence[Entry]) -> None:
        tell(entries)
        await append(self, entries)

    async def telling_at_once(
        self: log_writer.PostgresLogWriter, entries: Sequence[Entry], heads: Mapping[ConversationKey, Head]
    ) -> bool:
        tell(entries)
        return await append_where(self, entries, heads)

    commit.GroupCommit._commit_once = remembering  # type: ignore[method-assign]
    log_writer.PostgresLogTransaction.append = telling  # type: ignore[method-assign]
    log_writer.PostgresLogWriter.append_where = telling_at_once  # type: ignore[method-assign]


def seq_from_a_sequence() -> None:
    """Take `seq` from one sequence for all conversations, as a database's sequence would give it."""
    sequence = itertools.count(1000)
    plan = log.plan_commit

    def numbered(
        drafts: Sequence[Draft], heads: Mapping[ConversationKey, Head], *known: Mapping[Any, Any]
    ) -> Any:
        moved = {key: Head(next(sequence), head.members_version) for key, head in heads.items()}
        return plan(drafts, moved, *known)

    commit.plan_commit = numbered  # type: ignore[attr-defined, assignment]


def without_deduplication() -> None:
    """Forget the client ids of earlier sends."""
    lock = log_writer.PostgresLogTransaction.lock

    async def forgetful(self: log_writer.PostgresLogTransaction, *arguments: Any) -> Any:
        heads, _ = await lock(self, *arguments)
        return heads, {}

    log_writer.PostgresLogTransaction.lock = forgetful  # type: ignore[method-assign, assignment]
    log_writer._APPEND = log_writer._APPEND.replace(
        "FROM new n WHERE n.client_id IS NOT NULL", "FROM new n WHERE false"
    )


def unsealed() -> None:
    """Store bodies in clear, in records that look sealed."""
    seal = EnvelopeKey.seal

    def in_clear(self: EnvelopeKey, plaintext: bytes, *place: Any) -> bytes:
        return seal(self, plaintext, *place)[:64] + plaintext + bytes(16)

    EnvelopeKey.seal = in_clear  # type: ignore[method-assign, assignment]


def cursor_before_effect() -> None:
    """Commit the cursors of a projector alone, and die where their effect should have followed."""

    async def torn(
        self: projector.Projector, items: Sequence[StreamItem], condemned: str | None = None
    ) -> int:
        async with self._database.begin() as tx:
            cursors = await self._rows.locked_cursors(tx, {item.part for item in items})
            due, reached = projector.in_turn(items, cursors)
            await self._rows.advance(tx, reached)
        if due:
            os.kill(os.getpid(), signal.SIGKILL)
        return 0

    projector.Projector._commit = torn  # type: ignore[method-assign]


def without_a_barrier() -> None:
    """Look at the generation of holds without sharing it, wherever messaging destroys."""

    async def look(tx: Transaction, schema: str, tenant: TenantId, ordered: int) -> None:
        current = await generation_of(tx, schema, tenant)
        if current > ordered:
            raise GenerationPassed(ordered, current)

    disposals.share_generation = look  # type: ignore[attr-defined]


def without_waiting_for_messaging() -> None:
    """Show a hold in force as soon as all the others have confirmed it."""
    slowest_of = confirm_holds.slowest_of  # type: ignore[attr-defined]

    def impatient(confirmed: Mapping[str, int]) -> int:
        others = {name: generation for name, generation in confirmed.items() if name != "messaging"}
        return int(slowest_of({**others, "messaging": max(others.values(), default=0)}))

    confirm_holds.slowest_of = impatient  # type: ignore[attr-defined]


DEFECTS: dict[str, Callable[[], None]] = {
    defect.__name__: defect
    for defect in (
        ack_before_commit,
        seq_from_a_sequence,
        without_deduplication,
        unsealed,
        cursor_before_effect,
        without_a_barrier,
        without_waiting_for_messaging,
    )
}

if __name__ == "__main__":
    DEFECTS[sys.argv.pop(1)]()
    from services.runner.cli import main

    main()
