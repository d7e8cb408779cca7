"""What is measured on: a corpus from a file, or one that is made: the same size gives the same lines."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from itertools import accumulate
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from services.runner.corpus import Row
from services.runner.temporary import temporary_folder

MESSAGES: Final = 200_000
"""How many messages a corpus has that is made, where no other number is wanted."""
LINES_A_DAY: Final = 1_250
WORDS: Final = 30_000
NICKS: Final = 4_000
_SEED: Final = 17
_FIRST_DAY: Final = date(2010, 1, 1)
_LAST_MINUTE: Final = 24 * 60
_SYLLABLES: Final = tuple(f"{consonant}{vowel}" for consonant in "bdfgklmnprstvz" for vowel in "aeiou")
_FEWEST, _MOST = 2, 30
"""Words of a message."""


class Load(NamedTuple):
    """What to measure on: a file, or else so many messages that are made."""

    corpus: Path | None = None
    messages: int = MESSAGES


def made_rows(messages: int) -> Iterator[Row]:
    """Yield the lines of a made corpus: words and speakers are as unevenly spread as in real talk.

    All days are long over, so that a rule of retention finds something that is due.
    """
    chance = random.Random(_SEED)  # noqa: S311 - it has to be the same for everybody
    words = [_word_of(number) for number in range(WORDS)]
    nicks = [f"{_word_of(number)}{number}" for number in range(NICKS)]
    of_words, of_nicks = _zipf(WORDS), _zipf(NICKS)
    for number in range(messages):
        day, line = divmod(number, LINES_A_DAY)
        minute = line * _LAST_MINUTE // LINES_A_DAY
        (nick,) = chance.choices(nicks, cum_weights=of_nicks)
        said = chance.choices(words, cum_weights=of_words, k=chance.randint(_FEWEST, _MOST))
        yield Row(
            date=str(_FIRST_DAY + timedelta(days=day)),
            time=f"{minute // 60:02}:{minute % 60:02}",
            channel="#bench",
            nick=nick,
            text=" ".join(said),
        )


@contextmanager
def corpus_of(load: Load) -> Iterator[Path]:
    """Give the file of the corpus; one that has to be made is gone at the end."""
    if load.corpus is not None:
        yield load.corpus
        return
    with temporary_folder() as folder:
        path = folder / "made.jsonl"
        with path.open("wb") as file:
            file.writelines(msgspec.json.encode(row) + b"\n" for row in made_rows(load.messages))
        yield path


def _word_of(number: int) -> str:
    """Return a word, for each number another: three syllables at least."""
    syllables = []
    number += len(_SYLLABLES) ** 2
    while number:
        number, place = divmod(number, len(_SYLLABLES))
        syllables.append(_SYLLABLES[place])
    return "".join(syllables)


def _zipf(count: int) -> list[float]:
    """Return the cumulated weights of Zipf's law."""
    return list(accumulate(1.0 / (rank + 1) for rank in range(count)))
