"""How many messages the search engine itself can find, counted in its files."""

import asyncio
import re
from pathlib import Path
from typing import Final
from uuid import UUID

import tantivy

PATIENCE_SECONDS: Final = 600.0
_PAUSE_SECONDS: Final = 0.5
_MONTH: Final = re.compile(r"(\d{4}-\d{2})\.v\d+\.\d{6}")


async def settled_index(
    folder: Path, tenant: UUID, expected: int, *, patience: float = PATIENCE_SECONDS
) -> int:
    """Return how many messages of a tenant are in its index, once they are `expected` or time is up."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + patience
    while True:
        found = await asyncio.to_thread(count_indexed, folder, tenant)
        if found == expected or clock() >= deadline:
            return found
        await asyncio.sleep(_PAUSE_SECONDS)


def count_indexed(folder: Path, tenant: UUID) -> int:
    """Return how many messages of a tenant the engine finds in all of its months; nothing is changed."""
    newest: dict[str, Path] = {}
    made_anew = sorted(folder.glob(f"g*/{tenant}"), key=lambda path: int(path.parent.name[1:]))
    place = made_anew[-1] if made_anew else folder / str(tenant)
    for path in sorted(place.iterdir() if place.is_dir() else ()):
        if (named := _MONTH.fullmatch(path.name)) is not None:
            newest[named[1]] = path
    return sum(_count(path) for path in newest.values())


def _count(path: Path) -> int:
    try:
        index = tantivy.Index.open(str(path))
    except ValueError:
        return 0  # a month that is being made has no files yet
    messages = tantivy.Query.term_query(index.schema, "kind", "message")
    # `SearchResult.count` is there, though the types that tantivy publishes do not say so.
    return int(index.searcher().search(messages, 1).count)  # type: ignore[attr-defined]
