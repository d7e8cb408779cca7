"""Messages to search in: a small town made by hand, and a real corpus."""

import gzip
import json
import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid5

from libs.kernel.ids import ConversationId, MessageId, PrincipalId
from services.ediscovery.domain.documents import Document, DocumentKey, Put, document_of
from services.ediscovery.domain.query import (
    And,
    Ids,
    Not,
    Or,
    Phrase,
    Prefix,
    Query,
    SentOn,
    Term,
    any_of,
    every_of,
)

CORPUS = Path(__file__).parents[4] / "shared" / "data" / "corpus" / "ubuntu-irc-sample.jsonl.gz"
NAMES = UUID("6f0e2f4e-3b8f-4f39-9b4e-0d4f0c8f5a11")
ANNA, BEN, CLEO = (PrincipalId(UUID(int=number)) for number in (11, 12, 13))
BOARD, DESK = (ConversationId(UUID(int=number)) for number in (21, 22))
MARCH = datetime(2026, 3, 31, 23, 59, 59, 999999, tzinfo=UTC)


def said(
    seq: int,
    body: str,
    *,
    conversation: ConversationId = BOARD,
    sender: PrincipalId | None = ANNA,
    participants: Iterable[PrincipalId] = (ANNA, BEN),
    sent_at: datetime = MARCH,
) -> Document:
    """Return the document of a message."""
    message = MessageId(uuid5(NAMES, f"{conversation}:{seq}"))
    return document_of(DocumentKey(conversation, seq), message, sent_at, sender, participants, body)


def town() -> list[Document]:
    """Return messages in two conversations and three months, several at the same instant."""
    april, may = MARCH + timedelta(microseconds=1), MARCH + timedelta(days=40)
    return [
        said(1, "The merger will close on Friday; don't tell anna@example.org"),
        said(2, "the MERGER, the merged, the merging", sender=BEN),
        said(10, "Straße 東京 タワー 👍"),
        said(3, "The closing merger", conversation=DESK, sender=CLEO, participants=(CLEO, ANNA)),
        said(4, "see https://example.org/plan-2026.pdf", sent_at=april),
        said(5, "", sent_at=april),
        said(6, "STRASSE strasse merger close", sent_at=april, sender=None),
        said(7, "Friday on close will merger", conversation=DESK, sent_at=may, participants=(CLEO,)),
        said(8, "the the the plan plan", conversation=DESK, sent_at=may, sender=CLEO, participants=(CLEO,)),
    ]


def puts(documents: Iterable[Document], first: int = 1) -> list[Put]:
    """Return the changes that bring documents in, at positions from `first` on."""
    return [Put(position, one) for position, one in enumerate(documents, first)]


def corpus(most: int) -> list[Document]:
    """Return the first messages of the real corpus, spread over months; many share one instant."""
    found: list[Document] = []
    with gzip.open(CORPUS, "rt", encoding="utf-8") as lines:
        for seq, line in enumerate(lines, 1):
            if seq > most:
                break
            one = json.loads(line)
            sender = PrincipalId(uuid5(NAMES, one["nick"]))
            at = datetime.fromisoformat(f"{one['date']}T{one['time']}:00+00:00") + timedelta(days=seq // 50)
            found.append(
                said(
                    seq,
                    one["text"],
                    conversation=ConversationId(uuid5(NAMES, f"channel {seq % 5}")),
                    sender=sender,
                    participants=(sender, PrincipalId(uuid5(NAMES, f"reader {seq % 7}"))),
                    sent_at=at,
                )
            )
    return found


def queries(documents: list[Document], number: int, seed: int) -> list[Query]:
    """Return queries of words, phrases and ids that occur, in all shapes; the same for the same seed."""
    chance = random.Random(seed)
    worded = [one for one in documents if len(one.tokens) > 2]
    return [_made(chance, worded, depth=3) for _ in range(number)]


def _made(chance: random.Random, documents: list[Document], depth: int) -> Query:
    shape = chance.randrange(4) if depth else 3
    if shape == 3:
        return _leaf(chance, documents)
    inner = [_made(chance, documents, depth - 1) for _ in range(chance.randint(2, 3))]
    return (lambda: every_of(inner), lambda: any_of(inner), lambda: Not(inner[0]))[shape]()


def _leaf(chance: random.Random, documents: list[Document]) -> Query:
    one = chance.choice(documents)
    begin = chance.randrange(len(one.tokens) - 1)
    token = one.tokens[begin]
    sent = one.sent_at.date()
    kinds: list[Query] = [
        Term(token),
        Term(f"{token}unheard"),
        Phrase(one.tokens[begin : begin + chance.randint(2, 4)]),
        Phrase((one.tokens[begin + 1], token)),
        Prefix(token[: chance.randint(1, 3)]),
        Ids("from", frozenset({one.sender} if one.sender else ())),
        Ids("in", frozenset({one.key.conversation})),
        Ids("participant", frozenset(one.participants)),
        SentOn(sent, sent + timedelta(days=chance.randrange(40))),
        SentOn(None, sent),
    ]
    return chance.choice(kinds)


def shapes(query: Query) -> set[str]:
    """Return the kinds of nodes in a query, by name."""
    match query:
        case And(parts) | Or(parts):
            return {type(query).__name__}.union(*map(shapes, parts))
        case Not(inner):
            return {"Not"} | shapes(inner)
        case _:
            return {type(query).__name__}
