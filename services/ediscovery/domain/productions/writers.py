"""What the writers of the formats have in common: entries are added, files come out when a part is closed."""

from datetime import UTC
from typing import Protocol

from services.ediscovery.domain.productions.items import File, Numbered, Produced


class Writer(Protocol):
    """Writes one part of a production after the other, each into files of its own."""

    def refusal(self, item: Produced) -> str | None:
        """Return the word that says why this format cannot hold the entry, None when it can."""
        ...

    def slice_of(self, item: Produced) -> str | None:
        """Return what must not be divided between parts without need; None: every entry stands alone."""
        ...

    def add(self, entry: Numbered, part: int) -> str:
        """Take an entry into part `part`, and return the path of the file that will hold it."""
        ...

    def close(self) -> list[File]:
        """Return the files of the part, in order, and begin anew."""
        ...


def day_of(item: Produced) -> str:
    """Return the day in UTC at which an entry was sent, as in 2026-03-01."""
    return item.sent_at.astimezone(UTC).date().isoformat()


def conversation_day(item: Produced) -> str:
    """Return the name of a conversation's day."""
    return f"{item.conversation.id}_{day_of(item)}"


def path_of(entry: Numbered, part: int, suffix: str) -> str:
    """Return the path of an entry's own file, by its number, or else by its place."""
    item = entry.item
    name = f"{item.conversation.id}_{item.seq}" if entry.bates is None else entry.bates[0]
    return f"data/{part:06}/{name}.{suffix}"


def slice_path(item: Produced, part: int, suffix: str) -> str:
    """Return the path of the file that begins with `item` and holds what follows of that day."""
    return f"data/{part:06}/{conversation_day(item)}_{item.seq}.{suffix}"
