"""Sends: idempotent, dense, sealed, and acknowledged after their commit."""

import asyncio
from uuid import uuid4

import pytest

from libs.authn.actor import Actor
from libs.contracts.events import EntriesCommitted
from libs.events.records import partition_of
from libs.kernel.ids import ConversationId, PrincipalId, TenantId
from services.messaging.domain.entries import ConversationKind
from services.messaging.domain.errors import (
    ClientIdConflict,
    ConversationNotFound,
    NotPermitted,
    ParticipantUnknown,
)
from tests.integration.messaging.gateways import Gateway, person

Three = tuple[Actor, Actor, Actor]
CANARY = "canary-6f1c2d"


async def test_a_message_is_committed_sealed_and_read_back(one: Gateway, people: Three) -> None:
    ada, bo, _ = people
    plans = await one.group(ada, bo, name="plans")
    told = await one.send(ada, plans, CANARY)
    assert told.seq == 2
    shown = await one.core.read.history(bo, plans, 0, 10)
    assert [entry.body.name or entry.body.text for entry in shown if entry.body] == ["plans", CANARY]
    stored = one.rows("SELECT sealed FROM messaging.payload WHERE conversation = %s ORDER BY seq", plans)
    assert len(stored) == 2
    assert all(CANARY.encode() not in sealed for (sealed,) in stored)
    assert stored[0][0][:2] == b"MU"


async def test_sending_again_returns_the_same_place_and_adds_nothing(one: Gateway, people: Three) -> None:
    ada, bo, _ = people
    plans = await one.group(ada, bo)
    client_id = uuid4()
    first = await one.send(ada, plans, "hello", client_id)
    again = await one.send(ada, plans, "hello", client_id)
    assert again == first
    assert one.rows("SELECT count(*) FROM messaging.entry WHERE conversation = %s", plans) == [(2,)]


async def test_the_same_id_with_another_body_is_refused(one: Gateway, people: Three) -> None:
    ada, bo, _ = people
    plans = await one.group(ada, bo)
    client_id = uuid4()
    await one.send(ada, plans, "hello", client_id)
    with pytest.raises(ClientIdConflict):
        await one.send(ada, plans, "goodbye", client_id)


async def test_the_same_id_at_once_in_two_conversations_is_one_message(one: Gateway, people: Three) -> None:
    ada, bo, cy = people
    plans, games = await one.group(ada, bo), await one.group(ada, cy)
    client_id = uuid4()
    waiting = [await one.submit(ada, where, "hello", client_id) for where in (plans, games)]
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert sorted(isinstance(outcome, ClientIdConflict) for outcome in outcomes) == [False, True]


async def test_seq_is_dense_under_two_gateways_and_many_senders(
    one: Gateway, two: Gateway, people: Three
) -> None:
    ada, bo, cy = people
    plans, games = await one.group(ada, bo, cy), await one.group(bo, cy)

    async def talk(gateway: Gateway, actor: Actor, where: ConversationId) -> list[int]:
        return [(await gateway.send(actor, where, f"message {number}")).seq for number in range(40)]

    told = await asyncio.gather(
        talk(one, ada, plans), talk(two, bo, plans), talk(one, cy, plans), talk(two, cy, games)
    )
    assert sorted(told[0] + told[1] + told[2]) == list(range(2, 122))
    assert told[3] == list(range(2, 42))
    rows = one.rows("SELECT seq FROM messaging.entry WHERE conversation = %s ORDER BY seq", plans)
    assert [seq for (seq,) in rows] == list(range(1, 122))


async def test_every_commit_leaves_its_event_and_outbox_positions_are_dense(
    one: Gateway, people: Three
) -> None:
    ada, bo, _ = people
    plans = await one.group(ada, bo)
    await asyncio.gather(*[one.send(ada, plans, str(number)) for number in range(30)])
    rows = one.rows("SELECT part, position, body FROM messaging.outbox ORDER BY part, position")
    by_part: dict[int, list[int]] = {}
    for part, position, _ in rows:
        by_part.setdefault(part, []).append(position)
    # the conversation's partition has its events, the tenant's the facts
    assert set(by_part) == {partition_of(ada.tenant, plans), partition_of(ada.tenant)}
    assert all(positions == list(range(1, len(positions) + 1)) for positions in by_part.values())
    assert sum(body.count(b'"kind":"message_created"') for _, _, body in rows) == 30


async def test_absent_foreign_and_forbidden_conversations_look_the_same(one: Gateway, people: Three) -> None:
    ada, bo, cy = people
    plans = await one.group(ada, bo)
    stranger = person(TenantId(uuid4()))
    admin = Actor(
        tenant=ada.tenant,
        principal=ada.principal,
        session=ada.session,
        device=ada.device,
        roles=frozenset({"it_admin"}),
        expires_at=ada.expires_at,
    )
    nowhere = ConversationId(uuid4())
    for actor, where in ((cy, plans), (stranger, plans), (admin, plans), (ada, nowhere)):
        with pytest.raises(ConversationNotFound) as sending:
            await one.send(actor, where, "hello")
        with pytest.raises(ConversationNotFound) as reading:
            await one.core.read.history(actor, where, 0, 10)
        assert sending.value.conversation == reading.value.conversation == where


async def test_a_pair_has_one_conversation_even_when_both_begin_it_at_once(
    one: Gateway, two: Gateway, people: Three
) -> None:
    ada, bo, _ = people
    begun = await asyncio.gather(
        *[
            gateway.core.converse.create(me, ConversationKind.DIRECT, [you.principal], uuid4(), None)
            for gateway, me, you in ((one, ada, bo), (two, bo, ada)) * 5
        ]
    )
    assert len(set(begun)) == 1
    assert one.rows("SELECT count(*) FROM messaging.participant_span") == [(2,)]


async def test_only_known_people_can_be_brought_in_and_only_employees_begin(
    one: Gateway, people: Three, tenant: TenantId
) -> None:
    ada, bo, _ = people
    with pytest.raises(ParticipantUnknown):
        await one.core.converse.create(ada, ConversationKind.GROUP, [PrincipalId(uuid4())], uuid4(), None)
    guest = person(tenant, ["guest"])
    one.know(guest)
    with pytest.raises(NotPermitted):
        await one.group(guest, bo)


async def test_a_removed_participant_cannot_send_through_any_gateway_from_the_next_commit_on(
    one: Gateway, two: Gateway, people: Three
) -> None:
    ada, bo, cy = people
    plans = await one.group(ada, bo, cy)
    socket = await two.opened(bo)
    await two.send(bo, plans, "still here", socket=socket)
    await one.core.converse.remove(ada, plans, [bo.principal])
    with pytest.raises(ConversationNotFound):
        await two.send(bo, plans, "a ghost", socket=socket)
    assert await one.core.converse.remove(ada, plans, [bo.principal]) is None


async def test_a_send_that_raced_a_change_of_members_is_decided_again(one: Gateway, people: Three) -> None:
    ada, bo, cy = people
    plans = await one.group(ada, bo)
    socket = await one.opened(ada)
    waiting = []
    for number in range(20):
        waiting.append(await one.submit(ada, plans, str(number), socket=socket))
        if number == 5:
            adding = asyncio.create_task(one.core.converse.add(ada, plans, [cy.principal]))
        await asyncio.sleep(0)
    outcomes = await asyncio.gather(*waiting)
    await adding
    assert [entry.seq for entry in await one.core.read.history(ada, plans, 0, 100)] == list(range(1, 23))
    assert len(outcomes) == 20


async def test_an_epoch_key_is_named_by_the_event_and_the_payload(one: Gateway, people: Three) -> None:
    ada, bo, _ = people
    plans = await one.group(ada, bo)
    await one.send(ada, plans, "hello")
    ((dek,),) = one.rows("SELECT DISTINCT dek FROM messaging.payload WHERE conversation = %s", plans)
    (body,) = one.rows(
        "SELECT body FROM messaging.outbox WHERE name = %s ORDER BY position DESC LIMIT 1",
        EntriesCommitted.name,
    )[0]
    assert str(dek).encode() in body


async def test_whoever_was_just_provisioned_begins_conversations_before_his_news_arrives(
    one: Gateway, people: Three, tenant: TenantId
) -> None:
    newcomer = person(tenant)
    plans = await one.group(newcomer, people[0])
    shown, _ = await one.core.read.conversation(newcomer, plans)
    assert shown.state.standing.takes_part
