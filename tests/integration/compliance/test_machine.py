"""Whatever people, executors and streams do: nothing held is destroyed, nothing undue, nothing twice."""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from datetime import datetime
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from libs.barrier.errors import GenerationPassed
from libs.barrier.generation import generation_of, share_generation
from libs.contracts.retention import ItemsExpunged
from libs.db.pool import Transaction
from libs.disposition.voices import Voices
from libs.events.outbox import append
from libs.evidence.certificate.items import DestroyedLine
from libs.kernel.clock import SystemClock
from libs.kernel.ids import SystemIds, TenantId
from libs.kernel.randomness import SystemRandomness
from services.ediscovery.domain.documents import DocumentKey
from services.ediscovery.ports.expunges import Destruction
from services.ediscovery.store import expunges
from services.ediscovery.store.outgoing import records_of
from services.ediscovery.usecases.current import CurrentIndex
from services.messaging.domain.dispositions import Claims, Disposals, Planned, Stretch, decide_batch
from services.messaging.store import closings, disposals
from services.messaging.usecases import dispose
from services.retention.adapters.destroyed import MessagingDestroyed
from services.retention.domain.orders import Standing
from services.retention.ports.certificates import Place as CertifiedPlace
from services.retention.usecases import certify
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
    "words are gone",
    "words vanished in a crash",
    "a run was certified",
    "a message was revised",
    "a message was retracted",
)


@pytest.fixture(scope="module")
def machine(engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[type[ComplianceMachine]]:
    """Give a machine in a house that all of these tests share: each example is a tenant of its own."""
    with engines.alone("vault-policy"):
        role = engines.openbao.provision(policy=POLICY)
    made = {name: engines.create_database(engines.template_of(name)) for name in SERVICES}
    databases = {name: engines.database(database, name) for name, database in made.items()}
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        house = runner.run(
            stack.enter_async_context(
                house_of(databases, engines.openbao, role, tmp_path_factory.mktemp("search"))
            )
        )

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
    assert machine.met["a run was certified"]


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
    assert "o.reached," in disposals._OPEN
    patch.setattr(disposals, "_OPEN", disposals._OPEN.replace("o.reached,", "0::bigint AS reached,"))
    destroy = disposals.PostgresRun._destroy

    async def destroyed(
        self: disposals.PostgresRun, planned: Sequence[Planned], voices: Voices, now: datetime
    ) -> tuple[list[Stretch], int]:
        await destroy(self, planned, voices, now)
        return [Stretch(*each.box[:3], bytes=0) for each in planned], 0

    patch.setattr(disposals.PostgresRun, "_destroy", destroyed)


def no_survivors(patch: pytest.MonkeyPatch) -> None:
    """State keys empty under which something is left that is not destroyed."""
    for name in ("_EMPTY", "_STATE"):
        statement = getattr(closings, name)
        assert closings._LEFT in statement
        patch.setattr(closings, name, statement.replace(closings._LEFT, "false"))
    patch.setattr(closings, "_FILLED", closings._FILLED.replace(closings._LEFT, "false"))


def no_expunge(patch: pytest.MonkeyPatch) -> None:
    """Tell that words are gone, and leave them in the files."""

    async def nothing(*_: object) -> list[str]:
        return []

    for name in ("remove", "purge", "expunge"):
        patch.setattr(CurrentIndex, name, nothing)


def no_certificate(patch: pytest.MonkeyPatch) -> None:
    """Certify nothing of a run that more than one item went by."""
    is_due = certify._is_due

    def forgets(standing: Standing) -> bool:
        return is_due(standing) and standing.completions["messaging"].done.destroyed == 1

    patch.setattr(certify, "_is_due", forgets)


def no_last_item(patch: pytest.MonkeyPatch) -> None:
    """Leave the last item of a run out of its certificate, and do not compare with what was told."""
    page = MessagingDestroyed.page

    async def without_last(
        self: MessagingDestroyed, tenant: TenantId, order: UUID, after: CertifiedPlace | None, limit: int
    ) -> Sequence[DestroyedLine]:
        items = await page(self, tenant, order, after, 1000)
        return items[:-1][:limit]

    patch.setattr(MessagingDestroyed, "page", without_last)
    patch.setattr(certify, "_refuse_difference", lambda *_: None)


def no_confirmation(patch: pytest.MonkeyPatch) -> None:
    """Let eDiscovery confirm whatever it hears of, before any word is gone."""
    add = expunges.PostgresDueExpunges.add

    async def confirmed(
        self: expunges.PostgresDueExpunges, tenant: TenantId, by: Destruction, keys: Collection[DocumentKey]
    ) -> None:
        await add(self, tenant, by, keys)
        told = ItemsExpunged(order=by.order, items=len(keys))
        clock, ids = SystemClock(), SystemIds(SystemClock(), SystemRandomness())
        row = (tenant, ids.uuid7(), by.order, len(keys), clock.now())
        await self._tx.execute(expunges._EXPUNGED, row)
        await append(self._tx, "ediscovery", records_of([told], tenant, ids, clock))

    async def in_silence(
        self: expunges.PostgresExpungeUnderWay, keys: Collection[DocumentKey]
    ) -> Mapping[UUID, int]:
        await forget(self, keys)
        return {}

    forget = expunges.PostgresExpungeUnderWay.forget
    patch.setattr(expunges.PostgresDueExpunges, "add", confirmed)
    patch.setattr(expunges.PostgresExpungeUnderWay, "forget", in_silence)


LONG = pytest.mark.prove
"""Some are searched for by `make prove` alone: they take half a minute each until they are caught."""


@pytest.mark.planted
@pytest.mark.parametrize(
    ("defect", "complaint"),
    [
        pytest.param(
            no_barrier, "is destroyed, and held by|is destroyed by an order of another generation", marks=LONG
        ),
        pytest.param(
            no_generation, "is destroyed by an order of another generation|a run ended, and left", marks=LONG
        ),
        pytest.param(no_custodians, "is destroyed, and (held by|was preserved)", marks=LONG),
        (no_memory, "destroyed twice"),
        pytest.param(no_survivors, "cannot be (had|opened)", marks=LONG),
        (no_expunge, "are told to be gone, and"),
        (no_confirmation, "are told to be gone, and"),
        (no_certificate, "are destroyed without a certificate"),
        pytest.param(no_last_item, "a certificate does not hold|names something else", marks=LONG),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
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
