"""The stream door: what messaging committed goes into the index."""

from collections.abc import Callable, Sequence
from typing import Final

from libs.contracts.events import EntriesCommitted, decode
from libs.contracts.retention import PayloadsDestroyed
from libs.db.pool import Transaction
from libs.events.effects import ApplyMany
from libs.events.records import StreamRecord
from libs.kernel.ids import ConversationId
from services.ediscovery.domain.documents import DocumentKey
from services.ediscovery.domain.errors import CorrespondenceUnavailable, IndexUnavailable
from services.ediscovery.ports.expunges import Destruction, DueExpunges
from services.ediscovery.ports.rebuilds import NotesUnderWay
from services.ediscovery.usecases.index import Committed, IndexMessages

SOURCE: Final = "messaging"
_SAID: Final = frozenset(("message_created", "message_revised"))


class IndexWaits(ConnectionError):
    """A peer or the engine is away: nobody's event's fault."""


def index_door(
    index: IndexMessages,
    notes_in: Callable[[Transaction], NotesUnderWay],
    due_in: Callable[[Transaction], DueExpunges],
) -> ApplyMany:
    """Return what the projector of messaging's stream applies; other events mean nothing here.

    What was destroyed is found no more at once; that its words are due to vanish is noted with the cursor.

    The index has a cursor of its own, of the same commit as its documents: what it did and the projector
    did not note, because it was killed between, changes nothing when it comes again.
    """

    async def apply(tx: Transaction, records: Sequence[StreamRecord]) -> None:
        committed = [each for record in records if (each := _committed_of(record)) is not None]
        try:
            await index(committed, notes_in(tx))
        except (CorrespondenceUnavailable, IndexUnavailable) as error:
            raise IndexWaits(type(error).__name__) from error
        for each in committed:
            if each.by is not None:
                await due_in(tx).add(each.tenant, each.by, each.gone)

    return apply


def _committed_of(record: StreamRecord) -> Committed | None:
    if record.name not in (EntriesCommitted.name, PayloadsDestroyed.name):
        return None
    keys: tuple[DocumentKey, ...] = ()
    gone: tuple[DocumentKey, ...] = ()
    amendments: tuple[DocumentKey, ...] = ()
    by: Destruction | None = None
    match decode(record.body)[1]:
        case EntriesCommitted(conversation=conversation, entries=entries):
            seqs = {each.seq for each in entries if each.kind in _SAID}
            for each in entries:  # whoever is added may see what was indexed without him
                seqs.update(range(each.seen_from or each.seq, each.seq))
            keys = tuple(DocumentKey(ConversationId(conversation), seq) for seq in sorted(seqs))
            amendments = tuple(
                DocumentKey(ConversationId(conversation), each.seq)
                for each in entries
                if each.message_seq is not None
            )
        case PayloadsDestroyed(order=order, conversation=conversation, seqs=destroyed, generation=generation):
            gone = tuple(DocumentKey(ConversationId(conversation), seq) for seq in destroyed)
            by = Destruction(order, generation)
    if not keys and not gone and not amendments:
        return None
    return Committed(record.tenant, f"{SOURCE}/{record.part}", record.position, keys, gone, by, amendments)
