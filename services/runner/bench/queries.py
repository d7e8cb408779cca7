"""What counsel asks: queries of every kind the language has, of words that a corpus really says."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from services.ediscovery.domain.tokens import tokens_of
from services.runner.corpus import Row, rows_of
from services.runner.errors import RunnerError

T = TypeVar("T")

LEAST_LETTERS: Final = 4
_EACH: Final = 12
"""Words of each band of frequency, and phrases, that are taken."""
_NOWHERE: Final = "xqzjwv"


class Said(NamedTuple):
    """What a corpus says: frequent, middling and rare words, pairs of words side by side, and its days."""

    frequent: Sequence[str]
    middling: Sequence[str]
    rare: Sequence[str]
    pairs: Sequence[tuple[str, str]]
    days: Sequence[str]


def said_in(corpus: Path) -> Said:
    """Return what the corpus in a file says. Raises RunnerError when that is too little to ask for."""
    return said_of(row for _, row in rows_of(corpus))


def said_of(rows: Iterable[Row]) -> Said:
    """Return what the lines say. Raises RunnerError when that is too little to ask for."""
    words: Counter[str] = Counter()
    pairs: Counter[tuple[str, str]] = Counter()
    days: dict[str, None] = {}
    for row in rows:
        tokens = tokens_of(row.text)
        words.update({word for word in tokens if _is_askable(word)})
        pairs.update({pair for pair in pairwise(tokens) if all(map(_is_askable, pair))})
        days[row.date] = None
    ranked = [word for word, _ in sorted(words.items(), key=lambda item: (-item[1], item[0]))]
    beside = [pair for pair, _ in sorted(pairs.items(), key=lambda item: (-item[1], item[0]))]
    if len(ranked) < 3 * _EACH or len(beside) < _EACH:
        raise RunnerError("the corpus says too little to be searched in")
    middle = min(len(ranked) // 3, 500)
    return Said(
        ranked[:_EACH],
        ranked[middle : middle + _EACH],
        ranked[-_EACH:],
        _spread(beside, _EACH),
        _spread(list(days), _EACH),
    )


def queries_of(said: Said, senders: Sequence[str], conversations: Sequence[str]) -> list[tuple[str, str]]:
    """Return queries with their kinds, kind after kind in turn; senders and conversations are ids."""
    asked = []
    for number in range(_EACH):
        frequent, middling, rare = said.frequent[number], said.middling[number], said.rare[number]
        other = said.frequent[(number + 1) % _EACH]
        day = said.days[number % len(said.days)]
        asked += [
            ("a frequent word", frequent),
            ("a middling word", middling),
            ("a rare word", rare),
            ("a word that is nowhere", f"{_NOWHERE}{number}"),
            ("two words", f"{frequent} {other}"),
            ("one word or the other", f"{frequent} OR {middling}"),
            ("one word without the other", f"{frequent} NOT {other}"),
            ("a phrase", '"{} {}"'.format(*said.pairs[number])),
            ("a prefix", f"{middling[:3]}*"),
            ("all of it", f'({frequent} OR {middling}* OR "{middling} {rare}") NOT ({other} {rare})'),
            ("a word on a day", f"{frequent} sent:{day}"),
            ("a word from a day on", f"{frequent} sent:>={day}"),
            ("all of a day", f"sent:{day}"),
            ("a word of somebody", f"{frequent} from:{senders[number % len(senders)]}"),
            ("a word in a conversation", f"{frequent} in:{conversations[number % len(conversations)]}"),
        ]
    return asked


def _is_askable(word: str) -> bool:
    return len(word) >= LEAST_LETTERS and word.isascii() and word.isalpha()


def _spread(every: Sequence[T], most: int) -> Sequence[T]:
    """Return some of them, from all along the sequence."""
    return every[:: max(1, len(every) // most)][:most]
