"""How many messages the search engine itself can find, counted in its files or by the cluster."""

import asyncio
import contextlib
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec
import tantivy

from libs.kernel.secrets import Secret
from services.runner.search import OPENSEARCH, Searching

PATIENCE_SECONDS: Final = 600.0
_PAUSE_SECONDS: Final = 0.5
_FOLDER: Final = "search"
_MONTH: Final = re.compile(r"(\d{4}-\d{2})\.v\d+\.\d{6}")
_GENERATION: Final = re.compile(r"muniment(?:-g(\d+))?-[0-9a-f]{32}-v\d+-\d{4}-\d{2}")

Count = Callable[[UUID], int]
"""Returns how many messages of a tenant the engine finds; nothing is changed."""


def index_of(facts: Mapping[str, Any]) -> Count:
    """Return how to count in the engine of the deployment of which `facts` tell."""
    searching = msgspec.convert(facts["searching"], Searching)
    if searching.engine == OPENSEARCH and searching.cluster is not None:
        cluster = searching.cluster
        return lambda tenant: count_in_cluster(
            cluster.url, cluster.user, Secret(cluster.password), cluster.ca, tenant
        )
    folder = Path(facts["data"]) / _FOLDER
    return lambda tenant: count_indexed(folder, tenant)


async def settled_index(
    count: Count, tenant: UUID, expected: int, *, patience: float = PATIENCE_SECONDS
) -> int:
    """Return how many messages of a tenant are in its index, once they are `expected` or time is up."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + patience
    while True:
        found = await asyncio.to_thread(count, tenant)
        if found == expected or clock() >= deadline:
            return found
        await asyncio.sleep(_PAUSE_SECONDS)


def count_indexed(folder: Path, tenant: UUID) -> int:
    """Return how many messages of a tenant tantivy finds in all of its months."""
    newest: dict[str, Path] = {}
    made_anew = sorted(folder.glob(f"g*/{tenant}"), key=lambda path: int(path.parent.name[1:]))
    place = made_anew[-1] if made_anew else folder / str(tenant)
    for path in sorted(place.iterdir() if place.is_dir() else ()):
        if (named := _MONTH.fullmatch(path.name)) is not None:
            newest[named[1]] = path
    return sum(_count(path) for path in newest.values())


def count_in_cluster(url: str, user: str, password: Secret, ca: str, tenant: UUID) -> int:
    """Return how many messages of a tenant OpenSearch finds in the newest generation of its months.

    Of a month that is being made, or while the cluster is away, that is none.
    """
    from opensearchpy import OpenSearchException

    from services.ediscovery.adapters.opensearch import connected

    with connected(url, user, password, ca) as client, contextlib.suppress(OpenSearchException):
        listed = client.indices.get(
            index=f"muniment*-{tenant.hex}-v*", params={"filter_path": "*.settings.index.uuid"}
        )
        months: dict[int, list[str]] = {}
        for name in listed:
            if (named := _GENERATION.fullmatch(name)) is not None:
                months.setdefault(int(named[1] or 0), []).append(name)
        newest = months[max(months)] if months else []
        return sum(int(client.count(index=name)["count"]) for name in newest)
    return 0


def _count(path: Path) -> int:
    mask = os.umask(0o077)  # looking leaves a lock file: its owner's alone, like all that lies there
    try:
        index = tantivy.Index.open(str(path))
        searcher = index.searcher()
    except ValueError:
        return 0  # a month that is being made has no files yet
    finally:
        os.umask(mask)
    messages = tantivy.Query.term_query(index.schema, "kind", "message")
    # `SearchResult.count` is there, though the types that tantivy publishes do not say so.
    return int(searcher.search(messages, 1).count)  # type: ignore[attr-defined]
