"""`muniment doctor`: can it run here, and is what runs well? Reads only, and says what to do."""

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.engines import caddy, kernel, openbao, postgres, valkey
from infra.engines.errors import EngineError
from services.runner.children import is_ready
from services.runner.deployment import facts_file, locked, read_facts, why_not_free
from services.runner.errors import AlreadyRunning, RunnerError
from services.runner.peers import engine_state

_OLDEST_PYTHON = (3, 11)
_LEAST_DISK = 1 << 30
_LEAST_SHARED_MEMORY = 64 << 20
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - looked at, not written to
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_VERSION_SECONDS = 20


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: well or not, and what was seen or what to do."""

    check: str
    ok: bool
    detail: str


def findings(data: Path, port: int) -> Iterator[Finding]:
    """Look at the machine, at the data folder, and at the deployment that runs on it, if one does."""
    yield _python()
    yield from _engines()
    yield _ordinary_user()
    yield _space("shared memory", _SHARED_MEMORY, _LEAST_SHARED_MEMORY)
    yield _space("disk", _nearest(data), _LEAST_DISK)
    if not data.exists():
        yield Finding("data folder", ok=True, detail=f"{data} will be made by the first start")
        yield _port(port)
        return
    yield _permissions(data)
    running = _is_running(data)
    yield Finding("state", ok=True, detail="running" if running else "not running")
    if running:
        yield from _processes(data)
    else:
        yield _port(port)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding(
        "Python", ok=sys.version_info >= _OLDEST_PYTHON, detail=f"{version}, 3.11 or newer is needed"
    )


def _engines() -> Iterator[Finding]:
    programs: dict[str, Callable[[], list[str]]] = {
        "PostgreSQL": lambda: [str(postgres.binaries() / "postgres"), "--version"],
        "Valkey": lambda: [str(valkey.binary()), "--version"],
        "OpenBao": lambda: [str(openbao.binary()), "version"],
        "Caddy": lambda: [str(caddy.binary()), "version"],
    }
    for name, command in programs.items():
        try:
            ran = subprocess.run(
                command(), capture_output=True, text=True, timeout=_VERSION_SECONDS, check=True, cwd="/"
            )
            yield Finding(name, ok=True, detail=ran.stdout.strip().splitlines()[0])
        except (EngineError, OSError, subprocess.SubprocessError) as error:
            yield Finding(name, ok=False, detail=str(error))


def _ordinary_user() -> Finding:
    if os.geteuid() != 0:
        return Finding("user", ok=True, detail="an ordinary user")
    if kernel.can_leave_root():
        return Finding("user", ok=True, detail="root; PostgreSQL runs in a user namespace")
    return Finding("user", ok=True, detail="root without user namespaces; PostgreSQL runs as nobody")


def _space(what: str, place: Path, least: int) -> Finding:
    free = shutil.disk_usage(place).free
    return Finding(
        what, ok=free >= least, detail=f"{free >> 20} MiB free at {place}, {least >> 20} MiB are needed"
    )


def _nearest(path: Path) -> Path:
    """Return the path itself or the nearest folder above it that exists."""
    return next(place for place in (path, *path.absolute().parents) if place.exists())


def _permissions(data: Path) -> Finding:
    """Look for anything that others could read; nothing is reachable when the folder itself is closed."""
    if data.stat().st_uid != os.geteuid():
        return Finding("data folder", ok=False, detail=f"{data} belongs to user {data.stat().st_uid}")
    mode = stat.S_IMODE(data.stat().st_mode)
    if mode & _OTHERS:
        return Finding(
            "data folder", ok=False, detail=f"{data} is open to others ({mode:o}): chmod 700 {data}"
        )
    for name in ("kept.json", "settings.toml", "operator.seed"):
        file = data / name
        if file.exists() and stat.S_IMODE(file.stat().st_mode) & _OTHERS:
            return Finding("data folder", ok=False, detail=f"{file} is open to others: chmod 600 {file}")
    return Finding("data folder", ok=True, detail=f"{data}, closed to others")


def _is_running(data: Path) -> bool:
    if not (data / "lock").exists():
        return False
    try:
        with locked(data):
            return False
    except AlreadyRunning:
        return True


def _processes(data: Path) -> Iterator[Finding]:
    if not facts_file(data).exists():
        yield Finding("processes", ok=False, detail="it is still starting, or stopping")
        return
    facts = read_facts(data)
    for name, pid in facts["processes"].items():
        current = _current_pid(data, name, pid)
        alive = current is not None and kernel.find_start_time(current) is not None
        yield Finding(name, ok=alive, detail=f"pid {current}" if alive else "does not run")
    for name, address in {**facts["services"], **facts["gateways"]}.items():
        ready = is_ready(Path(address.removeprefix("unix:")))
        yield Finding(
            f"{name} ready", ok=ready, detail="says so" if ready else f"does not: see {data / 'log'}"
        )
    yield _search(facts)


def _search(facts: Mapping[str, Any]) -> Finding:
    """Ask eDiscovery, which has the password and the certificates, how it finds its engine."""
    try:
        state = engine_state(facts)
    except RunnerError as error:
        return Finding("search engine", ok=False, detail=str(error))
    if state.answers:
        return Finding("search engine", ok=True, detail=state.said)
    cluster = facts["searching"]["cluster"]
    place = "" if cluster is None else f" at {cluster['url']}"
    waits = "nothing is found meanwhile, and the index goes on when it is back"
    return Finding("search engine", ok=False, detail=f"does not answer{place} ({state.said}): {waits}")


def _current_pid(data: Path, name: str, pid: int) -> int | None:
    """Return the pid of a process that may have been started again since the facts were written."""
    from infra.engines.daemon import find_remembered

    return pid if name == "runner" else find_remembered(data / "run" / f"{name}.pid")


def _port(port: int) -> Finding:
    reason = why_not_free(port)
    if reason is None:
        return Finding("port", ok=True, detail=f"{port} is free")
    return Finding("port", ok=False, detail=f"{port} cannot be used ({reason}): choose another with --port")
