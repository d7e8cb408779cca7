"""Keep delivered and read marks, coalesced: at most one write a second, whatever the devices say."""

from libs.kernel.clock import Clock
from libs.kernel.ids import ConversationId
from services.messaging.domain.entries import ConversationKey
from services.messaging.domain.errors import ConversationNotFound, LogUnavailable, MarkRefused
from services.messaging.domain.receipts import Advance, MarkKey, merge
from services.messaging.ports import Actor, MarkWriter
from services.messaging.usecases.access import READ, Access
from services.messaging.usecases.deliver import Deliver, Subscriber

FLUSH_SECONDS = 1.0


class Mark:
    """Takes marks of sockets and writes what they come to, once a flush.

    A crash loses the marks since the last flush; the devices repeat them when they come back.
    """

    def __init__(self, access: Access, deliver: Deliver, writer: MarkWriter, clock: Clock) -> None:
        """Check marks against what `deliver` has delivered; write by `writer`."""
        self._access = access
        self._deliver = deliver
        self._writer = writer
        self._clock = clock
        self._pending: dict[MarkKey, Advance] = {}

    def __call__(
        self,
        actor: Actor,
        socket: Subscriber,
        conversation: ConversationId,
        delivered: int,
        read: int,
    ) -> None:
        """Take a device's marks, 0 for one that it does not give.

        Raises ConversationNotFound where the socket does not take part, and MarkRefused for a position
        that the conversation has not reached here.
        """
        key = ConversationKey(actor.tenant, conversation)
        position = self._deliver.positions_of([key]).get(key)
        if position is None or not self._deliver.is_attached(socket, key):
            raise ConversationNotFound(conversation)
        self._access.access_as_participant(actor, conversation, READ)
        if max(delivered, read) > position:
            raise MarkRefused(max(delivered, read), position)
        mark = MarkKey(key, actor.principal, actor.device)
        later = Advance(delivered, read, self._clock.now())
        self._pending[mark] = merge(self._pending.get(mark), later)

    async def flush(self) -> None:
        """Write what was taken since the last flush; what cannot be written now stays for the next one."""
        if not self._pending:
            return
        taken, self._pending = self._pending, {}
        try:
            await self._writer.advance(taken)
        except LogUnavailable:
            self._pending = {**taken, **{k: merge(taken.get(k), v) for k, v in self._pending.items()}}
