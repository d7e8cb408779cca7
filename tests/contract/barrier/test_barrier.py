"""What every executor keeps: once it has confirmed a generation, nothing is destroyed by an older order."""

import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from libs.barrier.errors import GenerationPassed, GenerationUnknown
from libs.barrier.generation import generation_of, raise_generation, share_generation
from libs.barrier.held import holds_of
from libs.contracts.holds import CONFIRMATIONS, HoldPlaced
from libs.db.pool import Transaction
from libs.disposition.claims import Hold, Item, covers
from libs.events.effects import EffectFailed
from libs.kernel.ids import TenantId
from tests.contract.barrier.executors import (
    EXECUTORS,
    NOW,
    Executor,
    destroyed_after_confirmation,
    executor_of,
)
from tests.support.engines import ServiceDatabase

OURS, THEIRS = TenantId(uuid4()), TenantId(uuid4())


@pytest.fixture(params=sorted(EXECUTORS))
async def executor(
    request: pytest.FixtureRequest, database_of: Callable[[str], ServiceDatabase]
) -> AsyncIterator[Executor]:
    async with executor_of(request.param, database_of(request.param)) as opened:
        yield opened


async def shared(executor: Executor, ordered: int, tenant: TenantId = OURS) -> None:
    async with executor.destroying.begin(tenant) as tx:
        await share_generation(tx, executor.schema, tenant, ordered)


def test_every_confirmation_of_the_contracts_is_tried_here() -> None:
    assert set(EXECUTORS.values()) == set(CONFIRMATIONS)


async def test_nothing_is_destroyed_after_the_first_confirmation(executor: Executor) -> None:
    assert await destroyed_after_confirmation(executor, OURS, 0) == 0


async def test_nothing_is_destroyed_after_a_later_confirmation(executor: Executor) -> None:
    await executor.take_in(executor.placed(OURS, 1))
    await executor.take_in(executor.placed(OURS, 2))
    assert await destroyed_after_confirmation(executor, OURS, 2) == 0
    assert await executor.confirmed(OURS) == [1, 2, 3]


@pytest.mark.planted
@pytest.mark.parametrize("generation", [0, 1])
async def test_a_destroyer_that_reads_the_generation_without_sharing_it_is_noticed(
    executor: Executor, generation: int
) -> None:
    async def look(tx: Transaction, schema: str, tenant: TenantId, ordered: int) -> None:
        current = await generation_of(tx, schema, tenant)
        if current > ordered:
            raise GenerationPassed(ordered, current)

    if generation:
        await executor.take_in(executor.placed(OURS, generation))
    assert await destroyed_after_confirmation(executor, OURS, generation, look) > 0


@pytest.mark.planted
async def test_a_destroyer_that_shares_no_row_where_there_is_none_is_noticed(executor: Executor) -> None:
    async def share_what_is_there(tx: Transaction, schema: str, tenant: TenantId, ordered: int) -> None:
        row = await tx.fetch_one(
            f"SELECT generation FROM {schema}.hold_generation WHERE tenant = %s FOR SHARE", (tenant,)
        )
        if row is not None and row.generation > ordered:
            raise GenerationPassed(ordered, row.generation)

    assert await destroyed_after_confirmation(executor, OURS, 0, share_what_is_there) > 0


async def test_orders_of_other_generations_are_refused(executor: Executor) -> None:
    await shared(executor, 0)
    await executor.take_in(executor.placed(OURS, 1))
    await shared(executor, 1)
    with pytest.raises(GenerationPassed):
        await shared(executor, 0)
    with pytest.raises(GenerationUnknown):
        await shared(executor, 2)


async def test_a_tenant_without_any_hold_ever_knows_no_order_that_knows_of_one(executor: Executor) -> None:
    with pytest.raises(GenerationUnknown):
        await shared(executor, 1)


async def test_the_holds_of_a_tenant_are_no_one_elses(executor: Executor) -> None:
    await executor.take_in(executor.placed(OURS, 1))
    await shared(executor, 0, THEIRS)
    async with executor.destroying.begin(THEIRS) as tx:
        assert await holds_of(tx, executor.schema, THEIRS) == []
        assert await holds_of(tx, executor.schema, OURS) == []
    assert await executor.confirmed(THEIRS) == []


async def test_what_is_kept_covers_what_was_placed(executor: Executor) -> None:
    hold, custodian, conversation = uuid4(), uuid4(), uuid4()
    since = datetime(2026, 1, 1, tzinfo=UTC)
    placed = HoldPlaced(
        hold=hold, generation=1, custodians=(custodian,), conversations=(conversation,), since=since
    )
    await executor.take_in(executor.record(OURS, placed))
    async with executor.destroying.begin(OURS) as tx:
        (kept,) = await holds_of(tx, executor.schema, OURS)
    assert kept == Hold(hold, frozenset({custodian}), frozenset({conversation}), since, None)
    item = Item(conversation, "group", NOW, None, frozenset())
    assert covers(kept, item)
    await executor.take_in(executor.released(OURS, 2, hold))
    async with executor.destroying.begin(OURS) as tx:
        assert await holds_of(tx, executor.schema, OURS) == []
    assert await executor.confirmed(OURS) == [1, 2]


async def test_several_changes_that_come_together_are_confirmed_by_the_last(executor: Executor) -> None:
    hold = uuid4()
    await executor.take_in(
        executor.placed(OURS, 1, hold),
        executor.placed(THEIRS, 1),
        executor.placed(OURS, 2),
        executor.released(OURS, 3, hold),
    )
    assert await executor.confirmed(OURS) == [3]
    assert await executor.confirmed(THEIRS) == [1]


async def test_a_change_that_comes_again_has_no_second_effect(executor: Executor) -> None:
    record = executor.placed(OURS, 1)
    await executor.take_in(record)
    await executor.take_in(record)
    assert await executor.confirmed(OURS) == [1]


async def test_a_change_whose_transaction_is_undone_has_no_effect_and_may_come_again(
    executor: Executor,
) -> None:
    record = executor.placed(OURS, 1)
    with contextlib.suppress(ZeroDivisionError):
        async with executor.projecting.begin() as tx:
            await executor.apply(tx, [record])
            raise ZeroDivisionError
    assert await executor.confirmed(OURS) == []
    await shared(executor, 0)
    await executor.take_in(record)
    assert await executor.confirmed(OURS) == [1]


async def test_a_change_behind_a_missing_one_is_not_taken_in(executor: Executor) -> None:
    with pytest.raises(EffectFailed, match="GenerationSkipped"):
        await executor.take_in(executor.placed(OURS, 2))
    assert await executor.confirmed(OURS) == []
    await shared(executor, 0)


async def test_who_destroys_can_neither_raise_nor_lower_a_generation(executor: Executor) -> None:
    import psycopg  # noqa: PLC0415 - the driver's own refusal is the point

    await executor.take_in(executor.placed(OURS, 1))
    for statement in (
        f"UPDATE {executor.schema}.hold_generation SET generation = 0",
        f"DELETE FROM {executor.schema}.hold_generation",
        f"UPDATE {executor.schema}.hold SET released_generation = 2",
        f"DELETE FROM {executor.schema}.hold",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            async with executor.destroying.begin(OURS) as tx:
                await tx.execute(statement)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with executor.destroying.begin(OURS) as tx:
            await raise_generation(tx, executor.schema, OURS, 2)
