"""The SDK against the running platform: from a sign-in to another person's socket, and through every cut."""

import asyncio
from uuid import UUID

import pytest

from libs.client.client import Changed, Client, Left, Settled
from libs.client.device import Device
from libs.client.errors import ClientError, Refused, SendRefused, SignedOut
from libs.client.state import Shown
from libs.contracts.socket import EntryKind

pytestmark = pytest.mark.xdist_group("platform")
SECONDS = 20


class Screen:
    """What a person sees."""

    def __init__(self) -> None:
        self.shown: list[Shown] = []
        self._more = asyncio.Event()

    def __call__(self, shown: Shown) -> None:
        self.shown.append(shown)
        self._more.set()

    @property
    def texts(self) -> list[str]:
        return [
            one.entry.body.text
            for one in self.shown
            if one.entry and one.entry.body and one.entry.body.text is not None
        ]

    @property
    def seqs(self) -> list[int]:
        return [one.seq for one in self.shown]

    async def shows(self, count: int) -> None:
        """Wait until so many entries were shown."""
        async with asyncio.timeout(SECONDS):
            while len(self.shown) < count:
                self._more.clear()
                await self._more.wait()


def device_of(client: Client, screen: Screen, gateway: str) -> Device:
    return client.device(screen, gateways=[gateway])


async def lives_on(device: Device) -> None:
    """Ask the device for ever whether it is live."""
    while True:
        await device.live()
        await asyncio.sleep(0.05)


async def test_a_message_goes_from_one_socket_to_another_at_another_gateway(town) -> None:
    ada, bo = await town.settle(2)
    room = (await ada.create_conversation("direct", [town.principals[1]])).conversation
    screen = Screen()
    async with (
        device_of(ada, Screen(), town.gateways[0]) as sender,
        device_of(bo, screen, town.gateways[1]) as receiver,
    ):
        ack = await sender.send(room, "good morning")
        await screen.shows(2)
        assert {sender.gateway, receiver.gateway} == {"gw-1", "gw-2"}
    assert ack.seq == 2
    assert screen.seqs == [1, 2]
    assert screen.texts == ["good morning"]


async def test_an_ack_is_the_only_thing_that_the_sending_socket_gets(town) -> None:
    ada, bo = await town.settle(2)
    room = (await ada.create_conversation("direct", [town.principals[1]])).conversation
    screen, other = Screen(), Screen()
    async with (
        device_of(ada, screen, town.gateways[0]) as sender,
        device_of(bo, other, town.gateways[0]) as answerer,
    ):
        await sender.send(room, "one")
        await answerer.send(room, "two")
        await screen.shows(3)
    assert [one.ack is not None for one in screen.shown] == [False, True, False]
    assert sender.repeats == 0


async def test_what_was_missed_off_line_comes_once_and_in_order_at_another_gateway(town) -> None:
    ada, bo = await town.settle(2)
    room = (await ada.create_conversation("direct", [town.principals[1]])).conversation
    screen = Screen()
    receiver = bo.device(screen, gateways=town.gateways)
    async with device_of(ada, Screen(), town.gateways[0]) as sender:
        await receiver.open()
        await sender.send(room, "0")
        await screen.shows(2)
        await receiver.close(abrupt=True)
        for number in range(1, 30):
            await sender.send(room, str(number))
        await receiver.open()
        await sender.send(room, "30")
        await screen.shows(32)
        await receiver.close()
    assert screen.seqs == list(range(1, 33))
    assert screen.texts == [str(number) for number in range(31)]
    assert receiver.repeats == 0


async def test_messages_written_off_line_are_sent_in_order_on_return(town) -> None:
    ada, bo = await town.settle(2)
    room = (await ada.create_conversation("direct", [town.principals[1]])).conversation
    sender = ada.device(Screen(), gateways=town.gateways)
    await sender.open()
    await sender.close(abrupt=True)
    sending = [asyncio.create_task(sender.send(room, str(number))) for number in range(5)]
    await asyncio.sleep(0)
    await sender.open()
    acks = await asyncio.gather(*sending)
    await sender.close()
    assert [ack.seq for ack in acks] == [2, 3, 4, 5, 6]
    history = await bo.history(room, after=1)
    assert [entry.body.text for entry in history.entries if entry.body] == ["0", "1", "2", "3", "4"]


async def test_a_send_that_is_repeated_is_the_same_message(town) -> None:
    ada, bo = await town.settle(2)
    room = (await ada.create_conversation("direct", [town.principals[1]])).conversation
    message = town.ids.uuid7()
    async with device_of(ada, Screen(), town.gateways[0]) as sender:
        first = await sender.send(room, "once", message=message)
        second = await sender.send(room, "once", message=message)
        with pytest.raises(SendRefused, match="another message"):
            await sender.send(room, "twice", message=message)
    third = await ada.post(room, "once", message=message)
    assert first.seq == second.seq == third.seq == 2
    assert len((await bo.history(room)).entries) == 2


async def test_a_gateway_that_is_killed_costs_nothing(town, platform) -> None:
    ada, bo = await town.settle(2)
    room = (await ada.create_conversation("direct", [town.principals[1]])).conversation
    screen = Screen()
    async with (
        ada.device(Screen(), gateways=town.gateways) as sender,
        bo.device(screen, gateways=town.gateways),
    ):
        sending = [asyncio.create_task(sender.send(room, str(number))) for number in range(50)]
        old = platform.kill("gw-1")
        acks = await asyncio.wait_for(asyncio.gather(*sending), SECONDS)
        await screen.shows(51)
    await asyncio.to_thread(platform.wait_for_restart, "gw-1", old)
    assert [ack.seq for ack in acks] == list(range(2, 52))
    assert screen.texts == [str(number) for number in range(50)]


async def test_whoever_is_brought_in_sees_what_follows_and_whoever_is_removed_sees_no_more(town) -> None:
    ada, bo, cy = await town.settle(3)
    room = (await ada.create_conversation("group", [town.principals[1]], name="plans")).conversation
    screen = Screen()
    async with (
        device_of(ada, Screen(), town.gateways[0]) as sender,
        device_of(cy, screen, town.gateways[1]),
    ):
        await sender.send(room, "before")
        await ada.change_participants(room, add=[town.principals[2]])
        await sender.send(room, "during")
        await screen.shows(2)
        await ada.change_participants(room, remove=[town.principals[2]])
        await sender.send(room, "after")
        await screen.shows(3)
    kinds = [one.entry.kind for one in screen.shown if one.entry]
    assert kinds == [
        EntryKind.PARTICIPANTS_ADDED,
        EntryKind.MESSAGE_CREATED,
        EntryKind.PARTICIPANTS_REMOVED,
    ]
    assert screen.texts == ["during"]
    with pytest.raises(Refused):
        await cy.post(room, "let me in")
    assert [entry.seq for entry in (await bo.history(room, limit=1000)).entries] == [1, 2, 3, 4, 5, 6]


async def test_a_group_is_changed_left_and_archived_and_devices_see_it(town) -> None:
    ada, bo, cy = await town.settle(3)
    room = (await ada.create_conversation("group", town.principals[1:], name="plans")).conversation
    screen = Screen()
    async with device_of(bo, screen, town.gateways[1]):
        settled = await ada.settle(room, name="news", topic="what is new", announcements=True, history="all")
        assert (settled.name, settled.topic, settled.history, settled.announcements) == (2, 3, 4, 5)
        assert await ada.settle(room, name="news", announcements=True) == Settled()
        with pytest.raises(Refused, match="administrators write"):
            await cy.post(room, "me too")
        assert await ada.change_administrators(room, add=[town.principals[1]]) == Changed(added=6)
        await bo.post(room, "hear, hear")
        assert await cy.leave(room) == Left(left=8)
        with pytest.raises(Refused, match="administrator"):
            await ada.change_administrators(room, remove=town.principals[:2])
        assert (await ada.settle(room, archived=True)).archived == 9
        await screen.shows(9)
    assert [one.entry.kind for one in screen.shown if one.entry][1:] == [
        EntryKind.NAME_CHANGED,
        EntryKind.TOPIC_CHANGED,
        EntryKind.HISTORY_OPENED,
        EntryKind.ANNOUNCEMENTS_BEGUN,
        EntryKind.ADMINISTRATORS_ADDED,
        EntryKind.MESSAGE_CREATED,
        EntryKind.PARTICIPANTS_REMOVED,
        EntryKind.CONVERSATION_ARCHIVED,
    ]
    assert await bo.conversations() == ()
    [hidden] = await bo.conversations(archived=True)
    assert (hidden.name, hidden.topic, hidden.history, hidden.announcements, hidden.archived) == (
        "news",
        "what is new",
        "all",
        True,
        True,
    )
    assert set((await bo.get_conversation(room)).administrators) == set(town.principals[:2])
    with pytest.raises(Refused, match="archived"):
        await ada.post(room, "one more thing")


async def test_conversations_history_and_sync_say_the_same_without_a_socket(town) -> None:
    ada, bo = await town.settle(2)
    room = (await ada.create_conversation("group", [town.principals[1]], name="plans")).conversation
    for number in range(7):
        await ada.post(room, str(number))
    [listed] = await bo.conversations()
    assert (listed.conversation, listed.last_seq, listed.kind) == (room, 8, "group")
    assert set((await bo.get_conversation(room)).participants) == set(town.principals)
    texts: list[str | None] = []
    cursors: dict[UUID, int] = {}
    more = True
    while more:
        page = await bo.sync(cursors, limit=3)
        texts += [entry.body.text for part in page.entries for entry in part.entries if entry.body]
        cursors, more = page.cursors, page.more
    assert texts == [None, *map(str, range(7))]
    assert cursors == {room: 8}


async def test_a_device_that_asks_for_a_sync_itself_sees_nothing_twice(town) -> None:
    ada, _ = await town.settle(2)
    room = (await ada.create_conversation("direct", [town.principals[1]])).conversation
    screen = Screen()
    async with device_of(ada, screen, town.gateways[0]) as device:
        await device.send(room, "one")
        await device.sync()
    assert screen.seqs == [1, 2]


async def test_another_tenant_s_conversation_is_not_there(town) -> None:
    [ada, _] = await town.settle(2)
    room = (await ada.create_conversation("direct", [town.principals[1]])).conversation
    [stranger] = await town.settle(1)
    async with device_of(stranger, Screen(), town.gateways[0]) as device:
        with pytest.raises(SendRefused) as foreign:
            await device.send(room, "hello")
        with pytest.raises(SendRefused) as absent:
            await device.send(town.ids.uuid7(), "hello")
    assert foreign.value.problem.status == absent.value.problem.status == 404
    with pytest.raises(Refused):
        await stranger.get_conversation(room)


async def test_a_message_that_is_too_large_is_refused_and_the_next_one_goes(town) -> None:
    ada, _ = await town.settle(2)
    room = (await ada.create_conversation("direct", [town.principals[1]])).conversation
    async with device_of(ada, Screen(), town.gateways[0]) as device:
        with pytest.raises(ClientError):
            await asyncio.wait_for(device.send(room, "x" * 100_000), SECONDS)
        ack = await asyncio.wait_for(device.send(room, "small"), SECONDS)
    assert ack.seq == 2


async def test_signing_out_ends_the_device(town) -> None:
    ada, _ = await town.settle(2)
    device = device_of(ada, Screen(), town.gateways[0])
    await device.open()
    await ada.session.sign_out()
    with pytest.raises(SignedOut):
        await asyncio.wait_for(lives_on(device), SECONDS)
    await device.close()
