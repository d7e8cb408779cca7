"""The terms of a conversation: how it is called, and what its administrators have settled for it. Pure.

Each change is an entry of its own kind, which says all there is to say by being there; what it comes to is
kept beside the head, so that nobody reads a log to know it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from services.messaging.domain.entries import EntryKind

FIRST_NAME_SEQ: Final = 1
"""A conversation that was never renamed has the name, if any, of its first entry."""


class Terms(NamedTuple):
    """How a conversation stands.

    While `announcements` holds its administrators alone write, and while it is `archived` nobody does. Whom
    somebody brings in while it has an `open_history` sees all of it. Its name and its topic are what the
    entries at `name_seq` and `topic_seq` say.
    """

    announcements: bool = False
    archived: bool = False
    open_history: bool = False
    name_seq: int = FIRST_NAME_SEQ
    topic_seq: int | None = None


DEFAULT_TERMS: Final = Terms()

_SETTLED: Final[Mapping[EntryKind, tuple[str, bool]]] = MappingProxyType(
    {
        EntryKind.HISTORY_OPENED: ("open_history", True),
        EntryKind.HISTORY_CLOSED: ("open_history", False),
        EntryKind.ANNOUNCEMENTS_BEGUN: ("announcements", True),
        EntryKind.ANNOUNCEMENTS_ENDED: ("announcements", False),
        EntryKind.CONVERSATION_ARCHIVED: ("archived", True),
        EntryKind.CONVERSATION_REOPENED: ("archived", False),
    }
)


def change_of(kind: EntryKind, seq: int) -> dict[str, bool | int]:
    """Return what an entry of this kind at `seq` makes of the terms: a field and its value, or nothing."""
    if kind is EntryKind.NAME_CHANGED:
        return {"name_seq": seq}
    if kind is EntryKind.TOPIC_CHANGED:
        return {"topic_seq": seq}
    settled = _SETTLED.get(kind)
    return {} if settled is None else dict([settled])


def is_settled(terms: Terms, kind: EntryKind) -> bool:
    """Tell whether the terms are already as an entry of this kind would have them."""
    field, value = _SETTLED[kind]
    return bool(getattr(terms, field)) is value
