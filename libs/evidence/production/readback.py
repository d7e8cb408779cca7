"""Reads the files of a production back: what a file shows of each entry, whatever its format.

What people chose is read by the parsers that everybody has (of mail, zip and JSON), so that a stranger's
program finds the same in the file. Where a file says a thing twice (the date of a mail, a transcript, the
text of an edit), it must say the same twice: whoever reads it elsewhere reads what is proved.
"""

import io
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes
from email.message import Message
from email.utils import format_datetime
from uuid import UUID

from libs.evidence.canonical import Fields, parse_json
from libs.evidence.errors import EvidenceRefused
from libs.evidence.production.manifest import MOST_FILE_BYTES, Format, instant_text, parse_instant

_RSMF_ZIP = "rsmf.zip"
_RSMF_MANIFEST = "rsmf_manifest.json"
_ABOUT_OTHERS = ("join", "leave")


@dataclass(frozen=True, slots=True)
class ReadBack:
    """An entry as a file shows it; `body` is None where the entry has none."""

    conversation: UUID
    seq: int
    sent_at: datetime
    sender: UUID | None
    body: bytes | None


def read_back(form: Format, data: bytes, where: str) -> Iterator[ReadBack]:
    """Give every entry of a file, in its order. Raises EvidenceRefused for what no writer of ours wrote."""
    return _READERS[form](data, where)


def _jsonl(data: bytes, where: str) -> Iterator[ReadBack]:
    *lines, rest = data.split(b"\n")
    if rest:
        raise EvidenceRefused("the last line is not whole", where)
    for number, line in enumerate(lines, 1):
        fields = Fields(parse_json(line, f"{where}:{number}"), f"{where}:{number}")
        if fields.text("record") == "conversation":
            continue
        body = None
        if fields.has("body_base64"):
            body = fields.base64("body_base64")
        elif fields.has("body"):
            body = fields.text("body").encode()
        yield ReadBack(
            fields.uuid("conversation"),
            fields.number("seq"),
            parse_instant(fields.text("sent_at"), fields.where),
            fields.uuid("sender") if fields.has("sender") else None,
            body,
        )


def _eml(data: bytes, where: str) -> Iterator[ReadBack]:
    yield _message(message_from_bytes(data), where)


def _eml_day(data: bytes, where: str) -> Iterator[ReadBack]:
    mail = message_from_bytes(data)
    _refuse_defects(mail, where)
    transcript, *parts = _parts(mail, where)
    entries = []
    for part in parts:
        inner = part.get_payload()
        if not isinstance(inner, list) or len(inner) != 1 or not isinstance(inner[0], Message):
            raise EvidenceRefused("a part is no message", where)
        entries.append(_message(inner[0], where))
    _compare_transcript(transcript, entries, where)
    yield from entries


def _message(mail: Message, where: str) -> ReadBack:
    _refuse_defects(mail, where)
    if mail.get_content_type() != "text/plain":
        raise EvidenceRefused("a message is more than its text", where)
    headers = {
        "conversation": _header(mail, "X-Conversation-ID", where),
        "seq": _header(mail, "X-Muniment-Seq", where),
        "sent_at": _header(mail, "X-Muniment-Sent-At", where),
        "sender": _header(mail, "X-Muniment-Sender", where),
    }
    fields = Fields({name: value for name, value in headers.items() if value is not None}, where)
    payload = mail.get_payload(decode=True)
    if not isinstance(payload, bytes):
        raise EvidenceRefused("the text of a message cannot be read", where)
    empty = _header(mail, "X-Muniment-Body", where) == "none"
    if empty and payload:
        raise EvidenceRefused("a message without a body has one", where)
    sent_at = parse_instant(fields.text("sent_at"), where)
    if _header(mail, "Date", where) != format_datetime(sent_at):
        raise EvidenceRefused("the mail has another date than its message", where)
    return ReadBack(
        fields.uuid("conversation"),
        fields.number("seq"),
        sent_at,
        fields.uuid("sender") if fields.has("sender") else None,
        None if empty else payload,
    )


def _rsmf(data: bytes, where: str) -> Iterator[ReadBack]:
    mail = message_from_bytes(data)
    _refuse_defects(mail, where)
    transcript, *attached = _parts(mail, where)
    zipped = attached[0].get_payload(decode=True) if len(attached) == 1 else None
    if not isinstance(zipped, bytes) or attached[0].get_filename() != _RSMF_ZIP:
        raise EvidenceRefused(f"{_RSMF_ZIP} must be the one attachment", where)
    manifest = parse_json(_unzipped(zipped, where), where)
    entries: list[ReadBack] = []
    for at, event in enumerate(Fields(manifest, where).items("events")):
        found = _event(event, f"{where}: event {at}")
        # Each of those who join or leave by one entry has an event of his own.
        if not (entries and found == entries[-1] and found.body is None):
            entries.append(found)
    _compare_transcript(transcript, entries, where)
    yield from entries


def _unzipped(data: bytes, where: str) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive, archive.open(_RSMF_MANIFEST) as file:
            return file.read(MOST_FILE_BYTES)
    except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError):
        raise EvidenceRefused(f"{_RSMF_ZIP} cannot be read", where) from None


def _event(event: object, where: str) -> ReadBack:
    fields = Fields(event, where)
    custom = {}
    for each in fields.items("custom"):
        pair = Fields(each, where)
        custom[pair.text("name")] = pair.text("value")
    named = Fields({**custom, "conversation": fields.raw("conversation")}, where)
    body = fields.text("body") if fields.has("body") else None
    for edit in fields.items("edits") if fields.has("edits") else ():
        if Fields(edit, where).text("new") != body:
            raise EvidenceRefused("an edit ends in another text than its event", where)
    speaker = fields.text("participant") if fields.has("participant") else None
    if fields.text("type") not in _ABOUT_OTHERS and speaker != custom.get("sender"):
        raise EvidenceRefused("the event is shown as another person's", where)
    return ReadBack(
        named.uuid("conversation"),
        named.number("seq"),
        parse_instant(fields.text("timestamp"), where),
        named.uuid("sender") if named.has("sender") else None,
        None if body is None else body.encode(),
    )


def _parts(mail: Message, where: str) -> list[Message]:
    """Return the parts of a mail, of which the first is its text."""
    parts = mail.get_payload()
    if mail.get_content_type() != "multipart/mixed" or not isinstance(parts, list) or not parts:
        raise EvidenceRefused("a mail of several parts is missing", where)
    return [part for part in parts if isinstance(part, Message)]


def _compare_transcript(part: Message, entries: list[ReadBack], where: str) -> None:
    """Check that a transcript says what the entries say: a time, then a name in its line, then the text."""
    data = part.get_payload(decode=True)
    rest = data if isinstance(data, bytes) and part.get_content_type() == "text/plain" else b"?"
    for entry in entries:
        begin = f"{instant_text(entry.sent_at)} ".encode()
        said = b"\n" if entry.body is None or not _is_text(entry.body) else b": " + entry.body + b"\n"
        name, found, after = rest.removeprefix(begin).partition(said)
        if not rest.startswith(begin) or not found or b"\n" in name:
            raise EvidenceRefused(f"the transcript does not say what entry {entry.seq} says", where)
        rest = after
    if rest:
        raise EvidenceRefused("the transcript says more than the entries", where)


def _is_text(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _header(mail: Message, name: str, where: str) -> str | None:
    """Return a header that stands once, None where it does not stand. Raises EvidenceRefused for more."""
    values = mail.get_all(name, [])
    if len(values) > 1:
        raise EvidenceRefused(f"{name} stands twice", where)
    return str(values[0]) if values else None


def _refuse_defects(mail: Message, where: str) -> None:
    if mail.defects:
        raise EvidenceRefused("the mail is not well formed", where)


_READERS: Mapping[Format, Callable[[bytes, str], Iterator[ReadBack]]] = {
    Format.JSONL: _jsonl,
    Format.EML: _eml,
    Format.EML_DAY: _eml_day,
    Format.RSMF: _rsmf,
}
