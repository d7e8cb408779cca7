"""Begin a conversation, and change who takes part in it."""

import asyncio
from collections.abc import Callable, Sequence
from uuid import UUID

from libs.contracts.socket import Body, body_bytes
from libs.kernel.ids import ConversationId, PrincipalId
from services.messaging.domain.entries import ConversationKey, ConversationKind, Draft, EntryKind
from services.messaging.domain.errors import ParticipantUnknown
from services.messaging.domain.log import Appended, Repeated, Stale
from services.messaging.domain.membership import (
    Standing,
    decide_added,
    decide_participants,
    decide_removed,
    direct_conversation_of,
    group_conversation_of,
)
from services.messaging.ports import Actor, LogReader
from services.messaging.usecases.access import CHANGE, Access
from services.messaging.usecases.commit import Commit, Pending, Redecide
from services.messaging.usecases.seal import Act, Seal

Decide = Callable[
    [ConversationId, ConversationKind, frozenset[PrincipalId], Sequence[PrincipalId]],
    tuple[PrincipalId, ...],
]


class Converse:
    """Creates conversations and changes their participants, as entries of their logs."""

    def __init__(self, access: Access, reader: LogReader, seal: Seal, commit: Commit) -> None:
        """Decide by `access` on what `reader` tells, seal by `seal`, and commit by `commit`."""
        self._access = access
        self._reader = reader
        self._seal = seal
        self._commit = commit

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

        Raises ConversationNotFound, DirectIsFixed, SizeRefused, ParticipantUnknown or LogUnavailable.
        """
        return await self._change(actor, conversation, wanted, EntryKind.PARTICIPANTS_ADDED, decide_added)

    async def remove(
        self, actor: Actor, conversation: ConversationId, unwanted: Sequence[PrincipalId]
    ) -> int | None:
        """Remove principals; return the entry's `seq`, or None if none of them takes part.

        Raises ConversationNotFound, DirectIsFixed or LogUnavailable.
        """
        return await self._change(
            actor, conversation, unwanted, EntryKind.PARTICIPANTS_REMOVED, decide_removed
        )

    async def _change(
        self,
        actor: Actor,
        conversation: ConversationId,
        named: Sequence[PrincipalId],
        kind: EntryKind,
        decide: Decide,
    ) -> int | None:
        async def decided() -> tuple[Standing, tuple[PrincipalId, ...]]:
            key, standing = await self._access.access_conversation(actor, conversation, CHANGE)
            if kind is EntryKind.PARTICIPANTS_ADDED:  # after access: a stranger learns not even who is known
                await self._require_known(actor, named)
            present = await self._reader.participants(key)
            return standing, decide(conversation, standing.kind, present, named)

        async def redecide(stale: Draft, _: Stale) -> Draft:
            standing, subjects = await decided()
            return stale._replace(members_version=standing.members_version, subjects=subjects)

        standing, subjects = await decided()
        if not subjects:
            return None
        draft = await self._seal(
            Act(
                key=ConversationKey(actor.tenant, conversation),
                kind=kind,
                actor=actor.principal,
                device=actor.device,
                members_version=standing.members_version,
                subjects=subjects,
            )
        )
        return await self._committed(draft, redecide)

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


async def _unchanged(draft: Draft, _: Stale) -> Draft:
    """Return the draft: a creation is decided under no membership, so it is never stale."""
    return draft
