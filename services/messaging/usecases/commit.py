"""The group commit: whatever was decided during the last commit goes into the next one.

There is no linger timer: a lone send commits at once, and under load the batch is what arrived meanwhile.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from libs.kernel.errors import DomainError
from services.messaging.domain.entries import ConversationKey, ConversationKind, Draft, Entry, EntryKind
from services.messaging.domain.errors import LogUnavailable, Overloaded
from services.messaging.domain.log import (
    Appended,
    Head,
    Outcome,
    Refused,
    Repeated,
    Stale,
    client_key_of,
    message_key_of,
    plan_commit,
)
from services.messaging.ports import LogWriter

MOST_IN_A_COMMIT = 500
MOST_WAITING = 10_000

Redecide = Callable[[Draft, Stale], Awaitable[Draft]]
OnCommitted = Callable[[Sequence[tuple["Pending", Entry]]], None]
FindHead = Callable[[ConversationKey], Head | None]


@dataclass(slots=True, eq=False)
class Pending:
    """A draft that waits for its commit.

    `done` resolves to what became of it, `body` is the clear body for those who are delivered to by this
    gateway, `origin` the socket that sent it (told by its ack), and `redecide` decides the draft again
    after the membership changed.
    """

    draft: Draft
    done: asyncio.Future[Appended | Repeated]
    redecide: Redecide
    body: bytes | None = None
    origin: object | None = None


class Commit(Protocol):
    """Takes drafts for a commit."""

    def submit(self, pending: Pending) -> None:
        """Queue a draft for the next commit; raises Overloaded when too many wait already."""
        ...


class GroupCommit:
    """Commits drafts in batches, one transaction after the other."""

    def __init__(
        self,
        writer: LogWriter,
        on_committed: OnCommitted,
        find_head: FindHead,
        *,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        """Write by `writer`; tell `on_committed` of the new entries of each commit, in their order.

        `find_head` says where a log stands as far as this gateway has heard: a hint.
        """
        self._writer = writer
        self._on_committed = on_committed
        self._find_head = find_head
        self._most_waiting = most_waiting
        self._waiting: deque[Pending] = deque()
        self._wake = asyncio.Event()

    def submit(self, pending: Pending) -> None:
        """Queue a draft for the next commit; raises Overloaded when too many wait already."""
        if len(self._waiting) >= self._most_waiting:
            raise Overloaded
        self._waiting.append(pending)
        self._wake.set()

    async def run(self) -> None:
        """Commit what is queued, until cancelled; what waits then is refused, nothing hangs."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._waiting:
                    await self._commit(self._next_batch())
        finally:
            while self._waiting:
                _refuse(self._waiting.popleft(), LogUnavailable())

    def _next_batch(self) -> list[Pending]:
        size = min(len(self._waiting), MOST_IN_A_COMMIT)
        return [self._waiting.popleft() for _ in range(size)]

    async def _commit(self, batch: list[Pending]) -> None:
        """Commit a batch; one that fails is split until only the offender fails."""
        try:
            outcomes = await self._commit_once(batch)
        except LogUnavailable as error:
            for pending in batch:
                _refuse(pending, error)
        except asyncio.CancelledError:
            for pending in batch:
                _refuse(pending, LogUnavailable())
            raise
        except Exception as error:  # noqa: BLE001 - whatever one draft brought about must not hurt the others
            await self._split(batch, error)
        else:
            await self._settle(batch, outcomes)

    async def _split(self, batch: list[Pending], error: Exception) -> None:
        if len(batch) == 1:
            _refuse(batch[0], error)
            return
        middle = len(batch) // 2
        await self._commit(batch[:middle])
        await self._commit(batch[middle:])

    async def _commit_once(self, batch: Sequence[Pending]) -> list[Outcome]:
        """Commit a batch in one transaction and return what became of each draft.

        What this gateway remembers of the heads is tried first, and saves a round trip where it is right;
        where it is not, the heads are locked and say themselves.
        """
        drafts = [pending.draft for pending in batch]
        hints = self._hints(drafts)
        if hints is not None:
            plan = plan_commit(drafts, hints, {})
            entries = plan.entries()
            if len(entries) == len(drafts) and await self._writer.append_where(entries, hints):
                return plan.outcomes
        return await self._commit_locked(drafts)

    def _hints(self, drafts: Sequence[Draft]) -> dict[ConversationKey, Head] | None:
        """Return the remembered heads of a batch of new messages, or None where they cannot suffice."""
        hints: dict[ConversationKey, Head] = {}
        for draft in drafts:
            if draft.kind is not EntryKind.MESSAGE_CREATED:  # others move more than the head
                return None
            if draft.key not in hints:
                head = self._find_head(draft.key)
                if head is None:
                    return None
                hints[draft.key] = head
        return hints

    async def _commit_locked(self, drafts: Sequence[Draft]) -> list[Outcome]:
        """Lock the heads, decide by them, and commit."""
        clients = [client for draft in drafts if (client := client_key_of(draft)) is not None]
        async with self._writer.begin() as transaction:
            heads, known = await transaction.lock(
                sorted({draft.key for draft in drafts}), _created(drafts), clients
            )
            messages = {message for draft in drafts if (message := message_key_of(draft)) is not None}
            amended = await transaction.amended(sorted(messages)) if messages else {}
            plan = plan_commit(drafts, heads, known, amended)
            if entries := plan.entries():
                await transaction.append(entries)
        return plan.outcomes

    async def _settle(self, batch: Sequence[Pending], outcomes: Sequence[Outcome]) -> None:
        """Tell each sender, then whoever is to be delivered to; decide stale drafts again."""
        committed: list[tuple[Pending, Entry]] = []
        stale: list[tuple[Pending, Stale]] = []
        for pending, outcome in zip(batch, outcomes, strict=True):
            match outcome:
                case Appended(entry):
                    committed.append((pending, entry))
                    _resolve(pending, outcome)
                case Repeated():
                    _resolve(pending, outcome)
                case Stale():
                    stale.append((pending, outcome))
                case Refused(reason):
                    _refuse(pending, reason)
        if committed:
            self._on_committed(committed)
        if stale:
            await self._decide_again(stale)

    async def _decide_again(self, stale: Sequence[tuple[Pending, Stale]]) -> None:
        """Put stale drafts, decided anew, before everything that waits: a sender's order stays."""
        again: list[Pending] = []
        for pending, outcome in stale:
            try:
                pending.draft = await pending.redecide(pending.draft, outcome)
            except DomainError as error:
                _refuse(pending, error)
            else:
                again.append(pending)
        self._waiting.extendleft(reversed(again))


class SpreadCommit:
    """Several group commits side by side; the drafts of a conversation always go to the same one."""

    def __init__(self, writers: Sequence[GroupCommit]) -> None:
        """Spread over `writers`."""
        self.writers = writers

    def submit(self, pending: Pending) -> None:
        """Queue a draft for the next commit of its writer; raises Overloaded when too many wait."""
        self.writers[pending.draft.key.conversation.int % len(self.writers)].submit(pending)


def _created(drafts: Sequence[Draft]) -> dict[ConversationKey, ConversationKind]:
    """Return the conversations that these drafts create."""
    return {draft.key: draft.creates for draft in drafts if draft.creates is not None}


def _resolve(pending: Pending, outcome: Appended | Repeated) -> None:
    if not pending.done.done():
        pending.done.set_result(outcome)


def _refuse(pending: Pending, error: Exception) -> None:
    if not pending.done.done():
        pending.done.set_exception(error)
