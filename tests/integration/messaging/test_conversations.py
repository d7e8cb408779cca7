"""What becomes of a conversation: its names, who administers it, what newcomers see, who writes, its end."""

import asyncio
from collections import Counter
from uuid import uuid4

import pytest

from libs.authn.actor import Actor
from libs.contracts.socket import Entry
from libs.kernel.ids import ConversationId, TenantId
from services.messaging.domain.entries import ConversationKind
from services.messaging.domain.errors import (
    AdministratorsWrite,
    ConversationArchived,
    ConversationNotFound,
    EntriesNotFound,
    LastAdministrator,
    ParticipantUnknown,
)
from services.messaging.usecases.converse import Settled, Settling
from services.messaging.usecases.read import Listed
from tests.integration.messaging.gateways import Gateway, person, until
from tests.integration.messaging.test_amendments import revise
from tests.integration.messaging.test_facts import counted, facts_of

Three = tuple[Actor, Actor, Actor]


async def settle(gateway: Gateway, actor: Actor, conversation: ConversationId, **wanted: object) -> Settling:
    return await gateway.core.converse.settle(actor, conversation, Settled(**wanted))  # type: ignore[arg-type]


async def history(gateway: Gateway, actor: Actor, conversation: ConversationId) -> list[Entry]:
    return await gateway.core.read.history(actor, conversation, 0, 1000)


async def shown(gateway: Gateway, actor: Actor, conversation: ConversationId) -> Listed:
    listed, _ = await gateway.core.read.conversation(actor, conversation)
    return listed


async def named(
    gateway: Gateway, actor: Actor, conversation: ConversationId
) -> tuple[str | None, str | None]:
    described = (await shown(gateway, actor, conversation)).described
    return described.name, described.topic


async def test_a_pair_that_begins_at_once_on_two_gateways_has_one_conversation(
    one: Gateway, two: Gateway, people: Three
) -> None:
    ada, bo, _ = people
    begun = await asyncio.gather(
        *(
            gateway.core.converse.create(actor, ConversationKind.DIRECT, [other.principal], uuid4(), None)
            for _ in range(5)
            for gateway, actor, other in ((one, ada, bo), (two, bo, ada))
        )
    )
    assert len(set(begun)) == 1
    [(conversation, seq)] = set(begun)
    assert seq == 1
    assert one.rows("SELECT count(*) FROM messaging.entry WHERE conversation = %s", conversation) == [(1,)]
    for refused in ({"name": "us"}, {"archived": True}):
        with pytest.raises(ConversationNotFound):
            await settle(one, ada, conversation, **refused)
    with pytest.raises(ConversationNotFound):
        await one.core.converse.leave(ada, conversation)


async def test_names_and_topics_are_entries_and_the_last_one_is_shown(one: Gateway, people: Three) -> None:
    ada, bo, cy = people
    plans = await one.group(ada, bo, name="plans")
    assert await named(one, bo, plans) == ("plans", None)
    assert await settle(one, ada, plans, name="great plans", topic="spring") == Settling(name=2, topic=3)
    assert await settle(one, ada, plans, name="great plans", topic="spring") == Settling()
    assert await named(one, bo, plans) == ("great plans", "spring")
    bodies = [entry.body for entry in await history(one, bo, plans) if entry.body is not None]
    assert [(body.name, body.topic) for body in bodies] == [
        ("plans", None),
        ("great plans", None),
        (None, "spring"),
    ]
    # who comes later knows how it is called now, and not how it was called
    await one.core.converse.add(ada, plans, [cy.principal])
    assert await named(one, cy, plans) == ("great plans", "spring")
    assert [entry.seq for entry in await history(one, cy, plans)] == [4]
    # who has left knows nothing of what came later
    await one.core.converse.remove(ada, plans, [bo.principal])
    assert await named(one, bo, plans) == ("great plans", "spring")
    await settle(one, ada, plans, name="secret plans", topic="")
    assert await named(one, bo, plans) == (None, None)
    assert await named(one, cy, plans) == ("secret plans", None)
    with pytest.raises(ConversationNotFound):
        await settle(one, cy, plans, name="mine")
    [listed] = await one.core.read.listed(cy, archived=False)
    assert listed.described.name == "secret plans"


async def test_what_is_done_twice_at_once_is_one_entry(one: Gateway, two: Gateway, people: Three) -> None:
    ada, bo, cy = people
    plans = await one.group(ada, bo)
    added = await asyncio.gather(
        *(each.core.converse.add(ada, plans, [cy.principal]) for each in (one, two, one, two))
    )
    appointed = await asyncio.gather(
        *(each.core.converse.appoint(ada, plans, [bo.principal]) for each in (one, two, one, two))
    )
    begun = await asyncio.gather(*(settle(each, ada, plans, announcements=True) for each in (one, two)))
    seqs = [entry.seq for entry in await history(one, ada, plans)]
    assert seqs == [1, 2, 3, 4]
    assert Counter(added) == {2: 1, None: 3}
    assert Counter(appointed) == {3: 1, None: 3}
    assert Counter(each.announcements for each in begun) == {4: 1, None: 1}
    kinds = [entry.kind for entry in await history(one, ada, plans)]
    assert kinds[1:] == ["participants_added", "administrators_added", "announcements_begun"]


async def test_two_administrators_who_dismiss_each_other_at_once_leave_one(
    one: Gateway, two: Gateway, people: Three
) -> None:
    ada, bo, _ = people
    for _ in range(5):
        plans = await one.group(ada, bo)
        await one.core.converse.appoint(ada, plans, [bo.principal])
        done = await asyncio.gather(
            one.core.converse.dismiss(ada, plans, [bo.principal]),
            two.core.converse.remove(bo, plans, [ada.principal]),
            return_exceptions=True,
        )
        [refused] = [each for each in done if not isinstance(each, int)]
        assert isinstance(refused, ConversationNotFound | LastAdministrator)
        left = one.rows(
            "SELECT count(*) FROM messaging.participant_span"
            " WHERE conversation = %s AND administrator AND until_seq IS NULL",
            plans,
        )
        assert left == [(1,)]


async def test_only_who_takes_part_administers_and_a_group_keeps_an_administrator(
    one: Gateway, people: Three
) -> None:
    ada, bo, cy = people
    plans = await one.group(ada, bo)
    converse = one.core.converse
    with pytest.raises(ParticipantUnknown):
        await converse.appoint(ada, plans, [cy.principal])
    with pytest.raises(LastAdministrator):
        await converse.leave(ada, plans)
    with pytest.raises(LastAdministrator):
        await converse.dismiss(ada, plans, [ada.principal])
    with pytest.raises(ConversationNotFound):
        await converse.appoint(bo, plans, [bo.principal])
    assert await converse.appoint(ada, plans, [bo.principal]) == 2
    assert await converse.leave(ada, plans) == 3
    await converse.add(bo, plans, [cy.principal, ada.principal])
    with pytest.raises(ConversationNotFound):  # who comes back administers no more
        await converse.add(ada, plans, [cy.principal])
    listed, members = await one.core.read.conversation(bo, plans)
    assert members.administrators == {bo.principal}
    assert listed.state.standing.administrator
    _, unseen = await one.core.read.conversation(cy, plans)
    assert unseen.present == {ada.principal, bo.principal, cy.principal}


async def test_who_comes_sees_what_the_history_was_open_for_when_he_came(
    one: Gateway, two: Gateway, people: Three
) -> None:
    ada, bo, cy = people
    plans = await one.group(ada, bo)  # 1
    await one.send(ada, plans, "before")  # 2
    await one.core.converse.add(ada, plans, [cy.principal])  # 3
    await one.send(ada, plans, "between")  # 4
    await one.core.converse.leave(cy, plans)  # 5
    await one.send(ada, plans, "without him")  # 6

    async def seen(actor: Actor) -> list[int]:
        """Return what somebody sees, by history, by sync and by a socket that is opened anew."""
        seqs = [entry.seq for entry in await history(one, actor, plans)]
        page = await two.core.read.sync(actor, {}, 1000)
        assert [entry.seq for part in page.entries for entry in part.entries] == seqs
        socket = await two.opened(actor)
        two.core.deliver.closed(socket)
        assert socket.seqs(plans) == seqs
        return seqs

    assert await seen(cy) == [3, 4, 5]
    await one.core.converse.add(ada, plans, [cy.principal])  # 7
    assert await seen(cy) == [3, 4, 5, 7]
    with pytest.raises(EntriesNotFound):
        await one.core.take_evidence(cy, plans, 5, 7)
    await one.core.converse.remove(ada, plans, [cy.principal])  # 8
    assert await settle(one, ada, plans, open_history=True) == Settling(open_history=9)
    assert await seen(cy) == [3, 4, 5, 7, 8]  # it is open to who comes, not to who has left
    await one.core.converse.add(ada, plans, [cy.principal])  # 10
    assert await seen(cy) == [*range(1, 11)]
    assert [entry.seq for entry in await one.core.take_evidence(cy, plans, 1, 10)] == [*range(1, 11)]
    await one.core.converse.leave(cy, plans)  # 11
    await settle(one, ada, plans, open_history=False)  # 12
    assert await seen(cy) == [*range(1, 12)]
    await one.core.converse.add(ada, plans, [cy.principal])  # 13
    assert await seen(cy) == [*range(1, 12), 13]
    # when he was there is another thing than what he sees
    spans = one.rows(
        "SELECT from_seq, until_seq, sees_from FROM messaging.participant_span"
        " WHERE conversation = %s AND principal = %s ORDER BY from_seq",
        plans,
        cy.principal,
    )
    assert spans == [(3, 5, None), (7, 8, None), (10, 11, 1), (13, None, None)]


async def test_who_is_brought_in_live_gets_what_follows_and_asks_for_what_he_may_see_besides(
    one: Gateway, people: Three
) -> None:
    ada, bo, cy = people
    plans = await one.group(ada, bo)
    await settle(one, ada, plans, open_history=True)
    socket = await one.opened(cy)
    await one.core.converse.add(ada, plans, [cy.principal])
    await one.send(ada, plans, "welcome")
    await until(lambda: socket.seqs(plans) == [3, 4])
    page = await one.core.read.sync(cy, {plans: 0}, 1000)
    assert [entry.seq for part in page.entries for entry in part.entries] == [1, 2, 3, 4]


async def test_of_announcements_few_write_and_all_read(one: Gateway, two: Gateway, people: Three) -> None:
    ada, bo, cy = people
    news = await one.group(ada, bo, cy)
    sockets = {actor: await two.opened(actor) for actor in people}
    said = await two.send(bo, news, "good morning", socket=sockets[bo])
    begun = (await settle(one, ada, news, announcements=True)).announcements
    assert begun is not None
    # the other gateway may not have heard of it yet: the locked head has
    with pytest.raises(AdministratorsWrite):
        await two.send(bo, news, "me too", socket=sockets[bo])
    await until(lambda: sockets[cy].seqs(news)[-1:] == [begun])
    with pytest.raises(AdministratorsWrite):
        await two.send(cy, news, "and me", socket=sockets[cy])
    with pytest.raises(AdministratorsWrite):
        await revise(two, bo, news, said.seq, "good night")
    with pytest.raises(ConversationNotFound):
        await two.core.converse.settle(bo, news, Settled(announcements=False))
    await two.send(ada, news, "the office is closed", socket=sockets[ada])
    appointed = await one.core.converse.appoint(ada, news, [bo.principal])
    await two.send(bo, news, "and open on Monday", socket=sockets[bo])
    await until(lambda: len(sockets[cy].seqs(news)) == 6)
    assert sockets[cy].texts(news) == ["good morning", "the office is closed", "and open on Monday"]
    assert await one.core.converse.dismiss(ada, news, [bo.principal]) == (appointed or 0) + 2
    with pytest.raises(AdministratorsWrite):
        await two.send(bo, news, "once more", socket=sockets[bo])
    await settle(one, ada, news, announcements=False)
    await two.send(cy, news, "at last", socket=sockets[cy])


async def test_no_send_gets_past_the_beginning_of_announcements(
    one: Gateway, two: Gateway, people: Three
) -> None:
    """Sends are under way on both gateways while it begins: none of them comes behind it."""
    ada, bo, cy = people
    news = await one.group(ada, bo, cy)
    sockets = [await gateway.opened(actor) for gateway, actor in ((one, bo), (two, cy))]

    async def talk(gateway: Gateway, actor: Actor, place: int) -> None:
        for _ in range(10_000):
            try:
                await gateway.send(actor, news, "…", socket=sockets[place])
            except AdministratorsWrite:
                return
        pytest.fail("announcements never began")

    talking = [asyncio.create_task(talk(one, bo, 0)), asyncio.create_task(talk(two, cy, 1))]
    await until(lambda: len(sockets[0].seqs(news)) > 20)
    begun = (await settle(one, ada, news, announcements=True)).announcements
    assert begun is not None
    await asyncio.wait_for(asyncio.gather(*talking), 10)
    [(last,)] = one.rows("SELECT max(seq) FROM messaging.entry WHERE conversation = %s", news)
    assert last == begun > 20


async def test_what_is_archived_is_read_and_hidden_until_it_is_reopened(
    one: Gateway, two: Gateway, people: Three
) -> None:
    ada, bo, cy = people
    plans = await one.group(ada, bo, cy)
    socket = await two.opened(bo)
    said = await two.send(bo, plans, "done", socket=socket)
    assert await settle(one, ada, plans, archived=True, topic="over") == Settling(topic=3, archived=4)
    converse = one.core.converse
    with pytest.raises(ConversationArchived):
        await two.send(bo, plans, "one more", socket=socket)
    with pytest.raises(ConversationArchived):
        await revise(two, bo, plans, said.seq, "undone")
    with pytest.raises(ConversationArchived):
        await two.core.amend.retract(bo, plans, said.seq, uuid4(), None)
    for refused in (
        settle(one, ada, plans, name="again"),
        settle(one, ada, plans, open_history=True),
        converse.add(ada, plans, [person(ada.tenant).principal]),
        converse.remove(ada, plans, [cy.principal]),
        converse.appoint(ada, plans, [cy.principal]),
    ):
        with pytest.raises(ConversationArchived):
            await refused
    with pytest.raises(ConversationNotFound):
        await settle(one, bo, plans, archived=False)
    assert [entry.seq for entry in await history(one, bo, plans)] == [1, 2, 3, 4]
    assert await one.core.read.listed(bo, archived=False) == []
    [hidden] = await one.core.read.listed(bo, archived=True)
    assert hidden.state.standing.terms.archived
    assert await converse.leave(cy, plans) == 5
    [left] = await one.core.read.listed(cy, archived=False)
    assert not left.state.standing.shown_terms.archived  # who has left knows of no terms
    assert await settle(one, ada, plans, archived=False, name="again") == Settling(name=7, archived=6)
    await two.send(bo, plans, "there we are", socket=socket)
    assert len(await one.core.read.listed(bo, archived=False)) == 1


async def test_guests_and_strangers_change_nothing(one: Gateway, people: Three, tenant: TenantId) -> None:
    ada, bo, cy = people
    guest = person(tenant, ["guest"])
    one.know(guest)
    plans = await one.group(ada, bo, guest)
    await one.core.converse.appoint(ada, plans, [guest.principal])
    for actor in (guest, cy, person(TenantId(uuid4()))):
        with pytest.raises(ConversationNotFound):
            await settle(one, actor, plans, name="ours")
        with pytest.raises(ConversationNotFound):
            await one.core.converse.add(actor, plans, [cy.principal])
    await one.send(guest, plans, "hello")
    assert await one.core.converse.leave(guest, plans) == 4
    with pytest.raises(ConversationNotFound):
        await one.send(guest, plans, "hello?")


async def test_every_change_is_told_to_the_audit_log(one: Gateway, people: Three) -> None:
    ada, bo, cy = people
    plans = await one.group(ada, bo, cy, name="plans")
    await settle(one, ada, plans, name="p", topic="t", open_history=True, announcements=True)
    await one.core.converse.appoint(ada, plans, [bo.principal])
    await one.core.converse.dismiss(ada, plans, [bo.principal])
    await settle(one, ada, plans, open_history=False, announcements=False, archived=True)
    await settle(one, ada, plans, archived=False)
    told = Counter(fact.action for fact in facts_of(one))
    assert await counted(one) == told
    assert {action for action, times in told.items() if times == 1} >= {
        "messaging.name.changed",
        "messaging.topic.changed",
        "messaging.administrators.added",
        "messaging.administrators.removed",
        "messaging.history.opened",
        "messaging.history.closed",
        "messaging.announcements.begun",
        "messaging.announcements.ended",
        "messaging.conversation.archived",
        "messaging.conversation.reopened",
    }
    [appointed] = [fact for fact in facts_of(one) if fact.action == "messaging.administrators.added"]
    assert (appointed.actor.id, [(each.kind, each.id) for each in appointed.entities]) == (
        ada.principal,
        [("conversation", str(plans)), ("principal", str(bo.principal))],
    )
    stored = one.rows("SELECT body FROM messaging.outbox")
    assert all(b'"name":"p"' not in body for (body,) in stored)
