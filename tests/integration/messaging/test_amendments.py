"""Revisions and retractions: entries of their own, whose predecessors stay and are shown to nobody."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest

from infra.engines.valkey import ValkeyServer
from libs.authn.actor import Actor
from libs.client.view import View
from libs.contracts.socket import Body, Entries, Entry, Page
from libs.kernel.clock import ManualClock, SystemClock
from libs.kernel.ids import ConversationId, TenantId
from services.messaging.domain.amendments import AmendmentRules
from services.messaging.domain.entries import ConversationKind
from services.messaging.domain.errors import (
    AmendmentTooLate,
    ClientIdConflict,
    ConversationNotFound,
    MessageDisposed,
    MessageNotFound,
    MessageRetracted,
    NotPermitted,
    ReasonMissing,
    RulesPassed,
)
from services.messaging.usecases.send import Acknowledged, acknowledged
from tests.integration.keys.service import Service
from tests.integration.messaging.gateways import Gateway, KeepingSocket, gateway, person, settings_of, until
from tests.support.engines import ServiceDatabase

Three = tuple[Actor, Actor, Actor]


async def revise(
    gateway: Gateway,
    actor: Actor,
    conversation: ConversationId,
    seq: int,
    text: str,
    client_id: UUID | None = None,
    socket: KeepingSocket | None = None,
) -> Acknowledged:
    done = await gateway.core.amend.revise(
        actor, conversation, seq, client_id or uuid4(), Body(text=text), socket
    )
    return acknowledged(await done)


async def retract(
    gateway: Gateway,
    actor: Actor,
    conversation: ConversationId,
    seq: int,
    reason: str | None = None,
    client_id: UUID | None = None,
) -> Acknowledged:
    done = await gateway.core.amend.retract(actor, conversation, seq, client_id or uuid4(), reason)
    return acknowledged(await done)


async def history(gateway: Gateway, actor: Actor, conversation: ConversationId) -> list[Entry]:
    return await gateway.core.read.history(actor, conversation, 0, 1000)


def told(entry: Entry) -> tuple[str | None, str | None, bool, bool]:
    """Return an entry's own text, that in force, and whether it is superseded or retracted."""
    own = None if entry.body is None else entry.body.text
    current = None if entry.current is None or entry.current.body is None else entry.current.body.text
    return own, current, entry.superseded, entry.retracted


async def test_a_revision_is_an_entry_of_its_own_and_history_shows_the_text_in_force(
    one: Gateway, people: Three
) -> None:
    ada, bo, _ = people
    plans = await one.group(ada, bo)
    first = await one.send(ada, plans, "frist")
    await one.send(bo, plans, "pardon?")
    second = await revise(one, ada, plans, first.seq, "first")
    third = await revise(one, ada, plans, first.seq, "first!")
    assert (second.seq, third.seq) == (4, 5)
    assert first.message == second.message == third.message
    entries = {entry.seq: entry for entry in await history(one, bo, plans)}
    assert told(entries[2]) == (None, "first!", True, False)
    assert told(entries[4]) == (None, None, True, False)
    assert told(entries[5]) == ("first!", None, False, False)
    assert [(entry.revision, entry.message_seq) for entry in entries.values()] == [
        (0, None),
        (0, None),
        (0, None),
        (1, 2),
        (2, 2),
    ]
    current = entries[2].current
    assert current is not None
    assert (current.seq, current.revision, current.sent_at) == (5, 2, third.committed_at)
    kept = one.rows("SELECT count(*) FROM messaging.payload WHERE conversation = %s", plans)
    assert kept == [(4,)]  # every version stays


async def test_of_what_is_retracted_no_version_is_shown_and_all_are_kept(one: Gateway, people: Three) -> None:
    ada, bo, _ = people
    plans = await one.group(ada, bo)
    first = await one.send(ada, plans, "frist")
    await revise(one, ada, plans, first.seq, "first")
    await retract(one, ada, plans, first.seq)
    shown = await history(one, bo, plans)
    assert [told(entry) for entry in shown[1:3]] == [(None, None, True, True), (None, None, False, True)]
    assert (shown[3].kind, shown[3].message_seq, shown[3].body) == ("message_retracted", 2, None)
    assert one.rows("SELECT count(*) FROM messaging.payload WHERE conversation = %s", plans) == [(2,)]


async def test_an_amendment_asked_for_again_returns_the_same_place_and_adds_nothing(
    one: Gateway, people: Three
) -> None:
    ada, bo, _ = people
    plans = await one.group(ada, bo)
    seq = (await one.send(ada, plans, "frist")).seq
    revision, retraction = uuid4(), uuid4()
    revised = await revise(one, ada, plans, seq, "first", revision)
    assert await revise(one, ada, plans, seq, "first", revision) == revised
    with pytest.raises(ClientIdConflict):
        await revise(one, ada, plans, seq, "second", revision)
    with pytest.raises(ClientIdConflict):  # a revision is no retraction
        await retract(one, ada, plans, seq, client_id=revision)
    retracted = await retract(one, ada, plans, seq, client_id=retraction)
    assert await retract(one, ada, plans, seq, client_id=retraction) == retracted
    assert await revise(one, ada, plans, seq, "first", revision) == revised
    with pytest.raises(ClientIdConflict):
        await revise(one, ada, plans, seq, "again", retraction)
    assert one.rows("SELECT count(*) FROM messaging.entry WHERE conversation = %s", plans) == [(4,)]


async def test_only_its_sender_revises_a_message_and_whatever_is_not_there_looks_like_whatever_is_not_his(
    one: Gateway, people: Three
) -> None:
    ada, bo, cy = people
    plans, games = await one.group(ada, bo), await one.group(bo, cy)
    seq = (await one.send(bo, plans, "mine")).seq
    elsewhere = (await one.send(bo, games, "there")).seq
    for actor, where, at in (
        (ada, plans, seq),  # of somebody else
        (bo, plans, 1),  # no message
        (bo, plans, seq + 1),  # nothing
        (bo, plans, 2**62),
    ):
        with pytest.raises(MessageNotFound):
            await revise(one, actor, where, at, "other")
    stranger = person(TenantId(uuid4()))
    for actor, where, at in ((ada, games, elsewhere), (stranger, plans, seq), (cy, plans, seq)):
        with pytest.raises(ConversationNotFound):
            await revise(one, actor, where, at, "other")
        with pytest.raises(ConversationNotFound):
            await retract(one, actor, where, at, "because")
    assert [e.body.text for e in await history(one, ada, plans) if e.body] == ["mine"]


async def test_a_revision_is_no_message_that_could_be_amended_by_its_own_place(
    one: Gateway, people: Three
) -> None:
    ada, bo, _ = people
    plans = await one.group(ada, bo)
    seq = (await one.send(ada, plans, "frist")).seq
    version = await revise(one, ada, plans, seq, "first")
    with pytest.raises(MessageNotFound):
        await revise(one, ada, plans, version.seq, "third")
    with pytest.raises(MessageNotFound):
        await retract(one, ada, plans, version.seq)


async def test_administrators_of_a_group_retract_what_others_said_and_say_why(
    one: Gateway, people: Three
) -> None:
    ada, bo, cy = people
    plans = await one.group(ada, bo, cy)
    seq = (await one.send(bo, plans, "rude")).seq
    with pytest.raises(MessageNotFound):
        await retract(one, cy, plans, seq, "I do not like it")
    with pytest.raises(ReasonMissing):
        await retract(one, ada, plans, seq)
    await retract(one, ada, plans, seq, "off topic")
    shown = (await history(one, bo, plans))[-1]
    assert shown.actor == ada.principal
    assert shown.body == Body(reason="off topic")
    for actor in (ada, bo):
        with pytest.raises(MessageRetracted):
            await retract(one, actor, plans, seq, "again")
    with pytest.raises(MessageRetracted):
        await revise(one, bo, plans, seq, "kind")


async def test_in_a_conversation_of_two_each_retracts_his_own_alone(one: Gateway, people: Three) -> None:
    ada, bo, _ = people
    pair, _ = await one.core.converse.create(ada, ConversationKind.DIRECT, [bo.principal], uuid4(), None)
    seq = (await one.send(bo, pair, "hello")).seq
    with pytest.raises(MessageNotFound):
        await retract(one, ada, pair, seq, "because")
    await retract(one, bo, pair, seq)


async def test_who_has_left_amends_nothing(one: Gateway, people: Three) -> None:
    ada, bo, cy = people
    plans = await one.group(ada, bo, cy)
    seq = (await one.send(bo, plans, "mine")).seq
    await one.core.converse.remove(ada, plans, [bo.principal])
    with pytest.raises(MessageNotFound):
        await revise(one, bo, plans, seq, "other")
    with pytest.raises(MessageNotFound):
        await retract(one, bo, plans, seq)


async def test_who_has_left_sees_that_it_was_revised_and_neither_text(one: Gateway, people: Three) -> None:
    ada, bo, cy = people
    plans = await one.group(ada, bo, cy)
    seq = (await one.send(ada, plans, "while he was there")).seq
    await one.core.converse.remove(ada, plans, [bo.principal])
    await revise(one, ada, plans, seq, "since he is gone")
    entries = await history(one, bo, plans)
    assert [entry.seq for entry in entries] == [1, 2, 3]
    assert told(entries[1]) == (None, None, True, False)
    socket = await one.opened(bo)
    assert [told(entry) for entry in socket.entries(plans) if entry.seq == seq] == [(None, None, True, False)]


async def test_what_is_due_to_be_destroyed_is_not_amended(one: Gateway, people: Three) -> None:
    ada, bo, _ = people
    plans = await one.group(ada, bo)
    seq = (await one.send(ada, plans, "old")).seq
    hide(one, ada.tenant, plans, seq)
    with pytest.raises(MessageDisposed):
        await revise(one, ada, plans, seq, "new")
    with pytest.raises(MessageDisposed):
        await retract(one, ada, plans, seq)


async def test_of_a_message_whose_last_version_is_due_nothing_earlier_is_shown(
    one: Gateway, people: Three
) -> None:
    ada, bo, _ = people
    plans = await one.group(ada, bo)
    seq = (await one.send(ada, plans, "frist")).seq
    version = await revise(one, ada, plans, seq, "first")
    hide(one, ada.tenant, plans, version.seq)
    shown = await history(one, bo, plans)
    assert [told(entry) for entry in shown[1:]] == [(None, None, True, False), (None, None, False, False)]
    assert shown[1].current is not None
    assert shown[1].current.disposed
    assert [entry.disposed for entry in shown] == [False, False, True]


def hide(gateway: Gateway, tenant: TenantId, conversation: ConversationId, seq: int) -> None:
    """Hide an entry as a run of disposition does."""
    gateway.rows(
        "INSERT INTO messaging.hidden (tenant, conversation, first_seq, last_seq, hidden_by, hidden_at)"
        " VALUES (%s, %s, %s, %s, %s, now())",
        tenant,
        conversation,
        seq,
        seq,
        uuid4(),
    )


async def test_revisions_at_once_become_one_chain(one: Gateway, two: Gateway, people: Three) -> None:
    ada, bo, _ = people
    plans = await one.group(ada, bo)
    seq = (await one.send(ada, plans, "0")).seq
    done = await asyncio.gather(
        *(revise(gateway, ada, plans, seq, str(n)) for n in range(6) for gateway in (one, two))
    )
    assert sorted(each.seq for each in done) == list(range(3, 15))
    rows = one.rows(
        "SELECT seq, revision FROM messaging.entry WHERE message = %s ORDER BY seq", done[0].message
    )
    assert rows == [(2, 0), *((number + 2, number) for number in range(1, 13))]
    shown = await history(one, bo, plans)
    assert [entry.seq for entry in shown if entry.body is not None] == [14]


async def test_of_a_revision_and_a_retraction_at_once_the_retraction_is_last(
    one: Gateway, two: Gateway, people: Three
) -> None:
    ada, bo, _ = people
    plans = await one.group(ada, bo)
    for _ in range(5):
        seq = (await one.send(ada, plans, "0")).seq
        outcomes = await asyncio.gather(
            revise(one, ada, plans, seq, "1"), retract(two, ada, plans, seq), return_exceptions=True
        )
        assert isinstance(outcomes[1], Acknowledged)
        assert isinstance(outcomes[0], Acknowledged | MessageRetracted)
        ((last,),) = one.rows(
            "SELECT kind FROM messaging.entry WHERE conversation = %s ORDER BY seq DESC LIMIT 1", plans
        )
        assert last == 6
    assert all(entry.body is None for entry in await history(one, bo, plans))


@pytest.mark.parametrize("limit", [1, 2, 500])
async def test_every_device_hears_of_amendments_and_none_is_given_an_earlier_text_afterwards(
    one: Gateway, two: Gateway, people: Three, limit: int
) -> None:
    ada, bo, _ = people
    plans = await one.group(ada, bo)
    near, far = await one.opened(bo), await two.opened(bo)
    hers = await one.opened(ada)
    seq = (await one.send(ada, plans, "canary-one", socket=hers)).seq
    await until(lambda: far.seqs(plans)[-1:] == [seq])
    version = await revise(one, ada, plans, seq, "canary-two", socket=hers)
    for socket in (near, far):
        await came(socket, plans, version.seq)
        assert socket.texts(plans) == ["canary-one", "canary-two"]
    assert hers.seqs(plans) == [1]  # whoever spoke has the acks
    retraction = await retract(two, ada, plans, seq)
    for socket in (near, far):
        await came(socket, plans, retraction.seq)
    starts: list[dict[UUID, int]] = [{}, {plans: 1}, {plans: seq}]
    for at in (one, two):  # their memory of the last entries, and the log
        for cursors in starts:
            again = await at.opened(bo, cursors=cursors, limit=limit)
            assert texts_of(again.frames) == []
            assert again.seqs(plans)[-1] == retraction.seq
        page = await at.core.read.sync(bo, {}, limit)
        assert all(entry.body is None for part in page.entries for entry in part.entries)
    (evidence,) = await one.core.take_evidence(bo, plans, seq, seq)
    assert evidence.body is None
    assert evidence.body_commitment is not None


async def test_the_rules_say_who_amends_and_for_how_long(
    messaging_database: ServiceDatabase, fresh_valkey: ValkeyServer, keys: Service, tenant: TenantId
) -> None:
    clock = ManualClock(SystemClock().now())
    ada, bo, admin = person(tenant), person(tenant), person(tenant, ["it_admin"])
    settings = settings_of(messaging_database, fresh_valkey, "gw-1")
    async with gateway(settings, messaging_database, keys, clock) as one:
        one.know(ada, bo)
        plans = await one.group(ada, bo)
        seq = (await one.send(bo, plans, "mine")).seq
        client_id = uuid4()
        revised = await revise(one, bo, plans, seq, "still mine", client_id)
        clock.advance(86_400)
        with pytest.raises(AmendmentTooLate):
            await revise(one, bo, plans, seq, "later")
        with pytest.raises(AmendmentTooLate):
            await retract(one, bo, plans, seq)
        assert await revise(one, bo, plans, seq, "still mine", client_id) == revised
        with pytest.raises(NotPermitted):
            await one.core.govern.change(bo, AmendmentRules(0, None, None))
        changed = await one.core.govern.change(
            admin, AmendmentRules(0, None, 0, administrators_retract=False)
        )
        assert changed == await one.core.govern.rules(bo) == AmendmentRules(1, None, 0, False)
        with pytest.raises(RulesPassed):
            await one.core.govern.change(admin, AmendmentRules(0, 0, 0))
        await revise(one, bo, plans, seq, "later")
        with pytest.raises(AmendmentTooLate):
            await retract(one, bo, plans, seq)
        with pytest.raises(MessageNotFound):
            await retract(one, ada, plans, seq, "as its administrator")


async def test_a_view_of_what_came_is_the_view_of_the_whole_history(
    one: Gateway, two: Gateway, people: Three
) -> None:
    ada, bo, _ = people
    plans = await one.group(ada, bo)
    live = await two.opened(bo)
    said = [(await one.send(ada, plans, f"text {number}")).seq for number in range(4)]
    early = await history(one, bo, plans)
    await revise(one, ada, plans, said[0], "text 0, revised")
    await revise(two, ada, plans, said[1], "text 1, revised")
    await retract(one, ada, plans, said[1])
    last = await retract(one, ada, plans, said[2])
    await until(lambda: last.seq in live.seqs(plans))
    fresh, followed, resumed = View(), View(), View()
    fresh.take(await history(one, bo, plans))
    followed.take(live.entries(plans))
    resumed.take([*early, *await one.core.read.history(bo, plans, early[-1].seq, 1000)])
    assert fresh.messages == followed.messages == resumed.messages
    assert [each.text for each in fresh.messages] == ["text 0, revised", None, None, "text 3"]


async def came(socket: KeepingSocket, conversation: ConversationId, seq: int) -> None:
    """Wait until an entry is the last that a socket has."""
    await until(lambda: socket.seqs(conversation)[-1:] == [seq])


def texts_of(frames: Sequence[Any]) -> list[str]:
    """Return every text that frames carry, in whatever place."""
    found: list[str] = []
    for frame in frames:
        parts = [frame.entries] if isinstance(frame, Entries) else []
        parts += [part.entries for part in frame.entries] if isinstance(frame, Page) else []
        for entry in (entry for part in parts for entry in part):
            bodies = [entry.body, None if entry.current is None else entry.current.body]
            found += [body.text for body in bodies if body is not None and body.text is not None]
    return found
