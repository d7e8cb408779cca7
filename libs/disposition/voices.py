"""Whose items are decided alike: what is between two that are decided may be decided with them.

Rules, floors and locks end the later, the later an item was sent. So among items of one conversation for
whom the same voices speak, what was sent earlier is due no later, and none between two stands otherwise
than both of them when they stand alike. Other voices speak where a hold begins or ends, up to a request
for erasure, for whom either names, and for whom a custodian could read.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from libs.disposition.claims import Erasure, Hold
from libs.disposition.period import INSTANT, later


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
    holds, erasures = list(holds), list(erasures)
    custodians = frozenset[UUID]().union(*(hold.custodians for hold in holds))
    edges = {edge for hold in holds for edge in (hold.since, hold.until) if edge is not None}
    asked = {later(erasure.requested_at, INSTANT) for erasure in erasures}
    subjects = {erasure.subject for erasure in erasures}
    return Voices(custodians | subjects, custodians, tuple(sorted(edges | asked)))
