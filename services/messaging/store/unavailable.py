"""What a lost database means to messaging, and what it refuses by itself."""

import contextlib
from collections.abc import Iterator
from typing import Final

import psycopg

from libs.db.errors import DatabaseUnavailable
from services.messaging.domain.errors import KeyClosed, LogUnavailable

_KEY_CLOSED: Final = "MU001"
"""The code by which `messaging.refuse_closed_keys` refuses a payload."""


@contextlib.contextmanager
def log_unavailable() -> Iterator[None]:
    """Raise LogUnavailable, the error of messaging's ports, where the database is away.

    Raise KeyClosed where it refuses what was sealed under a key that was closed meanwhile.
    """
    try:
        yield
    except DatabaseUnavailable as error:
        raise LogUnavailable from error
    except psycopg.DatabaseError as error:
        if error.sqlstate == _KEY_CLOSED:
            raise KeyClosed from error
        raise
