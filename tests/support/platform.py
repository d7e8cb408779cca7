"""Fixture: the whole platform, started by the command that people use, in a folder of its own."""

import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from infra.engines import kernel
from infra.engines.daemon import Command, find_remembered, popen
from infra.engines.openbao import OpenBaoServer
from services.runner.children import is_ready
from services.runner.peers import Operator
from tests.support.engines import ROOT

_UP_SECONDS = 120
_DOWN_SECONDS = 60
SERVICE_PROCESSES = (
    "audit",
    "ediscovery",
    "holds",
    "identity",
    "keys",
    "messaging-relay",
    "retention",
    "gw-1",
    "gw-2",
)
ENGINES = ("postgres", "keys-postgres", "valkey", "openbao", "caddy")


@dataclass
class Answer:
    """What came back over HTTP."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)


@dataclass
class Platform:
    """A running platform, with hands to hurt it."""

    data: Path
    options: tuple[str, ...] = ()
    become: Callable[[], None] = lambda: None
    program: tuple[str, ...] = ("-m", "services.runner")
    shown: dict[str, Any] = field(default_factory=dict)
    runner: "subprocess.Popen[bytes] | None" = None

    def start(self) -> "Platform":
        """Run `muniment up --json` and wait until it says that it is up."""
        out = self.data.with_name(f"{self.data.name}.up-{time.monotonic_ns()}")
        self.runner = self._popen(out)
        self.shown = self._said(out)
        return self

    def stop(self, by: signal.Signals = signal.SIGINT) -> int:
        """Stop it as Ctrl-C does and return its exit code."""
        assert self.runner is not None
        self.runner.send_signal(by)
        return self.runner.wait(_DOWN_SECONDS)

    def kill_runner(self) -> dict[str, int]:
        """Kill the runner without notice; return the pids that it had under it."""
        assert self.runner is not None
        pids = {name: self.pid(name) for name in (*SERVICE_PROCESSES, *ENGINES)}
        self.runner.kill()
        self.runner.wait()
        return pids

    @property
    def facts(self) -> dict[str, Any]:
        """Return what deployment.json says."""
        facts: dict[str, Any] = json.loads((self.data / "run" / "deployment.json").read_bytes())
        return facts

    @property
    def origin(self) -> str:
        """Return the one origin."""
        return str(self.shown["origin"])

    @property
    def operator(self) -> Operator:
        """Return the operator, for identity's internal routes."""
        return Operator(self.facts)

    def pid(self, name: str) -> int:
        """Return the present pid of a process, e.g. "gw-1", "postgres"."""
        pid = find_remembered(self.data / "run" / f"{name}.pid")
        if pid is None:
            raise LookupError(f"{name} does not run")
        return pid

    def kill(self, name: str, by: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to a process and return its pid."""
        pid = self.pid(name)
        os.kill(pid, by)
        return pid

    def wait_for_restart(self, name: str, old: int) -> int:
        """Wait until `name` runs under another pid and is ready; return that pid."""

        def again() -> bool:
            pid = find_remembered(self.data / "run" / f"{name}.pid")
            return pid not in (None, old) and self.is_ready(name)

        wait_until(again, f"{name} did not come back")
        return self.pid(name)

    def begin_anew(self, processes: Sequence[str]) -> None:
        """Kill processes, all of them before the first is back, and wait until everything is ready."""
        for name, old in [(name, self.kill(name)) for name in processes]:
            self.wait_for_restart(name, old)
        self.wait_until_ready()

    def is_ready(self, name: str) -> bool:
        """Say whether a process of a service answers /readyz; engines have none and count as ready."""
        address = {**self.facts["services"], **self.facts["gateways"]}.get(name)
        return address is None or is_ready(Path(address.removeprefix("unix:")))

    def wait_until_ready(self) -> None:
        """Wait until every process of every service says that it is ready, and the origin answers."""
        wait_until(lambda: all(map(self.is_ready, SERVICE_PROCESSES)), "not every service became ready again")
        wait_until(lambda: self.answers("/"), "the origin did not answer again")

    def answers(self, path: str) -> bool:
        """Say whether a path of the origin answers 200 at this moment."""
        try:
            return self.get(path).status == http.client.OK
        except OSError:
            return False

    def get(self, path: str, headers: dict[str, str] | None = None) -> Answer:
        """GET a path of the origin."""
        return self._asked("GET", path, None, headers or {})

    def post(self, path: str, body: object, headers: dict[str, str] | None = None) -> Answer:
        """POST a JSON body to a path of the origin."""
        return self._asked(
            "POST", path, json.dumps(body), {"Content-Type": "application/json", **(headers or {})}
        )

    def _asked(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> Answer:
        scheme, _, place = self.origin.partition("://")
        connection: http.client.HTTPConnection
        if scheme == "https":
            trust = ssl.create_default_context(cafile=self.shown["tls_root"])
            connection = http.client.HTTPSConnection(place, timeout=15, context=trust)
        else:
            connection = http.client.HTTPConnection(place, timeout=15)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def openbao(self) -> OpenBaoServer:
        """Return a way to seal and unseal the platform's vault; it starts and stops nothing."""
        port = int(self.facts["openbao"].rpartition(":")[2])
        return OpenBaoServer(self.data / "openbao", port, 0, self.data / "run" / "unused.pid")

    @contextmanager
    def told(self, processes: Sequence[str], service: str, settings: Mapping[str, float]) -> Iterator[None]:
        """Have processes of a service run with other settings during the context."""
        file = self.data / "settings.toml"
        before = file.read_text("utf-8")
        table = f"[{service}]\n"
        changed = "".join(f"{name} = {value}\n" for name, value in settings.items())
        assert table in before
        try:
            file.write_text(before.replace(table, table + changed), "utf-8")
            self.begin_anew(processes)
            yield
        finally:
            file.write_text(before, "utf-8")
            self.begin_anew(processes)

    def log(self, name: str) -> str:
        """Return what a process of a service wrote."""
        return (self.data / "log" / f"{name}.log").read_text(encoding="utf-8", errors="replace")

    def tree(self) -> list[psutil.Process]:
        """Return the runner and everything below it."""
        assert self.runner is not None
        runner = psutil.Process(self.runner.pid)
        return [runner, *runner.children(recursive=True)]

    def _popen(self, out: Path) -> "subprocess.Popen[bytes]":
        arguments = [sys.executable, *self.program, "up", "--json", "--data", str(self.data)]
        if "--port" not in self.options:
            arguments += ["--port", "0"]

        def prepare() -> None:
            os.chdir(ROOT)
            self.become()

        environment = {"PATH": os.environ["PATH"], "HOME": str(self.data.parent), "LANG": "C.UTF-8"}
        command = Command(
            "up", [*arguments, *self.options], out, environment=environment, before_exec=prepare
        )
        return popen(command)

    def _said(self, out: Path) -> dict[str, Any]:
        assert self.runner is not None

        def spoke() -> bool:
            assert self.runner is not None
            if self.runner.poll() is not None:
                pytest.fail(f"up ended with {self.runner.returncode}:\n{out.read_text()}{self._words()}")
            return out.read_text().rstrip().endswith("}")

        wait_until(spoke, "up did not come up", _UP_SECONDS)
        said: dict[str, Any] = json.loads(out.read_text().strip().splitlines()[-1])
        return said

    def _words(self) -> str:
        logs = sorted((self.data / "log").glob("*.log"))
        return "".join(f"\n--- {log.name}\n{log.read_text(errors='replace')[-2000:]}" for log in logs)


def wait_until(holds: Callable[[], bool], complaint: str, seconds: float = 60) -> None:
    """Look every 20 ms whether something holds; fail with the complaint after `seconds`."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            pytest.fail(complaint)
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    """Say whether a process has ended."""
    return kernel.find_start_time(pid) is None


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Give the platform of this run; mark its tests with `pytest.mark.xdist_group("platform")`.

    A test that kills something waits until it is back.
    """
    running = Platform(tmp_path_factory.mktemp("platform") / "data").start()
    yield running
    running.stop()
