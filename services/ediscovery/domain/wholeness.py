"""When an index is whole: it has come as far, and has all months, as is noted beside it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

NO_POSITIONS: Mapping[str, int] = MappingProxyType({})


class Noted(NamedTuple):
    """What the database notes of a tenant's index, in transactions that commit after the index did.

    `generation` is the one that counts. `renewed` says that another one is being made, or soon will be;
    `leftover` is one that was replaced, and whose files may still be there.
    """

    generation: int = 0
    positions: Mapping[str, int] = NO_POSITIONS
    periods: frozenset[str] = frozenset()
    renewed: bool = False
    leftover: int | None = None


class Reached(NamedTuple):
    """What an index says of itself: the cursor of each stream, and the months of which it has something."""

    cursors: Mapping[str, int]
    periods: frozenset[str]


def is_whole(noted: Noted, reached: Reached) -> bool:
    """Say whether nothing is missing that was there.

    An index is written before it is noted: one that is ahead was only noted too late.
    """
    follows = all(reached.cursors.get(stream, 0) >= at for stream, at in noted.positions.items())
    return follows and noted.periods <= reached.periods
