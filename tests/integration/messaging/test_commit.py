"""The group commit's two ways: by what the gateway remembers, and by what the locked heads say."""

import asyncio
import itertools
import re
from collections.abc import Sequence
from uuid import uuid4

import pytest

from libs.authn.actor import Actor
from libs.db.pool import CrossingDatabase
from libs.kernel.ids import ConversationId
from services.messaging.domain.entries import ConversationKey
from services.messaging.domain.log import Head
from services.messaging.store import log_writer
from services.messaging.store.log_writer import PostgresLogTransaction
from services.messaging.usecases.send import acknowledged
from tests.integration.messaging.gateways import Gateway, KeepingSocket
from tests.support.engines import ServiceDatabase

Three = tuple[Actor, Actor, Actor]


@pytest.fixture
def locked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Give the number of conversations of each commit that had to lock first."""
    seen: list[int] = []
    lock = PostgresLogTransaction.lock

    async def noted(self: PostgresLogTransaction, keys: Sequence[ConversationKey], *rest: object) -> object:
        seen.append(len(keys))
        return await lock(self, keys, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(PostgresLogTransaction, "lock", noted)
    return seen


def remember(gateway: Gateway, head: Head | None) -> None:
    """Let a gateway remember every log as standing there."""
    for writer in gateway.core.commit.writers:
        writer._find_head = lambda _key: head


async def seqs_of(gateway: Gateway, conversation: ConversationId) -> list[int]:
    rows = gateway.rows("SELECT seq FROM messaging.entry WHERE conversation = %s ORDER BY seq", conversation)
    return [seq for (seq,) in rows]


async def test_where_a_socket_listens_a_message_is_committed_without_locking_first(
    one: Gateway, people: Three, locked: list[int]
) -> None:
    ada, bo, _ = people
    plans = await one.group(ada, bo)
    socket = await one.opened(bo)
    locked.clear()
    for number in range(5):
        assert (await one.send(ada, plans, str(number))).seq == number + 2
    assert locked == []
    assert socket.seqs(plans) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("head", [None, Head(0, 0), Head(7, 1), Head(2, 0), Head(2, 2)])
async def test_what_is_remembered_wrongly_or_not_at_all_is_decided_by_the_log(
    one: Gateway, people: Three, locked: list[int], head: Head | None
) -> None:
    ada, bo, _ = people
    plans = await one.group(ada, bo)
    await one.send(ada, plans, "first")
    remember(one, head)
    locked.clear()
    assert (await one.send(ada, plans, "second")).seq == 3
    assert locked == [1]
    assert await seqs_of(one, plans) == [1, 2, 3]


async def test_a_repeated_send_is_found_though_the_heads_stand_as_remembered(
    one: Gateway, people: Three, locked: list[int]
) -> None:
    ada, bo, _ = people
    plans = await one.group(ada, bo)
    socket = await one.opened(ada)
    client_id = uuid4()
    first = await one.send(ada, plans, "hello", client_id, socket)
    locked.clear()
    waiting = [
        await one.submit(ada, plans, "hello", client_id, socket),
        await one.submit(ada, plans, "and more", uuid4(), socket),
    ]
    again, _ = await asyncio.gather(*waiting)
    assert acknowledged(again) == first
    assert locked == [1]
    assert await seqs_of(one, plans) == [1, 2, 3]


async def test_two_gateways_that_hear_of_each_other_late_never_give_a_place_twice(
    one: Gateway, two: Gateway, people: Three
) -> None:
    ada, bo, cy = people
    plans = await one.group(ada, bo, cy)
    sockets = [await one.opened(ada), await two.opened(bo)]

    async def talk(gateway: Gateway, actor: Actor, socket: KeepingSocket) -> list[int]:
        return [(await one_of(gateway, actor, socket)).seq for _ in range(60)]

    async def one_of(gateway: Gateway, actor: Actor, socket: KeepingSocket):
        return await gateway.send(actor, plans, "text", socket=socket)

    told = await asyncio.gather(talk(one, ada, sockets[0]), talk(two, bo, sockets[1]))
    assert sorted(told[0] + told[1]) == list(range(2, 122))
    assert await seqs_of(one, plans) == list(range(1, 122))


async def plan_of_the_commit(database: CrossingDatabase) -> str:
    """Return how PostgreSQL runs the commit once it plans it for good."""
    numbers = itertools.count(1)
    numbered = re.sub("%s", lambda _: f"${next(numbers)}", log_writer._APPEND)
    async with database.lease() as connection:
        cursor = await connection.execute(f"EXPLAIN (GENERIC_PLAN) {numbered}".encode())
        return "\n".join(row[0] for row in await cursor.fetchall())


@pytest.mark.parametrize(
    "by_key", [True, pytest.param(False, marks=pytest.mark.planted, id="without which it scans")]
)
async def test_the_commit_every_row_by_an_index_even_when_it_was_planned_on_empty_tables(
    messaging_database: ServiceDatabase, *, by_key: bool
) -> None:
    database = CrossingDatabase(messaging_database.dsn("messaging_writer"), "planning", by_key=by_key)
    await database.open()
    try:
        plan = await plan_of_the_commit(database)
    finally:
        await database.close()
    scanned = re.findall(r"Seq Scan on (conversation_head|outbox_head)", plan)
    assert (scanned == []) is by_key
