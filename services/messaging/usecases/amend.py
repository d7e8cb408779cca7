"""Revise and retract messages: each is an entry of its own, and what it amends stays in the log."""

import asyncio
from collections.abc import Callable
from uuid import UUID

from libs.contracts.socket import Body, body_bytes
from libs.kernel.ids import ConversationId
from services.messaging.domain.amendments import MessageKey
from services.messaging.domain.entries import ClientKey, ConversationKey, Draft, EntryKind
from services.messaging.domain.errors import (
    AmendmentTooLate,
    ClientIdConflict,
    MessageDisposed,
    MessageRetracted,
    ReasonMissing,
)
from services.messaging.domain.log import Appended, Repeated, Stale, repeated
from services.messaging.ports import Actor, AmendmentReader
from services.messaging.usecases.access import Access
from services.messaging.usecases.commit import Commit, Pending
from services.messaging.usecases.deliver import Subscriber
from services.messaging.usecases.seal import Act, Amends, Seal

_REFUSALS = (AmendmentTooLate, MessageRetracted, MessageDisposed)
"""What a repetition may meet although its first attempt was committed."""


class AmendMessage:
    """Takes revisions and retractions of actors, by a socket or without one."""

    def __init__(self, access: Access, amendments: AmendmentReader, seal: Seal, commit: Commit) -> None:
        """Decide by `access`, seal by `seal`, commit by `commit`; repetitions are found by `amendments`."""
        self._access = access
        self._amendments = amendments
        self._seal = seal
        self._commit = commit

    async def revise(
        self,
        actor: Actor,
        conversation: ConversationId,
        seq: int,
        client_id: UUID,
        body: Body,
        socket: Subscriber | None = None,
    ) -> asyncio.Future[Appended | Repeated]:
        """Queue a new text for the actor's own message, and return what resolves when it is committed.

        Raises ConversationNotFound, MessageNotFound, AmendmentTooLate, MessageRetracted, MessageDisposed,
        BodyRefused, ClientIdConflict, KeysUnavailable or Overloaded before anything is queued. Asking again
        under the same `client_id` is safe.
        """
        return await self._amended(
            actor, conversation, seq, client_id, EntryKind.MESSAGE_REVISED, body_bytes(body), socket
        )

    async def retract(
        self,
        actor: Actor,
        conversation: ConversationId,
        seq: int,
        client_id: UUID,
        reason: str | None,
        socket: Subscriber | None = None,
    ) -> asyncio.Future[Appended | Repeated]:
        """Queue the retraction of a message: the actor's own, or anybody's for a `reason`.

        Raises as `revise` does, and ReasonMissing.
        """
        body = None if reason is None else body_bytes(Body(reason=reason))
        return await self._amended(
            actor, conversation, seq, client_id, EntryKind.MESSAGE_RETRACTED, body, socket
        )

    async def _amended(
        self,
        actor: Actor,
        conversation: ConversationId,
        seq: int,
        client_id: UUID,
        kind: EntryKind,
        body: bytes | None,
        socket: Subscriber | None,
    ) -> asyncio.Future[Appended | Repeated]:
        async def drafted() -> Draft:
            place, standing, message = await self._access.access_message(actor, conversation, seq, kind)
            if kind is EntryKind.MESSAGE_RETRACTED and body is None and message.sender != actor.principal:
                raise ReasonMissing(seq)
            amends = Amends(message.message, seq, message.revision + 1)
            return await self._seal(act_of(place, standing.members_version, amends))

        def act_of(place: MessageKey, members_version: int, amends: Amends) -> Act:
            return Act(
                key=place.key,
                kind=kind,
                actor=actor.principal,
                device=actor.device,
                members_version=members_version,
                body=body,
                client_id=client_id,
                amends=amends,
            )

        async def redecide(_: Draft, __: Stale) -> Draft:
            return await drafted()  # sealed anew: the revision is part of the seal

        done: asyncio.Future[Appended | Repeated] = asyncio.get_running_loop().create_future()
        try:
            draft = await drafted()
        except _REFUSALS:
            place = MessageKey(ConversationKey(actor.tenant, conversation), seq)
            earlier = await self._earlier(actor, place, client_id, act_of)
            if earlier is None:
                raise
            done.set_result(earlier)
            return done
        self._commit.submit(Pending(draft, done, redecide, body, socket))
        return done

    async def _earlier(
        self,
        actor: Actor,
        place: MessageKey,
        client_id: UUID,
        act_of: Callable[[MessageKey, int, Amends], Act],
    ) -> Repeated | None:
        """Return what the client's id was committed as, if it was. Raises ClientIdConflict."""
        known = await self._amendments.find_send(ClientKey(actor.tenant, actor.principal, client_id))
        if known is None:
            return None
        act = act_of(place, 0, Amends(known.message, place.seq, 0))
        if known.conversation != place.key.conversation or known.fingerprint != await self._seal.fingerprint(
            act
        ):
            raise ClientIdConflict(client_id)
        return repeated(known)
