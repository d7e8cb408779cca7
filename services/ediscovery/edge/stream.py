"""The stream door: what messaging committed goes into the index."""

from collections.abc import Sequence
from typing import Final

from libs.contracts.events import EntriesCommitted, decode
from libs.db.pool import Transaction
from libs.events.effects import ApplyMany
from libs.events.records import StreamRecord
from libs.kernel.ids import ConversationId
from services.ediscovery.domain.documents import DocumentKey
from services.ediscovery.domain.errors import CorrespondenceUnavailable, IndexUnavailable
from services.ediscovery.usecases.index import Committed, IndexMessages

SOURCE: Final = "messaging"
_MESSAGE: Final = "message_created"


class IndexWaits(ConnectionError):
    """A peer or the engine is away: nobody's event's fault."""


def index_door(index: IndexMessages) -> ApplyMany:
    """Return what the projector of messaging's stream applies; other events mean nothing here.

    The index has a cursor of its own, of the same commit as its documents: what it did and the projector
    did not note, because it was killed between, changes nothing when it comes again.
    """

    async def apply(_tx: Transaction, records: Sequence[StreamRecord]) -> None:
        committed = [each for record in records if (each := _committed_of(record)) is not None]
        try:
            await index(committed)
        except (CorrespondenceUnavailable, IndexUnavailable) as error:
            raise IndexWaits(type(error).__name__) from error

    return apply


def _committed_of(record: StreamRecord) -> Committed | None:
    if record.name != EntriesCommitted.name:
        return None
    event = decode(record.body)[1]
    if not isinstance(event, EntriesCommitted):
        return None
    conversation = ConversationId(event.conversation)
    keys = tuple(DocumentKey(conversation, each.seq) for each in event.entries if each.kind == _MESSAGE)
    if not keys:
        return None
    return Committed(record.tenant, f"{SOURCE}/{record.part}", record.position, keys)
