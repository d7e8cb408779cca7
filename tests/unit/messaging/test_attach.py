"""A socket that is brought up to date while its conversation goes on: nothing twice, nobody else's."""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import uuid4

from libs.contracts.socket import Entries, Page, read_server_frame
from libs.kernel.clock import SystemClock
from libs.kernel.ids import ConversationId, DeviceId, MessageId, PrincipalId, SessionId, SystemIds, TenantId
from libs.kernel.randomness import SystemRandomness
from services.messaging.domain.entries import ConversationKey, ConversationKind, EntryKind
from services.messaging.domain.membership import Span, Standing
from services.messaging.domain.terms import Terms
from services.messaging.ports import LiveBatch, LiveEntry, StoredEntry
from services.messaging.usecases.deliver import Deliver, Hint

KEY = ConversationKey(TenantId(uuid4()), ConversationId(uuid4()))
PERSON, OTHER = PrincipalId(uuid4()), PrincipalId(uuid4())
CLOCK = SystemClock()
IDS = SystemIds(CLOCK, SystemRandomness())


@dataclass(eq=False)
class Device:
    """A socket that keeps the numbers of the entries that it is given."""

    tenant: TenantId = KEY.tenant
    principal: PrincipalId = PERSON
    session: SessionId = field(default_factory=lambda: SessionId(uuid4()))
    device: DeviceId = field(default_factory=lambda: DeviceId(uuid4()))
    limit: int = 500
    seqs: list[int] = field(default_factory=list)

    def push(self, frame: str) -> None:
        match read_server_frame(frame):
            case Entries(entries=entries):
                self.seqs += [entry.seq for entry in entries]
            case Page(entries=parts):
                self.seqs += [entry.seq for part in parts for entry in part.entries]

    async def drained(self) -> None:
        await asyncio.sleep(0)


@dataclass
class Log:
    """A log whose reads can be held up: the moments between two reads are what is tried here."""

    entries_of: list[StoredEntry] = field(default_factory=list)
    standing: Standing | None = None
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def entries(self, key: ConversationKey, after: int, until: int, limit: int) -> list[StoredEntry]:
        assert key == KEY
        await self.gate.wait()
        return [entry for entry in self.entries_of if after < entry.seq <= until][:limit]

    async def find_standing(self, key: ConversationKey, principal: PrincipalId) -> Standing | None:
        assert (key, principal) == (KEY, PERSON)
        return self.standing


class Nowhere:
    """No other gateway."""

    def publish(self, batches: Sequence[LiveBatch]) -> None:
        del batches


class Town:
    """One conversation of two people at one gateway, with a log."""

    def __init__(self) -> None:
        self.log = Log()
        self.tasks: set[asyncio.Task[None]] = set()
        self.deliver = Deliver(cast("Any", self.log), cast("Any", None), cast("Any", Nowhere()), self._spawn)
        self.members_version = 0
        self.waiting: list[LiveEntry] = []

    def _spawn(self, work: Coroutine[Any, Any, None]) -> object:
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        return task

    def commit(self, kind: EntryKind, *subjects: PrincipalId) -> int:
        """Put an entry into the log; it reaches the gateway with `hear`."""
        seq = len(self.log.entries_of) + 1
        if kind.changes_members:
            self.members_version = seq
        message, now = MessageId(IDS.uuid7()), CLOCK.now()
        self.log.entries_of.append(
            StoredEntry(
                seq, kind, message, 0, OTHER, now, self.members_version, subjects, None, had_body=False
            )
        )
        self.waiting.append(
            LiveEntry(
                seq=seq,
                kind=int(kind),
                message=message,
                revision=0,
                actor=OTHER,
                sent_at=now,
                members_version=self.members_version,
                subjects=subjects,
                sealed=None,
            )
        )
        return seq

    def hear(self) -> None:
        """Let the gateway hear of everything that was committed."""
        batch, self.waiting = self.waiting, []
        self.deliver.arrived(LiveBatch(*KEY, batch))

    def stand(self, *spans: Span) -> Standing:
        """Return, and keep in the log, how the person stands."""
        self.log.standing = Standing(
            ConversationKind.GROUP,
            spans,
            administrator=False,
            last_seq=len(self.log.entries_of),
            members_version=self.members_version,
        )
        return self.log.standing

    def open(self, principal: PrincipalId = PERSON) -> Device:
        device = Device(principal=principal)
        self.deliver.opened(device)
        self.deliver.resumed(device)
        return device


async def test_a_socket_that_is_attached_twice_at_once_gets_each_entry_once() -> None:
    town, device = Town(), Device()
    town.deliver.opened(device)
    town.commit(EntryKind.CONVERSATION_CREATED, OTHER, PERSON)
    standing = town.stand(Span(1, None))
    first = asyncio.ensure_future(town.deliver.attach(device, KEY, standing, 0, "hello"))
    second = asyncio.ensure_future(town.deliver.attach(device, KEY, standing, 0, None))
    await asyncio.sleep(0)
    town.log.gate.set()
    assert sorted([await first, await second]) == [0, 1]
    assert device.seqs == [1]


async def test_an_invitation_that_passes_meanwhile_is_not_written_again() -> None:
    """The sweep found the conversation in the log, and its first entry came live before the pages left."""
    town, device = Town(), Device()
    watching = town.open(OTHER)
    town.deliver.opened(device)
    town.deliver.resumed(device)
    town.commit(EntryKind.CONVERSATION_CREATED, OTHER, PERSON)
    standing = town.stand(Span(1, None))
    town.hear()
    assert device.seqs == [1]
    assert await town.deliver.attach(device, KEY, standing, 0, None) == 0
    assert (device.seqs, watching.seqs) == ([1], [1])


async def test_who_is_removed_while_he_is_brought_up_to_date_gets_nothing_after_it() -> None:
    town, device = Town(), Device()
    watching = town.open(OTHER)
    town.deliver.opened(device)
    town.commit(EntryKind.CONVERSATION_CREATED, OTHER, PERSON)
    town.commit(EntryKind.MESSAGE_CREATED)
    town.deliver.resumed(watching)
    standing = town.stand(Span(1, None))
    attaching = asyncio.ensure_future(town.deliver.attach(device, KEY, standing, 0, "hello"))
    await asyncio.sleep(0)
    town.hear()
    removal = town.commit(EntryKind.PARTICIPANTS_REMOVED, PERSON)
    town.stand(Span(1, removal))
    town.commit(EntryKind.MESSAGE_CREATED)
    town.hear()
    town.log.gate.set()
    assert await attaching == removal
    town.commit(EntryKind.MESSAGE_CREATED)
    town.hear()
    assert device.seqs == [1, 2, 3]
    assert not town.deliver.is_attached(device, KEY)


async def test_a_standing_that_is_ahead_of_the_gateway_shows_nothing_from_before_his_time() -> None:
    town, device = Town(), Device()
    watching = town.open(OTHER)
    town.deliver.opened(device)
    town.commit(EntryKind.CONVERSATION_CREATED, OTHER)
    town.hear()
    town.commit(EntryKind.MESSAGE_CREATED)
    invited = town.commit(EntryKind.PARTICIPANTS_ADDED, PERSON)
    town.log.gate.set()
    await town.deliver.attach(device, KEY, town.stand(Span(invited, None)), 0, "hello")
    town.hear()
    assert watching.seqs == [1, 2, 3]
    assert device.seqs == [3]


async def test_an_earlier_time_in_a_conversation_is_read_from_the_log_alone() -> None:
    """He was there up to 2, and is there again since 5, of which this gateway has not heard yet."""
    town, device = Town(), Device()
    town.open(OTHER)
    town.deliver.opened(device)
    town.commit(EntryKind.CONVERSATION_CREATED, OTHER, PERSON)
    removal = town.commit(EntryKind.PARTICIPANTS_REMOVED, PERSON)
    town.commit(EntryKind.MESSAGE_CREATED)
    town.commit(EntryKind.MESSAGE_CREATED)
    town.hear()
    back = town.commit(EntryKind.PARTICIPANTS_ADDED, PERSON)
    town.log.gate.set()
    await town.deliver.attach(device, KEY, town.stand(Span(1, removal), Span(back, None)), 0, "hello")
    town.hear()
    assert device.seqs == [1, removal, back]


async def test_how_a_person_stands_is_remembered_until_an_entry_may_have_changed_it() -> None:
    town = Town()
    device = town.open()
    town.commit(EntryKind.CONVERSATION_CREATED, OTHER, PERSON)
    town.hear()
    assert town.deliver.find_hint(device, KEY) == Hint(1, frozenset({"participant"}))
    town.commit(EntryKind.PARTICIPANTS_ADDED, PrincipalId(uuid4()))  # he stands as before
    town.commit(EntryKind.NAME_CHANGED)
    town.hear()
    assert town.deliver.find_hint(device, KEY) == Hint(2, frozenset({"participant"}))
    for kind in (
        EntryKind.ANNOUNCEMENTS_BEGUN,
        EntryKind.ANNOUNCEMENTS_ENDED,
        EntryKind.ADMINISTRATORS_ADDED,
        EntryKind.ADMINISTRATORS_REMOVED,
        EntryKind.CONVERSATION_ARCHIVED,
        EntryKind.CONVERSATION_REOPENED,
    ):
        before = town.stand(Span(1, None))
        town.commit(kind)
        town.hear()
        assert town.deliver.find_hint(device, KEY) is None
        town.deliver.learn(device, KEY, before)  # read before the gateway heard of it
        assert town.deliver.find_hint(device, KEY) is None
        now = town.stand(Span(1, None))._replace(terms=Terms(announcements=True))
        town.deliver.learn(device, KEY, now)
        hint = town.deliver.find_hint(device, KEY)
        assert hint == Hint(now.members_version, frozenset({"participant", "announcements"}))
    town.commit(EntryKind.PARTICIPANTS_REMOVED, PERSON)
    town.hear()
    assert town.deliver.find_hint(device, KEY) is None


async def test_who_is_brought_in_is_asked_for_before_anything_is_remembered_of_him() -> None:
    """The gateway does not know what was settled for a conversation that he joins."""
    town = Town()
    device = town.open()
    town.open(OTHER)
    town.commit(EntryKind.CONVERSATION_CREATED, OTHER)
    town.commit(EntryKind.PARTICIPANTS_ADDED, PERSON)
    town.hear()
    assert town.deliver.is_attached(device, KEY)
    assert town.deliver.find_hint(device, KEY) is None


async def test_of_an_imported_conversation_it_is_remembered_that_it_is_imported() -> None:
    town, device = Town(), Device()
    town.deliver.opened(device)
    town.commit(EntryKind.CONVERSATION_CREATED, OTHER, PERSON)
    standing = town.stand(Span(1, None))._replace(kind=ConversationKind.IMPORT)
    town.log.gate.set()
    await town.deliver.attach(device, KEY, standing, 0, "hello")
    assert town.deliver.find_hint(device, KEY) == Hint(1, frozenset({"participant", "imported"}))
