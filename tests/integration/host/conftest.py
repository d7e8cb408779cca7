"""Real processes that serve the trial app, forked from one that has imported everything, as in production."""

import multiprocessing
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

import httpx
import pytest

SECONDS = 20.0
MODULE = "tests.integration.host.program"


def run(output: str, listen: str, options: tuple[str, ...]) -> None:
    """Serve in this process, with standard output and error in two files."""
    for number, name in ((1, "out"), (2, "err")):
        file = os.open(f"{output}.{name}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(file, number)
    sys.stdout = os.fdopen(1, "w", buffering=1)
    sys.stderr = os.fdopen(2, "w", buffering=1)
    from tests.integration.host.program import main  # noqa: PLC0415 - the fork server has it already

    sys.exit(main(listen, options))


class Program:
    """One process, and ways to reach it."""

    def __init__(
        self, context: ForkServerContext, output: Path, listen: str, options: tuple[str, ...]
    ) -> None:
        self.listen = listen
        self._output = output
        self.process: ForkServerProcess = context.Process(target=run, args=(str(output), listen, options))
        self.process.start()

    @property
    def url(self) -> str:
        return self.listen if self.listen.startswith("unix:") else f"http://{self.listen}"

    @property
    def out(self) -> str:
        return Path(f"{self._output}.out").read_text()

    @property
    def err(self) -> str:
        return Path(f"{self._output}.err").read_text()

    def client(self) -> httpx.Client:
        path = self.listen.removeprefix("unix:") if self.listen.startswith("unix:") else None
        return httpx.Client(
            transport=httpx.HTTPTransport(uds=path),
            base_url="http://trial" if path else self.url,
            timeout=SECONDS,
        )

    def wait_until_ready(self) -> None:
        def ready() -> bool:
            assert self.process.is_alive(), self.err
            try:
                with self.client() as client:
                    return client.get("/readyz").status_code == 200
            except httpx.HTTPError:
                return False

        wait_for(ready)

    def send_signal(self, signal: int) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, signal)

    def end(self, signal: int | None = None) -> tuple[int | None, str, str]:
        """Send the signal, if any; return exit code, standard output and standard error."""
        if signal is not None:
            self.send_signal(signal)
        self.process.join(SECONDS)
        return self.process.exitcode, self.out, self.err


Start = Callable[..., Program]


def wait_for(condition: Callable[[], bool]) -> None:
    """Return when the condition holds; fail after a while."""
    end = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > end:
            pytest.fail("it did not happen in time")
        time.sleep(0.01)


@pytest.fixture(scope="session")
def forking() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([MODULE])
    return context


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="m-", dir="/tmp"))  # a socket's path must be short
    yield path
    shutil.rmtree(path)


@pytest.fixture
def start(forking: ForkServerContext, folder: Path) -> Iterator[Start]:
    programs: list[Program] = []

    def started(listen: str, *options: str, ready: bool = True) -> Program:
        program = Program(forking, folder / f"program-{len(programs)}", listen, options)
        programs.append(program)
        if ready:
            program.wait_until_ready()
        return program

    yield started
    for program in programs:
        program.process.kill()
        program.process.join(SECONDS)


@pytest.fixture(params=["unix", "tcp"])
def listen(request: pytest.FixtureRequest, folder: Path) -> str:
    return f"unix:{folder}/p.sock" if request.param == "unix" else free_address()


def free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"
