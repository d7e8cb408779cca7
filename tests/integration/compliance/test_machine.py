"""Whatever people, executors and streams do: nothing held is destroyed, nothing undue, nothing twice."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, suppress

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from libs.barrier.errors import GenerationPassed
from libs.barrier.generation import generation_of, share_generation
from libs.db.pool import Transaction
from libs.kernel.ids import TenantId
from services.messaging.domain.dispositions import Claims, Disposals, Planned, decide_batch
from services.messaging.store import closings, disposals
from services.messaging.usecases import dispose
from tests.integration.compliance.house import SERVICES, house_of
from tests.integration.compliance.machine import Broken, ComplianceMachine, small_batches
from tests.integration.keys.service import POLICY
from tests.support.engines import Engines

REPEATABLE = settings(
    derandomize=True,
    database=None,
    deadline=None,
    print_blob=False,
    suppress_health_check=list(HealthCheck),
)
SOME = settings(REPEATABLE, max_examples=8, stateful_step_count=25)
MANY = settings(REPEATABLE, max_examples=8, stateful_step_count=30)
UNTIL_CAUGHT = settings(
    REPEATABLE,
    max_examples=100,
    stateful_step_count=20,
    phases=[Phase.generate],
    report_multiple_bugs=False,
)
PARTS = 12
MET = (
    "destroyed",
    "counted as preserved",
    "counted as hidden",
    "a stream came again",
    "a run stood still",
    "a change of holds waited for what was being destroyed",
    "a run ended with GenerationPassed",
    "a run ended in its midst",
    "a key was shredded",
)


@pytest.fixture(scope="module")
def machine(engines: Engines) -> Iterator[type[ComplianceMachine]]:
    """Give a machine in a house that all of these tests share: each example is a tenant of its own."""
    with engines.alone("vault-policy"):
        role = engines.openbao.provision(policy=POLICY)
    made = {name: engines.create_database(engines.template_of(name)) for name in SERVICES}
    databases = {name: engines.database(database, name) for name, database in made.items()}
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        house = runner.run(stack.enter_async_context(house_of(databases, engines.openbao, role)))

        class Machine(ComplianceMachine):
            pass

        Machine.house, Machine.loop, Machine.met = house, runner, Counter()
        yield Machine
        runner.run(stack.aclose())
    for database in made.values():
        engines.drop_database(database)


@pytest.fixture(scope="module")
def lived() -> "Counter[str]":
    """Give what came about in all parts that one process ran."""
    return Counter()


@pytest.fixture(autouse=True)
def batches(monkeypatch: pytest.MonkeyPatch) -> None:
    small_batches(monkeypatch)


def _goes_on(machine: type[ComplianceMachine], how: settings) -> None:
    machine.met.clear()
    run_state_machine_as_test(machine, settings=how)


def test_nothing_that_is_held_is_destroyed_whatever_happens(machine: type[ComplianceMachine]) -> None:
    _goes_on(machine, SOME)
    assert machine.met["destroyed"]
    assert machine.met["a run ended with everything done"]


@pytest.mark.prove
@pytest.mark.parametrize("part", range(PARTS))
def test_nothing_that_is_held_is_destroyed_whatever_happens_for_long(
    machine: type[ComplianceMachine], lived: "Counter[str]", part: int
) -> None:
    """Seeded, so that each part has other lives; in all of them all that it is about does come about."""

    class Seeded(machine):  # type: ignore[valid-type, misc]
        pass

    _goes_on(seed(part)(Seeded), settings(MANY, derandomize=False))
    lived.update(machine.met, parts=1)
    if lived["parts"] == PARTS:
        assert [what for what in MET if not lived[what]] == []


async def _looks_without_waiting(tx: Transaction, schema: str, tenant: TenantId, ordered: int) -> None:
    current = await generation_of(tx, schema, tenant)
    if current > ordered:
        raise GenerationPassed(ordered, current)


async def _goes_on_whatever_the_generation(
    tx: Transaction, schema: str, tenant: TenantId, ordered: int
) -> None:
    with suppress(GenerationPassed):
        await share_generation(tx, schema, tenant, ordered)


def _forgets_custodians(planned: Sequence[Planned], claims: Claims) -> Disposals:
    forgetful = claims._replace(holds=[hold for hold in claims.holds if not hold.custodians])
    return decide_batch(planned, forgetful)


def no_barrier(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(disposals, "share_generation", _looks_without_waiting)


def no_generation(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(disposals, "share_generation", _goes_on_whatever_the_generation)


def no_custodians(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(dispose, "decide_batch", _forgets_custodians)


def no_memory(patch: pytest.MonkeyPatch) -> None:
    """Begin each batch at the first item again, and take what is gone for something that was there."""
    reached = "o.reached_conversation, o.reached_seq"
    nowhere = "NULL::uuid AS reached_conversation, NULL::bigint AS reached_seq"
    patch.setattr(disposals, "_OPEN", disposals._OPEN.replace(reached, nowhere))
    destroy = disposals.PostgresRun._destroy

    async def destroyed(self: disposals.PostgresRun, batch: Disposals) -> int:
        await destroy(self, batch)
        return len(batch.destroyed)

    patch.setattr(disposals.PostgresRun, "_destroy", destroyed)
    size = "octet_length(p.sealed) AS bytes"
    patch.setattr(disposals, "_NEXT", disposals._NEXT.replace(size, "0 AS bytes"))


def no_survivors(patch: pytest.MonkeyPatch) -> None:
    """State keys empty under which something is left that is not destroyed."""
    for name in ("_EMPTY", "_STATE"):
        statement = getattr(closings, name)
        assert closings._LEFT in statement
        patch.setattr(closings, name, statement.replace(closings._LEFT, "false"))
    patch.setattr(closings, "_FILLED", closings._FILLED.replace(closings._LEFT, "false"))


@pytest.mark.planted
@pytest.mark.parametrize(
    ("defect", "complaint"),
    [
        (no_barrier, "is destroyed, and held by|is destroyed by an order of another generation"),
        (no_generation, "is destroyed by an order of another generation|a run ended, and left"),
        (no_custodians, "is destroyed, and (held by|was preserved)"),
        (no_memory, "destroyed twice"),
        (no_survivors, "cannot be (had|opened)"),
    ],
    ids=["no barrier", "no generation", "no custodians", "no memory", "no survivors"],
)
def test_a_planted_defect_is_caught(
    machine: type[ComplianceMachine],
    monkeypatch: pytest.MonkeyPatch,
    defect: Callable[[pytest.MonkeyPatch], None],
    complaint: str,
) -> None:
    defect(monkeypatch)
    with pytest.raises(Broken, match=complaint):
        _goes_on(machine, UNTIL_CAUGHT)
