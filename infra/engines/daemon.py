"""A server as a child of ours: it dies with us, is never started twice, has no secret in its arguments."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from infra.engines import kernel
from infra.engines.errors import EngineFailed
from infra.engines.folders import open_log, write_private
from infra.engines.steps import advance

_ORPHAN_SECONDS = 15.0
_PLAIN_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "TZ": "UTC"}


@dataclass(frozen=True)
class Command:
    """What to execute: arguments, environment, the log and how the child ends."""

    name: str
    argv: Sequence[str]
    log: Path
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 20.0
    environment: Mapping[str, str] = field(default_factory=dict)
    before_exec: Callable[[], None] | None = None


class Engine(Protocol):
    """A server that can be started, watched and stopped."""

    name: str

    def starting(self) -> Iterator[None]:
        """Start, yielding while there is something to wait for; EngineFailed when it cannot be."""
        ...

    def ask_to_stop(self) -> None:
        """Begin to end it, without waiting."""
        ...

    def stop(self) -> None:
        """End it in order, and by force when it does not listen."""
        ...

    @property
    def pid(self) -> int | None:
        """Return the pid while it runs."""
        ...


class Daemon:
    """One child, remembered on disk by pid and start time so that the next run finds an orphan."""

    def __init__(self, record: Path) -> None:
        """Keep the pid and start time of the child in the file `record`."""
        self._record = record
        self._child: subprocess.Popen[bytes] | None = None
        self._command: Command | None = None
        self._asked = False

    @property
    def pid(self) -> int | None:
        """Return the child's pid, or None when it does not run; a dead child is reaped."""
        if self._child is None or self._child.poll() is not None:
            return None
        return self._child.pid

    @property
    def exit_code(self) -> int | None:
        """Return how the child ended: its code, or minus the signal; None while it runs."""
        return None if self._child is None else self._child.poll()

    def spawn(self, command: Command) -> int:
        """Start `command` and return its pid.

        The calling thread must live as long as the child: the kernel counts the thread's end as the
        parent's death.
        """
        self._command = command
        self._asked = False
        self._child = popen(command)
        remember(self._record, self._child.pid)
        return self._child.pid

    def reclaim(self, by: signal.Signals) -> Iterator[None]:
        """End what an earlier run left behind, yielding until it is gone."""
        yield from ending_of_orphan(self._record, by)

    def ask_to_stop(self) -> None:
        """Send the command's signal, once: some servers take a second one for impatience."""
        if self.pid is not None and self._command is not None and not self._asked:
            self._asked = True
            os.kill(self.pid, self._command.stop_signal)

    def stop(self) -> None:
        """Ask, wait, and kill what does not end; forget the record."""
        self.ask_to_stop()
        if self._child is not None and self._command is not None:
            try:
                self._child.wait(self._command.stop_seconds)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
        self._record.unlink(missing_ok=True)


class Server:
    """What every launcher of a server shares: its one process, and where that writes its words."""

    def __init__(self, record: Path, log: Path) -> None:
        """Keep the pid in the file `record`, and the server's words in `log`."""
        self._daemon = Daemon(record)
        self._log = log

    @property
    def pid(self) -> int | None:
        """Return the server's pid while it runs."""
        return self._daemon.pid

    @property
    def log(self) -> Path:
        """Return where the server writes its words."""
        return self._log

    def ask_to_stop(self) -> None:
        """Begin to end it, without waiting."""
        self._daemon.ask_to_stop()

    def stop(self) -> None:
        """End the server in order, as its command asks for it: what it has not written is written."""
        self._daemon.stop()


def popen(command: Command) -> subprocess.Popen[bytes]:
    """Start `command` as a child that dies with this thread, its words going to the log."""
    kernel.prepare()
    parent = os.getpid()

    def before_exec() -> None:
        if command.before_exec is not None:
            command.before_exec()
        kernel.die_with_parent(parent, command.stop_signal)

    log = open_log(command.log)
    try:
        return subprocess.Popen(
            command.argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env={**_PLAIN_ENVIRONMENT, **command.environment},
            start_new_session=True,  # Ctrl-C at the terminal is the runner's to pass on, in order
            preexec_fn=before_exec,  # noqa: PLW1509 - two system calls, prepared before the fork
        )
    finally:
        os.close(log)


def remember(record: Path, pid: int) -> None:
    """Write who `pid` is, so that `ending_of_orphan` cannot take another program for it."""
    facts = {"pid": pid, "started": kernel.find_start_time(pid), "boot": kernel.boot_id()}
    write_private(record, json.dumps(facts).encode())


def find_remembered(record: Path) -> int | None:
    """Return the pid in `record` if that very program still runs."""
    try:
        facts = json.loads(record.read_bytes())
        pid, started, boot = int(facts["pid"]), facts["started"], facts["boot"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if started is None or boot != kernel.boot_id() or kernel.find_start_time(pid) != started:
        return None
    return pid


def ending_of_orphan(record: Path, by: signal.Signals) -> Iterator[None]:
    """End the program that `record` names, first by the signal `by`, yielding until it is gone."""
    deadline = time.monotonic() + _ORPHAN_SECONDS
    asked = False
    while (pid := find_remembered(record)) is not None:
        if not asked or time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL if asked else by)
            asked = True
        yield
    record.unlink(missing_ok=True)


def running(name: str, child: subprocess.Popen[bytes], log: Path) -> Iterator[None]:
    """Yield until `child` has ended; EngineFailed when it ended badly."""
    while child.poll() is None:
        yield
    if child.returncode != 0:
        raise EngineFailed(name, f"ended with code {child.returncode}", log)


def start(engine: Engine, timeout: float = 60.0) -> None:
    """Start one engine and return when it is ready; it is stopped again when it is not in time."""
    try:
        advance(engine.starting(), timeout)
    except BaseException:
        engine.stop()
        raise
