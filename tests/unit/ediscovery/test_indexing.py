"""Each message goes into the index once; what cannot be had now is waited for, and nothing is skipped."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import ClassVar
from uuid import uuid4

import pytest

from libs.contracts.events import CommittedEntry, EntriesCommitted, encode
from libs.contracts.retention import PayloadsDestroyed
from libs.db.pool import Transaction
from libs.events.effects import WORLD_AWAY
from libs.events.records import StreamRecord
from libs.kernel.actors import Facts
from libs.kernel.clock import ManualClock
from libs.kernel.denials import Denials
from libs.kernel.ids import ConversationId, MessageId, PrincipalId, TenantId
from services.ediscovery.domain.documents import DocumentKey
from services.ediscovery.domain.errors import CorrespondenceUnavailable, KeyRefused
from services.ediscovery.domain.query import Scope, Term, parse
from services.ediscovery.domain.texts import INDEXING, Purpose, Text
from services.ediscovery.domain.wholeness import Noted
from services.ediscovery.edge.stream import index_door
from services.ediscovery.ports.expunges import Destruction
from services.ediscovery.usecases.access import Access
from services.ediscovery.usecases.index import Committed, IndexMessages
from services.ediscovery.usecases.lag import MeasureLag
from tests.contract.search.reference import OracleIndex

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
TENANT, OTHER = TenantId(uuid4()), TenantId(uuid4())
PLANS = ConversationId(uuid4())
ADA = PrincipalId(uuid4())
NO_TX: Transaction = None  # type: ignore[assignment] # the index needs none


@dataclass
class Talk:
    """Correspondence in memory."""

    texts_of: dict[tuple[TenantId, DocumentKey], str] = field(default_factory=dict)
    asked: list[tuple[TenantId, int, Purpose]] = field(default_factory=list)
    trouble: Exception | None = None
    chains: dict[DocumentKey, tuple[DocumentKey, ...]] = field(default_factory=dict)
    retracted: dict[DocumentKey, int] = field(default_factory=dict)

    async def versions(
        self, tenant: TenantId, amendments: Collection[DocumentKey]
    ) -> dict[DocumentKey, tuple[DocumentKey, ...]]:
        return {key: self.chains[key] for key in amendments}

    def text(self, tenant: TenantId, key: DocumentKey) -> Text:
        chain = next((chain for chain in self.chains.values() if key in chain), (key,))
        later = [other.seq for other in chain if other > key]
        return Text(
            key,
            MessageId(uuid4()),
            NOON,
            ADA,
            frozenset({ADA}),
            self.texts_of[(tenant, key)],
            chain.index(key),
            min(later, default=None),
            self.retracted.get(chain[0]),
        )

    async def texts(self, tenant: TenantId, keys: Collection[DocumentKey], purpose: Purpose) -> list[Text]:
        if self.trouble is not None:
            raise self.trouble
        self.asked.append((tenant, len(keys), purpose))
        return [self.text(tenant, key) for key in sorted(keys) if (tenant, key) in self.texts_of]


@dataclass
class NoDue:
    """Notes what is due where a test can see it."""

    tx: Transaction
    noted: ClassVar[list[tuple[TenantId, Destruction, tuple[DocumentKey, ...]]]] = []

    async def add(self, tenant: TenantId, by: Destruction, keys: Collection[DocumentKey]) -> None:
        self.noted.append((tenant, by, tuple(keys)))


class Remembered:
    """Notes of indexes where a test can see them."""

    def __init__(self, tx: Transaction) -> None:
        self.noted: dict[TenantId, Noted] = {}
        self.lost: list[TenantId] = []
        self.touched: list[tuple[TenantId, DocumentKey]] = []

    async def locked(self, tenants: Collection[TenantId]) -> Mapping[TenantId, Noted]:
        return {tenant: self.noted.get(tenant, Noted()) for tenant in tenants}

    async def lose(self, tenant: TenantId, at: datetime) -> None:
        self.lost.append(tenant)

    async def touch(self, tenant: TenantId, keys: Collection[DocumentKey]) -> None:
        self.touched += ((tenant, key) for key in keys)

    async def follow(self, tenant: TenantId, positions: Mapping[str, int], periods: Collection[str]) -> None:
        before = self.noted.get(tenant, Noted())
        self.noted[tenant] = before._replace(
            positions={**before.positions, **positions}, periods=before.periods | set(periods)
        )


def messages(index: OracleIndex, talk: Talk) -> IndexMessages:
    return IndexMessages(lambda _: index, talk, ManualClock(NOON))


def said(talk: Talk, seq: int, text: str | None, position: int, tenant: TenantId = TENANT) -> Committed:
    key = DocumentKey(PLANS, seq)
    if text is not None:
        talk.texts_of[(tenant, key)] = text
    return Committed(tenant, "messaging/7", position, (key,))


async def seqs(index: OracleIndex, token: str, tenant: TenantId = TENANT) -> list[int]:
    hits = await index.search(tenant, Term(token), Scope(), 100)
    return [hit.key.seq for hit in hits]


async def test_every_version_of_a_message_is_found_and_knows_what_came_later() -> None:
    index, talk = OracleIndex(), Talk()
    take_in, notes = messages(index, talk), Remembered(NO_TX)
    first, second, retraction = (DocumentKey(PLANS, seq) for seq in (1, 4, 5))
    await take_in([said(talk, 1, "alpha", 1)], notes)
    assert await asked_for(index, "alpha edited:yes") == []
    talk.chains[second] = (first, second)
    await take_in([said(talk, 4, "beta", 2)._replace(amendments=(second,))], notes)
    assert await asked_for(index, "edited:yes") == [1, 4]
    assert await asked_for(index, "alpha edited:yes deleted:no") == [1]
    talk.chains[retraction], talk.retracted[first] = (first, second), 5
    await take_in([Committed(TENANT, "messaging/7", 3, (), (), None, (retraction,))], notes)
    assert await asked_for(index, "deleted:yes") == [1, 4]
    assert await asked_for(index, "beta deleted:no") == []
    assert await asked_for(index, "edited:no") == []


async def test_versions_are_noted_for_an_index_that_is_made_anew() -> None:
    index, talk = OracleIndex(), Talk()
    notes = Remembered(NO_TX)
    notes.noted[TENANT] = Noted(renewed=True)
    first, second = DocumentKey(PLANS, 1), DocumentKey(PLANS, 4)
    talk.texts_of[(TENANT, first)] = "alpha"
    talk.chains[second] = (first, second)
    await messages(index, talk)([said(talk, 4, "beta", 2)._replace(amendments=(second,))], notes)
    assert notes.touched == [(TENANT, first), (TENANT, second)]


async def asked_for(index: OracleIndex, text: str) -> list[int]:
    hits = await index.search(TENANT, parse(text), Scope(), 100)
    return [hit.key.seq for hit in hits]


async def test_what_comes_again_changes_nothing_and_is_not_even_unsealed() -> None:
    index, talk = OracleIndex(), Talk()
    events = [said(talk, seq, "zebra", seq) for seq in (1, 2)]
    await messages(index, talk)(events, Remembered(NO_TX))
    await messages(index, talk)([*events, said(talk, 3, "zebra", 3)], Remembered(NO_TX))
    assert await seqs(index, "zebra") == [1, 2, 3]
    assert await index.cursor(TENANT, "messaging/7") == 3
    assert talk.asked == [(TENANT, 2, INDEXING), (TENANT, 1, INDEXING)]


async def test_what_was_disposed_of_meanwhile_is_left_out() -> None:
    index, talk = OracleIndex(), Talk()
    await messages(index, talk)([said(talk, 1, None, 1), said(talk, 2, "zebra", 2)], Remembered(NO_TX))
    assert await seqs(index, "zebra") == [2]
    assert await index.cursor(TENANT, "messaging/7") == 2


async def test_what_comes_when_an_index_is_lost_is_noted_and_goes_into_no_index() -> None:
    index, talk, notes = OracleIndex(), Talk(), Remembered(NO_TX)
    await messages(index, talk)([said(talk, 1, "zebra", 1), said(talk, 1, "zebra", 1, OTHER)], notes)
    assert notes.noted[TENANT] == Noted(0, {"messaging/7": 1}, frozenset({"2026-11"}))
    await index.drop(TENANT)
    await messages(index, talk)([said(talk, 2, "zebra", 2), said(talk, 2, "zebra", 2, OTHER)], notes)
    assert (notes.lost, notes.touched) == ([TENANT], [(TENANT, DocumentKey(PLANS, 2))])
    assert (await seqs(index, "zebra"), await seqs(index, "zebra", OTHER)) == ([], [1, 2])
    assert notes.noted[TENANT].positions == {"messaging/7": 2}


async def test_what_comes_while_an_index_is_made_anew_goes_into_the_old_one_too() -> None:
    index, talk, notes = OracleIndex(), Talk(), Remembered(NO_TX)
    notes.noted[TENANT] = Noted(renewed=True)
    await messages(index, talk)([said(talk, 1, "zebra", 1)], notes)
    assert notes.touched == [(TENANT, DocumentKey(PLANS, 1))]
    assert await seqs(index, "zebra") == [1]


async def test_much_is_indexed_in_steps_each_with_its_own_cursor() -> None:
    index, talk = OracleIndex(), Talk()
    events = [
        Committed(
            TENANT, f"messaging/{number % 2}", number, tuple(DocumentKey(PLANS, seq) for seq in seqs_of)
        )
        for number in range(1, 6)
        if (seqs_of := range(number * 1000, number * 1000 + 900))
    ]
    talk.texts_of = {(TENANT, key): "zebra" for event in events for key in event.keys}
    await messages(index, talk)(events, Remembered(NO_TX))
    assert [asked for _, asked, _ in talk.asked] == [1800, 1800, 900]
    assert await index.count(TENANT) == 4500
    assert [await index.cursor(TENANT, f"messaging/{part}") for part in (0, 1)] == [4, 5]


async def test_of_a_message_the_last_that_is_told_counts() -> None:
    index, talk = OracleIndex(), Talk()
    put = said(talk, 1, "zebra", 1)
    gone = Committed(TENANT, "messaging/7", 2, (), put.keys)
    await messages(index, talk)([put, gone, said(talk, 2, "zebra", 3)], Remembered(NO_TX))
    assert await seqs(index, "zebra") == [2]


async def test_tenants_keep_apart() -> None:
    index, talk = OracleIndex(), Talk()
    await messages(index, talk)(
        [said(talk, 1, "zebra", 1), said(talk, 2, "okapi", 2, OTHER)], Remembered(NO_TX)
    )
    assert (await seqs(index, "okapi"), await seqs(index, "okapi", OTHER)) == ([], [2])


def record_of(position: int, *kinds: str, first: int = 1, seen_from: int | None = None) -> StreamRecord:
    event = EntriesCommitted(
        conversation=PLANS,
        partition=7,
        members_version=1,
        entries=tuple(
            CommittedEntry(
                seq=seq,
                kind=kind,
                message=uuid4(),
                revision=0,
                dek=None,
                sent_at=NOON,
                seen_from=seen_from if kind == "participants_added" else None,
            )
            for seq, kind in enumerate(kinds, start=first)
        ),
    )
    body = encode(event, id=uuid4(), time=NOON, tenant=TENANT)
    return StreamRecord(7, position, TENANT, event.name, body)


async def test_only_messages_are_indexed() -> None:
    index, talk = OracleIndex(), Talk({(TENANT, DocumentKey(PLANS, seq)): "zebra" for seq in (1, 2)})
    door = index_door(messages(index, talk), Remembered, NoDue)
    await door(
        NO_TX, [record_of(4, "conversation_created", "message_created"), record_of(5, "participants_added")]
    )
    assert await seqs(index, "zebra") == [2]
    assert await index.cursor(TENANT, "messaging/7") == 4


async def test_who_is_added_later_is_found_by_what_he_may_see_of_before() -> None:
    index, talk = OracleIndex(), Talk({(TENANT, DocumentKey(PLANS, seq)): "zebra" for seq in (2, 4)})
    door = index_door(messages(index, talk), Remembered, NoDue)
    await door(NO_TX, [record_of(4, "conversation_created", "message_created")])
    added = record_of(5, "participants_added", "message_created", first=3, seen_from=1)
    await door(NO_TX, [added])
    assert talk.asked == [(TENANT, 1, INDEXING), (TENANT, 3, INDEXING)]
    assert await seqs(index, "zebra") == [2, 4]


async def test_what_was_destroyed_is_found_no_more_and_its_words_are_due() -> None:
    index, talk = OracleIndex(), Talk({(TENANT, DocumentKey(PLANS, seq)): "zebra" for seq in (1, 2)})
    door = index_door(messages(index, talk), Remembered, NoDue)
    await door(NO_TX, [record_of(4, "message_created", "message_created")])
    event = PayloadsDestroyed(order=uuid4(), conversation=PLANS, seqs=(2,), generation=4)
    gone = StreamRecord(7, 5, TENANT, event.name, encode(event, id=uuid4(), time=NOON, tenant=TENANT))
    await door(NO_TX, [gone])
    assert await seqs(index, "zebra") == [1]
    assert NoDue.noted.pop() == (TENANT, Destruction(event.order, 4), (DocumentKey(PLANS, 2),))


async def test_a_peer_that_is_away_is_waited_for_and_a_refused_key_parks_its_tenant() -> None:
    door = index_door(messages(OracleIndex(), talk := Talk()), Remembered, NoDue)
    talk.trouble = CorrespondenceUnavailable()
    with pytest.raises(WORLD_AWAY):
        await door(NO_TX, [record_of(1, "message_created")])
    talk.trouble = KeyRefused(TENANT)
    with pytest.raises(KeyRefused):
        await door(NO_TX, [record_of(1, "message_created")])


@dataclass
class Behind:
    """A backlog that is told."""

    since: datetime | None = None
    away: bool = False

    async def oldest(self) -> datetime | None:
        if self.away:
            raise CorrespondenceUnavailable
        return self.since


@dataclass
class Shown:
    """What the metrics show."""

    seconds: list[float] = field(default_factory=list)

    def lags(self, seconds: float) -> None:
        self.seconds.append(seconds)


class Anybody:
    """Permits everything."""

    def allows(self, actor: object, action: str, resource: Facts) -> bool:
        return True


async def test_the_lag_grows_while_messaging_is_away() -> None:
    clock, behind, shown = ManualClock(NOON), Behind(NOON), Shown()
    lag = MeasureLag(behind, shown, clock, Access(Anybody(), Denials(clock)))
    clock.advance(2)
    await lag()
    behind.away = True
    clock.advance(3)
    with pytest.raises(CorrespondenceUnavailable):
        await lag()
    behind.away, behind.since = False, None
    await lag()
    assert shown.seconds == [2.0, 5.0, 0.0]
