"""What a lost database means to the holds."""

import contextlib
from collections.abc import Iterator

from libs.db.errors import DatabaseUnavailable
from services.holds.domain.errors import HoldsUnavailable


@contextlib.contextmanager
def holds_unavailable() -> Iterator[None]:
    """Raise HoldsUnavailable, the error of the ports, where the database is away."""
    try:
        yield
    except DatabaseUnavailable as error:
        raise HoldsUnavailable from error
