"""Keeps one real server running for a whole test run: `python -m tests.support.keeper KIND FOLDER OWNER`.

The server is a child of this program, which ends it as soon as the process OWNER (pytest, or the
controller of pytest-xdist) is gone, however it went.
"""

import os
import select
import signal
import socket
import sys
from pathlib import Path

from infra.engines import daemon
from infra.engines.folders import private_folder
from infra.engines.openbao import OpenBaoServer
from infra.engines.opensearch import OpenSearchServer, installation
from infra.engines.postgres import PostgresServer, PostgresTuning
from infra.engines.valkey import ValkeyServer

TEST_TUNING = PostgresTuning(shared_buffers=128, max_connections=300, durable=False)
Server = PostgresServer | ValkeyServer | OpenBaoServer | OpenSearchServer


def free_port() -> int:
    """Return a TCP port of the loopback interface that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def other_redis() -> Path | None:
    """Return the server that the environment names instead of the Valkey from the wheel, or None."""
    named = os.environ.get("MUNIMENT_TEST_REDIS")
    return Path(named) if named else None


def provisioned() -> Path | None:
    """Return the folder of what `make engines` provided, if this run is to use it."""
    named = os.environ.get("MUNIMENT_TEST_ENGINES")
    return Path(named) if named else None


def server_of(kind: str, folder: Path) -> Server:
    """Return the server of this kind in this folder; its settings are remembered there."""
    record = folder / "record"
    if kind == "postgres":
        return PostgresServer(folder / "data", folder / "s", record, tuning=TEST_TUNING)
    if kind == "valkey":
        return ValkeyServer(folder / "data", folder / "s" / "valkey", record, program=other_redis())
    ports = folder / "ports"
    if not ports.exists():
        ports.write_text(f"{free_port()} {free_port()}", encoding="ascii")
    port, cluster_port = map(int, ports.read_text(encoding="ascii").split())
    if kind == "opensearch":
        program = installation(provisioned() or Path(".engines"))
        return OpenSearchServer(folder / "data", port, cluster_port, record, program=program)
    return OpenBaoServer(folder / "data", port, cluster_port, record)


def keep(kind: str, folder: Path, owner: int) -> None:
    """Start, say so by the file `ready`, and stop when the owner is gone or SIGTERM comes."""
    try:
        watched = os.pidfd_open(owner)
    except ProcessLookupError:
        return
    private_folder(folder)
    server = server_of(kind, folder)
    daemon.start(server)
    try:
        (folder / "ready").touch()
        select.select([watched], [], [])
    finally:
        server.stop()


def main() -> None:
    """Keep what the arguments name."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    kind, folder, owner = sys.argv[1:]
    keep(kind, Path(folder), int(owner))


if __name__ == "__main__":
    main()
