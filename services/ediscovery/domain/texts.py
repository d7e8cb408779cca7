"""What is read of a message to index or to show it, and for what."""

from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from libs.kernel.ids import MessageId, PrincipalId
from services.ediscovery.domain.documents import Document, DocumentKey, document_of, marks_of


class Purpose(NamedTuple):
    """Why bodies are unsealed, as the key-access log tells it; keys of one purpose serve no other."""

    name: str
    act: str
    matter: UUID | None = None


INDEXING: Final = Purpose("index", "index")


def purpose_of(matter: UUID, act: UUID) -> Purpose:
    """Return why a body is unsealed in a matter, by an act that is in its chain of custody."""
    return Purpose(f"matter:{matter}", f"{act}", matter)


class Text(NamedTuple):
    """One version of a message with its clear text; `participants` took part when it was sent.

    `superseded_by` is the entry of the next version, `retracted_by` that of the message's retraction.
    """

    key: DocumentKey
    message: MessageId
    sent_at: datetime
    sender: PrincipalId
    participants: frozenset[PrincipalId]
    text: str
    revision: int = 0
    superseded_by: int | None = None
    retracted_by: int | None = None

    @property
    def document(self) -> Document:
        """What an index keeps of it."""
        edited = self.revision > 0 or self.superseded_by is not None
        marks = marks_of(edited=edited, deleted=self.retracted_by is not None)
        return document_of(
            self.key, self.message, self.sent_at, self.sender, self.participants, self.text, marks
        )
