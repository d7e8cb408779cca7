"""The supervisor's rules, on a clock that stands still and on children that are scripts."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from infra.engines.errors import EngineFailed
from libs.kernel.clock import ManualClock
from services.runner.errors import Interrupted
from services.runner.journal import Journal
from services.runner.supervise import StopSignals, Supervisor, pause_of

_PASSES = 5


class Scripted:
    """An engine that lives and dies as the test says."""

    def __init__(self, name: str = "engine") -> None:
        self.name = name
        self.pid: int | None = None
        self.starts = 0
        self.fails = False
        self.told: list[str] = []

    def starting(self) -> Iterator[None]:
        self.starts += 1
        yield
        if self.fails:
            raise EngineFailed(self.name, "ended with code 1", Path("log"))
        self.pid = self.starts

    def ask_to_stop(self) -> None:
        self.told.append("ask")

    def stop(self) -> None:
        self.told.append("stop")
        self.pid = None


class Watch:
    """A supervisor whose loop runs for a given number of passes."""

    def __init__(self) -> None:
        self.clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
        self.signals = Passes()
        self.journal = Journal(None, self.clock, quiet=True)
        self.restarts = 0
        self.supervisor = Supervisor(self.journal, self.clock, self.signals)

    def look(self, *, after: float = 0.0) -> None:
        """Let the supervisor look a few times, `after` seconds from now."""
        self.clock.advance(after)
        self.signals.left, self.signals.asked = _PASSES, False
        self.supervisor.watch(self._count)

    def _count(self) -> None:
        self.restarts += 1

    def up(self, *engines: Scripted) -> None:
        for engine in engines:
            self.signals.left, self.signals.asked = 100, False
            self.supervisor.bring_up(self.supervisor.starting(engine))


class Passes(StopSignals):
    """Signals that ask to stop after some passes, instead of sleeping."""

    def __init__(self) -> None:
        super().__init__()
        self.left = 100

    def wait(self, seconds: float) -> None:
        self.left -= 1
        self.asked = self.left <= 0


def test_the_pause_doubles_and_is_bounded():
    pauses = [pause_of(failures) for failures in range(40)]
    assert pauses == sorted(pauses)
    assert pauses[:4] == [0.1, 0.2, 0.4, 0.8]
    assert pauses[-1] == 10


def test_what_dies_is_started_again_after_its_pause():
    watch, engine = Watch(), Scripted()
    watch.up(engine)
    engine.pid = None
    watch.look()
    assert engine.starts == 1
    watch.look(after=0.2)
    assert engine.starts == 2
    assert watch.supervisor.pids() == {"engine": 2}
    assert watch.restarts == 1


def test_one_that_dies_again_and_again_waits_longer_each_time():
    watch, engine = Watch(), Scripted()
    watch.up(engine)
    for _ in range(4):
        engine.pid = None
        watch.look()
        watch.look(after=5)
    engine.pid = None
    watch.look()
    watch.look(after=0.8)
    assert engine.starts == 5
    watch.look(after=0.9)
    assert engine.starts == 6


def test_one_that_has_run_long_enough_starts_at_once_again():
    watch, engine = Watch(), Scripted()
    watch.up(engine)
    for _ in range(6):
        engine.pid = None
        watch.look()
        watch.look(after=31)
    assert engine.starts == 7
    engine.pid = None
    watch.look(after=31)
    watch.look(after=0.2)
    assert engine.starts == 8


def test_a_start_that_fails_is_tried_again_and_hurts_no_other():
    watch, broken, well = Watch(), Scripted("broken"), Scripted("well")
    watch.up(broken, well)
    broken.pid, broken.fails = None, True
    for _ in range(5):
        watch.look(after=11)
    assert broken.starts > 3
    assert (well.starts, well.pid) == (1, 1)
    broken.fails = False
    watch.look(after=11)
    watch.look(after=11)
    assert broken.pid is not None


def test_the_first_failure_is_the_callers_to_bear():
    watch, engine = Watch(), Scripted()
    engine.fails = True
    with pytest.raises(EngineFailed):
        watch.up(engine)


def test_a_signal_while_starting_interrupts():
    watch, engine = Watch(), Scripted()
    watch.signals.asked = True
    with pytest.raises(Interrupted):
        watch.supervisor.bring_up(watch.supervisor.starting(engine))


def test_stopping_asks_a_whole_wave_before_it_waits_and_skips_what_never_began():
    watch, first, second, never = Watch(), Scripted("first"), Scripted("second"), Scripted("never")
    watch.up(first, second)
    order: list[str] = []
    for engine in (first, second):
        engine.ask_to_stop = lambda e=engine: order.append(f"ask {e.name}")  # type: ignore[method-assign,misc]
        engine.stop = lambda e=engine: order.append(f"stop {e.name}")  # type: ignore[method-assign,misc]
    watch.supervisor.stop([second, never], [first])
    assert order == ["ask second", "stop second", "ask first", "stop first"]
    assert never.told == []
