"""One deployment: its data folder, what it keeps for ever, and the settings and facts written for others.

DATA/                    0700; everything below is readable by its owner alone
  lock                   held while an `up` runs
  kept.json              passwords, seeds and ports, made at the first start, and the search engine
  settings.toml          the settings of every service
  operator.seed          signs the runner's own calls to internal routes
  postgres/ keys-postgres/ valkey/ openbao/ caddy/
  search/                the index of all words, in clear, where tantivy keeps it
  log/                   one log for each process
  run/                   pids, the start page, deployment.json while it runs
"""

import base64
import contextlib
import fcntl
import json
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from infra.engines.caddy import CaddyServer, Edge
from infra.engines.folders import private_folder, sockets_folder, write_private
from infra.engines.openbao import AppRole, OpenBaoServer
from infra.engines.postgres import PostgresServer, PostgresTuning
from infra.engines.valkey import ValkeyServer
from libs.kernel.randomness import Randomness
from libs.kernel.secrets import Secret
from services.runner.errors import AlreadyRunning, NotRunning, RunnerError
from services.runner.search import AS_BEFORE, Searching, SearchWish, searching_of

SERVICES = ("audit", "ediscovery", "holds", "identity", "keys", "messaging", "retention")
PROCESSES = ("keys", "identity", "holds", "retention", "messaging-relay", "ediscovery", "audit")
"""The processes of which there is one each; gateways come beside them."""
OPERATOR = "operator"
DATABASES: Mapping[str, str] = {
    "audit": "muniment",
    "ediscovery": "muniment",
    "holds": "muniment",
    "identity": "muniment",
    "messaging": "muniment",
    "retention": "muniment",
    "keys": "keys",
}
"""The database of each service; that of keys lies in a cluster of its own."""
MOST_CONNECTIONS = 200
"""What the pools of all services may open when each is at its most (137 with two gateways, 12 for each more),
and room for an operator's commands. A connection that is not open costs next to nothing.
"""
_SECRET_BYTES = 24
_SEED_BYTES = 32
_LOOPBACK = "127.0.0.1"


class Kept(msgspec.Struct):
    """What is made once and kept as long as the data folder."""

    passwords: dict[str, str] = {}
    seeds: dict[str, str] = {}
    vault_role_id: str = ""
    vault_secret_id: str = ""
    vault_ports: tuple[int, int] = (0, 0)
    searching: Searching = Searching()


@dataclass(frozen=True)
class Layout:
    """Where everything of a data folder stands."""

    data: Path
    sockets: Path
    run: Path
    logs: Path
    pages: Path

    @property
    def settings(self) -> Path:
        """Return the settings of every service."""
        return self.data / "settings.toml"

    @property
    def kept(self) -> Path:
        """Return what is kept for ever."""
        return self.data / "kept.json"

    @property
    def operator_seed(self) -> Path:
        """Return the seed of the operator, base64."""
        return self.data / "operator.seed"

    @property
    def facts(self) -> Path:
        """Return the facts of the running deployment; the file is there only while it runs."""
        return facts_file(self.data)

    def record(self, name: str) -> Path:
        """Return where the pid of `name` is remembered."""
        return self.run / f"{name}.pid"

    def log(self, name: str) -> Path:
        """Return the log of the process `name`."""
        return self.logs / f"{name}.log"

    def address(self, name: str) -> str:
        """Return where the process `name` listens."""
        return f"unix:{self.sockets / name}"


@dataclass(frozen=True)
class Plan:
    """What is to run: how many gateways, behind which port, with or without TLS."""

    port: int
    gateways: int = 2
    tls: bool = False

    @property
    def gateway_names(self) -> tuple[str, ...]:
        """Return the gateways' names: "gw-1", "gw-2" and so on."""
        return tuple(f"gw-{number}" for number in range(1, self.gateways + 1))


@dataclass(frozen=True)
class Engines:
    """The servers of one deployment."""

    postgres: PostgresServer
    keys_postgres: PostgresServer
    valkey: ValkeyServer
    openbao: OpenBaoServer
    caddy: CaddyServer


@dataclass
class Deployment:
    """A data folder that is ours, with all that its services are told."""

    layout: Layout
    plan: Plan
    kept: Kept
    engines: Engines = field(repr=False)

    def password_of(self, role: str) -> Secret:
        """Return the password of a database role."""
        return Secret(self.kept.passwords[role])

    def cluster_of(self, service: str) -> PostgresServer:
        """Return the PostgreSQL in which `service` keeps its tables."""
        return self.engines.keys_postgres if service == "keys" else self.engines.postgres

    def admin_dsn(self, service: str) -> Secret:
        """Return the superuser's address of the database of `service`."""
        return self.cluster_of(service).admin_dsn(DATABASES[service])

    def role_dsn(self, role: str) -> Secret:
        """Return the address of a role's database; the role's name begins with its service's."""
        service = role.partition("_")[0]
        return self.cluster_of(service).dsn(role, self.password_of(role), DATABASES[service])

    def keep(self) -> None:
        """Write what is kept."""
        write_private(self.layout.kept, msgspec.json.encode(self.kept))


@contextlib.contextmanager
def locked(data: Path) -> Iterator[int]:
    """Hold the data folder; AlreadyRunning when another does.

    Gives the lock's descriptor, which a forked child closes: it must not outlive the runner.
    """
    private_folder(data)
    descriptor = os.open(data / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(data, os.pread(descriptor, 20, 0).decode().strip() or "unknown") from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def layout_of(data: Path) -> Layout:
    """Make the folders of `data` and return where everything stands."""
    run = private_folder(private_folder(data) / "run")
    return Layout(
        data=data,
        sockets=sockets_folder(data),
        run=run,
        logs=private_folder(data / "log"),
        pages=private_folder(run / "www"),
    )


def prepared(
    layout: Layout,
    plan: Plan,
    roles: Iterable[str],
    randomness: Randomness,
    search: SearchWish = AS_BEFORE,
) -> Deployment:
    """Return the deployment in `layout`, with every secret that it lacks made and kept.

    What is searched by is kept, too: an engine that was named once is meant at the next start.
    """
    kept = _read_kept(layout.kept)
    kept.searching = searching_of(search, kept.searching)
    for role in roles:
        kept.passwords.setdefault(role, _text_secret(randomness))
    for name in (*SERVICES, OPERATOR):
        kept.seeds.setdefault(name, base64.b64encode(randomness.bytes(_SEED_BYTES)).decode())
    if not all(port and why_not_free(port) is None for port in kept.vault_ports):
        kept.vault_ports = (free_port(), free_port())
    deployment = Deployment(layout, plan, kept, _engines_of(layout, plan, kept.vault_ports))
    deployment.keep()
    write_private(layout.operator_seed, kept.seeds[OPERATOR].encode())
    return deployment


def app_role_of_vault(deployment: Deployment, policy: str) -> AppRole:
    """Return the AppRole of the keys service, made when the vault knows none that works.

    The policy is written at every start: a new version may bring a new one.
    """
    kept, vault = deployment.kept, deployment.engines.openbao
    role = AppRole(kept.vault_role_id, Secret(kept.vault_secret_id))
    if kept.vault_role_id and vault.accepts(role):
        vault.write_policy(policy)
    else:
        role = vault.provision(policy=policy)
        kept.vault_role_id, kept.vault_secret_id = role.role_id, role.secret_id.reveal()
        deployment.keep()
    return role


def publish(deployment: Deployment, processes: Mapping[str, int]) -> dict[str, Any]:
    """Write the facts of the running deployment for tools, and return them."""
    layout, plan, engines = deployment.layout, deployment.plan, deployment.engines
    edge = engines.caddy.edge
    facts: dict[str, Any] = {
        "ready": True,
        "origin": edge.origin,
        "tls_root": str(engines.caddy.root_certificate) if edge.tls else None,
        "data": str(layout.data),
        "settings": str(layout.settings),
        "identity": layout.address("identity"),
        "services": {name: layout.address(name) for name in PROCESSES},
        "gateways": {name: layout.address(name) for name in plan.gateway_names},
        "operator_seed": str(layout.operator_seed),
        "count_database": deployment.admin_dsn("messaging").reveal(),
        "databases": {name: deployment.admin_dsn(name).reveal() for name in SERVICES},
        "valkey": engines.valkey.url().reveal(),
        "openbao": engines.openbao.address,
        "searching": msgspec.to_builtins(deployment.kept.searching),
        "processes": dict(processes),
    }
    write_private(layout.facts, json.dumps(facts, indent=1).encode())
    return facts


def facts_file(data: Path) -> Path:
    """Return where the facts of a running deployment stand."""
    return data / "run" / "deployment.json"


def read_facts(data: Path) -> dict[str, Any]:
    """Return the facts of the deployment that runs on `data`; NotRunning when none does."""
    try:
        facts: dict[str, Any] = json.loads(facts_file(data).read_bytes())
    except FileNotFoundError:
        raise NotRunning(data) from None
    except (OSError, ValueError) as error:
        raise RunnerError(f"{facts_file(data)} cannot be read: {error}") from error
    return facts


def free_port() -> int:
    """Return a TCP port of the loopback interface that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((_LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def why_not_free(port: int) -> str | None:
    """Return why a TCP port of the loopback interface cannot be listened on, None when it can."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_LOOPBACK, port))
        except OSError as error:
            return (error.strerror or str(error)).lower()
    return None


def _engines_of(layout: Layout, plan: Plan, vault_ports: tuple[int, int]) -> Engines:
    data, sockets = layout.data, layout.sockets
    gateways = tuple(layout.address(name) for name in plan.gateway_names)
    identity = (layout.address("identity"),)
    routes = {
        "/identity/v1": identity,
        "/scim/v2": identity,
        "/keys/v1": (layout.address("keys"),),
        "/messaging/v1": gateways,
        "/audit/v1": (layout.address("audit"),),
        "/ediscovery/v1": (layout.address("ediscovery"),),
        "/holds/v1": (layout.address("holds"),),
        "/retention/v1": (layout.address("retention"),),
    }
    return Engines(
        postgres=PostgresServer(
            data / "postgres",
            sockets / "postgres",
            layout.record("postgres"),
            tuning=PostgresTuning(shared_buffers=96, max_connections=MOST_CONNECTIONS),
        ),
        keys_postgres=PostgresServer(
            data / "keys-postgres",
            sockets / "keys-postgres",
            layout.record("keys-postgres"),
            name="keys-postgres",
            tuning=PostgresTuning(shared_buffers=16, max_connections=30, io_workers=1, forgets_wal=True),
        ),
        valkey=ValkeyServer(data / "valkey", sockets / "valkey", layout.record("valkey")),
        openbao=OpenBaoServer(data / "openbao", *vault_ports, layout.record("openbao")),
        caddy=CaddyServer(
            data / "caddy", Edge(plan.port, layout.pages, routes, plan.tls), layout.record("caddy")
        ),
    )


def _read_kept(path: Path) -> Kept:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Kept)
    except FileNotFoundError:
        return Kept()
    except (OSError, msgspec.DecodeError) as error:
        raise RunnerError(
            f"{path} cannot be read, and without it the data cannot be opened: {error}"
        ) from error


def _text_secret(randomness: Randomness) -> str:
    return base64.urlsafe_b64encode(randomness.bytes(_SECRET_BYTES)).decode()
