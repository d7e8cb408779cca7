"""A hold is in force when every executor has confirmed it, and one that is down is seen to be missing."""

import asyncio
import contextlib
from collections.abc import Collection
from uuid import uuid4

import pytest

from libs.barrier.errors import GenerationPassed
from libs.barrier.generation import share_generation
from libs.barrier.held import holds_of
from libs.contracts.holds import MessagingGenerationConfirmed
from libs.db.pool import Transaction
from libs.events.outbox import append, record_of
from libs.kernel.ids import TenantId
from services.holds.domain.holds import EXECUTORS
from services.holds.ports.register import Confirmed
from services.holds.store.confirmations import PostgresConfirmations
from services.holds.usecases.confirm import confirm
from tests.integration.holds.town import TENANT, Person, Town

COUNSEL, COMPLIANCE = Person(("legal_counsel",)), Person(("compliance_officer",))


def gauge_of(town: Town, name: str, executor: str) -> float:
    """Return what the metrics of the hold service say of an executor."""
    text = town.holds.metrics.exposition().decode()
    (line,) = (
        line for line in text.splitlines() if line.startswith(f'muniment_{name}{{executor="{executor}"}}')
    )
    return float(line.rpartition(" ")[2])


async def test_a_hold_is_in_force_when_the_slowest_has_confirmed_it(town: Town) -> None:
    hold = (await town.placed(COUNSEL, everything=True))["hold"]
    town.clock.advance(1)
    await town.execute("messaging", "ediscovery")
    waiting = await town.shown(COUNSEL, hold)
    assert (waiting["state"], waiting["missing"], waiting["in_force_at"]) == ("placed", ["keys"], None)
    assert waiting["executors"] == [
        {"executor": "ediscovery", "confirmed_at": "2026-11-24T12:00:01Z"},
        {"executor": "keys", "confirmed_at": None},
        {"executor": "messaging", "confirmed_at": "2026-11-24T12:00:01Z"},
    ]
    town.clock.advance(1)
    await town.execute("keys")
    shown = await town.shown(COUNSEL, hold)
    assert (shown["state"], shown["missing"]) == ("in-force", [])
    assert shown["in_force_at"] == "2026-11-24T12:00:02Z"
    assert (await town.get(COUNSEL, "/generation")).json() == {
        "generation": 1,
        "executors": [
            {"executor": "ediscovery", "generation": 1, "confirmed_at": "2026-11-24T12:00:01Z"},
            {"executor": "keys", "generation": 1, "confirmed_at": "2026-11-24T12:00:02Z"},
            {"executor": "messaging", "generation": 1, "confirmed_at": "2026-11-24T12:00:01Z"},
        ],
    }


async def test_an_executor_that_is_down_is_shown_loudly(town: Town) -> None:
    await town.placed(COUNSEL, everything=True)
    await town.execute("messaging")
    town.clock.advance(90)
    await town.watch()
    assert gauge_of(town, "holds_unconfirmed", "keys") == 1
    assert gauge_of(town, "holds_unconfirmed_seconds", "keys") == 90
    assert gauge_of(town, "holds_unconfirmed", "messaging") == 0
    await town.execute("keys")
    await town.watch()
    assert gauge_of(town, "holds_unconfirmed", "keys") == 0
    assert gauge_of(town, "holds_unconfirmed_seconds", "keys") == 0


async def test_confirmations_of_a_later_generation_confirm_the_earlier_ones(town: Town) -> None:
    holds = [(await town.placed(COUNSEL, custodians=[uuid4()]))["hold"] for _ in range(3)]
    for executor in EXECUTORS:
        await town.execute(executor)
    assert {(await town.shown(COUNSEL, hold))["state"] for hold in holds} == {"in-force"}
    assert town.holds.rows("SELECT executor, generation FROM holds.confirmation ORDER BY executor") == [
        ("ediscovery", 3),
        ("keys", 3),
        ("messaging", 3),
    ]
    told = [fact.action for fact in town.facts()]
    assert told.count("holds.hold.in-force") == 3
    assert (await town.acts())["holds.hold.in-force"] == 3


class Unlocked(PostgresConfirmations):
    """Confirmations whose transaction does not lock the generation."""

    async def lock_generations(self, tenants: Collection[TenantId]) -> dict[TenantId, int]:
        return dict.fromkeys(tenants, 1)


async def confirmed_at_once(town: Town, kind: type[PostgresConfirmations]) -> str:
    """Return the state of a hold that its last two executors confirm in transactions that overlap."""
    hold = (await town.placed(COUNSEL, everything=True))["hold"]

    async def take_in(tx: Transaction, executor: str) -> None:
        word = Confirmed(TENANT, executor, 1)
        await confirm(kind(tx, town.clock, town.ids), [word], town.clock.now(), town.ids)

    async def second() -> None:
        async with town.holds.projecting.begin() as tx:
            await take_in(tx, "keys")
            began.set()

    async with town.holds.projecting.begin() as tx:
        await take_in(tx, "ediscovery")
    began = asyncio.Event()
    async with town.holds.projecting.begin() as tx:
        await take_in(tx, "messaging")
        other = asyncio.create_task(second())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(began.wait(), 0.5)
    await other
    return str((await town.shown(COUNSEL, hold))["state"])


async def test_two_executors_that_confirm_at_the_same_moment_leave_no_hold_behind(town: Town) -> None:
    assert await confirmed_at_once(town, PostgresConfirmations) == "in-force"


@pytest.mark.planted
async def test_confirmations_that_lock_nothing_are_seen_to_leave_one_behind(town: Town) -> None:
    assert await confirmed_at_once(town, Unlocked) == "placed"


async def test_a_hold_that_is_released_before_it_was_in_force_never_is(town: Town) -> None:
    hold = (await town.placed(COUNSEL, everything=True))["hold"]
    request = (await town.ask_release(COUNSEL, hold)).json()
    await town.decide(COMPLIANCE, request, approves=True)
    await town.execute()
    shown = await town.shown(COUNSEL, hold)
    assert (shown["state"], shown["in_force_at"]) == ("released", None)
    assert "holds.hold.in-force" not in {fact.action for fact in town.facts()}


@pytest.mark.parametrize("name", EXECUTORS)
async def test_an_executor_destroys_nothing_by_an_order_from_before_the_hold(town: Town, name: str) -> None:
    hold = (await town.placed(COUNSEL, everything=True))["hold"]
    await town.execute()
    executor = town.executors[name]
    async with executor.app.begin(TENANT) as tx:
        assert [str(each.hold) for each in await holds_of(tx, name, TENANT)] == [hold]
        await share_generation(tx, name, TENANT, 1)
    with pytest.raises(GenerationPassed):
        async with executor.app.begin(TENANT) as tx:
            await share_generation(tx, name, TENANT, 0)
    request = (await town.ask_release(COUNSEL, hold)).json()
    await town.decide(COMPLIANCE, request, approves=True)
    await town.execute()
    async with executor.app.begin(TENANT) as tx:
        await share_generation(tx, name, TENANT, 2)
        assert await holds_of(tx, name, TENANT) == []


async def test_an_executor_that_confirms_what_was_never_given_out_stops_its_tenant(town: Town) -> None:
    hold = (await town.placed(COUNSEL, everything=True))["hold"]
    messaging = town.executors["messaging"]
    async with messaging.app.begin(TENANT) as tx:
        event = MessagingGenerationConfirmed(generation=9)
        await append(tx, "messaging", [record_of(event, TENANT, town.ids, town.clock)])
    await town.execute()
    assert (await town.shown(COUNSEL, hold))["state"] == "placed"
    assert {reason for (reason,) in town.holds.rows("SELECT reason FROM holds.parked")} == {
        "ConfirmationAhead",
        "follows a parked event",
    }


async def test_streams_that_were_lost_are_filled_from_the_outboxes(town: Town) -> None:
    hold = (await town.placed(COUNSEL, everything=True))["hold"]
    await town.told()
    await town.redis.flushall()
    await town.execute()
    await town.execute()
    assert (await town.shown(COUNSEL, hold))["state"] == "in-force"
