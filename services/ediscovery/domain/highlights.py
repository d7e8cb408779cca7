"""Where a query's words stand in a text, for a reader's eye: what matches is decided by the index alone."""

import unicodedata
from collections.abc import Iterator
from typing import Final, NamedTuple

from services.ediscovery.domain.query import And, Or, Phrase, Prefix, Query, Term
from services.ediscovery.domain.tokens import tokens_of

_BEFORE: Final = 60
_LONGEST: Final = 300


class Span(NamedTuple):
    """Characters of a text, from `begin` to before `end`."""

    begin: int
    end: int


class Excerpt(NamedTuple):
    """A part of a text that begins at `at`, and where in it the words stand."""

    text: str
    at: int
    marks: tuple[Span, ...]


class _Wanted(NamedTuple):
    words: frozenset[str]
    beginnings: tuple[str, ...]

    def has(self, token: str) -> bool:
        return token in self.words or token.startswith(self.beginnings)


def excerpt_of(text: str, query: Query) -> Excerpt:
    """Return the part of `text` around the first word of `query` that stands in it, or its beginning."""
    marks = marks_in(text, query)
    begin = max(0, marks[0].begin - _BEFORE) if marks else 0
    end = min(len(text), begin + _LONGEST)
    shown = (Span(mark.begin - begin, mark.end - begin) for mark in marks if mark.end <= end)
    return Excerpt(text[begin:end], begin, tuple(shown))


def marks_in(text: str, query: Query) -> list[Span]:
    """Return where words of `query` stand in `text`, in order; words under a NOT are none."""
    wanted = _wanted_of(query)
    return [mark for run in _runs(text) for mark in _marks_of_run(text, run, wanted)]


def _marks_of_run(text: str, run: Span, wanted: _Wanted) -> list[Span]:
    tokens = tokens_of(text[run.begin : run.end])
    if not any(map(wanted.has, tokens)):
        return []
    if len(tokens) > 1 and all(len(token) == 1 for token in tokens):  # a script by characters
        places = (Span(place, place + 1) for place in range(run.begin, run.end))
        by_character = [place for place in places if any(map(wanted.has, tokens_of(text[place.begin])))]
        return by_character or [run]
    return [run]


def _runs(text: str) -> Iterator[Span]:
    """Give the runs of characters that make words together, and each other visible character alone."""
    begin = 0
    for index, character in enumerate(f"{text} "):
        if _is_of_a_run(character):
            continue
        if begin < index:
            yield Span(begin, index)
        if index < len(text) and not character.isspace():
            yield Span(index, index + 1)
        begin = index + 1


def _is_of_a_run(character: str) -> bool:
    category = unicodedata.category(character)
    return character.isalnum() or category[0] in "LNM" or category == "Cf"


def _wanted_of(query: Query) -> _Wanted:
    words: set[str] = set()
    beginnings: list[str] = []
    waiting = [query]
    while waiting:
        match waiting.pop():
            case Term(token):
                words.add(token)
            case Phrase(tokens):
                words.update(tokens)
            case Prefix(beginning):
                beginnings.append(beginning)
            case And(queries) | Or(queries):
                waiting.extend(queries)
            case _:
                pass
    return _Wanted(frozenset(words), tuple(beginnings))
