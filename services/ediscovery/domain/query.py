"""The query language: text to a tree, and back; a user's text never reaches an engine's own parser.

    word  two words (both)  "a phrase"  prefix*  a AND b  a OR b  NOT a  (a OR b) c
    from:anna  in:ID  participant:"Ben Roth"  sent:2026-01-01..2026-03-31  sent:>=2026-01-01  sent:2026-01-01
    edited:yes  edited:no  deleted:yes  deleted:no

NOT binds before AND, AND before OR, and operators are capitals. Days are days in UTC, both ends included.
A word of several tokens (an address, a version, `don't`) is the phrase of these. What other languages have
and this one lacks (`_FOREIGN`) is refused: read as words it would find something else. In quotes it is text.
"""

import functools
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, get_args
from uuid import UUID

from services.ediscovery.domain.documents import DELETED, EDITED
from services.ediscovery.domain.errors import NameUnknown, QueryRefused
from services.ediscovery.domain.tokens import tokens_of

if TYPE_CHECKING:
    from lark import Lark
    from lark import Token as LarkToken

LONGEST_QUERY = 4096
"""Characters of a query; together with the next two it bounds what an engine is asked for."""
MOST_NESTED = 100
"""Parentheses and NOTs of a query."""
DEEPEST_QUERY = 15
"""Levels of AND, OR and NOT within each other; OpenSearch evaluates 20, of which a scope needs some."""
MOST_CLAUSES = 500
"""Words, phrases and fields of a query."""
MOST_NAMES = 20
"""People whom a query names otherwise than by their ids: each is a question to the directory."""

FieldName = Literal["from", "in", "participant"]

_FIELDS: tuple[FieldName, ...] = get_args(FieldName)
_MARKS = MappingProxyType({"edited": EDITED, "deleted": DELETED})
_RESERVED = ("to", "has", "type", "matter", "tag")
_OWN = re.compile(r"(?i:from|in|participant|sent|edited|deleted):")
_FOREIGN: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), f"{reason}; in quotes it is searched for as text")
    for pattern, reason in (
        (rf"(?i:{'|'.join(_RESERVED)}):", f"the fields {':, '.join(_RESERVED)}: cannot be searched for"),
        # not 10:30, C:\dir, std::sort, a URL, nor `Re:` at the end of a word
        (r'(?!(?i:mailto|localhost):)[^\W\d][\w-]*\w:(?=[\w"(\[{<>*])', "there is no such field"),
        (r'NEAR(/.*)?["(]?$|(?i:near|pre|w)/(?:\d+|[sp])["(]?$', "nearness cannot be searched for"),
        (r'(?:AND|OR|NOT)/\d+["(]?$', "AND, OR and NOT have no number"),
        (r"/[^/]+/$", "regular expressions cannot be searched for"),
        (r'[^/\\]*~[\d.]*["(]?$', "neither similar words nor nearness can be searched for"),
        (r'.*\^[\d.]+["(]?$', "words have no weight"),
        # not a question's end, nor the query of a URL
        (r"[^/\\=]*\?\w", "a question mark stands for no letter, and a star only for the end of a word"),
        # not +49, for whoever requires a number is given that
        (r'-[\w"(]|![\w"(]', "a sign excludes nothing: NOT does"),
        (r'\+[^\W\d]|\+["(]', "a plus is not needed: words stand beside each other for all of them"),
        (r".*(?:&&|\|\|)", "operators are written AND, OR and NOT"),
    )
)
"""How a word begins that means something elsewhere; a quotation mark or `(` right behind it belongs to it."""
_DAY = timedelta(days=1)
_GRAMMAR = r"""
    start: any
    any: every (_OR every)*
    every: unary (_AND? unary)*
    ?unary: NOT unary -> negation
        | "(" any ")"
        | PHRASE -> phrase
        | FIELD -> field
        | WORD -> word
    _OR.3: /OR(?![^\s()"])/
    _AND.3: /AND(?![^\s()"])/
    NOT.3: /NOT(?![^\s()"])/
    FIELD.2: /(?i:from|in|participant|sent|edited|deleted):("[^"]*"|[^\s()"]*)/
    PHRASE: /"[^"]*"/
    WORD: /[^\s()"]+/
    %ignore /\s+/
"""


@dataclass(frozen=True)
class Term:
    """One token, anywhere in the text, or a mark of the whole message."""

    token: str


@dataclass(frozen=True)
class Phrase:
    """At least two tokens, one directly after the other."""

    tokens: tuple[str, ...]


@dataclass(frozen=True)
class Prefix:
    """A token that begins so."""

    beginning: str


@dataclass(frozen=True)
class Field:
    """What the user wrote after `from:`, `in:` or `participant:`; `resolve` turns it into ids.

    `column` is where the field begins, for whoever cannot tell what it means; it makes no difference.
    """

    name: FieldName
    value: str
    column: int = field(default=1, compare=False)


@dataclass(frozen=True)
class Ids:
    """The sender, the conversation or a participant is one of these; none of none."""

    name: FieldName
    ids: frozenset[UUID]


@dataclass(frozen=True)
class SentOn:
    """Sent on one of the days from `first` to `last` in UTC, both included; None leaves that end open."""

    first: date | None
    last: date | None


@dataclass(frozen=True)
class SentIn:
    """Sent from `since` on and before `until`; made by scopes, which know instants, never by the parser."""

    since: datetime | None
    until: datetime | None


@dataclass(frozen=True)
class Not:
    """Whatever does not match `query`."""

    query: "Query"


@dataclass(frozen=True)
class And:
    """Whatever matches all of at least two queries."""

    queries: tuple["Query", ...]


@dataclass(frozen=True)
class Or:
    """Whatever matches one of at least two queries."""

    queries: tuple["Query", ...]


Query = Term | Phrase | Prefix | Field | Ids | SentOn | SentIn | Not | And | Or


@dataclass(frozen=True)
class Scope:
    """What a reader may see at all: outside it nothing matches. None sets no limit of that kind.

    `participants` are custodians, of whom one was there; `since` is included, `until` is not.
    """

    conversations: frozenset[UUID] | None = None
    participants: frozenset[UUID] | None = None
    since: datetime | None = None
    until: datetime | None = None


def parse(text: str) -> Query:
    """Return the tree of a query. Raises QueryRefused with the column where it goes wrong."""
    from lark import UnexpectedInput  # noqa: PLC0415 - only who parses a query pays for the parser
    from lark.exceptions import VisitError  # noqa: PLC0415 - as above

    _check_size(text)
    _check_foreign(text)
    try:
        tree = _parser().parse(text)
    except VisitError as error:
        raise error.orig_exc from None
    except UnexpectedInput as error:
        column = len(text) + 1 if _is_end(error) else (getattr(error, "pos_in_stream", None) or 0) + 1
        raise QueryRefused(column, _complaint(text, column)) from None
    query: Query = tree  # type: ignore[assignment] # the transformer makes queries of lark's trees
    if _clauses_of(query) > MOST_CLAUSES:
        raise QueryRefused(1, f"a query has at most {MOST_CLAUSES} words, phrases and fields")
    if _depth_of(query) > DEEPEST_QUERY:
        raise QueryRefused(1, f"AND, OR and NOT stand within each other at most {DEEPEST_QUERY} levels deep")
    return query


def printed(query: Query) -> str:  # noqa: PLR0911 - one answer for each kind of query
    """Return the text of a tree that `parse` made; parsing it gives that tree again."""
    match query:
        case Term(token):
            return next((f"{name}:yes" for name, mark in _MARKS.items() if mark == token), token)
        case Phrase(tokens):
            return f'"{" ".join(tokens)}"'
        case Prefix(beginning):
            return f"{beginning}*"
        case Field(name, value):
            return f'{name}:"{value}"'
        case SentOn(first, last):
            return f"sent:{_printed_days(first, last)}"
        case Not(inner):
            return f"NOT {_printed_inside(inner)}"
        case And(queries):
            return " AND ".join(_printed_inside(one) for one in queries)
        case Or(queries):
            return " OR ".join(printed(one) for one in queries)
        case Ids() | SentIn():
            raise TypeError("ids and instants have no text: print what was parsed")


def resolve(query: Query, ids_of: Callable[[Field], Collection[UUID]]) -> Query:
    """Return `query` with ids for names, by `ids_of`, which may raise NameUnknown."""
    match query:
        case Field(name):
            return Ids(name, frozenset(ids_of(query)))
        case Not(inner):
            return Not(resolve(inner, ids_of))
        case And(queries):
            return And(tuple(resolve(one, ids_of) for one in queries))
        case Or(queries):
            return Or(tuple(resolve(one, ids_of) for one in queries))
        case _:
            return query


def ids_as_written(written: Field) -> Collection[UUID]:
    """Take the value for an id itself. Raises NameUnknown."""
    try:
        return [UUID(written.value)]
    except ValueError:
        raise NameUnknown(written.name, written.column) from None


def people_named(query: Query) -> list[Field]:
    """Return the fields that name somebody otherwise than by his id, each once. Raises QueryRefused."""
    named = list(dict.fromkeys(each for each in _fields_of(query) if each.name != "in" and not _is_id(each)))
    if len(named) > MOST_NAMES:
        raise QueryRefused(named[MOST_NAMES].column, f"a query has at most {MOST_NAMES} names of people")
    return named


def scoped(query: Query, scope: Scope) -> Query:
    """Return the query that matches what `query` does within `scope`."""
    limits: list[Query] = [query]
    if scope.conversations is not None:
        limits.append(Ids("in", scope.conversations))
    if scope.participants is not None:
        limits.append(Ids("participant", scope.participants))
    if scope.since is not None or scope.until is not None:
        limits.append(SentIn(scope.since, scope.until))
    return every_of(limits)


def every_of(queries: Collection[Query]) -> Query:
    """Return the one query that matches what all of at least one match; its parts are no Ands."""
    flat: list[Query] = []
    for query in queries:
        flat.extend(query.queries if isinstance(query, And) else [query])
    return flat[0] if len(flat) == 1 else And(tuple(flat))


def any_of(queries: Collection[Query]) -> Query:
    """Return the one query that matches what one of at least one matches; its parts are no Ors."""
    flat: list[Query] = []
    for query in queries:
        flat.extend(query.queries if isinstance(query, Or) else [query])
    return flat[0] if len(flat) == 1 else Or(tuple(flat))


def bounds_of(query: SentOn) -> SentIn:
    """Return the instants of whole days: from midnight on, before the midnight after the last."""
    since = None if query.first is None else datetime.combine(query.first, time(), UTC)
    open_end = query.last is None or query.last == date.max
    until = None if open_end or query.last is None else datetime.combine(query.last + _DAY, time(), UTC)
    return SentIn(since, until)


@functools.cache
def _parser() -> "Lark":
    from lark import Lark, Transformer  # noqa: PLC0415 - only who parses a query pays for the parser

    class Builder(Transformer["LarkToken", Query]):
        """Makes queries of lark's trees; a method for each rule."""

        def start(self, parts: list[Query]) -> Query:
            return parts[0]

        def any(self, parts: list[Query]) -> Query:
            return any_of(parts)

        def every(self, parts: list[Query]) -> Query:
            return every_of(parts)

        def negation(self, parts: list[Query]) -> Query:
            return Not(parts[1])

        def phrase(self, parts: list["LarkToken"]) -> Query:
            return _text(parts[0][1:-1], _column(parts[0]))

        def field(self, parts: list["LarkToken"]) -> Query:
            return _field(parts[0], _column(parts[0]))

        def word(self, parts: list["LarkToken"]) -> Query:
            return _word(parts[0], _column(parts[0]))

    return Lark(_GRAMMAR, parser="lalr", lexer="basic", transformer=Builder())


def _column(token: "LarkToken") -> int:
    return (token.start_pos or 0) + 1


def _check_size(text: str) -> None:
    if len(text) > LONGEST_QUERY:
        raise QueryRefused(LONGEST_QUERY + 1, f"a query has at most {LONGEST_QUERY} characters")
    nested = 0
    for index, word in _words_of(text):
        nested += word in ("(", "NOT")
        if nested > MOST_NESTED:
            raise QueryRefused(index + 1, f"a query has at most {MOST_NESTED} parentheses and NOTs")


def _check_foreign(text: str) -> None:
    words = _words_of(text)
    for index, word in words:
        if _OWN.match(word):
            continue
        behind = text[index + len(word) :][:1]
        seen = word + behind if behind in ('"', "(") else word
        for pattern, reason in _FOREIGN:
            if pattern.match(seen):
                raise QueryRefused(index + 1, reason)
    for (index, first), (_, between), (_, last) in zip(words, words[1:], words[2:], strict=False):
        if first[0] in "[{" and between == "TO" and last[-1] in "]}":
            raise QueryRefused(
                index + 1, "ranges of words cannot be searched for; of days they can, by sent:"
            )


def _clauses_of(query: Query) -> int:
    match query:
        case Not(inner):
            return _clauses_of(inner)
        case And(queries) | Or(queries):
            return sum(map(_clauses_of, queries))
        case _:
            return 1


def _fields_of(query: Query) -> Iterator[Field]:
    match query:
        case Field():
            yield query
        case Not(inner):
            yield from _fields_of(inner)
        case And(queries) | Or(queries):
            for one in queries:
                yield from _fields_of(one)


def _is_id(written: Field) -> bool:
    try:
        return bool(ids_as_written(written))
    except NameUnknown:
        return False


def _depth_of(query: Query) -> int:
    match query:
        case Not(inner):
            return 1 + _depth_of(inner)
        case And(queries) | Or(queries):
            return 1 + max(map(_depth_of, queries))
        case _:
            return 0


def _words_of(text: str) -> list[tuple[int, str]]:
    """Return the words and opening parentheses outside quotes, each with its index."""
    found: list[tuple[int, str]] = []
    begin: int | None = None
    quoted = False
    for index, character in enumerate(f"{text} "):
        ends = character.isspace() or character in '()"'
        if begin is not None and ends and not quoted:
            found.append((begin, text[begin:index]))
            begin = None
        if character == '"':
            quoted = not quoted
        elif character == "(" and not quoted:
            found.append((index, "("))
        elif begin is None and not ends and not quoted:
            begin = index
    return found


def _is_end(error: Exception) -> bool:
    token = getattr(error, "token", None)
    return token is not None and token.type == "$END"


def _complaint(text: str, column: int) -> str:
    rest = text[column - 1 :]
    if not text.strip():
        return "there is nothing to search for"
    if not rest:
        return "something is missing at the end"
    if rest.startswith('"'):
        return "this quotation is not closed"
    if rest.startswith(")"):
        return "nothing is open that this parenthesis could close"
    return "an operator stands where something to search for is missing"


def _text(text: str, column: int) -> Query:
    """Return the query for the tokens of `text`."""
    tokens = tokens_of(text)
    if not tokens:
        raise QueryRefused(column, "there is no letter, number or symbol in this that could be found")
    return Term(tokens[0]) if len(tokens) == 1 else Phrase(tokens)


def _word(text: str, column: int) -> Query:
    star = text.find("*")
    if star < 0:
        return _text(text, column)
    if star != len(text) - 1:
        raise QueryRefused(column + star, "a star stands only at the end of a word")
    tokens = tokens_of(text[:-1])
    if len(tokens) != 1:
        raise QueryRefused(column, "before a star there is one word")
    return Prefix(tokens[0])


def _field(text: str, column: int) -> Query:
    label, _, written = text.partition(":")
    value = " ".join(written.strip('"').split())
    if not value:
        raise QueryRefused(column + len(label) + 1, f"after {label.lower()}: there is a value")
    if label.lower() == "sent":
        return _days(value, column + len(label) + 1)
    if (mark := _MARKS.get(label.lower())) is not None:
        return _marked(mark, value.lower(), column + len(label) + 1)
    return Field(next(name for name in _FIELDS if name == label.lower()), value, column)


def _marked(mark: str, value: str, column: int) -> Query:
    if value not in ("yes", "no"):
        raise QueryRefused(column, "after this field stands yes or no")
    return Term(mark) if value == "yes" else Not(Term(mark))


def _days(text: str, column: int) -> SentOn:
    try:
        days = _days_written(text)
    except (ValueError, OverflowError):
        reason = "days are written as 2026-01-31, 2026-01-01..2026-03-31 or >=2026-01-01"
        raise QueryRefused(column, reason) from None
    if days.first is not None and days.last is not None and days.first > days.last:
        raise QueryRefused(column, "the first of two days is not after the last")
    return days


def _days_written(text: str) -> SentOn:
    for operator in (">=", "<=", ">", "<"):
        if text.startswith(operator):
            day = _day(text.removeprefix(operator))
            strict = _DAY if len(operator) == 1 else timedelta()
            return SentOn(day + strict, None) if operator[0] == ">" else SentOn(None, day - strict)
    first, dots, last = text.partition("..")
    return SentOn(_day(first), _day(last if dots else first))


def _day(text: str) -> date:
    return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()


def _printed_days(first: date | None, last: date | None) -> str:
    if last is None:
        return f">={first}"
    return f"<={last}" if first is None else f"{first}..{last}"


def _printed_inside(query: Query) -> str:
    return f"({printed(query)})" if isinstance(query, And | Or) else printed(query)
