"""Mail: one message a file, or one conversation and UTC day a file. Source: RFC 5322, RFC 2045 to 2047.

Every byte is 7-bit and every body is base64, so that no gateway changes one. Headers that hold what people
chose are encoded words, unless they are plain letters: nothing that is written there can begin a header.
"""

import base64
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from uuid import UUID

from libs.evidence.production.manifest import instant_text
from services.ediscovery.domain.productions.items import (
    File,
    Kind,
    Numbered,
    Person,
    Produced,
    audiences_in,
    text_of,
)
from services.ediscovery.domain.productions.writers import conversation_day, path_of, slice_path

BOUNDARY = "=_muniment"
"""Bodies are base64 and headers have names: no line of either can begin with this behind two dashes."""

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ]{0,59}(?<! )", re.ASCII)
_ADDRESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}@[A-Za-z0-9][A-Za-z0-9.-]{0,252}", re.ASCII)
_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", re.ASCII)
_WORD_BYTES = 30  # with the longest header's name before it, an encoded word's line has at most 76 characters
_LINE_CHARACTERS = 76

Header = tuple[str, str]


class EmlWriter:
    """Writes one file a message."""

    def __init__(self, domain: str) -> None:
        """Make message ids and missing addresses below `domain`, a host name. Raises ValueError."""
        self._domain = checked_domain(domain)
        self._files: list[File] = []

    def refusal(self, item: Produced) -> None:  # noqa: ARG002 - every entry can be written
        """Return None: any bytes can be written."""
        return

    def slice_of(self, item: Produced) -> None:  # noqa: ARG002 - no two entries belong together
        """Return None: messages stand alone."""
        return

    def add(self, entry: Numbered, part: int) -> str:
        """Write the message's file."""
        path = path_of(entry, part, "eml")
        self._files.append(File(path, message_of(entry, self._domain)))
        return path

    def close(self) -> list[File]:
        """Return the files of the part."""
        files, self._files = self._files, []
        return files


class EmlDayWriter:
    """Writes one file a conversation and day: a transcript, and every message whole."""

    def __init__(self, domain: str) -> None:
        """Make message ids and missing addresses below `domain`, a host name. Raises ValueError."""
        self._domain = checked_domain(domain)
        self._files: list[File] = []
        self._entries: list[Numbered] = []
        self._path = ""

    def refusal(self, item: Produced) -> None:  # noqa: ARG002 - every entry can be written
        """Return None: any bytes can be written."""
        return

    def slice_of(self, item: Produced) -> str:
        """Return the conversation and day."""
        return conversation_day(item)

    def add(self, entry: Numbered, part: int) -> str:
        """Take a message into the file of its day."""
        if self._entries and conversation_day(self._entries[0].item) != conversation_day(entry.item):
            self._write()
        if not self._entries:
            self._path = slice_path(entry.item, part, "eml")
        self._entries.append(entry)
        return self._path

    def close(self) -> list[File]:
        """Return the files of the part."""
        if self._entries:
            self._write()
        files, self._files = self._files, []
        return files

    def _write(self) -> None:
        first = self._entries[0].item
        name = f"{conversation_day(first)}_{first.seq}@{self._domain}"
        headers = [
            ("Message-ID", f"<{name}>"),
            ("Date", date_of(first.sent_at)),
            ("From", address_of(Person(UUID(int=0), "", f"productions@{self._domain}"), self._domain)),
            ("To", recipients_of(self._entries, self._domain)),
            ("Subject", encoded_text(first.conversation.name)),
            ("X-Conversation-ID", str(first.conversation.id)),
        ]
        parts = [
            text_part(transcript_of(self._entries)),
            *(
                _part([("Content-Type", "message/rfc822")], message_of(entry, self._domain))
                for entry in self._entries
            ),
        ]
        self._files.append(File(self._path, multipart(headers, parts)))
        self._entries = []


def message_of(entry: Numbered, domain: str) -> bytes:
    """Return one entry as a mail."""
    item = entry.item
    people = item.conversation.by_id
    sender = Person(UUID(int=0), "", f"productions@{domain}")
    if item.sender is not None:
        sender = people.get(item.sender, Person(item.sender, ""))
    original = f"<{item.parent or item.message}.{item.conversation.id}@{domain}>"
    answers = item.parent is not None or item.revision > 0
    headers = [
        ("Message-ID", _message_id(item, domain)),
        *([("In-Reply-To", original), ("References", original)] if answers else []),
        ("Date", date_of(item.sent_at)),
        ("From", address_of(sender, domain)),
        ("To", recipients_of([entry], domain)),
        ("Subject", encoded_text(item.conversation.name)),
        ("X-Conversation-ID", str(item.conversation.id)),
        ("X-Muniment-Seq", str(item.seq)),
        ("X-Muniment-Kind", str(item.kind)),
        ("X-Muniment-Message", str(item.message)),
        ("X-Muniment-Revision", str(item.revision)),
        ("X-Muniment-Sent-At", instant_text(item.sent_at)),
        *([("X-Muniment-Sender", str(item.sender))] if item.sender is not None else []),
        *([("X-Muniment-Subjects", _folded(str(each) for each in item.subjects))] if item.subjects else []),
        *([("X-Muniment-Bates", " ".join(entry.bates))] if entry.bates is not None else []),
        *([("X-Muniment-Redacted", "true")] if item.redacted else []),
        *([("X-Muniment-Superseded-By", str(item.superseded_by))] if item.superseded_by is not None else []),
        *([("X-Muniment-Retracted-By", str(item.retracted_by))] if item.retracted_by is not None else []),
        *([("X-Muniment-Body", "none")] if item.body is None else []),
    ]
    return rendered([*headers, ("MIME-Version", "1.0"), *_TEXT], wrapped(item.body or b""))


def multipart(headers: Sequence[Header], parts: Iterable[bytes]) -> bytes:
    """Return a mail of several parts, each of them with its headers."""
    mixed = ("Content-Type", f'multipart/mixed; boundary="{BOUNDARY}"')
    dashes = f"--{BOUNDARY}".encode()
    body = b"".join(b"%s\r\n%s\r\n" % (dashes, part) for part in parts)
    return rendered([*headers, ("MIME-Version", "1.0"), mixed], body + dashes + b"--\r\n")


def text_part(text: str) -> bytes:
    """Return a part of plain text."""
    return _part(_TEXT, wrapped(text.encode()))


def attachment_part(name: str, kind: str, data: bytes) -> bytes:
    """Return an attached file."""
    headers = [
        ("Content-Type", f'{kind}; name="{name}"'),
        ("Content-Transfer-Encoding", "base64"),
        ("Content-Disposition", f'attachment; filename="{name}"'),
    ]
    return _part(headers, wrapped(data))


def transcript_of(entries: Iterable[Numbered]) -> str:
    """Return what was said, for a person or a search engine: a line begins with its time and who spoke."""
    return "".join(f"{_spoken(entry.item)}\n" for entry in entries)


def rendered(headers: Iterable[Header], body: bytes) -> bytes:
    """Return headers and body as they stand in a file."""
    return "".join(f"{name}: {value}\r\n" for name, value in headers).encode("ascii") + b"\r\n" + body


def wrapped(data: bytes) -> bytes:
    """Return base64 in lines of 76 characters."""
    text = base64.b64encode(data)
    return b"".join(
        text[at : at + _LINE_CHARACTERS] + b"\r\n" for at in range(0, len(text), _LINE_CHARACTERS)
    )


def encoded_text(text: str) -> str:
    """Return free text for a header, as encoded words unless it is plain. Source: RFC 2047, section 2."""
    if _PLAIN.fullmatch(text) or not text:
        return text
    words, word = [], b""
    for character in text:
        data = character.encode()
        if len(word) + len(data) > _WORD_BYTES:
            words.append(word)
            word = b""
        word += data
    words.append(word)
    return _folded(f"=?utf-8?b?{base64.b64encode(each).decode()}?=" for each in words)


def address_of(person: Person, domain: str) -> str:
    """Return an address with its name; who has none that is safe to write has one that nobody can reach."""
    email = person.email if person.email and _ADDRESS.fullmatch(person.email) else f"{person.id}@{domain}"
    name = encoded_text(person.name)
    if not name:
        return f"<{email}>"
    return f"{name} <{email}>" if name == person.name else _folded([name, f"<{email}>"])


def recipients_of(entries: Sequence[Numbered], domain: str) -> str:
    """Return the addresses of all who were there, but for one sender alone."""
    senders = {entry.item.sender for entry in entries}
    people = entries[0].item.conversation.by_id
    there = dict.fromkeys(each for _, audience in audiences_in(entries) for each in audience)
    others = [each for each in there if len(senders) > 1 or each not in senders]
    addresses = [address_of(people.get(each) or Person(each, ""), domain) for each in others]
    return ",\r\n ".join(addresses) or "undisclosed-recipients:;"


def date_of(instant: datetime) -> str:
    """Return a time as mail has it."""
    return format_datetime(instant.astimezone(UTC))


def checked_domain(domain: str) -> str:
    """Return a host name that can stand in headers. Raises ValueError."""
    if not _DOMAIN.fullmatch(domain):
        raise ValueError("this is no host name")
    return domain


_TEXT: Sequence[Header] = (
    ("Content-Type", "text/plain; charset=utf-8"),
    ("Content-Transfer-Encoding", "base64"),
)


def _part(headers: Iterable[Header], body: bytes) -> bytes:
    return rendered(headers, body)


def _message_id(item: Produced, domain: str) -> str:
    """Return an id that is the same in every production, and no other entry's."""
    name = str(item.message)
    if item.revision:
        name = f"{name}.{item.revision}"
    if not item.kind.is_said:
        name = f"{name}.e{item.seq}"
    return f"<{name}.{item.conversation.id}@{domain}>"


def _folded(words: Iterable[str]) -> str:
    return "\r\n ".join(words)


def _spoken(item: Produced) -> str:
    person = item.conversation.by_id.get(item.sender) if item.sender is not None else None
    name = _one_line((person.name if person is not None else "") or str(item.sender or ""))
    said = "" if item.kind is Kind.MESSAGE else f" [{item.kind}]"
    text = text_of(item.body)
    body = "" if text is None else f": {text}"
    return f"{instant_text(item.sent_at)} {name}{said}{body}"


def _one_line(name: str) -> str:
    """Return a name that ends no line of a transcript."""
    return name.replace("\n", " ")
