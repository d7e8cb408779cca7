"""Children of the runner: forked after everything heavy was imported, so that they share its memory."""

import gc
import http.client
import importlib
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from infra.engines import kernel
from infra.engines.daemon import ending_of_orphan, remember
from infra.engines.errors import EngineFailed
from infra.engines.folders import open_log

_HEAVY = (
    "uvloop",
    "httptools",
    "websockets",
    "msgspec",
    "pydantic",
    "fastapi",
    "httpx",
    "uvicorn",
    "psycopg",
    "psycopg_pool",
    "redis.asyncio",
    "jwt",
    "structlog",
    "prometheus_client",
    "libs.host.serve",
    "services.audit.wiring",
    "services.ediscovery.wiring",
    "services.holds.wiring",
    "services.identity.wiring",
    "services.keys.wiring",
    "services.messaging.wiring",
    "services.retention.wiring",
)
_POLL_SECONDS = 0.05
_ANSWER_SECONDS = 1.0
_STOP_SECONDS = 12.0  # a little more than a service takes to drain
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)


def preloading() -> Iterator[None]:
    """Import what every service needs, a module at a time, then freeze it for the children to share."""
    for name in _HEAVY:
        importlib.import_module(name)
        yield
    gc.collect()
    gc.freeze()  # the children's collectors leave these pages alone, so they stay shared


def fork(run: Callable[[], int], log: Path, closing: Sequence[int]) -> int:
    """Run `run` in a child that dies with us and return its pid; the child ends with the returned code.

    `closing` are descriptors that the child must not keep open, the data folder's lock above all.
    """
    kernel.prepare()
    parent = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        _become_child(parent, log, closing)
        code = run()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException as error:  # noqa: BLE001 - the last frame of this process: it reports and ends
        _report(error)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _become_child(parent: int, log: Path, closing: Sequence[int]) -> None:
    kernel.die_with_parent(parent, signal.SIGTERM)
    os.setsid()  # Ctrl-C at the terminal is the runner's to pass on, in order
    signal.set_wakeup_fd(-1)
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    for descriptor in closing:
        os.close(descriptor)
    nothing, words = os.open(os.devnull, os.O_RDONLY), open_log(log)
    os.dup2(nothing, 0)
    os.dup2(words, 1)
    os.dup2(words, 2)
    os.close(nothing)
    os.close(words)


def _report(error: BaseException) -> None:
    """Write an error's type and frames; its message only where it is ours, for others may quote secrets."""
    from libs.telemetry.logs import exception_facts

    ours = type(error).__module__.split(".")[0] in {"libs", "services", "infra"}
    print({"event": "ended by an error", "exception": exception_facts(error)}, file=sys.stderr)
    if ours:
        print(str(error), file=sys.stderr)


def finishing(name: str, run: Callable[[], int], log: Path, closing: Sequence[int]) -> Iterator[None]:
    """Run a piece of work in a child, yielding until it has ended; EngineFailed when it ended badly."""
    pid = fork(run, log, closing)
    try:
        while (status := os.waitpid(pid, os.WNOHANG))[0] == 0:
            yield
    except GeneratorExit:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    code = os.waitstatus_to_exitcode(status[1])
    if code != 0:
        raise EngineFailed(name, f"failed (code {code})", log)


class ServiceChild:
    """One process of a service: a forked child that counts as ready when its /readyz says so."""

    def __init__(
        self,
        name: str,
        run: Callable[[], int],
        socket_path: Path,
        record: Path,
        log: Path,
        closing: Sequence[int],
    ) -> None:
        """Run `run`, which serves on `socket_path`; keep the pid in `record` and the words in `log`."""
        self.name = name
        self.log = log
        self._run = run
        self._socket = socket_path
        self._record = record
        self._closing = closing
        self._pid: int | None = None
        self._exit_code: int | None = None

    @property
    def pid(self) -> int | None:
        """Return the child's pid, or None when it does not run; a dead child is reaped."""
        if self._pid is not None:
            ended, status = os.waitpid(self._pid, os.WNOHANG)
            if ended:
                self._pid, self._exit_code = None, os.waitstatus_to_exitcode(status)
        return self._pid

    def starting(self) -> Iterator[None]:
        """Fork, yielding until the process says that it is ready."""
        yield from ending_of_orphan(self._record, signal.SIGTERM)
        self._pid = fork(self._run, self.log, self._closing)
        remember(self._record, self._pid)
        asked_at = 0.0
        while True:
            if self.pid is None:
                raise EngineFailed(self.name, f"ended with code {self._exit_code}", self.log)
            if time.monotonic() - asked_at >= _POLL_SECONDS:
                if is_ready(self._socket):
                    return
                asked_at = time.monotonic()
            yield

    def ask_to_stop(self) -> None:
        """Begin to drain it."""
        if self.pid is not None:
            os.kill(self.pid, signal.SIGTERM)

    def stop(self) -> None:
        """Wait until it has drained; kill it when it takes too long."""
        self.ask_to_stop()
        deadline = time.monotonic() + _STOP_SECONDS
        while self.pid is not None:
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
            time.sleep(0.01)
        self._record.unlink(missing_ok=True)


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path, timeout: float) -> None:
        """Connect to `path`; no answer may take longer than `timeout` seconds."""
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def is_ready(socket_path: Path, path: str = "/readyz") -> bool:
    """Say whether the process on this socket answers 200."""
    connection = UnixConnection(socket_path, _ANSWER_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
