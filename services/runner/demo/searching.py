"""The matter of a demonstration: counsel searches in it, and the texts tell what is to be found."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec

from services.ediscovery.domain.tokens import tokens_of
from services.runner.demo.officials import Official
from services.runner.demo.rest import Reach, reached, told_live
from services.runner.demo.script import Script
from services.runner.matters import MATTERS, PAGE

MOST_PAGES: Final = 20
LEAST_LETTERS: Final = 4


class Searched(msgspec.Struct, frozen=True):
    """Hits of a word in the matter `matter`, and messages of its scope in whose texts the word stands."""

    matter: str
    word: str
    found: int
    matching: int


def reach_of(script: Script, people: Sequence[int], rest: Path, nicks: Sequence[str]) -> Reach:
    """Return what some people could read live (by their numbers) and in `rest` (by their nicks)."""
    reach = Reach()
    for text in told_live(script, people):
        reach.add(tokens_of(text))
    for line in reached(rest, nicks):
        reach.add(tokens_of(line.text))
    return reach


def word_of(reach: Reach) -> tuple[str, int]:
    """Return the word that stands in the most messages (no more than are paged), and in how many."""
    fitting = (
        (count, word)
        for word, count in reach.words.items()
        if len(word) >= LEAST_LETTERS and word.isascii() and word.isalpha() and count <= MOST_PAGES * PAGE
    )
    count, word = max(fitting, default=(0, "nothing"))
    return word, count


async def search_matter(counsel: Official, custodians: Sequence[UUID], reach: Reach) -> Searched:
    """Open a matter on `custodians` and search a word in it, page by page. Raises ClientError."""
    wanted = {"name": "Demonstration", "custodians": [str(custodian) for custodian in custodians]}
    matter = (await counsel.post(MATTERS, wanted))["matter"]
    word, matching = word_of(reach)
    return Searched(matter, word, await _hits(counsel, matter, word), matching)


async def _hits(counsel: Official, matter: str, word: str) -> int:
    """Return how many different messages are found."""
    found: set[tuple[str, int]] = set()
    body: dict[str, Any] = {"query": word, "limit": PAGE}
    for _ in range(MOST_PAGES + 1):
        page = await counsel.post(f"{MATTERS}/{matter}/searches", body)
        found.update((hit["conversation"], int(hit["seq"])) for hit in page["hits"])
        if page["next"] is None:
            break
        body["after"] = page["next"]
    return len(found)
