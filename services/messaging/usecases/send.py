"""Send a message: access, seal, and into the next group commit."""

import asyncio
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from libs.contracts.socket import Body, body_bytes
from libs.kernel.ids import ConversationId, MessageId, instant_of
from services.messaging.domain.entries import ConversationKey, Draft, EntryKind
from services.messaging.domain.log import Appended, Repeated, Stale
from services.messaging.ports import Actor
from services.messaging.usecases.access import SEND, Access
from services.messaging.usecases.commit import Commit, Pending
from services.messaging.usecases.deliver import Deliver, Subscriber
from services.messaging.usecases.seal import Act, Seal


class Acknowledged(NamedTuple):
    """Where a message stands in its conversation: committed, and final."""

    seq: int
    message: MessageId
    committed_at: datetime


class SendMessage:
    """Takes messages of actors, by a socket or without one."""

    def __init__(self, access: Access, seal: Seal, commit: Commit, deliver: Deliver) -> None:
        """Decide by `access`, seal by `seal`, commit by `commit`; memberships are hinted by `deliver`."""
        self._access = access
        self._seal = seal
        self._commit = commit
        self._deliver = deliver

    async def __call__(
        self,
        actor: Actor,
        conversation: ConversationId,
        client_id: UUID,
        body: Body,
        socket: Subscriber | None = None,
    ) -> asyncio.Future[Appended | Repeated]:
        """Queue a message, and return what resolves when it is committed, or raises why it is not.

        Raises ConversationNotFound, ConversationArchived, AdministratorsWrite, BodyRefused, KeysUnavailable
        or Overloaded before anything is queued.
        Sending the same `client_id` again is safe: it resolves to the same place.
        """
        key = ConversationKey(actor.tenant, conversation)
        version = await self._access_version(actor, key, socket)
        clear = body_bytes(body)
        draft = await self._seal(
            Act(
                key=key,
                kind=EntryKind.MESSAGE_CREATED,
                actor=actor.principal,
                device=actor.device,
                members_version=version,
                body=clear,
                client_id=client_id,
            )
        )

        async def redecide(stale: Draft, outcome: Stale) -> Draft:  # noqa: ARG001 - the log itself is asked
            _, standing = await self._access.access_conversation(actor, conversation, SEND)
            return stale._replace(members_version=standing.members_version)

        done: asyncio.Future[Appended | Repeated] = asyncio.get_running_loop().create_future()
        self._commit.submit(Pending(draft, done, redecide, clear, socket))
        return done

    async def _access_version(self, actor: Actor, key: ConversationKey, socket: Subscriber | None) -> int:
        """Return the membership's version under which the actor may send.

        Of an attached socket it is known how its person stands, as of the version that its channel has
        seen; the commit holds that against the locked head. Nobody is refused by what is remembered.
        """
        hint = None if socket is None else self._deliver.find_hint(socket, key)
        if hint is not None and self._access.may(actor, SEND, hint.holding):
            return hint.members_version
        _, standing = await self._access.access_conversation(actor, key.conversation, SEND)
        if socket is not None:
            self._deliver.learn(socket, key, standing)
        return standing.members_version


def acknowledged(outcome: Appended | Repeated) -> Acknowledged:
    """Return what the sender is told of a committed message; a repetition is told the same as before."""
    match outcome:
        case Appended(entry):
            seq, message = entry.seq, entry.draft.message
            amended_at = None if entry.draft.message_seq is None else entry.draft.sent_at
        case Repeated(seq, message, amended_at):
            pass
    return Acknowledged(seq, message, amended_at or instant_of(message))
