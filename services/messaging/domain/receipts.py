"""Delivered and read marks: they advance, never go back, and are coalesced."""

from datetime import datetime
from typing import NamedTuple

from libs.kernel.ids import DeviceId, PrincipalId
from services.messaging.domain.entries import ConversationKey


class MarkKey(NamedTuple):
    """Whose mark it is, and in which conversation."""

    key: ConversationKey
    principal: PrincipalId
    device: DeviceId


class Advance(NamedTuple):
    """A device's marks advanced to these positions (0: not at all), at this time."""

    delivered: int
    read: int
    at: datetime


def merge(earlier: Advance | None, later: Advance) -> Advance:
    """Return both advances as one; whoever has read has also received."""
    delivered = max(later.delivered, later.read)
    if earlier is None:
        return Advance(delivered, later.read, later.at)
    return Advance(max(earlier.delivered, delivered), max(earlier.read, later.read), later.at)
