"""A comparison waits for what is under way, reads each leaf once, and rings where something differs."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import pytest

from libs.evidence.leaf import Leaf, leaf_of
from libs.kernel.clock import ManualClock
from libs.kernel.ids import TenantId
from services.audit.domain.errors import LogDamaged
from services.audit.domain.reconciling import CountedActs, Disagreement, Positions, Reconciliation, Standing
from services.audit.ports.books import Progress
from services.audit.usecases.reconcile import Reconcile

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
ONE, TWO = TenantId(UUID(int=1)), TenantId(UUID(int=2))
GRANTED, LEASED = "identity.role.granted", "keys.signing-key.leased"
PART = 7


@dataclass
class Source:
    """Acts of one source, each of which takes the next position of its outbox."""

    name: str
    acts: Counter[tuple[TenantId, str]] = field(default_factory=Counter)
    head: int = 0
    is_away: bool = False

    def act(self, tenant: TenantId, action: str) -> int:
        self.acts[tenant, action] += 1
        self.head += 1
        return self.head

    async def find_acts(self) -> CountedActs | None:
        return None if self.is_away else CountedActs({PART: self.head}, dict(self.acts))


@dataclass
class Logs:
    """Logs in memory; time passes whenever somebody looks how far they are."""

    clock: ManualClock
    told: list[tuple[TenantId, str, int, str]] = field(default_factory=list)
    written: dict[TenantId, list[bytes]] = field(default_factory=dict)
    cursors: dict[str, int] = field(default_factory=dict)
    unpublished: dict[TenantId, int] = field(default_factory=dict)
    reads: list[tuple[TenantId, int]] = field(default_factory=list)

    def enter(self, tenant: TenantId, source: str, position: int, action: str) -> None:
        log = self.written.setdefault(tenant, [])
        fact = UUID(int=len(self.told))
        log.append(leaf_of(Leaf(tenant, len(log), fact, source, PART, position, NOON, bytes(32))))
        self.told.append((tenant, source, position, action))
        self.cursors[source] = max(position, self.cursors.get(source, 0))

    async def progress(self, sources: Iterable[str]) -> Progress:
        self.clock.advance(1)
        logs = {
            tenant: Standing(len(log), len(log) - self.unpublished.get(tenant, 0))
            for tenant, log in self.written.items()
        }
        return Progress({source: {PART: self.cursors.get(source, 0)} for source in sources}, logs)

    async def details_counted(self, source: str, positions: Positions) -> dict[tuple[TenantId, str], int]:
        return dict(
            Counter(
                (tenant, action)
                for tenant, of, position, action in self.told
                if of == source and position <= positions[PART]
            )
        )

    async def leaves(self, tenant: TenantId, first: int, count: int) -> list[bytes]:
        self.reads += [(tenant, index) for index in range(first, first + count)]
        return self.written[tenant][first : first + count]


@dataclass
class Bell:
    rung: list[Reconciliation] = field(default_factory=list)
    damage: list[LogDamaged] = field(default_factory=list)

    def counted(self, found: Reconciliation) -> None:
        self.rung.append(found)

    def damaged(self, damage: LogDamaged) -> None:
        self.damage.append(damage)


class Stage:
    """Two sources, their logs and the comparison."""

    def __init__(self) -> None:
        self.clock = ManualClock(NOON)
        self.identity, self.keys = Source("identity"), Source("keys")
        self.logs, self.bell = Logs(self.clock), Bell()
        sources = {"identity": self.identity, "keys": self.keys}
        self.reconcile = Reconcile(sources, self.logs, self.bell, self.clock, wait_seconds=3)

    def act(self, source: Source, tenant: TenantId, action: str) -> None:
        self.logs.enter(tenant, source.name, source.act(tenant, action), action)


@pytest.fixture
def stage() -> Stage:
    """Give a stage on which three acts were done and became entries."""
    stage = Stage()
    stage.act(stage.identity, ONE, GRANTED)
    stage.act(stage.identity, TWO, GRANTED)
    stage.act(stage.keys, ONE, LEASED)
    return stage


async def test_acts_with_their_entries_agree(stage: Stage) -> None:
    found = await stage.reconcile()
    assert found.counts == {"identity": (2, 2, 2), "keys": (1, 1, 1)}
    assert found.total == (3, 3, 3)
    assert not found.unsettled
    assert not found.disagreements
    assert stage.bell.rung == [found]


@pytest.mark.planted
async def test_an_act_without_its_fact_rings(stage: Stage) -> None:
    stage.identity.acts[TWO, GRANTED] += 1
    found = await stage.reconcile()
    assert found.disagreements == (
        Disagreement("identity", TWO, GRANTED, 2, 1),
        Disagreement("identity", TWO, None, 2, 1),
    )
    assert stage.bell.rung == [found]


@pytest.mark.planted
async def test_an_entry_without_its_act_rings(stage: Stage) -> None:
    stage.act(stage.keys, ONE, LEASED)
    del stage.keys.acts[ONE, LEASED]
    found = await stage.reconcile()
    assert found.disagreements == (
        Disagreement("keys", ONE, LEASED, 0, 2),
        Disagreement("keys", ONE, None, 0, 2),
    )


@pytest.mark.planted
async def test_an_entry_that_no_projector_can_have_written_rings(stage: Stage) -> None:
    stage.logs.enter(TWO, "identity", 900, GRANTED)
    stage.logs.cursors["identity"] = stage.identity.head
    found = await stage.reconcile()
    assert found.disagreements == (Disagreement("identity", TWO, None, 1, 2),)


@pytest.mark.planted
async def test_an_entry_of_a_source_that_there_is_not_rings(stage: Stage) -> None:
    stage.logs.enter(TWO, "media", 1, "media.object.stored")
    found = await stage.reconcile()
    assert found.disagreements == (Disagreement("media", TWO, None, 0, 1),)


async def test_acts_after_the_comparison_began_are_for_the_next_one(stage: Stage) -> None:
    await stage.reconcile()
    position = stage.identity.act(ONE, GRANTED)
    stage.keys.is_away = True
    stage.logs.enter(ONE, "identity", position, GRANTED)
    stage.logs.enter(ONE, "identity", position + 1, GRANTED)  # done a moment after the acts were counted
    found = await stage.reconcile(whole=False)
    assert found.counts["identity"] == (3, 3, 3)
    assert not found.disagreements
    stage.identity.act(ONE, GRANTED)
    assert (await stage.reconcile(whole=False)).counts["identity"] == (4, 4, 4)


async def test_each_leaf_is_read_once_unless_all_are_to_be_walked(stage: Stage) -> None:
    await stage.reconcile.go_on()
    first = len(stage.logs.reads)
    stage.act(stage.identity, TWO, GRANTED)
    await stage.reconcile.go_on()
    assert stage.logs.reads[first:] == [(TWO, 1)]
    await stage.reconcile()
    assert len(stage.logs.reads) == first + 1 + 4


async def test_what_is_not_sequenced_in_time_is_not_compared_and_rings_no_alarm(stage: Stage) -> None:
    stage.identity.act(ONE, GRANTED)
    found = await stage.reconcile()
    assert found.unsettled == {"identity": "behind"}
    assert found.counts == {"keys": (1, 1, 1)}
    assert not found.disagreements


async def test_what_no_checkpoint_covers_is_not_compared(stage: Stage) -> None:
    stage.logs.unpublished = {ONE: 1, TWO: 1}
    found = await stage.reconcile()
    assert found.left_out == {ONE: "unpublished", TWO: "unpublished"}
    assert not found.is_settled
    assert found.total == (0, 0, 0)


@pytest.mark.planted
async def test_a_log_without_a_checkpoint_hides_no_act_of_another_tenant(stage: Stage) -> None:
    stage.logs.unpublished = {ONE: 1}
    stage.identity.acts[TWO, GRANTED] += 1
    found = await stage.reconcile()
    assert found.left_out == {ONE: "unpublished"}
    assert not found.unsettled
    assert found.disagreements == (
        Disagreement("identity", TWO, GRANTED, 2, 1),
        Disagreement("identity", TWO, None, 2, 1),
    )
    assert found.counts == {"identity": (2, 1, 1), "keys": (0, 0, 0)}


async def test_an_alarm_goes_on_while_its_log_is_left_out(stage: Stage) -> None:
    stage.identity.acts[TWO, GRANTED] += 1
    alarm = (await stage.reconcile()).disagreements
    stage.logs.unpublished = {TWO: 1}
    found = await stage.reconcile(whole=False)
    assert (found.left_out, found.disagreements) == ({TWO: "unpublished"}, alarm)
    stage.logs.unpublished = {}
    stage.identity.acts[TWO, GRANTED] -= 1
    assert not (await stage.reconcile()).disagreements


async def test_an_alarm_goes_on_while_its_source_is_away(stage: Stage) -> None:
    stage.identity.acts[TWO, GRANTED] += 1
    await stage.reconcile.go_on()
    stage.identity.is_away = True
    found = await stage.reconcile()
    assert found.unsettled == {"identity": "away"}
    assert len(found.disagreements) == 2
    stage.identity.is_away = False
    del stage.identity.acts[TWO, GRANTED]
    stage.identity.acts[TWO, GRANTED] = 1
    assert not (await stage.reconcile()).disagreements


async def test_a_log_that_came_back_from_a_backup_is_walked_anew(stage: Stage) -> None:
    await stage.reconcile()
    stage.logs.written[TWO].clear()
    stage.logs.told = [one for one in stage.logs.told if one[0] != TWO]
    found = await stage.reconcile(whole=False)
    assert Disagreement("identity", TWO, None, 1, 0) in found.disagreements


@pytest.mark.planted
async def test_a_log_that_cannot_be_walked_is_told_of_and_hides_no_act_of_another_tenant(
    stage: Stage,
) -> None:
    stage.logs.written[TWO][0] = stage.logs.written[ONE][0]
    stage.keys.acts[ONE, LEASED] += 1
    found = await stage.reconcile()
    assert [(damage.tenant, damage.index) for damage in stage.bell.damage] == [(TWO, 0)]
    assert found.left_out == {TWO: "damaged"}
    assert not found.is_settled
    assert found.disagreements == (
        Disagreement("keys", ONE, LEASED, 2, 1),
        Disagreement("keys", ONE, None, 2, 1),
    )
    assert stage.bell.rung == [found]
