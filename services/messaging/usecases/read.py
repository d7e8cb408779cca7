"""Read conversations without a socket: lists, history, sync, receipts."""

from collections.abc import Mapping
from typing import NamedTuple
from uuid import UUID

from libs.contracts.socket import ConversationEntries
from libs.contracts.socket import Entry as ShownEntry
from libs.kernel.ids import ConversationId
from services.messaging.domain.entries import ConversationKey
from services.messaging.domain.membership import NOBODY, Members, Standing, facts_of
from services.messaging.ports import Actor, Authorization, ConversationState, Keys, LogReader, MarkState
from services.messaging.usecases.access import READ, Access
from services.messaging.usecases.describe import Describe, Description
from services.messaging.usecases.entries import read_opened


class Listed(NamedTuple):
    """A conversation as its person stands to it, and how it is called for him."""

    state: ConversationState
    described: Description


class SyncPage(NamedTuple):
    """A part of what a device missed; it asks again with `cursors` while there is `more`."""

    entries: tuple[ConversationEntries, ...]
    more: bool
    cursors: dict[UUID, int]


class ReadConversations:
    """Reads the log for its participants, each within the spans that he may see."""

    def __init__(
        self,
        access: Access,
        authorization: Authorization,
        reader: LogReader,
        keys: Keys,
        describe: Describe,
    ) -> None:
        """Decide by `access`, read by `reader`, open by `keys`; names are told by `describe`."""
        self._access = access
        self._authorization = authorization
        self._reader = reader
        self._keys = keys
        self._describe = describe

    async def listed(self, actor: Actor, *, archived: bool) -> list[Listed]:
        """Return the conversations that the actor takes or took part in; with `archived`, also those.

        Raises KeysUnavailable or LogUnavailable.
        """
        states = [
            state
            for state in await self.conversations(actor)
            if archived or not state.standing.shown_terms.archived
        ]
        described = await self._describe(actor.tenant, states)
        return [Listed(state, each) for state, each in zip(states, described, strict=True)]

    async def conversations(self, actor: Actor) -> list[ConversationState]:
        """Return the conversations that the actor takes or took part in."""
        return [
            state
            for state in await self._reader.standings(actor.tenant, actor.principal)
            if self._authorization.allows(actor, READ, facts_of(actor.tenant, state.standing))
        ]

    async def conversation(self, actor: Actor, conversation: ConversationId) -> tuple[Listed, Members]:
        """Return how the actor stands to a conversation, and its participants while he is one of them.

        Raises ConversationNotFound, KeysUnavailable or LogUnavailable.
        """
        key, standing = await self._access.access_conversation(actor, conversation, READ)
        state = ConversationState(conversation, standing)
        [described] = await self._describe(actor.tenant, [state])
        members = await self._reader.members(key) if standing.takes_part else NOBODY
        return Listed(state, described), members

    async def history(
        self, actor: Actor, conversation: ConversationId, after: int, limit: int
    ) -> list[ShownEntry]:
        """Return at most `limit` entries after `after` that the actor may see, in order.

        Raises ConversationNotFound or KeysUnavailable.
        """
        key, standing = await self._access.access_conversation(actor, conversation, READ)
        return await self._missed(key, standing, after, limit)

    async def marks(self, actor: Actor, conversation: ConversationId) -> list[MarkState]:
        """Return how far each device has come in a conversation. Raises ConversationNotFound."""
        key, _ = await self._access.access_conversation(actor, conversation, READ)
        return await self._reader.marks(key)

    async def sync(self, actor: Actor, cursors: Mapping[UUID, int], limit: int) -> SyncPage:
        """Return at most `limit` of the entries after the cursors, in the order of each conversation.

        Conversations that the actor joined or left meanwhile are part of it; one without a cursor is
        read from the first entry that he may see.
        """
        pages: list[ConversationEntries] = []
        reached: dict[UUID, int] = {}
        left, more = limit, False
        for conversation, standing in await self.conversations(actor):
            cursor = cursors.get(conversation, 0)
            reached[conversation] = cursor
            if not standing.missed(cursor, standing.last_seq):
                reached[conversation] = max(cursor, standing.last_visible)
                continue
            if left <= 0:
                more = True
                continue
            key = ConversationKey(actor.tenant, conversation)
            shown = await self._missed(key, standing, cursor, left)
            if shown:
                pages.append(ConversationEntries(conversation=conversation, entries=tuple(shown)))
                reached[conversation] = shown[-1].seq
                left -= len(shown)
            more = more or reached[conversation] < standing.last_visible
        return SyncPage(tuple(pages), more, reached)

    async def _missed(
        self, key: ConversationKey, standing: Standing, after: int, limit: int
    ) -> list[ShownEntry]:
        shown: list[ShownEntry] = []
        for missed in standing.missed(after, standing.last_seq):
            wanted = limit - len(shown)
            if wanted <= 0:
                break
            shown += await read_opened(
                self._reader, self._keys, key, missed.after, missed.until, wanted, standing.sees_at
            )
        return shown
