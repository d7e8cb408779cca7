"""What is to be said: people, conversations and lines, read from a corpus and pseudonymised.

A corpus is JSON lines, gzipped or not: date, time, channel, nick, text. One conversation is made for each
channel and day. Nicks are personal handles: they are replaced by numbered people in order of appearance,
the same for the same file, also where a line begins by addressing somebody.
"""

import itertools
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from services.runner.corpus import Row, rows_of
from services.runner.errors import RunnerError

MOST_PARTICIPANTS: Final = 1000
LEAST_PARTICIPANTS: Final = 2
OWN_CORPUS: Final = Path(__file__).with_name("conversations.jsonl")
_ADDRESSED: Final = re.compile(r"^(\S+?)([:,])(?=\s|$)")
_FIRST_NAMES: Final = (
    "Ada", "Aki", "Amara", "Anton", "Beata", "Bruno", "Carmen", "Chidi", "Dana", "Davit", "Elif", "Emil",
    "Farah", "Felix", "Grete", "Hana", "Henrik", "Ines", "Ivo", "Jonas", "Kaja", "Karim", "Leila", "Luca",
    "Mads", "Mira", "Nadia", "Noor", "Olga", "Otis", "Petra", "Quinn", "Rafael", "Rosa", "Samir", "Selma",
    "Tariq", "Thea", "Uma", "Viktor", "Wanda", "Yara", "Yusuf", "Zoe",
)  # fmt: skip
_LAST_NAMES: Final = (
    "Abbot", "Adler", "Becker", "Bianchi", "Castro", "Cheng", "Dahl", "Duarte", "Eriksen", "Farkas",
    "Fontaine", "Garcia", "Haas", "Horvat", "Ivanova", "Jansen", "Kaya", "Keller", "Kimura", "Larsen",
    "Lindqvist", "Marin", "Mbeki", "Moreau", "Nakamura", "Novak", "Okafor", "Olsen", "Pereira", "Popa",
    "Quist", "Rossi", "Sato", "Schmid", "Silva", "Tanaka", "Toth", "Ueda", "Varga", "Weber", "Yilmaz",
    "Zhang", "Ziegler",
)  # fmt: skip


class Person(msgspec.Struct, frozen=True):
    """Somebody who talks: a user name and a name to show."""

    user_name: str
    display_name: str


class Line(msgspec.Struct, frozen=True):
    """A message: who says it (a person's number) and what."""

    speaker: int
    text: str


class Conversation(msgspec.Struct, frozen=True):
    """A conversation: its name, its people (numbers, the first one begins it) and its lines in order."""

    name: str
    people: tuple[int, ...]
    lines: tuple[Line, ...]


class Script(msgspec.Struct, frozen=True):
    """Everything that is to be said."""

    people: tuple[Person, ...]
    conversations: tuple[Conversation, ...]

    @property
    def messages(self) -> int:
        """Return the number of messages."""
        return sum(len(conversation.lines) for conversation in self.conversations)

    @property
    def deliveries(self) -> int:
        """Return the number of deliveries: every message to everybody in its conversation but its speaker."""
        return sum(len(each.lines) * (len(each.people) - 1) for each in self.conversations)


def read_script(corpus: Path | None, limit: int | None) -> Script:
    """Return the script of a corpus (the project's own when None), of its first `limit` messages.

    Raises RunnerError when the file cannot be read or asks for what the platform does not do.
    """
    rows = [row for _, row in itertools.islice(rows_of(corpus or OWN_CORPUS), limit)]
    if not rows:
        raise RunnerError(f"{corpus or OWN_CORPUS} holds no message")
    return script_of(rows)


def script_of(rows: Iterable[Row]) -> Script:
    """Return the script of corpus lines; the same lines give the same people and the same texts.

    Raises RunnerError for a conversation of more than 1,000 people.
    """
    rows = list(rows)
    numbers = {nick: number for number, nick in enumerate(dict.fromkeys(row.nick for row in rows))}
    people = [person_of(number) for number in range(max(len(numbers), LEAST_PARTICIPANTS))]
    lines: dict[tuple[str, str], list[Line]] = {}
    for row in rows:
        text = _ADDRESSED.sub(lambda found: _renamed(found, numbers, people), row.text)
        lines.setdefault((row.channel, row.date), []).append(Line(numbers[row.nick], text))
    conversations = tuple(
        Conversation(f"{channel} {date}", _people_of(said, channel, date), tuple(said))
        for (channel, date), said in lines.items()
    )
    return Script(tuple(people), conversations)


def person_of(number: int) -> Person:
    """Return the person with this number, from 0: always the same, and nobody's handle."""
    first = _FIRST_NAMES[number % len(_FIRST_NAMES)]
    last = _LAST_NAMES[(number // len(_FIRST_NAMES) + number) % len(_LAST_NAMES)]
    return Person(f"{first}.{last}.{number + 1}".lower(), f"{first} {last}")


def _people_of(said: Iterable[Line], channel: str, date: str) -> tuple[int, ...]:
    """Return who takes part, in order of appearance; somebody listens where one talks alone."""
    people = tuple(dict.fromkeys(line.speaker for line in said))
    if len(people) > MOST_PARTICIPANTS:
        raise RunnerError(
            f"{channel} has {len(people)} people on {date}; a conversation has {MOST_PARTICIPANTS} at most"
        )
    return people if len(people) >= LEAST_PARTICIPANTS else (*people, 1 if people == (0,) else 0)


def _renamed(found: re.Match[str], numbers: dict[str, int], people: list[Person]) -> str:
    """Return the name of whom a line addresses, or the word as it stands when it is nobody."""
    number = numbers.get(found[1])
    return found[0] if number is None else people[number].display_name + found[2]
