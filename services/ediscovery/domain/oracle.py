"""What a query matches, said as plainly as can be: the engines are held against this."""

from collections.abc import Iterable, Sequence

from services.ediscovery.domain.documents import Document, Hit, Standing, hit_of
from services.ediscovery.domain.query import (
    And,
    Field,
    Ids,
    Not,
    Or,
    Phrase,
    Prefix,
    Query,
    SentIn,
    SentOn,
    Term,
    bounds_of,
)


def matches(query: Query, document: Document) -> bool:  # noqa: C901, PLR0911 - one answer for each kind of query
    """Say whether `document` matches `query`, which is resolved."""
    match query:
        case Term(token):
            return token in document.tokens
        case Phrase(tokens):
            return _contains(document.tokens, tokens)
        case Prefix(beginning):
            return any(token.startswith(beginning) for token in document.tokens)
        case Ids():
            return _is_among(query, document)
        case SentOn():
            return matches(bounds_of(query), document)
        case SentIn(since, until):
            begun = since is None or since <= document.sent_at
            return begun and (until is None or document.sent_at < until)
        case Not(inner):
            return not matches(inner, document)
        case And(queries):
            return all(matches(one, document) for one in queries)
        case Or(queries):
            return any(matches(one, document) for one in queries)
        case Field():
            raise TypeError("a query is resolved before it is evaluated")


def hits_of(
    documents: Iterable[Document], query: Query, limit: int, after: Standing | None = None
) -> Sequence[Hit]:
    """Return the first `limit` hits after `after`, in order."""
    found = [hit_of(document) for document in documents if matches(query, document)]
    found.sort(key=lambda hit: hit.standing)
    return [hit for hit in found if after is None or hit.standing > after][:limit]


def _contains(tokens: tuple[str, ...], phrase: tuple[str, ...]) -> bool:
    return any(
        tokens[begin : begin + len(phrase)] == phrase for begin in range(len(tokens) - len(phrase) + 1)
    )


def _is_among(query: Ids, document: Document) -> bool:
    match query.name:
        case "from":
            return document.sender in query.ids
        case "in":
            return document.key.conversation in query.ids
        case "participant":
            return not query.ids.isdisjoint(document.participants)
