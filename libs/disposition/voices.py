"""Whose items are decided alike: what is sent between two that are decided alike is decided as they are.

Rules, floors and locks end the later, the later an item was sent, and a request for erasure concerns what
was sent before it. So among items of one conversation for whom the same voices speak, what was sent earlier
is due no later, and if two of them stand alike, none that was sent between stands otherwise. Other voices
speak where a hold begins or ends, for whom a hold or a request for erasure names, and where a custodian
begins or ceases to take part.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from libs.disposition.claims import Erasure, Hold


class Voices(NamedTuple):
    """Where other voices begin to speak.

    From each of `instants` on (by the time of sending), for what each of `people` sent, and where one of
    `custodians` begins or ceases to take part.
    """

    people: frozenset[UUID]
    custodians: frozenset[UUID]
    instants: tuple[datetime, ...]


def voices_of(holds: Iterable[Hold], erasures: Iterable[Erasure]) -> Voices:
    """Return where the voices about the items of one conversation change."""
    holds = list(holds)
    custodians = frozenset[UUID]().union(*(hold.custodians for hold in holds))
    edges = {edge for hold in holds for edge in (hold.since, hold.until) if edge is not None}
    subjects = {erasure.subject for erasure in erasures}
    return Voices(custodians | subjects, custodians, tuple(sorted(edges)))
