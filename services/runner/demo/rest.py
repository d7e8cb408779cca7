"""What comes by import: a corpus beside the one that is said live, and who of it stands in the directory."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from services.messaging.domain.imports import Line
from services.runner.corpus import Row, rows_of
from services.runner.demo.script import OWN_CORPUS, Script
from services.runner.errors import RunnerError
from services.runner.imports import batches_of

CUSTODIANS: Final = 3
OWN_ARCHIVE: Final = Path(__file__).with_name("archive.jsonl")
WRITTEN_ON: Final = date(2026, 11, 20)
"""The project's own archive is read as if it had been written today: its days move by the time since."""


def rest_of(corpus: Path | None, said: int, archive: Path | None, folder: Path, today: date) -> Path | None:
    """Return the file that is imported; it lies in `folder` if it has to be made.

    That is `archive`, or else what `corpus` holds beyond the `said` lines that are said live (None when
    that is nothing), or for the project's own corpus its own archive. Raises RunnerError.
    """
    if archive is not None:
        return archive
    rows: Iterator[Row]
    if corpus is None:
        rows = (moved(row, today - WRITTEN_ON) for _, row in rows_of(OWN_ARCHIVE))
    else:
        rows = (row for _, row in islice(rows_of(corpus), said, None))
    return _written(rows, folder / "rest.jsonl")


def moved(row: Row, by: timedelta) -> Row:
    """Return a line as it would have been said so much later."""
    return msgspec.structs.replace(row, date=str(date.fromisoformat(row.date) + by))


def _written(rows: Iterable[Row], path: Path) -> Path | None:
    try:
        with path.open("wb") as file:
            for row in rows:
                file.write(msgspec.json.encode(row) + b"\n")
            return path if file.tell() else None
    except OSError as error:
        raise RunnerError(f"{path}: {error.strerror or error}") from error


def busiest(path: Path, most: int = CUSTODIANS) -> list[str]:
    """Return who of a corpus says the most, in the order of how much. Raises RunnerError."""
    counted = Counter(row.nick for _, row in rows_of(path))
    return [nick for nick, _ in counted.most_common(most)]


class Reach(msgspec.Struct):
    """What lies in the reach of some people, as far as texts alone tell: its number, and its words."""

    messages: int = 0
    words: Counter[str] = msgspec.field(default_factory=Counter)
    """In how many messages each word stands."""

    def add(self, words: Iterable[str]) -> None:
        """Count a message."""
        self.messages += 1
        self.words.update(set(words))


def reached(path: Path, nicks: Iterable[str]) -> Iterator[Line]:
    """Yield the lines that some of `nicks` sent or could read, as the rules of imports have it.

    An author sees all of his conversation, which is a channel and day.
    """
    wanted = frozenset(nicks)
    places = {
        (line.channel, line.date) for batch in batches_of(path) for line in batch if line.nick in wanted
    }
    for batch in batches_of(path):
        yield from (line for line in batch if (line.channel, line.date) in places)


def told_live(script: Script, people: Iterable[int]) -> Iterator[str]:
    """Yield the texts of the script's conversations in which some of `people` take part."""
    wanted = frozenset(people)
    for conversation in script.conversations:
        if not wanted.isdisjoint(conversation.people):
            yield from (line.text for line in conversation.lines)


def numbers_of(corpus: Path | None, limit: int | None) -> Mapping[str, int]:
    """Return the number in the script of each nick that speaks live. Raises RunnerError."""
    rows = (row for _, row in islice(rows_of(corpus or OWN_CORPUS), limit))
    return {nick: number for number, nick in enumerate(dict.fromkeys(row.nick for row in rows))}
