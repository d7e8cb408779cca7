"""A hundred queries as somebody would type them, over the words of a corpus, and a judge of their answers."""

import gzip
import json
import random
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid5

from libs.kernel.ids import ConversationId, PrincipalId, TenantId
from services.ediscovery.domain.documents import Document, Hit, Standing, hit_of
from services.ediscovery.domain.oracle import matches
from services.ediscovery.domain.query import Query, Scope, ids_as_written, parse, resolve
from services.ediscovery.ports.index import SearchIndex
from tests.contract.search.town import CORPUS, NAMES, said

WHOLE_CORPUS = CORPUS.with_name("ubuntu-irc-messages.jsonl.gz")
LISTENERS = 3
"""Those who spoke last in a channel's log are taken for its participants."""
FORMS = (
    "{word}",
    "{word} {word}",
    "{word} AND {word}",
    "{word} OR {rare} OR {prefix}",
    "{phrase}",
    "{phrase} OR {prefix}",
    "NOT {word}",
    "{word} NOT {prefix}",
    "{prefix} AND NOT {phrase}",
    "({word} OR {phrase}) AND NOT ({from} OR {in})",
    "{from} {prefix}",
    "{in} AND ({word} OR {prefix})",
    "{participant} ({word} OR NOT {word})",
    "{days} {prefix}",
    "{since} NOT ({word} OR NOT {phrase})",
    "({participant} OR {from}) AND {days}",
    "NOT (NOT {rare} {until})",
    "(({rare} OR {word}) ({in} OR {days})) OR {phrase}",
    "{in} {until} NOT {from}",
    "{rare} OR ({participant} {since} {word})",
)
"""Each operator of the language, alone and within others; what stands in braces is taken from messages."""


def read_corpus(path: Path, most: int | None = None) -> list[Document]:
    """Return the first messages of a corpus (None: all): each file of a channel's log is a conversation."""
    found: list[Document] = []
    speakers: dict[str, deque[PrincipalId]] = {}
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for seq, line in enumerate(lines, 1):
            if most is not None and seq > most:
                break
            one = json.loads(line)
            sender = PrincipalId(uuid5(NAMES, one["nick"]))
            recent = speakers.setdefault(one["src"], deque(maxlen=LISTENERS))
            recent.append(sender)
            found.append(
                said(
                    seq,
                    one["text"],
                    conversation=ConversationId(uuid5(NAMES, one["src"])),
                    sender=sender,
                    participants=tuple(recent),
                    sent_at=datetime.fromisoformat(f"{one['date']}T{one['time']}:00+00:00"),
                )
            )
    return found


def typed(documents: Sequence[Document], number: int, seed: int) -> list[str]:
    """Return queries in all forms, of what occurs in these messages; the same for the same seed."""
    chance = random.Random(seed)
    worded = [one for one in documents if len(one.tokens) > 2]
    return [_filled(FORMS[turn % len(FORMS)], chance, worded) for turn in range(number)]


def _filled(form: str, chance: random.Random, documents: Sequence[Document]) -> str:
    parts: dict[str, Callable[[Document], str]] = {
        "{word}": lambda one: chance.choice(one.tokens),
        "{rare}": lambda one: max(one.tokens, key=len),
        "{prefix}": lambda one: f"{chance.choice(one.tokens)[: chance.randint(1, 4)]}*",
        "{phrase}": lambda one: f'"{" ".join(_run(chance, one.tokens))}"',
        "{from}": lambda one: f"from:{one.sender}",
        "{in}": lambda one: f"in:{one.key.conversation}",
        "{participant}": lambda one: f"participant:{chance.choice(sorted(one.participants))}",
        "{days}": lambda one: f"sent:{_day(one)}..{_day(one, chance.randrange(200))}",
        "{since}": lambda one: f"sent:>={_day(one)}",
        "{until}": lambda one: f"sent:<{_day(one)}",
    }
    for name, made in parts.items():
        while name in form:
            form = form.replace(name, made(chance.choice(documents)), 1)
    return form


def _run(chance: random.Random, tokens: Sequence[str]) -> Sequence[str]:
    begin = chance.randrange(len(tokens) - 1)
    return tokens[begin : begin + chance.randint(2, 3)]


def _day(document: Document, later: int = 0) -> str:
    return str(document.sent_at.date() + timedelta(days=later))


def understood(text: str) -> Query:
    """Return a typed query whose names are ids."""
    return resolve(parse(text), ids_as_written)


class Expected:
    """The oracle's answers over a corpus, each found once, however many engines are held against it."""

    def __init__(self, documents: Iterable[Document]) -> None:
        """Answer over `documents`."""
        self._documents = sorted(documents, key=lambda one: one.standing)
        self._hits = [hit_of(one) for one in self._documents]
        self._known: dict[str, list[Hit]] = {}

    def of(self, text: str) -> list[Hit]:
        """Return all hits of a typed query, in order."""
        if text not in self._known:
            query, pairs = understood(text), zip(self._documents, self._hits, strict=True)
            self._known[text] = [hit for document, hit in pairs if matches(query, document)]
        return self._known[text]


async def disagreements(
    index: SearchIndex, tenant: TenantId, expected: Expected, asked: Sequence[str], page: int
) -> list[str]:
    """Say which of the queries an index answers otherwise than the oracle, page by page to the last hit."""
    wrong: list[str] = []
    for text in asked:
        found = [hit async for hit in _all_hits(index, tenant, understood(text), page)]
        if found != expected.of(text):
            wrong.append(f"{text}: {_first_difference(found, expected.of(text))}")
    return wrong


async def _all_hits(index: SearchIndex, tenant: TenantId, query: Query, page: int) -> AsyncIterator[Hit]:
    after: Standing | None = None
    while hits := await index.search(tenant, query, Scope(), page, after):
        for hit in hits:
            yield hit
        if len(hits) < page:
            return
        after = hits[-1].standing


def _first_difference(found: Sequence[Hit], expected: Sequence[Hit]) -> str:
    """Say it shortly: two hundred thousand hits are nothing to read."""
    pairs = enumerate(zip(found, expected, strict=False))
    at = next((at for at, (one, other) in pairs if one != other), min(len(found), len(expected)))
    return f"{len(found)} hits, {len(expected)} expected; they part at hit {at}"


def batches(documents: Sequence[Document], size: int) -> Iterator[tuple[int, Sequence[Document]]]:
    """Return documents in batches, each with the position of its first."""
    for begin in range(0, len(documents), size):
        yield begin + 1, documents[begin : begin + size]
