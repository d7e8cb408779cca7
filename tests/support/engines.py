"""Fixtures: real servers, started at first use, shared by all workers of a run, gone when it ends."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from infra.engines import daemon, kernel
from infra.engines.errors import EngineNotProvisioned
from infra.engines.folders import private_folder
from infra.engines.openbao import OpenBaoServer
from infra.engines.opensearch import OpenSearchServer, installation
from infra.engines.postgres import PostgresServer
from infra.engines.valkey import ValkeyServer
from libs.kernel.secrets import Secret
from tests.support.keeper import Server, free_port, other_redis, provisioned, server_of

ROOT = Path(__file__).parents[2]
_READY_SECONDS = 180
_POLICY = ROOT / "policies" / "database" / "cross_tenant_roles.toml"


@dataclass(frozen=True)
class ServiceDatabase:
    """A database of one service, fresh for one test, and the addresses by which its roles reach it."""

    name: str
    admin_dsn: Secret
    dsns: Mapping[str, Secret]

    def dsn(self, role: str) -> Secret:
        """Return the address for `role`, e.g. "identity_app"."""
        return self.dsns[role]


class Engines:
    """The real servers of one test run; each is started when it is first asked for."""

    def __init__(self, folder: Path, owner: int) -> None:
        """Keep the servers in `folder` until the process `owner` ends."""
        self.folder = private_folder(folder)
        self._owner = owner

    @property
    def postgres(self) -> PostgresServer:
        """Return the shared cluster (fsync off: nothing here outlives the machine)."""
        server = self._started("postgres")
        assert isinstance(server, PostgresServer)
        return server

    @property
    def valkey(self) -> ValkeyServer:
        """Return the shared Valkey; `fresh_valkey` is for tests that flush or kill it."""
        server = self._started("valkey")
        assert isinstance(server, ValkeyServer)
        return server

    @property
    def openbao(self) -> OpenBaoServer:
        """Return the shared OpenBao; `fresh_openbao` is for tests that seal or kill it."""
        server = self._started("openbao")
        assert isinstance(server, OpenBaoServer)
        return server

    @property
    def opensearch(self) -> OpenSearchServer:
        """Return the shared OpenSearch; the test is skipped, with the reason, where there is none."""
        opensearch_program()
        server = self._started("opensearch")
        assert isinstance(server, OpenSearchServer)
        return server

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Hold the lock `name` among all workers of this run."""
        with (self.folder / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def password_of(self, role: str) -> Secret:
        """Return the password of a database role, the same for every worker of this run."""
        return Secret(hashlib.sha256(f"{self.folder}:{role}".encode()).hexdigest())

    def create_database(self, template: str | None = None) -> str:
        """Make a database, empty or as a copy of `template`, and return its name."""
        name = f"test_{uuid.uuid4().hex}"
        self._administer(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                sql.Identifier(name), sql.Identifier(template or "template0")
            )
        )
        return name

    def drop_database(self, name: str) -> None:
        """Remove a database, whoever is still connected to it."""
        self._administer(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def template_of(self, service: str) -> str:
        """Return the name of the migrated template of `service`, made by the first who asks."""
        name = f"template_{service}"
        with self.alone("migrations"):
            done = self.folder / f"{name}.done"
            if not done.exists():
                from libs.db.migrations import migrate  # noqa: PLC0415 - for tests below libs.db

                self.drop_database(name)
                self._administer(
                    sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name))
                )
                passwords = {role: self.password_of(role) for role in roles_of(service)}
                migrate(service, self.postgres.admin_dsn(name), passwords)
                done.touch()
        return name

    def database(self, name: str, service: str | None) -> ServiceDatabase:
        """Return the addresses of the database `name` for the roles of `service`."""
        roles = roles_of(service) if service else ()
        dsns = {role: self.postgres.dsn(role, self.password_of(role), name) for role in roles}
        return ServiceDatabase(name, self.postgres.admin_dsn(name), dsns)

    def _administer(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.postgres.admin_dsn().reveal(), autocommit=True) as connection:
            connection.execute(statement)

    def _started(self, kind: str) -> Server:
        folder = self.folder / kind
        with self.alone(kind):
            if not (folder / "ready").exists():
                self._start(kind, folder)
            return server_of(kind, folder)

    def _start(self, kind: str, folder: Path) -> None:
        private_folder(folder)
        with (folder / "keeper.log").open("wb") as log:
            arguments = [sys.executable, "-m", "tests.support.keeper", kind, str(folder), str(self._owner)]
            keeper = subprocess.Popen(
                arguments, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + _READY_SECONDS
        while not (folder / "ready").exists():
            if keeper.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"{kind} did not start:\n{(folder / 'keeper.log').read_text(encoding='utf-8')}")
            time.sleep(0.02)


def opensearch_program() -> Path:
    """Return where OpenSearch is installed; the test is skipped, with the reason, where it is not."""
    folder = provisioned()
    if folder is None:
        pytest.skip("OpenSearch comes from `make engines`: `make test-engines` runs this")
    try:
        return installation(folder)
    except EngineNotProvisioned as error:
        missing = folder / "opensearch" / "missing"
        pytest.skip(missing.read_text("utf-8").strip() if missing.exists() else str(error))


def roles_of(service: str) -> tuple[str, ...]:
    """Return the database roles of `service`: its own three and those that cross tenants."""
    own = (f"{service}_owner", f"{service}_app", f"{service}_publisher")
    crossing = tomllib.loads(_POLICY.read_text(encoding="utf-8"))["role"] if _POLICY.exists() else []
    others = {role["name"] for role in crossing if role["service"] == service}
    return (*own, *sorted(others - set(own)))


@pytest.fixture(scope="session")
def engines() -> Engines:
    """Give the run's real servers."""
    is_worker = "PYTEST_XDIST_WORKER" in os.environ
    owner = os.getppid() if is_worker else os.getpid()
    folder = Path(tempfile.gettempdir()) / f"muniment-tests-{owner}-{kernel.find_start_time(owner)}"
    _forget_ended_runs(folder.parent)
    return Engines(folder, owner)  # the servers end with the owner; the next run removes the folder


def _forget_ended_runs(parent: Path) -> None:
    for folder in parent.glob("muniment-tests-*-*"):
        pid, started = folder.name.removeprefix("muniment-tests-").split("-")
        with suppress(FileNotFoundError):  # another run forgets it in this moment
            if str(kernel.find_start_time(int(pid))) == started or folder.stat().st_uid != os.geteuid():
                continue
            if not any(daemon.find_remembered(record) for record in folder.glob("*/record")):
                shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def database_of(engines: Engines) -> Iterator[Callable[[str], ServiceDatabase]]:
    """Give a function that makes a fresh, migrated database of a service; all are dropped after the test."""
    made: list[str] = []

    def make(service: str) -> ServiceDatabase:
        made.append(engines.create_database(engines.template_of(service)))
        return engines.database(made[-1], service)

    yield make
    for name in made:
        engines.drop_database(name)


@pytest.fixture
def empty_database(engines: Engines) -> Iterator[ServiceDatabase]:
    """Give a database in which there is nothing yet, dropped after the test."""
    name = engines.create_database()
    yield engines.database(name, None)
    engines.drop_database(name)


@pytest.fixture
def fresh_valkey(tmp_path: Path) -> Iterator[ValkeyServer]:
    """Give a Valkey of this test's own, to flush, stop and kill (`daemon.start(server)` starts it again)."""
    with _socket_folder() as sockets:
        server = ValkeyServer(
            tmp_path / "valkey", sockets / "valkey", tmp_path / "valkey.pid", program=other_redis()
        )
        daemon.start(server)
        yield server
        server.stop()


@pytest.fixture
def fresh_openbao(tmp_path: Path) -> Iterator[OpenBaoServer]:
    """Give an OpenBao of this test's own, to seal, stop and kill."""
    server = OpenBaoServer(tmp_path / "openbao", free_port(), free_port(), tmp_path / "openbao.pid")
    daemon.start(server)
    yield server
    server.stop()


@pytest.fixture
def fresh_postgres(tmp_path: Path) -> Iterator[PostgresServer]:
    """Give a cluster of this test's own, to stop and kill."""
    with _socket_folder() as sockets:
        server = PostgresServer(tmp_path / "postgres", sockets / "s", tmp_path / "postgres.pid")
        daemon.start(server)
        yield server
        server.stop()


@contextmanager
def _socket_folder() -> Iterator[Path]:
    """Give a folder with a short path: pytest's own are too long for a socket."""
    with tempfile.TemporaryDirectory(prefix="mt-", dir="/tmp") as folder:
        yield Path(folder)
