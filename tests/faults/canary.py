"""Looks for a text that must be nowhere: in files, in rows, in what Valkey holds and in what it passes on."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import redis
from psycopg import sql

from tests.faults.harm import valkey_of
from tests.support.platform import Platform, wait_until

_CHUNK = 1 << 20
_POLL_SECONDS = 0.05


def places_of(canary: str, platform: Platform) -> list[str]:
    """Return where the text stands: tables, WAL, append-only files, logs, settings, streams.

    PostgreSQL is told to write down what it has in memory first. Rows and streams are read through their
    servers too, for files may be compressed.
    """
    wanted = canary.encode()
    databases = platform.facts["databases"].items()
    return [
        *(f"{service}: {table}" for service, dsn in databases for table in _tables_with(dsn, wanted)),
        *(f"valkey: {name}" for name in _keys_with(platform, wanted)),
        *_files_with(platform.data, wanted),
    ]


def _tables_with(dsn: str, wanted: bytes) -> Iterator[str]:
    """Read every row of every table of ours, and let the cluster write down what it has in memory."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        tables = connection.execute(
            "SELECT table_schema, table_name FROM information_schema.tables "
            "WHERE table_schema NOT IN ('information_schema', 'pg_catalog')"
        ).fetchall()
        for schema, table in tables:
            rows = connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(schema, table)))
            if any(wanted in _bytes_of(value) for row in rows for value in row):
                yield f"{schema}.{table}"


def _bytes_of(value: object) -> bytes:
    return bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()


def _keys_with(platform: Platform, wanted: bytes) -> Iterator[str]:
    with valkey_of(platform) as valkey:
        for name in valkey.scan_iter(count=1000):
            kind = valkey.type(name)
            value = valkey.xrange(name) if kind == b"stream" else valkey.dump(name)
            if wanted.decode() in repr(value):
                yield name.decode(errors="replace")


def _files_with(folder: Path, wanted: bytes) -> list[str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return [str(path.relative_to(folder)) for path in files if _holds(path, wanted)]


def _holds(path: Path, wanted: bytes) -> bool:
    """Say whether a file holds the bytes, also across the borders of chunks."""
    tail = b""
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                if wanted in tail + chunk:
                    return True
                tail = chunk[-len(wanted) :]
    except FileNotFoundError:  # a file of PostgreSQL that was dropped meanwhile
        return False
    return False


@contextmanager
def overheard(platform: Platform) -> Iterator[list[bytes]]:
    """Give everything that Valkey passes on by Pub/Sub during the context."""
    heard: list[bytes] = []
    over = threading.Event()
    with valkey_of(platform) as valkey, valkey.pubsub(ignore_subscribe_messages=True) as ear:
        ear.psubscribe("*")
        listening = threading.Thread(target=_listen, args=(ear, heard, over))
        listening.start()
        wait_until(lambda: bool(ear.patterns) and bool(heard), "nobody says anything")  # heartbeats at least
        try:
            yield heard
        finally:
            over.set()
            listening.join()


def _listen(ear: "redis.client.PubSub", heard: list[bytes], over: threading.Event) -> None:
    while not over.is_set():
        message = ear.get_message(timeout=_POLL_SECONDS)
        if message is not None:
            heard.append(message["data"])
