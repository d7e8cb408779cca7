"""JSONL: one object a line, canonical; each file says who its conversations' people are.

A line is `{"record": "conversation", …}`, before the first entry of it in the file, or
`{"record": "entry", …}`; a body that is no text stands as `body_base64`.
"""

from typing import Any

from libs.evidence.canonical import canonical_line, encoded
from libs.evidence.production.manifest import instant_text
from services.ediscovery.domain.productions.items import (
    Conversation,
    File,
    Numbered,
    Person,
    Produced,
    text_of,
)


class JsonlWriter:
    """Writes one file a part."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._path = ""
        self._lines: list[bytes] = []
        self._conversation: Conversation | None = None

    def refusal(self, item: Produced) -> None:  # noqa: ARG002 - every entry can be written
        """Return None: any bytes can be written."""
        return

    def slice_of(self, item: Produced) -> None:  # noqa: ARG002 - no two entries belong together
        """Return None: lines stand alone."""
        return

    def add(self, entry: Numbered, part: int) -> str:
        """Add a line, and the conversation's before it where it is new."""
        self._path = f"data/{part:06}.jsonl"
        if entry.item.conversation != self._conversation:
            self._conversation = entry.item.conversation
            self._lines.append(canonical_line(_conversation_object(self._conversation)))
        self._lines.append(canonical_line(_entry_object(entry)))
        return self._path

    def close(self) -> list[File]:
        """Return the file of the part, none where it has no entries."""
        files = [File(self._path, b"".join(line + b"\n" for line in self._lines))] if self._lines else []
        self._lines, self._conversation = [], None
        return files


def _conversation_object(conversation: Conversation) -> dict[str, Any]:
    return {
        "record": "conversation",
        "conversation": str(conversation.id),
        "kind": conversation.kind,
        "name": conversation.name,
        "people": [_person_object(person) for person in conversation.people],
    }


def _person_object(person: Person) -> dict[str, str]:
    email = {} if person.email is None else {"email": person.email}
    return {"id": str(person.id), "name": person.name, **email}


def _entry_object(entry: Numbered) -> dict[str, Any]:
    item = entry.item
    text = text_of(item.body)
    previous = text_of(item.previous)
    members = {
        "record": "entry",
        "conversation": str(item.conversation.id),
        "seq": str(item.seq),
        "kind": str(item.kind),
        "message": str(item.message),
        "revision": str(item.revision),
        "sent_at": instant_text(item.sent_at),
        "sender": None if item.sender is None else str(item.sender),
        "subjects": [str(subject) for subject in item.subjects] or None,
        "parent": None if item.parent is None else str(item.parent),
        "bates": None if entry.bates is None else list(entry.bates),
        "redacted": True if item.redacted else None,
        "superseded_by": None if item.superseded_by is None else str(item.superseded_by),
        "retracted_by": None if item.retracted_by is None else str(item.retracted_by),
        "body": text,
        "body_base64": None if item.body is None or text is not None else encoded(item.body),
        "previous": previous,
    }
    return {name: value for name, value in members.items() if value is not None}
