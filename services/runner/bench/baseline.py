"""The baseline: plain clients, each a process that commits one row at a time to the same PostgreSQL.

`python -m services.runner.bench.baseline` forks them; it reads the database's address and then, for each
round, a number of seconds from standard input, and answers with the number of commits.
"""

import asyncio
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from multiprocessing.connection import Connection
from typing import Final

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from infra.engines import kernel
from services.runner.errors import RunnerError

CLIENTS: Final = 20
BODY_BYTES: Final = 200
DATABASE: Final = "bench"
_INSERT: Final = "INSERT INTO plain (body) VALUES (%s)"


class PlainClients:
    """Twenty plain clients that wait for their rounds."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        """Give rounds to the clients that `process` has forked."""
        self._process = process

    async def commits_per_second(self, seconds: float) -> float:
        """Let every client commit for so long, and return what they came to together."""
        _tell(self._process, str(seconds))
        return int(await _heard(self._process)) / seconds


@asynccontextmanager
async def plain_clients(admin_database: str) -> AsyncIterator[PlainClients]:
    """Make a database with one table beside messaging's, connect the clients, and drop it at the end.

    Raises RunnerError when the clients cannot connect.
    """
    address = await asyncio.to_thread(_make_database, admin_database)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.runner.bench.baseline",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        _tell(process, address)
        await _heard(process)
        yield PlainClients(process)
    finally:
        if process.stdin is not None:
            process.stdin.close()  # then it ends its clients and itself
        await process.wait()
        await asyncio.to_thread(_drop_database, admin_database)


def _tell(process: asyncio.subprocess.Process, line: str) -> None:
    if process.stdin is not None:
        process.stdin.write(f"{line}\n".encode())


async def _heard(process: asyncio.subprocess.Process) -> str:
    line = b"" if process.stdout is None else await process.stdout.readline()
    if not line:
        raise RunnerError("the plain clients of the baseline ended before they were told to")
    return line.decode().strip()


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


def _client(parent: int, address: str, rounds: "Connection[float, int]") -> None:
    """Commit for as many seconds as each round says, until the parent ends."""
    kernel.die_with_parent(parent, signal.SIGKILL)
    with psycopg.connect(address, autocommit=True) as connection:
        rounds.send(0)
        while True:
            rounds.send(commit_for(connection, rounds.recv()))


def main() -> None:
    """Fork the plain clients, and let them commit in rounds until standard input ends."""
    address = sys.stdin.readline().strip()
    context = multiprocessing.get_context("fork")
    ends: list[Connection[float, int]] = []
    kernel.prepare()
    for _ in range(CLIENTS):
        ours, theirs = context.Pipe()
        context.Process(target=_client, args=(os.getpid(), address, theirs), daemon=True).start()
        ends.append(ours)
    sum(end.recv() for end in ends)
    _say("ready")
    for line in sys.stdin:
        for end in ends:
            end.send(float(line))
        _say(str(sum(end.recv() for end in ends)))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
