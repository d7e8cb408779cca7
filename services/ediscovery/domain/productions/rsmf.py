"""RSMF 2.0: one conversation and UTC day a file. Source: Relativity's RSMF 2.0.0 schema and specification.

A `.rsmf` is a mail with a transcript and one attachment, `rsmf.zip`, which holds `rsmf_manifest.json`. Files
of one day belong together by their `eventcollectionid`. Each entry is an event, in order; an edit is an
event of its own with its `edits`, so that the file reads as the log does. What was retracted later is
`deleted`, and keeps its body.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from libs.evidence.canonical import canonical_line
from libs.evidence.production.archive import stored
from libs.evidence.production.manifest import instant_text
from services.ediscovery.domain.productions.eml import (
    address_of,
    attachment_part,
    checked_domain,
    date_of,
    encoded_text,
    multipart,
    recipients_of,
    text_part,
    transcript_of,
)
from services.ediscovery.domain.productions.items import (
    Conversation,
    File,
    Kind,
    Numbered,
    Person,
    Produced,
    audiences_in,
    text_of,
)
from services.ediscovery.domain.productions.writers import conversation_day, slice_path

VERSION = "2.0.0"
MANIFEST_NAME = "rsmf_manifest.json"
ZIP_NAME = "rsmf.zip"
NOT_TEXT = "not-text"

_PLATFORM = "muniment"
_TYPES = {
    Kind.MESSAGE: "message",
    Kind.REVISION: "message",
    Kind.CREATED: "join",
    Kind.JOINED: "join",
    Kind.LEFT: "leave",
}

Event = dict[str, Any]


class RsmfWriter:
    """Writes one file a conversation and day."""

    def __init__(self, domain: str, custodians: Iterable[UUID] = ()) -> None:
        """Make missing addresses below `domain`, a host name; a file is from the first custodian in it."""
        self._domain = checked_domain(domain)
        self._custodians = tuple(custodians)
        self._files: list[File] = []
        self._entries: list[Numbered] = []
        self._path = ""

    def refusal(self, item: Produced) -> str | None:
        """Return NOT_TEXT for a body that is no UTF-8: RSMF holds text alone."""
        return NOT_TEXT if item.body is not None and text_of(item.body) is None else None

    def slice_of(self, item: Produced) -> str:
        """Return the conversation and day."""
        return conversation_day(item)

    def add(self, entry: Numbered, part: int) -> str:
        """Take an entry into the file of its day."""
        if self._entries and conversation_day(self._entries[0].item) != conversation_day(entry.item):
            self._write()
        if not self._entries:
            self._path = slice_path(entry.item, part, "rsmf")
        self._entries.append(entry)
        return self._path

    def close(self) -> list[File]:
        """Return the files of the part."""
        if self._entries:
            self._write()
        files, self._files = self._files, []
        return files

    def _write(self) -> None:
        self._files.append(File(self._path, rsmf_of(self._entries, self._domain, self._custodians)))
        self._entries = []


def rsmf_of(entries: Sequence[Numbered], domain: str, custodians: Sequence[UUID]) -> bytes:
    """Return the file of one conversation's day: a mail around the zip around the manifest."""
    first = entries[0].item
    conversation, collection = first.conversation, conversation_day(first)
    people = _people_of(entries)
    manifest = _manifest_of(entries, custodians, people)
    custodian = _custodian(first, custodians)
    sender = Person(UUID(int=0), "", f"productions@{domain}") if custodian is None else people[custodian]
    times = sorted(entry.item.sent_at for entry in entries)
    headers = [
        ("Message-ID", f"<{collection}_{first.seq}@{domain}>"),
        ("Date", date_of(times[0])),
        ("From", address_of(sender, domain)),
        ("To", recipients_of(entries, domain)),
        ("Subject", encoded_text(conversation.name)),
        ("X-RSMF-Version", VERSION),
        ("X-RSMF-Generator", "Muniment"),
        ("X-RSMF-Application", _PLATFORM),
        ("X-RSMF-BeginDate", instant_text(times[0])),
        ("X-RSMF-EndDate", instant_text(times[-1])),
        ("X-RSMF-EventCount", str(len(manifest["events"]))),
        ("X-RSMF-AttachmentCount", "0"),
        ("X-RSMF-EventCollectionID", collection),
        *([("X-RSMF-Custodian", address_of(sender, domain))] if custodian is not None else []),
        ("X-RSMF-Participants", ",\r\n ".join(address_of(each, domain) for each in people.values())),
    ]
    parts = [
        text_part(transcript_of(entries)),
        attachment_part(ZIP_NAME, "application/zip", stored(MANIFEST_NAME, canonical_line(manifest))),
    ]
    return multipart(headers, parts)


def manifest_of(entries: Sequence[Numbered], custodians: Sequence[UUID]) -> dict[str, Any]:
    """Return `rsmf_manifest.json` of one conversation's day."""
    return _manifest_of(entries, custodians, _people_of(entries))


def _manifest_of(
    entries: Sequence[Numbered], custodians: Sequence[UUID], people: Mapping[UUID, Person]
) -> dict[str, Any]:
    first = entries[0].item
    return {
        "version": VERSION,
        "participants": [_participant(person) for person in people.values()],
        "conversations": [_conversation(first, custodians)],
        "events": _events_of(entries),
        "eventcollectionid": conversation_day(first),
    }


def _events_of(entries: Iterable[Numbered]) -> list[Event]:
    """Return the events, and what later ones say of earlier ones of them."""
    events: list[Event] = []
    said: dict[UUID, Event] = {}
    for entry in entries:
        item = entry.item
        original = said.get(item.parent or item.message)
        for number, subject in enumerate(_subjects_of(item)):
            event = _event(entry, subject, number)
            if original is not None:
                event["parent"] = original["id"]
            events.append(event)
        if original is not None:
            _tell(original, item)
        if item.kind is Kind.MESSAGE:
            said[item.message] = events[-1]
    return events


def _subjects_of(item: Produced) -> Sequence[UUID | None]:
    """Return whom the events of an entry are of: who joins and leaves, or else who acts."""
    return item.subjects if _TYPES.get(item.kind) in ("join", "leave") and item.subjects else [item.sender]


def _event(entry: Numbered, subject: UUID | None, number: int) -> Event:
    item = entry.item
    kind = _TYPES.get(item.kind, "unknown")
    members: Event = {
        "id": str(item.seq) if not number else f"{item.seq}.{number}",
        "type": kind if item.subjects or kind == "message" else "unknown",
        "conversation": str(item.conversation.id),
        "timestamp": instant_text(item.sent_at),
        "participant": None if subject is None else str(subject),
        "body": text_of(item.body) if not number else None,
        "deleted": True if item.retracted_by is not None else None,
        "edits": [_edit(item)] if item.kind is Kind.REVISION and item.sender is not None else None,
        "custom": [{"name": name, "value": value} for name, value in _custom(entry)],
    }
    return {name: value for name, value in members.items() if value is not None}


def _edit(item: Produced) -> Event:
    previous = text_of(item.previous)
    shown = {} if previous is None else {"previous": previous}
    return {
        "participant": str(item.sender),
        "timestamp": instant_text(item.sent_at),
        "new": text_of(item.body) or "",
        **shown,
    }


def _custom(entry: Numbered) -> list[tuple[str, str]]:
    item = entry.item
    members = [
        ("seq", str(item.seq)),
        ("kind", str(item.kind)),
        ("message", str(item.message)),
        ("revision", str(item.revision)),
    ]
    if item.sender is not None:
        members.append(("sender", str(item.sender)))
    if entry.bates is not None:
        members.append(("bates", " ".join(entry.bates)))
    if item.redacted:
        members.append(("redacted", "true"))
    if item.superseded_by is not None:
        members.append(("superseded_by", str(item.superseded_by)))
    if item.retracted_by is not None:
        members.append(("retracted_by", str(item.retracted_by)))
    return members


def _tell(original: Event, item: Produced) -> None:
    """Write on an earlier event what a later entry says of it."""
    if item.kind is Kind.RETRACTION:
        original["deleted"] = True
    value = text_of(item.body)
    if item.kind is Kind.REACTION and value and item.sender is not None:
        reactions: list[Event] = original.setdefault("reactions", [])
        known = next((each for each in reactions if each["value"] == value), None)
        if known is None:
            known = {"value": value, "count": 0, "participants": []}
            reactions.append(known)
        known["count"] += 1
        known["participants"].append(str(item.sender))


def _people_of(entries: Sequence[Numbered]) -> dict[UUID, Person]:
    """Return everybody who is spoken of, those too whom the directory does not name."""
    people = dict(entries[0].item.conversation.by_id)
    for item, audience in audiences_in(entries):
        for each in (*audience, *item.subjects, *([] if item.sender is None else [item.sender])):
            if each not in people:
                people[each] = Person(each, "")
    return people


def _participant(person: Person) -> dict[str, str]:
    members = {"id": str(person.id), "account_id": str(person.id), "display": person.name}
    return members if person.email is None else {**members, "email": person.email}


def _conversation(first: Produced, custodians: Sequence[UUID]) -> dict[str, Any]:
    conversation, custodian = first.conversation, _custodian(first, custodians)
    shown = {} if custodian is None else {"custodian": str(custodian)}
    return {
        "id": str(conversation.id),
        "display": conversation.name,
        "platform": _PLATFORM,
        "type": "direct" if conversation.is_direct else "channel",
        "participants": [str(each) for each in _there(conversation, first)],
        **shown,
    }


def _there(conversation: Conversation, first: Produced) -> Sequence[UUID]:
    """Return a direct conversation's two, or who was in a channel when the file begins."""
    return [person.id for person in conversation.people] if conversation.is_direct else first.audience


def _custodian(first: Produced, custodians: Sequence[UUID]) -> UUID | None:
    there = set(_there(first.conversation, first))
    return next((each for each in custodians if each in there), None)
