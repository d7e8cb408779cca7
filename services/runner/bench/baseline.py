"""The baseline: plain clients, each a process that commits one row at a time to the same PostgreSQL.

Each client is `python -m services.runner.bench.baseline`; it reads its database's address and then, for
each round, a number of seconds from standard input, and answers with the number of commits.
"""

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

CLIENTS: Final = 20
BODY_BYTES: Final = 200
DATABASE: Final = "bench"
_INSERT: Final = "INSERT INTO plain (body) VALUES (%s)"


class PlainClients:
    """Twenty plain clients that wait for their rounds."""

    def __init__(self, processes: list[asyncio.subprocess.Process]) -> None:
        """Give rounds to `processes`."""
        self._processes = processes

    async def commits_per_second(self, seconds: float) -> float:
        """Let every client commit for so long, and return what they came to together."""
        counts = await asyncio.gather(*(_round(process, seconds) for process in self._processes))
        return sum(counts) / seconds


@asynccontextmanager
async def plain_clients(admin_database: str) -> AsyncIterator[PlainClients]:
    """Make a database with one table beside messaging's, connect the clients, and drop it at the end."""
    address = await asyncio.to_thread(_make_database, admin_database)
    processes: list[asyncio.subprocess.Process] = []
    try:
        for _ in range(CLIENTS):
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "services.runner.bench.baseline",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
            processes.append(process)
        for process in processes:
            _tell(process, address)
        for process in processes:
            await _heard(process)
        yield PlainClients(processes)
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()
        await asyncio.to_thread(_drop_database, admin_database)


async def _round(process: asyncio.subprocess.Process, seconds: float) -> int:
    _tell(process, str(seconds))
    return int(await _heard(process))


def _tell(process: asyncio.subprocess.Process, line: str) -> None:
    if process.stdin is not None:
        process.stdin.write(f"{line}\n".encode())


async def _heard(process: asyncio.subprocess.Process) -> str:
    return "" if process.stdout is None else (await process.stdout.readline()).decode().strip()


def _make_database(admin_database: str) -> str:
    """Make the database and its table, and return its address."""
    _drop_database(admin_database)
    name = sql.Identifier(DATABASE)
    with psycopg.connect(admin_database, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
    address = make_conninfo(admin_database, dbname=DATABASE)
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE plain (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body bytea NOT NULL)"
        )
    return address


def _drop_database(admin_database: str) -> None:
    with psycopg.connect(admin_database, autocommit=True) as connection:
        connection.execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(DATABASE))
        )


def commit_for(connection: "psycopg.Connection[tuple[object, ...]]", seconds: float) -> int:
    """Commit single rows for so long, and return how many."""
    body = os.urandom(BODY_BYTES)
    until = time.monotonic() + seconds
    count = 0
    while time.monotonic() < until:
        connection.execute(_INSERT, (body,), prepare=True, binary=True)
        count += 1
    return count


def main() -> None:
    """Run one plain client until standard input ends."""
    with psycopg.connect(sys.stdin.readline().strip(), autocommit=True) as connection:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        for line in sys.stdin:
            sys.stdout.write(f"{commit_for(connection, float(line))}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
