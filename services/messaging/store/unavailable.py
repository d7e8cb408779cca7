"""What a lost database means to messaging."""

import contextlib
from collections.abc import Iterator

from libs.db.errors import DatabaseUnavailable
from services.messaging.domain.errors import LogUnavailable


@contextlib.contextmanager
def log_unavailable() -> Iterator[None]:
    """Raise LogUnavailable, the error of messaging's ports, where the database is away."""
    try:
        yield
    except DatabaseUnavailable as error:
        raise LogUnavailable from error
