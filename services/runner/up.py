"""`muniment up`: from a data folder to a running platform, and back to a folder at rest."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from infra.engines.daemon import Engine, ending_of_orphan
from infra.engines.folders import write_private
from infra.engines.steps import side_by_side
from libs.db.roles import read_crossing_roles, roles_of
from libs.kernel.clock import SystemClock
from libs.kernel.randomness import SystemRandomness
from services.runner.children import ServiceChild, finishing, preloading
from services.runner.configuration import write_settings
from services.runner.deployment import (
    DATABASES,
    PROCESSES,
    SERVICES,
    Deployment,
    Layout,
    Plan,
    app_role_of_vault,
    free_port,
    layout_of,
    locked,
    prepared,
    publish,
    why_not_free,
)
from services.runner.errors import RunnerError
from services.runner.journal import Journal
from services.runner.page import write_page
from services.runner.peers import engine_state
from services.runner.search import AS_BEFORE, SearchWish
from services.runner.serve import overrides_of, serve
from services.runner.supervise import StopSignals, Supervisor

_KEYS_POLICY = Path(__file__).parents[2] / "policies" / "vault" / "keys.hcl"


@dataclass(frozen=True)
class Wish:
    """What the person asked for on the command line."""

    data: Path
    port: int = 8080
    gateways: int = 2
    tls: bool = False
    demo: bool = False
    as_json: bool = False
    search: SearchWish = AS_BEFORE


def up(wish: Wish) -> int:
    """Bring everything up, keep it up until a signal, bring it down; return the exit code."""
    os.umask(0o077)
    with locked(wish.data) as lock, StopSignals() as signals, _folders(wish.data) as layout:
        clock = SystemClock()
        journal = Journal(layout.log("runner"), clock, quiet=wish.as_json)
        supervisor = Supervisor(journal, clock, signals)
        supervisor.bring_up(_clearing(layout))
        run = _Run(_prepared(layout, wish), supervisor, journal, lock, wish)
        try:
            supervisor.bring_up(run.bringing_up())
            run.announce()
            supervisor.watch(run.publish)
        finally:
            journal.say("Stopping …")
            layout.facts.unlink(missing_ok=True)
            supervisor.stop(*run.waves())
            journal.say(f"Stopped. The data stay in {wish.data}")
    return 0


@contextlib.contextmanager
def _folders(data: Path) -> Iterator[Layout]:
    """Give the folders of `data`; what only a running deployment has is gone afterwards."""
    layout = layout_of(data)
    layout.facts.unlink(missing_ok=True)
    try:
        yield layout
    finally:
        shutil.rmtree(layout.sockets, ignore_errors=True)


def _prepared(layout: Layout, wish: Wish) -> Deployment:
    plan = Plan(_usable_port(wish.port), wish.gateways, wish.tls)
    crossing = read_crossing_roles()
    roles = [role for service in SERVICES for role in roles_of(service, crossing)]
    return prepared(layout, plan, roles, SystemRandomness(), wish.search)


class _Run:
    """The order in which one deployment comes up: side by side what can be."""

    def __init__(
        self, deployment: Deployment, supervisor: Supervisor, journal: Journal, lock: int, wish: Wish
    ) -> None:
        self._deployment = deployment
        self._supervisor = supervisor
        self._journal = journal
        self._lock = lock
        self._wish = wish
        self._loaded = False
        self._services = self._children()
        self.sign_ins: list[Mapping[str, str]] = []
        self.facts: Mapping[str, Any] = {}

    def bringing_up(self) -> Iterator[None]:
        """Start the engines, migrate, start the services, make the demo tenant."""
        engines = self._deployment.engines
        write_page(self._deployment.layout)
        self._journal.say("Starting Muniment")
        yield from side_by_side(
            self._main_database(),
            self._keys_database(),
            self._timed("Valkey", self._supervisor.starting(engines.valkey)),
            self._vault(),
            self._timed("Caddy", self._supervisor.starting(engines.caddy)),
            self._timed("code, loaded once for all", self._loading()),
        )
        write_settings(self._deployment)
        yield from side_by_side(
            *(self._timed(child.name, self._supervisor.starting(child)) for child in self._services)
        )
        self.publish()
        self._look_at_search()
        if self._wish.demo:
            yield from self._timed("demo tenant", self._showcase())

    def publish(self) -> None:
        """Write the facts for tools, with the pids of this moment."""
        pids = {"runner": os.getpid(), **self._supervisor.pids()}
        self.facts = publish(self._deployment, pids)

    def announce(self) -> None:
        """Say that everything stands: the address, the sign-ins, how long it took."""
        facts, seconds = self.facts, round(self._journal.seconds(), 3)
        self._journal.note("up", seconds=seconds)
        if self._wish.as_json:
            shown = {name: facts[name] for name in ("origin", "tls_root", "data", "processes")}
            shown |= {"sign_ins": self.sign_ins, "seconds": seconds, "steps": self._journal.steps}
            print(json.dumps(shown), flush=True)
            return
        print(f"\nMuniment runs at {facts['origin']}  (up in {seconds:.1f} s; Ctrl-C stops it)")
        if facts["tls_root"]:
            print(f"Its certificates come from {facts['tls_root']}; let your browser trust that one.")
        if self.sign_ins:
            print("\nSign-ins of the demo tenant:")
        for sign_in in self.sign_ins:
            print("  {role:<16} {tenant} / {user_name:<24} {password}".format(**sign_in))
        print(flush=True)

    def _look_at_search(self) -> None:
        """Say so when the search engine does not answer: everything else runs, and the index waits for it."""
        with contextlib.suppress(RunnerError):  # who died in this moment is told of elsewhere
            state = engine_state(self.facts)
            if not state.answers:
                self._journal.say(f"The search engine does not answer ({state.said}); the index waits for it")

    def waves(self) -> tuple[tuple[Engine, ...], ...]:
        """Return what stops after what: first who takes requests, then who answers them, then who keeps."""
        engines = self._deployment.engines
        gateways = tuple(child for child in self._services if child.name.startswith("gw-"))
        others = tuple(child for child in self._services if child not in gateways)
        stores: tuple[Engine, ...] = (
            engines.openbao,
            engines.valkey,
            engines.postgres,
            engines.keys_postgres,
        )
        return (engines.caddy,), gateways, others, stores

    def _timed(self, step: str, waiting: Iterator[None]) -> Iterator[None]:
        return self._journal.timed(step, waiting)

    def _loading(self) -> Iterator[None]:
        yield from preloading()
        self._loaded = True

    def _main_database(self) -> Iterator[None]:
        starting = self._supervisor.starting(self._deployment.engines.postgres)
        yield from self._timed("PostgreSQL", starting)
        services = [service for service, database in DATABASES.items() if database == DATABASES["identity"]]
        yield from self._timed(f"tables of {', '.join(services)}", self._migrating(*services))

    def _keys_database(self) -> Iterator[None]:
        starting = self._supervisor.starting(self._deployment.engines.keys_postgres)
        yield from self._timed("PostgreSQL of keys", starting)
        yield from self._timed("tables of keys", self._migrating("keys"))

    def _vault(self) -> Iterator[None]:
        yield from self._timed("OpenBao", self._supervisor.starting(self._deployment.engines.openbao))
        app_role_of_vault(self._deployment, _KEYS_POLICY.read_text(encoding="utf-8"))

    def _migrating(self, *services: str) -> Iterator[None]:
        def run() -> int:
            from services.runner.migrate import migrate_services

            return migrate_services(self._deployment, services)

        return finishing("the migration", run, self._deployment.layout.log("migrate"), (self._lock,))

    def _showcase(self) -> Iterator[None]:
        layout = self._deployment.layout
        made = layout.run / "showcase-sign-ins.json"

        def run() -> int:
            from services.runner.demo.showcase import prepare_showcase

            write_private(made, msgspec.json.encode(asyncio.run(prepare_showcase(self.facts))))
            return 0

        yield from finishing("the demo tenant", run, layout.log("showcase"), (self._lock,))
        self.sign_ins = json.loads(made.read_bytes())
        made.unlink()

    def _children(self) -> tuple[ServiceChild, ...]:
        plan = self._deployment.plan
        singles = [self._child(name, name) for name in PROCESSES]
        return (*singles, *(self._child(gateway, "messaging", gateway) for gateway in plan.gateway_names))

    def _child(self, name: str, process: str, gateway: str | None = None) -> ServiceChild:
        layout = self._deployment.layout
        environ = overrides_of(process, layout.address(name), gateway)
        run: Callable[[], int] = lambda: serve(process, layout.settings, environ)  # noqa: E731 - bound to a type
        return ServiceChild(
            name, run, layout.sockets / name, layout.record(name), layout.log(name), (self._lock,)
        )


def _clearing(layout: Layout) -> Iterator[None]:
    """End what a killed runner left behind: the kernel has asked it to end already, but not waited."""
    records = layout.run.glob("*.pid")
    return side_by_side(*(ending_of_orphan(record, signal.SIGINT) for record in records))


def _usable_port(port: int) -> int:
    if port == 0:
        return free_port()
    if (reason := why_not_free(port)) is not None:
        raise RunnerError(f"Port {port} cannot be used ({reason}); choose another with --port, or 0 for any.")
    return port
