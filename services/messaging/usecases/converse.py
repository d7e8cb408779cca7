"""Begin a conversation, and change who takes part in it and how it stands."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, NamedTuple
from uuid import UUID

from libs.contracts.socket import Body, body_bytes
from libs.kernel.ids import ConversationId, PrincipalId
from services.messaging.domain.entries import ConversationKey, ConversationKind, Draft, EntryKind
from services.messaging.domain.errors import AlreadySo, ParticipantUnknown
from services.messaging.domain.log import Appended, Repeated, Stale
from services.messaging.domain.membership import (
    Members,
    Standing,
    decide_added,
    decide_appointed,
    decide_dismissed,
    decide_participants,
    decide_removed,
    direct_conversation_of,
    group_conversation_of,
)
from services.messaging.domain.terms import is_settled
from services.messaging.ports import Actor, ConversationState, LogReader
from services.messaging.usecases.access import ARCHIVE, CHANGE, CHANGE_TERMS, LEAVE, Access
from services.messaging.usecases.commit import Commit, Pending, Redecide
from services.messaging.usecases.describe import Describe
from services.messaging.usecases.seal import Act, Seal

Decide = Callable[[Standing, Members], tuple[PrincipalId, ...]]
"""Returns whom an entry is to name, of a conversation as it stands; nobody where there is nothing to do."""
Drafted = Callable[[], Awaitable[Draft | None]]


class Settled(NamedTuple):
    """What is to be settled for a conversation; None leaves it as it is."""

    name: str | None = None
    topic: str | None = None
    open_history: bool | None = None
    announcements: bool | None = None
    archived: bool | None = None


class Settling(NamedTuple):
    """The `seq` of the entry that each change made; None where nothing had to change."""

    name: int | None = None
    topic: int | None = None
    open_history: int | None = None
    announcements: int | None = None
    archived: int | None = None


_KINDS: Final = {
    "open_history": (EntryKind.HISTORY_CLOSED, EntryKind.HISTORY_OPENED),
    "announcements": (EntryKind.ANNOUNCEMENTS_ENDED, EntryKind.ANNOUNCEMENTS_BEGUN),
    "archived": (EntryKind.CONVERSATION_REOPENED, EntryKind.CONVERSATION_ARCHIVED),
}
"""The kinds of entries that settle something: that it is not so, and that it is."""


class Converse:
    """Creates conversations and changes them, by entries of their logs."""

    def __init__(
        self, access: Access, reader: LogReader, seal: Seal, commit: Commit, describe: Describe
    ) -> None:
        """Decide by `access` on what `reader` and `describe` tell, seal by `seal`, commit by `commit`."""
        self._access = access
        self._reader = reader
        self._seal = seal
        self._commit = commit
        self._describe = describe

    async def create(
        self,
        actor: Actor,
        kind: ConversationKind,
        others: Sequence[PrincipalId],
        client_id: UUID,
        name: str | None,
    ) -> tuple[ConversationId, int]:
        """Return the new conversation and the `seq` of its first entry.

        A pair has one one-to-one conversation, and a group is named by its creator's `client_id`:
        creating either again returns the one that exists. Raises NotPermitted, SizeRefused,
        ParticipantUnknown, KeysUnavailable or LogUnavailable.
        """
        self._access.access_creation(actor)
        participants = decide_participants(actor.principal, others, kind)
        # the creator's own token vouches for him, also while the directory's news of him is under way
        await self._require_known(actor, participants[1:])
        conversation = (
            direct_conversation_of(actor.tenant, participants[0], participants[1])
            if kind is ConversationKind.DIRECT
            else group_conversation_of(actor.tenant, actor.principal, client_id)
        )
        body = None if name is None else body_bytes(Body(name=name))
        draft = await self._seal(
            Act(
                key=ConversationKey(actor.tenant, conversation),
                kind=EntryKind.CONVERSATION_CREATED,
                actor=actor.principal,
                device=actor.device,
                members_version=0,
                creates=kind,
                body=body,
                subjects=participants,
            )
        )
        return conversation, await self._committed(draft, _unchanged, body)

    async def add(
        self, actor: Actor, conversation: ConversationId, wanted: Sequence[PrincipalId]
    ) -> int | None:
        """Bring principals in; return the entry's `seq`, or None if all of them take part already.

        Raises ConversationNotFound, ConversationArchived, DirectIsFixed, SizeRefused, ParticipantUnknown or
        LogUnavailable.
        """

        def decide(standing: Standing, members: Members) -> tuple[PrincipalId, ...]:
            return decide_added(conversation, standing.kind, members, wanted)

        return await self._change(
            actor, conversation, CHANGE, EntryKind.PARTICIPANTS_ADDED, decide, known=wanted
        )

    async def remove(
        self, actor: Actor, conversation: ConversationId, unwanted: Sequence[PrincipalId]
    ) -> int | None:
        """Remove principals; return the entry's `seq`, or None if none of them takes part.

        Raises ConversationNotFound, ConversationArchived, DirectIsFixed, LastAdministrator or LogUnavailable.
        """
        return await self._removed(actor, conversation, CHANGE, unwanted)

    async def leave(self, actor: Actor, conversation: ConversationId) -> int | None:
        """Leave a group; return the entry's `seq`. It is a removal whose actor is whom it removes.

        Raises ConversationNotFound, LastAdministrator or LogUnavailable.
        """
        return await self._removed(actor, conversation, LEAVE, [actor.principal])

    async def appoint(
        self, actor: Actor, conversation: ConversationId, wanted: Sequence[PrincipalId]
    ) -> int | None:
        """Make participants administrators; return the entry's `seq`, or None if all of them are already.

        Raises ConversationNotFound, ConversationArchived, ParticipantUnknown or LogUnavailable.
        """

        def decide(_: Standing, members: Members) -> tuple[PrincipalId, ...]:
            return decide_appointed(members, wanted)

        return await self._change(actor, conversation, CHANGE, EntryKind.ADMINISTRATORS_ADDED, decide)

    async def dismiss(
        self, actor: Actor, conversation: ConversationId, unwanted: Sequence[PrincipalId]
    ) -> int | None:
        """Make administrators plain participants; return the entry's `seq`, or None if none of them is one.

        Raises ConversationNotFound, ConversationArchived, LastAdministrator or LogUnavailable.
        """

        def decide(_: Standing, members: Members) -> tuple[PrincipalId, ...]:
            return decide_dismissed(conversation, members, unwanted)

        return await self._change(actor, conversation, CHANGE, EntryKind.ADMINISTRATORS_REMOVED, decide)

    async def settle(self, actor: Actor, conversation: ConversationId, wanted: Settled) -> Settling:
        """Settle how a conversation stands, one entry for each change; return the `seq` of each.

        What is archived is reopened first, and archived last. Raises ConversationNotFound,
        ConversationArchived, KeysUnavailable or LogUnavailable; what was settled before stays.
        """
        made: dict[str, int | None] = {}
        switch = partial(self._switched, actor, conversation)
        if wanted.archived is False:
            made["archived"] = await switch("archived", wanted=False)
        if wanted.name is not None:
            body = Body(name=wanted.name)
            made["name"] = await self._described(actor, conversation, EntryKind.NAME_CHANGED, body)
        if wanted.topic is not None:
            body = Body(topic=wanted.topic)
            made["topic"] = await self._described(actor, conversation, EntryKind.TOPIC_CHANGED, body)
        if wanted.open_history is not None:
            made["open_history"] = await switch("open_history", wanted=wanted.open_history)
        if wanted.announcements is not None:
            made["announcements"] = await switch("announcements", wanted=wanted.announcements)
        if wanted.archived is True:
            made["archived"] = await switch("archived", wanted=True)
        return Settling(**made)

    async def _switched(
        self, actor: Actor, conversation: ConversationId, field: str, *, wanted: bool
    ) -> int | None:
        """Settle one thing by an entry of its kind; return its `seq`, or None if it is so already."""
        kind = _KINDS[field][wanted]
        action = ARCHIVE if field == "archived" else CHANGE_TERMS

        async def drafted() -> Draft | None:
            key, standing = await self._access.access_conversation(actor, conversation, action)
            if is_settled(standing.terms, kind):
                return None
            return await self._seal(_act_of(actor, key, kind, standing.members_version))

        return await self._done(conversation, drafted)

    async def _described(
        self, actor: Actor, conversation: ConversationId, kind: EntryKind, body: Body
    ) -> int | None:
        """Give a conversation a name or a topic; return the entry's `seq`, or None if it has that already."""
        sealed = body_bytes(body)

        async def drafted() -> Draft | None:
            key, standing = await self._access.access_conversation(actor, conversation, CHANGE_TERMS)
            [now] = await self._describe(actor.tenant, [ConversationState(conversation, standing)])
            if (body.name or body.topic or None) == (now.name if body.name else now.topic):
                return None
            act = _act_of(actor, key, kind, standing.members_version)
            return await self._seal(act._replace(body=sealed))

        return await self._done(conversation, drafted, sealed)

    async def _removed(
        self, actor: Actor, conversation: ConversationId, action: str, unwanted: Sequence[PrincipalId]
    ) -> int | None:
        def decide(standing: Standing, members: Members) -> tuple[PrincipalId, ...]:
            return decide_removed(conversation, standing.kind, members, unwanted)

        return await self._change(actor, conversation, action, EntryKind.PARTICIPANTS_REMOVED, decide)

    async def _change(
        self,
        actor: Actor,
        conversation: ConversationId,
        action: str,
        kind: EntryKind,
        decide: Decide,
        *,
        known: Sequence[PrincipalId] = (),
    ) -> int | None:
        """Commit an entry that names people; those of `known` have to be active principals."""

        async def drafted() -> Draft | None:
            key, standing = await self._access.access_conversation(actor, conversation, action)
            if known:  # after access: a stranger learns not even who is known
                await self._require_known(actor, known)
            subjects = decide(standing, await self._reader.members(key))
            if not subjects:
                return None
            act = _act_of(actor, key, kind, standing.members_version)
            return await self._seal(act._replace(subjects=subjects))

        return await self._done(conversation, drafted)

    async def _done(
        self, conversation: ConversationId, drafted: Drafted, body: bytes | None = None
    ) -> int | None:
        """Commit what is drafted, drafted anew where it is stale; None if there is nothing to do any more."""

        async def redecide(_: Draft, __: Stale) -> Draft:
            again = await drafted()
            if again is None:
                raise AlreadySo(conversation)
            return again

        draft = await drafted()
        if draft is None:
            return None
        try:
            return await self._committed(draft, redecide, body)
        except AlreadySo:
            return None

    async def _committed(self, draft: Draft, redecide: Redecide, body: bytes | None = None) -> int:
        done: asyncio.Future[Appended | Repeated] = asyncio.get_running_loop().create_future()
        self._commit.submit(Pending(draft, done, redecide, body))
        match await done:
            case Appended(entry):
                return entry.seq
            case Repeated(seq, _):
                return seq

    async def _require_known(self, actor: Actor, principals: Sequence[PrincipalId]) -> None:
        unknown = await self._reader.unknown_principals(actor.tenant, principals)
        if unknown:
            raise ParticipantUnknown(unknown[0])


def _act_of(actor: Actor, key: ConversationKey, kind: EntryKind, members_version: int) -> Act:
    return Act(key, kind, actor.principal, actor.device, members_version)


async def _unchanged(draft: Draft, _: Stale) -> Draft:
    """Return the draft: a creation is decided under no membership, so it is never stale."""
    return draft
