"""Open a socket, bring its device up to date, and keep its place when gateways or Redis fail."""

from collections.abc import Mapping
from uuid import UUID

from libs.contracts.socket import HELLO_REF, Page, encode_frame
from libs.kernel.ids import ConversationId
from services.messaging.domain.entries import ConversationKey
from services.messaging.domain.membership import facts_of
from services.messaging.ports import Actor, Authorization, HeadReader, LogReader
from services.messaging.usecases.access import READ
from services.messaging.usecases.deliver import Deliver, Subscriber


class OpenSocket:
    """Attaches sockets to the conversations of their person."""

    def __init__(
        self, deliver: Deliver, reader: LogReader, heads: HeadReader, authorization: Authorization
    ) -> None:
        """Attach by `deliver` what `reader` and `authorization` say that a person may read."""
        self._deliver = deliver
        self._reader = reader
        self._heads = heads
        self._authorization = authorization

    async def __call__(
        self, actor: Actor, socket: Subscriber, cursors: Mapping[UUID, int], ref: str = HELLO_REF
    ) -> None:
        """Send everything after the cursors, then go on live.

        What was missed goes out by pages under `ref`, the last one with `more` false. No entry is left
        out, and none is written twice. A conversation without a cursor is sent from the first entry that
        its person may see.
        """
        self._deliver.opened(socket)
        reached = dict(cursors)
        await self._attach_all(actor, socket, cursors, reached, ref)
        self._deliver.resumed(socket)
        # Whatever came to be between that reading and this moment.
        await self._attach_all(actor, socket, reached, reached, ref)
        await self.sweep([ConversationKey(actor.tenant, ConversationId(one)) for one in reached])
        socket.push(encode_frame(Page(ref=ref, entries=(), more=False, cursors=reached)))

    async def _attach_all(
        self,
        actor: Actor,
        socket: Subscriber,
        cursors: Mapping[UUID, int],
        reached: dict[UUID, int],
        ref: str,
    ) -> None:
        """Attach the socket where it is not attached yet; note in `reached` how far it has come."""
        for conversation, standing in await self._reader.standings(actor.tenant, actor.principal):
            key = ConversationKey(actor.tenant, conversation)
            readable = self._authorization.allows(actor, READ, facts_of(actor.tenant, standing))
            if not readable or self._deliver.is_attached(socket, key):
                continue
            cursor = cursors.get(conversation, 0)
            reached[conversation] = await self._deliver.attach(socket, key, standing, cursor, ref)

    async def sweep(self, keys: list[ConversationKey] | None = None) -> None:
        """Compare what was delivered here with where the logs stand, and read what is missing.

        Run now and then for every conversation, and often while Redis is away: it finds a dropped last
        entry, which no later one would show.
        """
        delivered = self._deliver.positions_of(keys)
        for key, last_seq in (await self._heads.positions(list(delivered))).items():
            if last_seq > delivered[key]:
                await self._deliver.catch_up(key, last_seq)

    async def find_joined(self) -> None:
        """Attach sockets to conversations whose invitation was dropped on its way here.

        Not those that are still catching up: they know where their device stands, and find it themselves.
        """
        sockets = self._deliver.resumed_sockets()
        for key, principal in await self._heads.joined(list(sockets)):
            for socket in sockets[key.tenant, principal]:
                if not self._deliver.is_attached(socket, key):
                    await self._bring_in(socket, key)

    async def _bring_in(self, socket: Subscriber, key: ConversationKey) -> None:
        standing = await self._reader.find_standing(key, socket.principal)
        if standing is not None and standing.takes_part:
            await self._deliver.attach(socket, key, standing, standing.spans[-1].from_seq - 1, None)
