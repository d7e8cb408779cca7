"""A destroyed body's key dies, and everything else that it had sealed lives on under another."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from libs.contracts import internal as wire
from libs.contracts.retention import DeksKept, DeksShredded, KeysEmptied, MessagingOrderCompleted
from libs.envelope.errors import RecordRefused
from libs.events.effects import EffectFailed
from libs.kernel.ids import ConversationId, DekId
from services.keys.store.shredding import PostgresShredding
from services.messaging.domain.entries import ConversationKey
from services.messaging.domain.errors import DispositionsStopped, KeyClosed, KeyGone, SealingDiffers
from services.messaging.edge.problems import PROBLEMS
from services.messaging.ports import BodyKey, Survivor
from services.messaging.store import closings
from services.messaging.usecases import close
from services.messaging.usecases.close import CloseKeys
from tests.integration.shredding.world import BACKUPS, MARCH, NOON, World

MIDDLE = MARCH + timedelta(days=14)


async def test_the_key_of_a_destroyed_body_is_shredded_and_survivors_are_sealed_anew(world: World) -> None:
    room = await world.conversation()
    await world.said(room, 1, 2, 20, 21)
    (old,) = {dek for _, dek, _ in world.payloads(room)}
    before = dict(await world.clear(room))
    order = await world.destroy(MIDDLE)
    (done,) = world.told("messaging", MessagingOrderCompleted)
    assert (done.destroyed, done.deks) == (2, 1)
    await world.shred()
    after = dict(await world.clear(room))
    assert after == {seq: before[seq] for seq in after}
    assert len(after) == 2
    (new,) = {dek for _, dek, _ in world.payloads(room)}
    assert new != old
    deks = world.deks()
    assert deks[old] == ("2024-03", 1, None)
    assert deks[new][:2] == ("2024-03", 2)
    (emptied,) = world.told("messaging", KeysEmptied)
    (shredded,) = world.told("keys", DeksShredded)
    assert (emptied.order, emptied.generation, emptied.deks) == (order, 0, (old,))
    assert (shredded.order, shredded.generation, shredded.deks) == (order, 0, (old,))
    assert shredded.unrecoverable_after == NOON + BACKUPS
    assert await world.shown(room) == [None, None, "said 20", "said 21"]
    (answer,) = await world.keys.unwrap(wire.DekNamed(tenant=world.tenant, dek=old))
    assert (answer.key, answer.problem) == (None, "not-found")
    assert world.told("keys", DeksKept) == []


async def test_a_key_under_which_nothing_survives_is_shredded_too(world: World) -> None:
    room = await world.conversation()
    await world.said(room, 1, 2)
    await world.destroy(MIDDLE)
    await world.shred()
    assert world.payloads(room) == []
    assert [wrapped for _, _, wrapped in world.deks().values()] == [None]


async def test_what_a_hold_keeps_is_sealed_anew_and_hidden_still(world: World) -> None:
    room = await world.conversation()
    await world.said(room, 1)
    await world.said(room, 2, by=world.bob)
    before = dict(await world.clear(room))
    await world.place_hold(conversations=(room,), since=MARCH + timedelta(days=1.5))
    await world.destroy(MIDDLE)
    await world.shred()
    assert await world.shown(room) == [None, None]
    ((seq, clear),) = await world.clear(room)
    assert clear == before[seq]
    (shredded,) = world.told("keys", DeksShredded)
    assert shredded.generation == 1


async def test_a_hold_that_comes_between_emptied_and_shred_keeps_the_key_until_it_was_looked_again(
    world: World,
) -> None:
    room = await world.conversation()
    await world.said(room, 1, 20)
    order = await world.destroy(MIDDLE)
    await world.close_keys()
    await world.place_hold(conversations=(room,))
    await world.tell_keys()
    (kept,) = world.told("keys", DeksKept)
    assert (kept.order, kept.generation) == (order, 1)
    assert world.told("keys", DeksShredded) == []
    await world.tell_messaging()
    await world.shred()
    assert [each.generation for each in world.told("messaging", KeysEmptied)] == [0, 1]
    (shredded,) = world.told("keys", DeksShredded)
    assert (shredded.order, shredded.generation, shredded.deks) == (order, 1, kept.deks)


async def test_while_a_hold_has_not_arrived_at_the_key_service_it_shreds_nothing(world: World) -> None:
    room = await world.conversation()
    await world.said(room, 1, 20)
    await world.destroy(MIDDLE)
    placed = await world.place_hold(keys=False, conversations=(room,))
    await world.shred()
    assert [each.generation for each in world.told("keys", DeksKept)] == [0]
    await world.shred()  # at once it would be the same again
    assert len(world.told("messaging", KeysEmptied)) == 1
    await world.take_hold("keys", placed)
    world.clock.advance(11)
    await world.shred()
    assert [each.generation for each in world.told("keys", DeksShredded)] == [1]


async def test_nothing_is_stated_or_shredded_while_an_event_is_parked(world: World) -> None:
    room = await world.conversation()
    await world.said(room, 1, 20)
    await world.destroy(MIDDLE)
    park = (
        "INSERT INTO {0}.parked (tenant, consumer, source, part, position, name, body, reason)"
        " VALUES (%s, '{0}', 'holds', 1, 1, 'holds.hold.placed.v1', '', 'unreadable')"
    )
    world.gateway.rows(park.format("messaging"), world.tenant)
    payloads = world.payloads(room)
    with pytest.raises(DispositionsStopped):
        await world.close_keys()
    assert world.payloads(room) == payloads
    assert world.told("messaging", KeysEmptied) == []
    world.gateway.rows("DELETE FROM messaging.parked")
    world.keys.rows(park.format("keys"), world.tenant)
    await world.shred()
    assert len(world.told("keys", DeksKept)) == 1
    world.keys.rows("DELETE FROM keys.parked")
    world.clock.advance(11)
    await world.shred()
    assert len(world.told("keys", DeksShredded)) == 1


async def test_shredding_again_does_nothing_and_tells_nothing(world: World) -> None:
    room = await world.conversation()
    await world.said(room, 1, 20)
    await world.destroy(MIDDLE)
    await world.shred()
    before = world.keys.rows("SELECT * FROM keys.dek ORDER BY dek"), len(world.keys.outbox())
    await world.tell_keys(again=True)
    assert (world.keys.rows("SELECT * FROM keys.dek ORDER BY dek"), len(world.keys.outbox())) == before
    await world.shred()
    assert len(world.told("messaging", KeysEmptied)) == 1


async def test_two_orders_that_empty_one_key_are_each_told_and_the_key_dies_once(world: World) -> None:
    room = await world.conversation()
    await world.said(room, 1, 10, 20)
    first = await world.destroy(MARCH + timedelta(days=5))
    second = await world.destroy(MIDDLE)
    await world.shred()
    assert {each.order for each in world.told("keys", DeksShredded)} == {first, second}
    facts = Counter(fact.action for fact in world.keys.facts())
    assert (facts["keys.dek.shredded"], facts["keys.dek.retired"]) == (1, 1)
    assert await world.shown(room) == [None, None, "said 20"]


async def test_a_later_order_closes_the_successor(world: World) -> None:
    room = await world.conversation()
    await world.said(room, 1, 10, 20)
    await world.destroy(MARCH + timedelta(days=5))
    await world.shred()
    await world.destroy(MIDDLE)
    await world.shred()
    assert sorted((generation, wrapped is None) for _, generation, wrapped in world.deks().values()) == [
        (1, True),
        (2, True),
        (3, False),
    ]
    assert await world.shown(room) == [None, None, "said 20"]


async def test_a_key_that_nobody_ever_had_is_an_event_that_is_put_aside(world: World) -> None:
    with pytest.raises(EffectFailed, match="DeksUnknown"):
        await world.keys.shred(world.tenant, uuid4(), order=uuid4())


# Live sends in the month whose key is closed.

RECENT = NOON - timedelta(days=10)


async def test_sends_go_on_while_the_key_of_the_running_month_is_closed_and_nothing_is_lost(
    world: World,
) -> None:
    room = await world.conversation()
    await world.said(room, 0, 5, first=RECENT)
    (old,) = {dek for _, dek, _ in world.payloads(room)}
    await world.destroy(RECENT + timedelta(days=2))
    await world.shred()
    await world.gateway.send(world.ann, room, "under the key that the gateway still has")
    assert {dek for _, dek, _ in world.payloads(room)} == {old}
    world.clock.advance(301)
    await world.shred()
    await world.gateway.send(world.ann, room, "under the next one")
    assert [dek == old for _, dek, _ in world.payloads(room)] == [True, True, False]
    assert world.told("messaging", KeysEmptied) == []
    world.clock.advance(60)
    await world.shred()
    assert world.deks()[old][2] is None
    (new,) = {dek for _, dek, _ in world.payloads(room)}
    assert world.deks()[new][1] == 2
    assert await world.shown(room) == [
        None,
        "said 5",
        "under the key that the gateway still has",
        "under the next one",
    ]


async def test_a_gateway_that_stood_still_is_refused_what_it_sealed_and_sends_it_again(world: World) -> None:
    """Its own clock did not go on while it stood still, so that its key seems young to it."""
    room = await world.conversation()
    await world.said(room, 0, 5, first=RECENT)
    await world.destroy(RECENT + timedelta(days=2))
    await world.close_keys()
    world.turn(NOON + timedelta(seconds=361))
    await world.shred()
    assert len(world.told("keys", DeksShredded)) == 1
    before = world.payloads(room)
    again = uuid4()
    with pytest.raises(KeyClosed):
        await world.gateway.send(world.ann, room, "late", again)
    assert world.payloads(room) == before
    world.clock.advance(300)
    await world.gateway.send(world.ann, room, "late", again)
    assert await world.shown(room) == [None, "said 5", "late"]


@pytest.mark.planted
async def test_without_its_fence_a_message_of_such_a_gateway_is_seen_to_be_lost(world: World) -> None:
    for act in ("insert", "update"):
        world.gateway.rows(f"DROP TRIGGER no_closed_key_after_{act} ON messaging.payload")
    room = await world.conversation()
    await world.said(room, 0, 5, first=RECENT)
    await world.destroy(RECENT + timedelta(days=2))
    await world.close_keys()
    world.turn(NOON + timedelta(seconds=361))
    await world.shred()
    await world.gateway.send(world.ann, room, "late")
    assert lost(world, room) == 1


async def stated_beside_a_commit(world: World) -> bool:
    """State a key empty while a payload under it is written and not committed; say whether that was so."""
    room = await world.conversation()
    await world.said(room, 1)
    ((_, dek, sealed),) = world.payloads(room)
    order = await world.destroy(MIDDLE)
    own = world.close_keys.closings
    await own.note_retired(world.tenant, order, [DekId(dek)])
    async with await psycopg.AsyncConnection.connect(world.gateway.database.admin_dsn.reveal()) as committing:
        await committing.execute(
            "SELECT FROM messaging.conversation_head WHERE conversation = %s FOR UPDATE", (room,)
        )
        await committing.execute(
            "INSERT INTO messaging.payload VALUES (%s, %s, 99, %s, %s, %s)",
            (world.tenant, room, MARCH + timedelta(days=3), dek, sealed),
        )
        await own.fence(world.tenant, order, [DekId(dek)])
        stating = asyncio.create_task(own.state_empty(world.tenant, order, 500))
        await asyncio.wait([stating], timeout=0.5)
    return bool(await stating)


async def test_what_is_being_committed_under_a_key_is_waited_for(world: World) -> None:
    assert not await stated_beside_a_commit(world)


@pytest.mark.planted
async def test_a_statement_that_waits_for_no_commit_is_seen_to_miss_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closings, "_LOCK_HEADS", closings._LOCK_HEADS.replace("FOR UPDATE", ""))
    assert await stated_beside_a_commit(world)


async def test_an_import_that_is_not_finished_is_waited_for_and_one_that_is_is_not(world: World) -> None:
    rooms = {"finished": await world.conversation(), "open": await world.conversation()}
    for name, room in rooms.items():
        await world.said(room, 1)
        run = uuid4()
        world.gateway.rows("UPDATE messaging.conversation_head SET kind = 3 WHERE conversation = %s", room)
        world.gateway.rows(
            "INSERT INTO messaging.import_run"
            " (tenant, run, source, name, lines, batches, digest, requested_at, begun_at, finished_at)"
            " VALUES (%s, %s, %s, 'log', 1, 1, %s, now(), now(), %s)",
            *(world.tenant, run, run.bytes * 2, bytes(32), NOON if name == "finished" else None),
        )
        world.gateway.rows(
            "INSERT INTO messaging.imported_line VALUES (%s, %s, 2, %s, 1, 4)", world.tenant, room, run
        )
    await world.destroy(MIDDLE)
    await world.shred()
    (emptied,) = world.told("messaging", KeysEmptied)
    fenced = world.gateway.rows("SELECT conversation FROM messaging.closing WHERE fenced_at IS NOT NULL")
    assert fenced == [(rooms["finished"],)]
    world.clock.advance(361)
    await world.shred()
    assert len(world.told("messaging", KeysEmptied)) == 2
    assert len(emptied.deks) == 1


# Readers.


async def test_who_read_a_record_before_it_was_sealed_anew_reads_again_and_sees_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = await world.conversation()
    await world.said(room, 1, 20)
    await world.destroy(MIDDLE)
    world.clock.advance(301)  # no key is at hand any more
    reader, read = world.gateway.core.read._reader, 0
    entries = reader.entries

    async def entries_and_then_shred(*named: Any) -> Any:
        nonlocal read
        read += 1
        found = await entries(*named)
        if read == 1:
            await world.shred()
        return found

    monkeypatch.setattr(reader, "entries", entries_and_then_shred)
    assert await world.shown(room) == [None, "said 20"]
    assert read == 2


async def test_a_reader_whose_record_is_gone_for_good_gets_a_refusal_that_can_be_repeated(
    world: World,
) -> None:
    room = await world.conversation()
    await world.said(room, 20)
    world.clock.advance(301)
    world.keys.rows("UPDATE keys.dek SET wrapped = NULL, shredded_at = now() WHERE epoch = '2024-03'")
    with pytest.raises(KeyGone):
        await world.shown(room)
    assert PROBLEMS[KeyGone].status == 503


# Being cut off.


class Cut(BaseException):
    """The process ended here."""


def cut_at(thing: Any, count: list[int], at: int) -> Any:
    """Return `thing` whose calls are counted; the process ends before or after the `at`-th."""

    class Cutting:
        def __getattr__(self, name: str) -> Any:
            async def call(*named: Any) -> Any:
                for when in ("before", "after"):
                    count[0] += 1
                    if count[0] == at:
                        raise Cut
                    if when == "before":
                        answer = await getattr(thing, name)(*named)
                return answer

            return call

    return Cutting()


async def test_wherever_it_is_cut_off_it_goes_on_and_nothing_is_lost_or_told_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(close, "MOST_SURVIVORS", 2)
    room = await world.conversation()
    await world.said(room, 1, 20, 21, 22, 23, 24)
    before = dict(await world.clear(room))
    await world.destroy(MIDDLE)
    whole = world.close_keys
    cuts = 0
    for at in range(1, 60):
        count = [0]
        cutting = replace(
            whole, closings=cut_at(whole.closings, count, at), keys=cut_at(whole.keys, count, at)
        )
        try:
            await cutting()
        except Cut:
            cuts += 1
            assert all(clear == before[seq] for seq, clear in await world.clear(room))
    await world.shred()
    assert cuts > 10
    after = dict(await world.clear(room))
    assert after == {seq: before[seq] for seq in after}
    assert len(after) == 5
    assert lost(world, room) == 0
    assert len(world.told("messaging", KeysEmptied)) == len(world.told("keys", DeksShredded)) == 1
    facts = Counter(fact.action for fact in world.keys.facts())
    assert (facts["keys.dek.shredded"], facts["keys.dek.retired"]) == (1, 1)


# Defects that must be seen.


def lost(world: World, conversation: ConversationId) -> int:
    """Return how many of a conversation's bodies lie under keys that are gone."""
    deks = world.deks()
    return sum(deks[dek][2] is None for _, dek, _ in world.payloads(conversation))


@pytest.mark.planted
async def test_a_key_service_that_looks_at_no_generation_is_seen_to_shred_behind_a_hold(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def any_generation(_self: object, _tenant: object) -> int:
        return 0

    monkeypatch.setattr(PostgresShredding, "share", any_generation)
    room = await world.conversation()
    await world.said(room, 1, 20)
    await world.destroy(MIDDLE)
    await world.close_keys()
    await world.place_hold(conversations=(room,))
    await world.tell_keys()
    assert len(world.told("keys", DeksShredded)) == 1


@pytest.mark.planted
async def test_a_key_that_is_called_empty_while_something_is_left_is_seen_to_take_it_along(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(*_: object) -> None:
        """Seal nothing anew."""

    monkeypatch.setattr(CloseKeys, "_empty", nothing)
    for name in ("_EMPTY", "_STATE"):
        statement = getattr(closings, name)
        monkeypatch.setattr(closings, name, statement.replace(f"AND NOT {closings._LEFT}", ""))
    room = await world.conversation()
    await world.said(room, 1, 20)
    await world.destroy(MIDDLE)
    await world.shred()
    assert lost(world, room) == 1


@pytest.mark.planted
async def test_a_survivor_that_is_sealed_for_another_place_is_seen_not_to_open(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def elsewhere(survivor: Survivor, key: ConversationKey, old: BodyKey, new: BodyKey) -> Survivor:
        clear = old.open(survivor.sealed, key, survivor.message, survivor.revision)
        return survivor._replace(sealed=new.seal(clear, key, survivor.message, survivor.revision + 1))

    monkeypatch.setattr(close, "sealed_anew", elsewhere)
    room = await world.conversation()
    await world.said(room, 1, 20)
    await world.destroy(MIDDLE)
    await world.shred()
    with pytest.raises(RecordRefused):
        await world.clear(room)


@pytest.mark.planted
async def test_a_record_that_says_something_else_replaces_nothing(world: World) -> None:
    class Mumbling:
        """Seals something else than it is given."""

        def __init__(self, key: BodyKey) -> None:
            self.dek, self.open = key.dek, key.open
            self._key = key

        def seal(self, plaintext: bytes, key: ConversationKey, message: Any, revision: int) -> bytes:
            return self._key.seal(plaintext[:-1] + b"!", key, message, revision)

    room = await world.conversation()
    await world.said(room, 1, 20)
    before = world.payloads(room)
    await world.destroy(MIDDLE)
    pair = world.close_keys.keys.pair

    class Keys:
        retire = world.close_keys.keys.retire

        async def pair(self, *named: Any) -> Any:
            old, new = await pair(*named)
            return old, Mumbling(new)

    with pytest.raises(SealingDiffers):
        await replace(world.close_keys, keys=Keys())()
    assert world.payloads(room) == before[1:]
    assert world.told("messaging", KeysEmptied) == []


async def test_no_role_but_the_closer_can_change_a_payload_and_it_can_do_nothing_else_to_it(
    world: World,
) -> None:
    room = await world.conversation()
    await world.said(room, 1)
    dsn = world.gateway.database.dsn
    for role in ("app", "writer", "projector", "publisher", "disposer"):
        with (
            psycopg.connect(dsn(f"messaging_{role}").reveal()) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute("UPDATE messaging.payload SET sealed = ''")
    for statement in (
        "DELETE FROM messaging.payload",
        "UPDATE messaging.payload SET seq = 9",
        "INSERT INTO messaging.payload SELECT * FROM messaging.payload",
        "UPDATE messaging.closing SET shredded_at = now()",
        "UPDATE messaging.hold_generation SET generation = 9",
    ):
        with (
            psycopg.connect(dsn("messaging_closer").reveal()) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(statement.encode())
