"""The stream door: the facts of a source, sequenced by the batch within the projector's transaction."""

from collections.abc import Callable, Sequence

from libs.contracts.events import MalformedEvent, decode
from libs.contracts.facts import FACT_ACTION, Fact
from libs.db.pool import Transaction
from libs.events.effects import ApplyMany
from libs.events.records import StreamRecord
from libs.kernel.randomness import Randomness
from services.audit.domain.entries import SourcedFact
from services.audit.domain.errors import ForeignFact
from services.audit.ports.writing import Journal
from services.audit.usecases.sequence import detail_of, sequence


def fact_door(
    source: str,
    journal_in: Callable[[Transaction], Journal],
    randomness: Randomness,
    sequenced: Callable[[int], None],
) -> ApplyMany:
    """Return what the projector of the stream of `source` applies; `sequenced` hears how many it wrote."""
    name = f"{source}.{FACT_ACTION}"

    async def apply(tx: Transaction, records: Sequence[StreamRecord]) -> None:
        facts = [fact_in(record, source) for record in records if record.name == name]
        sequenced(await sequence(journal_in(tx), facts, randomness))

    return apply


def fact_in(record: StreamRecord, source: str) -> SourcedFact:
    """Return the fact that a record of `source` holds.

    Raises MalformedEvent for what cannot be read, ForeignFact when envelope and record disagree.
    """
    envelope, event = decode(record.body)
    if envelope.type != record.name or envelope.tenant != record.tenant:
        raise ForeignFact(source, record.part, record.position)
    if not isinstance(event, Fact) or event.count < 1:
        msg = f"{envelope.type} tells of nothing"
        raise MalformedEvent(msg)
    return SourcedFact(
        tenant=record.tenant,
        fact=envelope.id,
        source=source,
        part=record.part,
        position=record.position,
        root=event.root,
        at=event.at,
        detail=detail_of(event),
    )
