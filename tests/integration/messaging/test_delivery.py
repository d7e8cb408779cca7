"""Delivery: in order, once, to every socket of every participant, on whatever gateway."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

from infra.engines.daemon import start
from infra.engines.valkey import ValkeyServer
from libs.authn.actor import Actor
from libs.kernel.ids import ConversationId
from tests.integration.messaging.gateways import Gateway, KeepingSocket, until

Three = tuple[Actor, Actor, Actor]


async def _all_have(sockets: Sequence[KeepingSocket], where: ConversationId, seqs: Sequence[int]) -> None:
    await until(
        lambda: all(len(socket.seqs(where)) >= len(seqs) for socket in sockets), "not all was delivered"
    )
    assert [socket.seqs(where) for socket in sockets] == [list(seqs)] * len(sockets)


async def test_a_message_reaches_every_other_socket_on_both_gateways(
    one: Gateway, two: Gateway, people: Three
) -> None:
    ada, bo, cy = people
    plans = await one.group(ada, bo, cy)
    sender, same, other = await one.opened(ada), await one.opened(bo), await two.opened(cy)
    for number in range(20):
        await one.send(ada, plans, f"message {number}", socket=sender)
    await _all_have([same, other], plans, range(1, 22))
    assert other.texts(plans) == [f"message {number}" for number in range(20)]
    # the sender's own socket was told by its acks
    assert sender.seqs(plans) == [1]


async def test_the_senders_other_device_gets_his_messages(one: Gateway, people: Three) -> None:
    ada, bo, _ = people
    plans = await one.group(ada, bo)
    phone, laptop = await one.opened(ada), await one.opened(ada)
    await one.send(ada, plans, "from the phone", socket=phone)
    await _all_have([laptop], plans, [1, 2])


async def test_a_device_that_was_away_gets_everything_once_and_in_order_then_lives_on(
    one: Gateway, two: Gateway, people: Three
) -> None:
    ada, bo, _ = people
    plans = await one.group(ada, bo)
    for number in range(30):
        await one.send(ada, plans, str(number))
    late = await two.opened(bo, {plans: 11}, limit=7)
    await one.send(ada, plans, "live again")
    await _all_have([late], plans, range(12, 33))


async def test_a_device_that_comes_back_under_load_misses_nothing_and_sees_nothing_twice(
    one: Gateway, two: Gateway, people: Three
) -> None:
    ada, bo, cy = people
    plans = await one.group(ada, bo, cy)

    async def talk() -> None:
        for number in range(120):
            await one.send(ada, plans, str(number))

    talking = asyncio.create_task(talk())
    sockets = []
    for _ in range(12):
        sockets.append(await two.opened(bo, limit=5))
        sockets.append(await one.opened(cy, limit=500))
    await talking
    await _all_have(sockets, plans, range(1, 122))


async def test_someone_brought_in_sees_from_there_on_and_someone_removed_up_to_there(
    one: Gateway, two: Gateway, people: Three
) -> None:
    ada, bo, cy = people
    plans = await one.group(ada, bo)
    joined = await two.opened(cy)
    await one.send(ada, plans, "before")
    added = await one.core.converse.add(ada, plans, [cy.principal])
    await one.send(ada, plans, "between")
    removed = await one.core.converse.remove(ada, plans, [cy.principal])
    await one.send(ada, plans, "after")
    await until(lambda: joined.seqs(plans)[-1:] == [removed], "the removal was not delivered")
    await asyncio.sleep(0.1)
    assert (added, removed) == (3, 5)
    assert joined.seqs(plans) == [3, 4, 5]
    assert joined.texts(plans) == ["between"]
    # and a device that comes back later is told the same
    assert (await one.opened(cy)).seqs(plans) == [3, 4, 5]


async def test_a_new_conversation_reaches_sockets_that_were_open_before(
    one: Gateway, two: Gateway, people: Three
) -> None:
    ada, bo, _ = people
    here, there = await one.opened(bo), await two.opened(bo)
    plans = await one.group(ada, bo)
    await one.send(ada, plans, "hello")
    await _all_have([here, there], plans, [1, 2])


async def test_a_closed_socket_is_forgotten_everywhere(one: Gateway, people: Three) -> None:
    ada, bo, _ = people
    plans = await one.group(ada, bo)
    socket = await one.opened(bo)
    one.core.deliver.closed(socket)
    await one.send(ada, plans, "to nobody")
    assert socket.seqs(plans) == [1]
    assert one.core.deliver.sockets() == []
    assert one.core.deliver.positions_of() == {}


async def test_what_redis_drops_is_read_from_the_log(
    one: Gateway, two: Gateway, people: Three, fresh_valkey: ValkeyServer
) -> None:
    ada, bo, _ = people
    plans = await one.group(ada, bo)
    socket = await two.opened(bo)
    fresh_valkey.stop()
    for number in range(5):
        await one.send(ada, plans, str(number))
    new = await one.group(ada, bo)
    await _all_have([socket], plans, range(1, 7))
    await until(lambda: socket.seqs(new) == [1], "the new conversation was not found")
    start(fresh_valkey)
    await until(lambda: two.core.live.listening, "the gateway did not listen again", 20)
    await one.send(ada, plans, "live again")
    await _all_have([socket], plans, range(1, 8))


async def test_marks_advance_are_coalesced_and_never_go_back(one: Gateway, people: Three) -> None:
    ada, bo, _ = people
    plans = await one.group(ada, bo)
    socket = await one.opened(bo)
    for number in range(6):
        await one.send(ada, plans, str(number))
    await until(lambda: len(socket.seqs(plans)) == 7)
    for delivered, read in ((2, 0), (7, 3), (5, 5)):
        one.core.mark(bo, socket, plans, delivered, read)
    await one.core.mark.flush()
    one.core.mark(bo, socket, plans, 1, 1)
    await one.core.mark.flush()
    (mark,) = await one.core.read.marks(ada, plans)
    assert (mark.principal, mark.delivered, mark.read) == (bo.principal, 7, 5)
    advances = one.rows(
        "SELECT delivered_from, delivered_to, read_from, read_to FROM messaging.receipt_advance"
    )
    assert advances == [(0, 7, 0, 5)]


async def test_sync_pages_bring_everything_and_end(one: Gateway, people: Three) -> None:
    ada, bo, cy = people
    plans, games = await one.group(ada, bo), await one.group(ada, bo, cy)
    for number in range(25):
        await one.send(ada, plans, str(number))
        await one.send(ada, games, str(number))
    cursors: dict[UUID, int] = {plans: 10}
    got: dict[UUID, list[int]] = {plans: [], games: []}
    for _ in range(20):
        page = await one.core.read.sync(bo, cursors, 8)
        assert sum(len(part.entries) for part in page.entries) <= 8
        for part in page.entries:
            got[part.conversation] += [entry.seq for entry in part.entries]
        cursors = {**page.cursors}
        if not page.more:
            break
    assert got == {plans: list(range(11, 27)), games: list(range(1, 27))}
    assert await one.core.read.sync(bo, page.cursors, 8) == ((), False, {plans: 26, games: 26})


async def test_a_conversation_that_was_left_and_joined_again_is_seen_in_two_parts(
    one: Gateway, people: Three
) -> None:
    ada, bo, cy = people
    plans = await one.group(ada, bo, cy)
    await one.core.converse.remove(ada, plans, [cy.principal])
    await one.send(ada, plans, "unseen")
    await one.core.converse.add(ada, plans, [cy.principal])
    await one.send(ada, plans, "seen")
    assert (await one.opened(cy)).seqs(plans) == [1, 2, 4, 5]
    assert (await one.opened(cy, {plans: 2})).seqs(plans) == [4, 5]
