"""The SDK's front door: a person at a tenant, over HTTP and by a socket."""

import asyncio
import ssl
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, TypeVar
from uuid import UUID

import httpx
import msgspec

from libs.client.api import Api
from libs.client.device import Device, OnShown
from libs.client.errors import Refused, SignedOut
from libs.client.session import Session, SignedIn
from libs.client.wire import dial_of
from libs.contracts.socket import Ack, ConversationEntries, Entry
from libs.kernel.clock import Clock
from libs.kernel.ids import Ids
from libs.kernel.randomness import Randomness

CONVERSATIONS: Final = "/messaging/v1/conversations"
PARTICIPANT_UNKNOWN: Final = "participant-unknown"
DIRECTORY_SECONDS: Final = 15.0
"""How long a person who was just provisioned may be unknown to messaging."""
_DIRECTORY_PAUSE_SECONDS: Final = 0.25

T = TypeVar("T")


class Created(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation that stands, and the `seq` of its first entry."""

    conversation: UUID
    seq: int


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """The `seq` of the entries that a change of participants made; None where nothing had to change."""

    added: int | None = None
    removed: int | None = None


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """The `seq` of the entries by which a conversation was changed; None where nothing had to change."""

    name: int | None = None
    topic: int | None = None
    history: int | None = None
    announcements: int | None = None
    archived: int | None = None


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """The `seq` of the entry by which somebody left."""

    left: int | None = None


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation as one person stands to it.

    `participants` and `administrators` only where a single one was asked for.
    """

    conversation: UUID
    kind: str
    takes_part: bool
    administrator: bool
    last_seq: int
    members_version: int
    name: str | None = None
    topic: str | None = None
    history: str = "join"
    announcements: bool = False
    archived: bool = False
    participants: tuple[UUID, ...] = ()
    administrators: tuple[UUID, ...] = ()


class Conversations(msgspec.Struct, frozen=True, kw_only=True):
    """The conversations of a person."""

    conversations: tuple[Conversation, ...]


class History(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of a conversation's log."""

    entries: tuple[Entry, ...]


class Missed(msgspec.Struct, frozen=True, kw_only=True):
    """One page of everything that a device missed; `cursors` is what to ask with next."""

    entries: tuple[ConversationEntries, ...]
    cursors: dict[UUID, int]
    more: bool = False


class Client:
    """One person at one device."""

    def __init__(
        self,
        origin: str,
        http: httpx.AsyncClient,
        clock: Clock,
        ids: Ids,
        randomness: Randomness,
        *,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        """Talk to the platform at `origin` through `http`, which many clients may share.

        `ssl_context` is for sockets alone; `http` has its own.
        """
        self._api = Api(origin, http)
        self._clock = clock
        self._ids = ids
        self._randomness = randomness
        self._ssl_context = ssl_context
        self.session = Session(self._api, clock)

    async def sign_in(self, *, tenant: str, user_name: str, password: str, device_name: str) -> SignedIn:
        """Sign in by password. Raises SignedOut for wrong ones, Refused, Unreachable."""
        return await self.session.sign_in(tenant, user_name, password, device_name)

    async def sign_in_with_code(self, code: str, *, device_name: str) -> SignedIn:
        """Sign in by a one-time code. Raises SignedOut for a wrong or used one, Refused, Unreachable."""
        return await self.session.sign_in_with_code(code, device_name)

    async def create_conversation(
        self,
        kind: Literal["direct", "group"],
        participants: Iterable[UUID],
        *,
        name: str | None = None,
        conversation: UUID | None = None,
    ) -> Created:
        """Make a conversation with `participants` beside oneself.

        `conversation` is the client's own name for it, made here unless it is given: giving it again
        returns the one that was made. Waits a while for people who were provisioned a moment ago.
        Raises Refused and what `Api` raises.
        """
        body: dict[str, object] = {
            "id": conversation or self._ids.uuid7(),
            "kind": kind,
            "participants": list(participants),
        }
        if name is not None:
            body["name"] = name
        return await self._patiently("POST", CONVERSATIONS, Created, body)

    async def change_participants(
        self, conversation: UUID, *, add: Iterable[UUID] = (), remove: Iterable[UUID] = ()
    ) -> Changed:
        """Bring people into a group and remove people from it. Raises Refused and what `Api` raises."""
        body = {"add": list(add), "remove": list(remove)}
        return await self._patiently("POST", f"{CONVERSATIONS}/{conversation}/participants", Changed, body)

    async def change_administrators(
        self, conversation: UUID, *, add: Iterable[UUID] = (), remove: Iterable[UUID] = ()
    ) -> Changed:
        """Make participants of a group administrators, and administrators plain participants."""
        body = {"add": list(add), "remove": list(remove)}
        path = f"{CONVERSATIONS}/{conversation}/administrators"
        return await self._call("POST", path, Changed, body=body)

    async def settle(
        self,
        conversation: UUID,
        *,
        name: str | None = None,
        topic: str | None = None,
        history: Literal["join", "all"] | None = None,
        announcements: bool | None = None,
        archived: bool | None = None,
    ) -> Settled:
        """Change how a group stands; what is None stays as it is. Asking again changes nothing more."""
        wanted = {
            "name": name,
            "topic": topic,
            "history": history,
            "announcements": announcements,
            "archived": archived,
        }
        body = {field: value for field, value in wanted.items() if value is not None}
        return await self._call("PATCH", f"{CONVERSATIONS}/{conversation}", Settled, body=body)

    async def leave(self, conversation: UUID) -> Left:
        """Leave a group. What was said until then stays readable."""
        return await self._call("POST", f"{CONVERSATIONS}/{conversation}/leave", Left)

    async def conversations(self, *, archived: bool = False) -> tuple[Conversation, ...]:
        """Return the conversations that the person takes or took part in; `archived` ones where asked."""
        query = {"archived": "true"} if archived else None
        return (await self._call("GET", CONVERSATIONS, Conversations, query=query)).conversations

    async def get_conversation(self, conversation: UUID) -> Conversation:
        """Return one conversation. Raises Refused (404) for an absent or a foreign one."""
        return await self._call("GET", f"{CONVERSATIONS}/{conversation}", Conversation)

    async def post(self, conversation: UUID, text: str, *, message: UUID | None = None) -> Ack:
        """Send without a socket; `message` makes it safe to repeat."""
        body = {"id": message or self._ids.uuid7(), "body": {"text": text}}
        return await self._call("POST", f"{CONVERSATIONS}/{conversation}/messages", Ack, body=body)

    async def revise(self, conversation: UUID, seq: int, text: str, *, message: UUID | None = None) -> Ack:
        """Give one's own message, the one whose first entry is at `seq`, another text."""
        body = {"id": message or self._ids.uuid7(), "body": {"text": text}}
        path = f"{CONVERSATIONS}/{conversation}/messages/{seq}/revisions"
        return await self._call("POST", path, Ack, body=body)

    async def retract(
        self, conversation: UUID, seq: int, reason: str | None = None, *, message: UUID | None = None
    ) -> Ack:
        """Take back the message whose first entry is at `seq`: one's own, or another's for a reason."""
        body = {"id": message or self._ids.uuid7(), "reason": reason}
        path = f"{CONVERSATIONS}/{conversation}/messages/{seq}/retraction"
        return await self._call("POST", path, Ack, body=body)

    async def history(self, conversation: UUID, *, after: int = 0, limit: int = 100) -> History:
        """Return up to `limit` entries after `after`, in order."""
        path = f"{CONVERSATIONS}/{conversation}/entries"
        return await self._call("GET", path, History, query={"after": after, "limit": limit})

    async def sync(self, cursors: Mapping[UUID, int], *, limit: int = 500) -> Missed:
        """Return the next page of everything after `cursors`, conversations joined meanwhile included."""
        body = {"cursors": {str(key): seq for key, seq in cursors.items()}, "limit": limit}
        return await self._call("POST", "/messaging/v1/sync", Missed, body=body)

    def device(
        self,
        on_shown: OnShown,
        *,
        gateways: Sequence[str] = (),
        cursors: Mapping[UUID, int] | None = None,
        marks_delivered: bool = True,
    ) -> Device:
        """Return a device of the signed-in person, not yet open; `on_shown` gets each entry once, in order.

        It dials the origin, or each of `gateways` (`unix:/path` or `host:port`) in turn, the next one
        after each cut.
        """
        return Device(
            self.session,
            dial_of(self._api.origin, gateways, self._ssl_context),
            on_shown,
            self._clock,
            self._ids,
            self._randomness,
            cursors=cursors,
            marks_delivered=marks_delivered,
        )

    async def get(self, path: str, answer: type[T], query: Mapping[str, str | int] | None = None) -> T:
        """Return the answer to a GET of any public route. Raises Refused and what `Api` raises."""
        return await self._call("GET", path, answer, query=query)

    async def _call(
        self,
        method: str,
        path: str,
        answer: type[T],
        *,
        body: object = None,
        query: Mapping[str, str | int] | None = None,
    ) -> T:
        """Call with the session's token, once more with a new one when it was refused."""
        token = await self.session.access_token()
        try:
            return await self._api.call(method, path, answer, body=body, query=query, token=token)
        except SignedOut:
            await self.session.renew(token)
            token = await self.session.access_token()
            return await self._api.call(method, path, answer, body=body, query=query, token=token)

    async def _patiently(self, method: str, path: str, answer: type[T], body: object) -> T:
        """Call again while a named person is still on the way from the directory to messaging."""
        until = self._clock.monotonic() + DIRECTORY_SECONDS
        while True:
            try:
                return await self._call(method, path, answer, body=body)
            except Refused as refused:
                if refused.problem.code != PARTICIPANT_UNKNOWN or self._clock.monotonic() > until:
                    raise
            await asyncio.sleep(_DIRECTORY_PAUSE_SECONDS)
