"""Keeps everything running: what dies is started again, with back-off, until the runner is told to stop.

One thread and one loop. Every child is ours to reap, and dies with us by the kernel's hand.
"""

import os
import select
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Self

from infra.engines.daemon import Engine
from infra.engines.errors import EngineError
from infra.engines.steps import goes_on
from libs.kernel.clock import Clock
from services.runner.errors import Interrupted
from services.runner.journal import Journal

_BUSY_SECONDS = 0.01
_IDLE_SECONDS = 0.25
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 10.0
_PROVEN_SECONDS = 30.0
_START_SECONDS = 60.0
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def pause_of(failures: int) -> float:
    """Return the seconds to wait before the next start, after so many failures in a row."""
    return min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0 ** min(failures, 20))


class StopSignals:
    """Remembers that a signal asked to stop, and wakes the loop for it and for ended children."""

    def __init__(self) -> None:
        """Wait for nothing yet."""
        self.asked = False
        self._read = self._write = -1

    def __enter__(self) -> Self:
        """Take the signals over."""
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._before = {number: signal.signal(number, self._note) for number in _STOP_SIGNALS}
        self._before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        return self

    def __exit__(self, *_: object) -> None:
        """Give the signals back."""
        signal.set_wakeup_fd(-1)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._read)
        os.close(self._write)

    def wait(self, seconds: float) -> None:
        """Sleep until a signal comes, at most `seconds`."""
        if select.select([self._read], [], [], seconds)[0]:
            os.read(self._read, 4096)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True


@dataclass
class _Watched:
    engine: Engine
    since: float  # when the present state began
    starting: Iterator[None] | None = None
    due: float | None = None  # when the next start is due, once it has ended
    failures: int = 0


class Supervisor:
    """Watches engines and services alike."""

    def __init__(self, journal: Journal, clock: Clock, signals: StopSignals) -> None:
        """Tell `journal` what happens; stop when `signals` say so."""
        self._journal = journal
        self._clock = clock
        self._signals = signals
        self._watched: list[_Watched] = []
        self._begun: list[Engine] = []
        self._restarted: Callable[[], None] = lambda: None

    def starting(self, engine: Engine) -> Iterator[None]:
        """Start an engine for the first time, then watch it; its first failure is the caller's to bear."""
        self._begun.append(engine)
        yield from engine.starting()
        self._watched.append(_Watched(engine, since=self._clock.monotonic()))

    def bring_up(self, step: Iterator[None]) -> None:
        """Advance `step` until it is through; Interrupted when a signal comes first."""
        while goes_on(step):
            self._refuse_stop()
            self._signals.wait(_BUSY_SECONDS)
        self._refuse_stop()

    def watch(self, restarted: Callable[[], None]) -> None:
        """Start again what dies, until a signal asks to stop; call `restarted` after each restart."""
        self._restarted = restarted
        while not self._signals.asked:
            for watched in self._watched:
                self._look_at(watched)
            starts = any(watched.starting is not None for watched in self._watched)
            self._signals.wait(_BUSY_SECONDS if starts else _IDLE_SECONDS)

    def pids(self) -> dict[str, int]:
        """Return the pid of everything that runs."""
        return {engine.name: engine.pid for engine in self._begun if engine.pid is not None}

    def stop(self, *waves: Sequence[Engine]) -> None:
        """Stop wave after wave; within one, all are asked before the first is waited for."""
        for wave in waves:
            begun = [engine for engine in wave if engine in self._begun]
            for engine in begun:
                engine.ask_to_stop()
            for engine in begun:
                engine.stop()
                self._journal.note("stopped", process=engine.name)

    def _refuse_stop(self) -> None:
        if self._signals.asked:
            raise Interrupted

    def _look_at(self, watched: _Watched) -> None:
        now = self._clock.monotonic()
        if watched.starting is not None:
            self._go_on_starting(watched, now)
        elif watched.due is not None:
            if now >= watched.due:
                watched.starting, watched.since, watched.due = watched.engine.starting(), now, None
        elif watched.engine.pid is None:
            if now - watched.since > _PROVEN_SECONDS:
                watched.failures = 0
            self._journal.note("ended", process=watched.engine.name, failures=watched.failures)
            self._schedule(watched, now)

    def _schedule(self, watched: _Watched, now: float) -> None:
        watched.starting, watched.due = None, now + pause_of(watched.failures)
        watched.failures += 1

    def _go_on_starting(self, watched: _Watched, now: float) -> None:
        assert watched.starting is not None  # noqa: S101 - for the type checker; its only caller looked
        try:
            if now - watched.since > _START_SECONDS:
                watched.engine.stop()
                raise TimeoutError("it was not ready in time")
            if goes_on(watched.starting):
                return
        except (EngineError, OSError) as error:
            self._journal.note("start failed", process=watched.engine.name, reason=str(error))
            self._journal.say(f"{watched.engine.name} could not be started again; trying on")
            self._schedule(watched, now)
            return
        watched.starting, watched.since = None, now
        self._journal.note("restarted", process=watched.engine.name, pid=watched.engine.pid)
        self._journal.say(f"{watched.engine.name} had ended and was started again")
        self._restarted()
