"""A hold is placed while a run destroys and executors are killed: what it keeps stays, from one moment on."""

import asyncio
import contextlib
import random
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from libs.client.errors import ClientError
from tests.e2e.runner.test_evidence import ran
from tests.faults.archive import PROCESSES, Archive, Held, archive_of, comes_about, duplicates_in, until
from tests.support.platform import Platform
from tests.support.town import Town

pytestmark = pytest.mark.xdist_group("faults")

EXECUTORS: Final = tuple(PROCESSES)
LAGGING: Final = ("keys", "ediscovery")
"""Of whom one stands still while the hold is placed, and then dies; messaging stands before its lock."""
SEEDS: Final = 8


@dataclass
class Watch:
    """What is seen of a hold by who looks all the time."""

    archive: Archive
    held: Held
    hold: str
    generation: int
    at_confirmation: frozenset[str] | None = None
    complaints: list[str] = field(default_factory=list)

    async def look(self) -> None:
        """See that it is not in force before all have confirmed, and what is there once messaging has.

        What is shown is read first: an executor that has not confirmed after that had not before.
        """
        with contextlib.suppress(ClientError):
            shown = await self.archive.officials.counsel.get(f"/holds/v1/holds/{self.hold}")
            if shown["state"] == "in-force":
                for executor in EXECUTORS:
                    if await asyncio.to_thread(self.archive.generation, executor) < self.generation:
                        self.complaints.append(f"in force before {executor} confirmed")
        if self.at_confirmation is None:
            generation, there = await asyncio.to_thread(self.archive.there, self.held)
            if generation >= self.generation:
                self.at_confirmation = there

    @asynccontextmanager
    async def looking(self) -> AsyncIterator[None]:
        """Look all the time during the context, and once more."""

        async def look_on() -> None:
            while True:
                await self.look()
                await asyncio.sleep(0.02)

        looking = asyncio.create_task(look_on())
        try:
            yield
        finally:
            looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await looking
        await self.look()

    def lost(self, now: frozenset[str]) -> list[str]:
        """Return what was held when messaging confirmed, and is gone."""
        assert self.at_confirmation is not None
        return sorted(self.at_confirmation - now)


@dataclass
class Story:
    """One run with a hold in its midst, by a seed."""

    archive: Archive
    seed: int

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.total = len(self.archive.there()[1])

    async def strike(self) -> None:
        """Kill none, one or two of the executors without notice; the supervisor starts them again."""
        platform = self.archive.platform
        victims = self.chance.sample(list(PROCESSES.values()), self.chance.choice([0, 1, 1, 2]))
        await asyncio.to_thread(platform.begin_anew, victims)

    async def told(self) -> tuple[str, Watch]:
        """Place a hold while the run stands still over something held; return the run, and what was seen."""
        archive, chance = self.archive, self.chance
        # not in the first transaction, so that something is destroyed before
        item = archive.item(chance.randrange(self.total // 2, self.total))
        others = chance.sample(sorted({*archive.rooms} - {item.room}), chance.choice([0, 3, 60]))
        held = Held([item.room, *others], chance.choice([None, item.sent_at]))
        request = await archive.due()
        assert (request["ripe"], request["preserved"]) == (self.total, 0)
        with archive.standing_still(item):
            run = await archive.approve(request)
            await comes_about(archive.stands_still, "the run does not stand still")
            await self.strike()
            watch = await self._placed_with_one_lagging(held)
            async with watch.looking():
                await self.strike()
                await until(
                    archive.officials.counsel,
                    f"/holds/v1/holds/{watch.hold}",
                    lambda shown: shown["state"] == "in-force" or shown["missing"] == ["messaging"],
                )
        async with watch.looking():
            await self.strike()
            await until(
                archive.officials.counsel,
                f"/holds/v1/holds/{watch.hold}",
                lambda shown: shown["state"] == "in-force",
            )
            await archive.ended(run)
        return run, watch

    async def _placed_with_one_lagging(self, held: Held) -> Watch:
        """Place the hold while one executor stands still and messaging destroys; then that one dies."""
        archive, platform = self.archive, self.archive.platform
        lagging = self.chance.choice(LAGGING)
        (prompt,) = {*LAGGING} - {lagging}
        pid = platform.kill(PROCESSES[lagging], signal.SIGSTOP)
        try:
            watch = Watch(archive, held, await archive.place_hold(held), 1)
            async with watch.looking():
                await comes_about(lambda: archive.generation(prompt) == 1, f"{prompt} does not confirm")
                await comes_about(
                    lambda: archive.waits_for_run() or archive.generation("messaging") == 1,
                    "messaging does not take the hold in",
                )
                shown = await archive.officials.counsel.get(f"/holds/v1/holds/{watch.hold}")
                if shown["state"] != "placed" or lagging not in shown["missing"]:
                    watch.complaints.append(f"{lagging} stands still, and the hold is {shown['state']}")
        finally:
            platform.kill(PROCESSES[lagging])
        await asyncio.to_thread(platform.wait_for_restart, PROCESSES[lagging], pid)
        return watch


async def reconciles(story: Story, run: str, watch: Watch) -> list[str]:
    """Destroy what is left and not held, and return whatever does not add up."""
    archive, complaints = story.archive, list(watch.complaints)
    _, left = archive.there()
    complaints += [f"{place} is destroyed, and was held" for place in watch.lost(left)]
    first = await archive.ended(run)
    if first["destroyed"] != story.total - len(left):
        complaints.append(f"{first['destroyed']} were told of, and {story.total - len(left)} are gone")
    _, held = archive.there(watch.held)
    if first["refused"] not in ("GenerationPassed", None) or (first["refused"] is None and left):
        complaints.append(f"the run ended with {first['refused']}, and left {len(left)}")

    rest = await archive.due()
    if (rest["preserved"], rest["ripe"]) != (len(held), len(left - held)):
        complaints.append(f"{rest['preserved']} are preserved and {rest['ripe']} due, of {len(left)}")
    runs = {run: first}
    if left - held:
        other = await archive.approve(rest)
        runs[other] = await archive.ended(other)
    _, kept = archive.there()
    if kept != held:
        complaints.append(f"{len(kept)} are kept, and {len(held)} were held")

    certified: list[str] = []
    for each, done in runs.items():
        if done["destroyed"]:
            certified += await archive.certified(each)
    gone = archive.rows(
        "messaging",
        "SELECT d.conversation || '/' || generate_series(d.first_seq, d.last_seq)"
        " FROM messaging.destroyed d WHERE d.tenant = %s",
        archive.tenant,
    )
    if duplicates_in(certified) or set(certified) != {place for (place,) in gone}:
        complaints.append("what is certified is not what was destroyed")
    if len(certified) + len(kept) != story.total:
        complaints.append(f"{len(certified)} are certified and {len(kept)} kept, of {story.total}")
    ((expunged,),) = archive.rows(
        "ediscovery", "SELECT sum(e.items) FROM ediscovery.expunged e WHERE e.tenant = %s", archive.tenant
    )
    if (expunged or 0) != len(certified):
        complaints.append(f"the words of {expunged} are gone, and {len(certified)} are certified")
    counted = await ran("audit", "reconcile", "--data", archive.platform.data, "--json")
    if counted.returncode != 0:
        complaints.append(f"the log does not reconcile: {counted.stdout}{counted.stderr}")
    return complaints


@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=[pytest.mark.prove] if seed else []) for seed in range(SEEDS)]
)
async def test_a_hold_amid_a_run_keeps_what_is_there_whoever_is_killed(
    town: Town, tmp_path: Path, seed: int
) -> None:
    async with archive_of(town, tmp_path) as archive:
        story = Story(archive, seed)
        run, watch = await story.told()
        assert await reconciles(story, run, watch) == []


@pytest.fixture
def defective(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Platform]:
    """Give a platform of which every process has a planted defect."""
    program = ("-m", "tests.faults.defective", request.param)
    platform = Platform(tmp_path / "data", program=program).start()
    yield platform
    platform.stop()


@pytest.mark.planted
@pytest.mark.prove
@pytest.mark.parametrize(
    ("defective", "complaint"),
    [
        ("without_a_barrier", "is destroyed, and was held"),
        ("without_waiting_for_messaging", "in force before"),
    ],
    indirect=["defective"],
)
async def test_a_platform_without_it_is_noticed(defective: Platform, tmp_path: Path, complaint: str) -> None:
    async with (
        httpx.AsyncClient(timeout=30, trust_env=False) as http,
        archive_of(Town(defective, http), tmp_path) as archive,
    ):
        story = Quiet(archive, 0)
        run, watch = await story.told()
        _, left = archive.there()
        lost = [f"{place} is destroyed, and was held" for place in watch.lost(left)]
        found: Any = [*watch.complaints, *lost]
        assert any(complaint in each for each in found), (run, found)


class Quiet(Story):
    """One in which nobody is killed but who stood still."""

    async def strike(self) -> None:
        """Let everybody live."""
