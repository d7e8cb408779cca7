"""Every act of messaging is told to the audit log in its own transaction, and can be counted without it."""

import asyncio
import random
from collections import Counter
from uuid import UUID, uuid4

import pytest

from libs.authn.actor import Actor
from libs.contracts.events import decode
from libs.contracts.facts import MessagingFact
from libs.db.pool import CrossingDatabase
from libs.events.acts import count_acts
from libs.evidence.entry import entry_leaf
from libs.kernel.ids import PrincipalId
from libs.merkle.tree import root_of
from services.messaging.domain.errors import ConversationNotFound
from services.messaging.store.acts import ACTS
from tests.integration.messaging.gateways import Gateway

Three = tuple[Actor, Actor, Actor]
CANARY = "canary-51b0fe"


def facts_of(gateway: Gateway) -> list[MessagingFact]:
    """Return the facts in the outbox."""
    bodies = gateway.rows(
        "SELECT body FROM messaging.outbox WHERE name = %s ORDER BY part, position", MessagingFact.name
    )
    events = [decode(body)[1] for (body,) in bodies]
    return [event for event in events if isinstance(event, MessagingFact)]


async def counted(gateway: Gateway) -> Counter[str]:
    """Return the acts by action, as the publisher's role counts them over the domain's rows."""
    database = CrossingDatabase(gateway.database.dsn("messaging_publisher"), "counting", by_key=True)
    await database.open()
    try:
        answer = await count_acts(database, "messaging", ACTS)
    finally:
        await database.close()
    return Counter({one.action: one.count for one in answer.acts})


def leaves_of(gateway: Gateway, conversation: UUID, first: int, last: int) -> list[bytes]:
    rows = gateway.rows(
        "SELECT metadata_commitment, body_commitment FROM messaging.entry"
        " WHERE conversation = %s AND seq BETWEEN %s AND %s ORDER BY seq",
        conversation,
        first,
        last,
    )
    return [entry_leaf(metadata, body) for metadata, body in rows]


async def test_a_commit_tells_of_its_runs_and_of_the_root_over_their_commitments(
    one: Gateway, people: Three
) -> None:
    ada, bo, cy = people
    plans, games = await one.group(ada, bo), await one.group(ada, cy)
    waiting = [await one.submit(ada, where, CANARY) for where in (plans, games, plans, games, plans)]
    await asyncio.gather(*waiting)
    facts = [fact for fact in facts_of(one) if fact.action == "messaging.entries.committed"]
    covered: list[tuple[UUID, int]] = []
    for fact in facts:
        assert list(fact.runs) == sorted(fact.runs, key=lambda run: run.conversation)
        leaves = [leaf for run in fact.runs for leaf in leaves_of(one, run.conversation, run.first, run.last)]
        assert fact.root == root_of(leaves)
        covered += [(run.conversation, seq) for run in fact.runs for seq in range(run.first, run.last + 1)]
        assert one.rows(
            "SELECT DISTINCT commit FROM messaging.entry WHERE conversation = %s AND seq = %s",
            fact.runs[0].conversation,
            fact.runs[0].first,
        ) == [(fact.act,)]
    assert sorted(covered) == sorted(
        [(plans, seq) for seq in range(1, 5)] + [(games, seq) for seq in range(1, 4)]
    )
    stored = one.rows("SELECT body FROM messaging.outbox")
    assert all(CANARY.encode() not in body for (body,) in stored)


async def test_changes_of_members_are_told_with_who_and_whom(one: Gateway, people: Three) -> None:
    ada, bo, cy = people
    plans = await one.group(ada, bo)
    await one.core.converse.add(ada, plans, [cy.principal])
    await one.core.converse.remove(ada, plans, [bo.principal])
    told = {
        fact.action: (fact.actor.id, {(entity.kind, entity.id) for entity in fact.entities})
        for fact in facts_of(one)
        if fact.action != "messaging.entries.committed"
    }
    where = ("conversation", str(plans))
    assert told == {
        "messaging.conversation.created": (
            ada.principal,
            {where, ("principal", str(ada.principal)), ("principal", str(bo.principal))},
        ),
        "messaging.participants.added": (ada.principal, {where, ("principal", str(cy.principal))}),
        "messaging.participants.removed": (ada.principal, {where, ("principal", str(bo.principal))}),
    }


async def test_denials_of_a_minute_are_one_act_with_their_number(one: Gateway, people: Three) -> None:
    ada, bo, cy = people
    plans = await one.group(ada, bo)
    for _ in range(7):
        with pytest.raises(ConversationNotFound):
            await one.send(cy, plans, "let me in")
    await one.core.tell_denials.flush(everything=True)
    denied = [fact for fact in facts_of(one) if fact.action == "messaging.access.denied"]
    assert sum(fact.count for fact in denied) == 7
    assert len(denied) <= 2  # a minute may have ended meanwhile
    assert {(fact.actor.id, fact.outcome, fact.entities[0].id) for fact in denied} == {
        (cy.principal, "refused", "SendMessage")
    }
    await one.core.tell_denials.flush(everything=True)
    assert len(facts_of(one)) == len(denied) + 2


async def test_acts_counted_by_rows_equal_facts_after_whatever_happened(one: Gateway, people: Three) -> None:
    ada, bo, cy = people
    choice = random.Random(7)
    places = [await one.group(ada, bo)]
    for _ in range(60):
        where = choice.choice(places)
        match choice.randrange(5):
            case 0:
                places.append(await one.group(ada, bo))
            case 1:
                with_or_without = one.core.converse.add, one.core.converse.remove
                await choice.choice(with_or_without)(ada, where, [PrincipalId(cy.principal)])
            case 2:
                client_id = uuid4()
                await one.send(ada, where, "twice", client_id)
                await one.send(ada, where, "twice", client_id)
            case _:
                waiting = [await one.submit(ada, choice.choice(places), "text") for _ in range(3)]
                await asyncio.gather(*waiting)
    acts = await counted(one)
    assert acts == Counter(fact.action for fact in facts_of(one))
    assert acts["messaging.entries.committed"] > 60

    # and a row that nobody told of shows
    one.rows(
        "INSERT INTO messaging.entry (tenant, conversation, seq, kind, revision, message, actor, sent_at,"
        " members_version, subjects, metadata_commitment, commit)"
        " VALUES (%s, %s, 9999, 4, 0, %s, %s, now(), 1, '{}', '\\x00', %s)",
        ada.tenant,
        places[0],
        uuid4(),
        ada.principal,
        uuid4(),
    )
    assert await counted(one) != Counter(fact.action for fact in facts_of(one))
