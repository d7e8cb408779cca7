"""Looks for a text that must be nowhere: in every file of a data folder, and in what Valkey holds."""

from pathlib import Path

import psycopg

from tests.support.platform import Platform

_CHUNK = 1 << 20


def places_of(canary: str, platform: Platform) -> list[str]:
    """Return the files that hold the text: tables, WAL, append-only files, logs and settings.

    PostgreSQL is told to write down what it has in memory first.
    """
    with psycopg.connect(platform.facts["count_database"], autocommit=True) as connection:
        connection.execute("CHECKPOINT")
    wanted = canary.encode()
    return [
        str(path.relative_to(platform.data))
        for path in platform.data.rglob("*")
        if path.is_file() and _holds(path, wanted)
    ]


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
