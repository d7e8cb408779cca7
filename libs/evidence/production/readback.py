"""Reads the files of a production back: what a file shows of each entry, whatever its format.

What people chose is read by the parsers that everybody has (of mail, zip and JSON), so that a stranger's
program finds the same in the file. Where a file says a thing twice (the date of a mail, a transcript, the
text of an edit), it must say the same twice: whoever reads it elsewhere reads what is proved.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from email import message_from_bytes
from email.message import Message
from email.utils import format_datetime
from typing import cast
from uuid import UUID

from libs.evidence.canonical import Fields, decoded, parse_json
from libs.evidence.errors import EvidenceRefused
from libs.evidence.production.archive import unstored
from libs.evidence.production.manifest import Format, instant_text, parse_instant

_RSMF_ZIP = "rsmf.zip"
_RSMF_MANIFEST = "rsmf_manifest.json"
_TEXT = (("Content-Type", "text/plain; charset=utf-8"), ("Content-Transfer-Encoding", "base64"))
_MESSAGE_PART = [("Content-Type", "message/rfc822")]
_ZIP_PART = [
    ("Content-Type", f'application/zip; name="{_RSMF_ZIP}"'),
    ("Content-Transfer-Encoding", "base64"),
    ("Content-Disposition", f'attachment; filename="{_RSMF_ZIP}"'),
]
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
        if fields.has("body") and fields.has("body_base64"):
            raise EvidenceRefused("the entry has two bodies", fields.where)
        body = fields.text("body").encode() if fields.has("body") else None
        if fields.has("body_base64"):
            body = fields.base64("body_base64")
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
    transcript, *parts = _parts(message_from_bytes(data), where)
    entries = []
    for part in parts:
        inner = part.get_payload()
        if part.items() != _MESSAGE_PART or not isinstance(inner, list) or len(inner) != 1:
            raise EvidenceRefused("a part is no message", where)
        entries.append(_message(cast("Message", inner[0]), where))
    _compare_transcript(transcript, entries, where)
    yield from entries


def _message(mail: Message, where: str) -> ReadBack:
    payload = _text(mail, where)
    headers = {
        "conversation": _header(mail, "X-Conversation-ID"),
        "seq": _header(mail, "X-Muniment-Seq"),
        "sent_at": _header(mail, "X-Muniment-Sent-At"),
        "sender": _header(mail, "X-Muniment-Sender"),
    }
    fields = Fields({name: value for name, value in headers.items() if value is not None}, where)
    empty = _header(mail, "X-Muniment-Body") == "none"
    if empty and payload:
        raise EvidenceRefused("a message without a body has one", where)
    sent_at = parse_instant(fields.text("sent_at"), where)
    if _header(mail, "Date") != format_datetime(sent_at):
        raise EvidenceRefused("the mail has another date than its message", where)
    return ReadBack(
        fields.uuid("conversation"),
        fields.number("seq"),
        sent_at,
        fields.uuid("sender") if fields.has("sender") else None,
        None if empty else payload,
    )


def _rsmf(data: bytes, where: str) -> Iterator[ReadBack]:
    transcript, *attached = _parts(message_from_bytes(data), where)
    if len(attached) != 1 or attached[0].items() != _ZIP_PART:
        raise EvidenceRefused(f"{_RSMF_ZIP} must be the one attachment", where)
    zipped = _content(attached[0], where)
    manifest = parse_json(unstored(_RSMF_MANIFEST, zipped, where), where)
    entries: list[ReadBack] = []
    for at, event in enumerate(Fields(manifest, where).items("events")):
        found = _event(event, f"{where}: event {at}")
        # Each of those who join or leave by one entry has an event of his own, and the first its body.
        if not (entries and found == replace(entries[-1], body=None)):
            entries.append(found)
    _compare_transcript(transcript, entries, where)
    yield from entries


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
    """Return the parts of a mail, of which the first is its text, when there is nothing between them."""
    _refuse_doubles(mail, where)
    parts = mail.get_payload()
    if mail.get_content_type() != "multipart/mixed" or not isinstance(parts, list) or not parts:
        raise EvidenceRefused("a mail of several parts is missing", where)
    if mail.preamble or mail.epilogue:
        raise EvidenceRefused("something stands before or behind the parts of the mail", where)
    return [part for part in parts if isinstance(part, Message)]


def _text(mail: Message, where: str) -> bytes:
    """Return the text of a mail or a part, when every reader takes it for the same text."""
    _refuse_doubles(mail, where)
    if [mail[name] for name, _ in _TEXT] != [value for _, value in _TEXT]:
        raise EvidenceRefused("a message is more than its text, or written in another way", where)
    return _content(mail, where)


def _content(part: Message, where: str) -> bytes:
    """Return bytes that stand in base64, in its one spelling."""
    payload = part.get_payload()
    if part.defects or not isinstance(payload, str):
        raise EvidenceRefused("the mail is not well formed", where)
    return decoded("".join(payload.split()), where)


def _refuse_doubles(mail: Message, where: str) -> None:
    """Refuse a mail that is not well formed, or says a thing twice in its headers."""
    names = [name.lower() for name in mail]
    if mail.defects or len(set(names)) != len(names):
        raise EvidenceRefused("the mail is not well formed, or has a header twice", where)


def _compare_transcript(part: Message, entries: list[ReadBack], where: str) -> None:
    """Check that a transcript says what the entries say: a time, then a name in its line, then the text."""
    rest = _text(part, where)
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


def _header(mail: Message, name: str) -> str | None:
    """Return a header, None where it does not stand."""
    return None if mail[name] is None else str(mail[name])


_READERS: Mapping[Format, Callable[[bytes, str], Iterator[ReadBack]]] = {
    Format.JSONL: _jsonl,
    Format.EML: _eml,
    Format.EML_DAY: _eml_day,
    Format.RSMF: _rsmf,
}
