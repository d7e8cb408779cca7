"""What a conversation looks like now: each message once, with its latest text, or without one.

Entries go in as a device shows them, or as history gives them, in order of `seq`; repetitions change nothing.
Whoever may see all of it has the same view from a whole history as from an older one and what came since.
"""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import msgspec

from libs.client.state import Shown
from libs.contracts.socket import Ack, Body, Entry, EntryKind, Retract, Revise, Send, Utterance


class MessageView(msgspec.Struct, frozen=True, kw_only=True):
    """A message as it stands: `seq` is its first entry, `version_seq` the one whose text is in force.

    `text` is None where it is not this person's to see, or nobody's any more. `committed_at` is None where
    only a later version is this person's to see.
    """

    seq: int
    version_seq: int
    sender: UUID | None
    committed_at: datetime | None
    text: str | None
    revised_at: datetime | None = None
    retracted_at: datetime | None = None
    retracted: bool = False
    disposed: bool = False


class View:
    """The messages of one conversation, by the place of their first entry."""

    def __init__(self, me: UUID | None = None) -> None:
        """Name `me` as the sender of what this device sends."""
        self._me = me
        self._messages: dict[int, MessageView] = {}

    @property
    def messages(self) -> tuple[MessageView, ...]:
        """Return the messages in their order."""
        return tuple(self._messages[seq] for seq in sorted(self._messages))

    def find(self, seq: int) -> MessageView | None:
        """Return the message whose first entry is at `seq`."""
        return self._messages.get(seq)

    def show(self, shown: Shown) -> None:
        """Take what a device shows."""
        if shown.entry is not None:
            self.take([shown.entry])
        elif shown.ack is not None and shown.own is not None:
            self._acknowledged(shown.ack, shown.own)

    def take(self, entries: Iterable[Entry]) -> None:
        """Take entries, in order; kinds that say nothing of a message are passed over."""
        for entry in entries:
            if entry.kind == EntryKind.MESSAGE_CREATED:
                self._create(_message_of(entry))
            elif entry.message_seq is None:
                continue
            elif entry.kind == EntryKind.MESSAGE_REVISED:
                self._revise(entry.message_seq, _message_of(entry))
            elif entry.kind == EntryKind.MESSAGE_RETRACTED:
                self._retract(entry.message_seq, entry.committed_at)

    def _acknowledged(self, ack: Ack, own: Utterance) -> None:
        """Take what this device said itself, of which it gets no entry."""
        match own:
            case Send(body=body) | Revise(body=body):
                said = MessageView(
                    seq=ack.seq,
                    version_seq=ack.seq,
                    sender=self._me,
                    committed_at=ack.committed_at,
                    text=body.text,
                )
                if isinstance(own, Send):
                    self._create(said)
                else:
                    self._revise(own.seq, said)
            case Retract(seq=seq):
                self._retract(seq, ack.committed_at)

    def _create(self, message: MessageView) -> None:
        known = self._messages.get(message.seq)
        if known is None or (known.version_seq <= message.version_seq and not known.retracted):
            self._messages[message.seq] = message

    def _revise(self, seq: int, version: MessageView) -> None:
        """Take a version of the message at `seq`, unless a later one is known."""
        known = self._messages.get(seq)
        if known is None:
            known = msgspec.structs.replace(version, seq=seq, version_seq=seq, committed_at=None)
        if version.version_seq < known.version_seq:
            return
        retracted = known.retracted or version.retracted
        self._messages[seq] = msgspec.structs.replace(
            known,
            version_seq=version.version_seq,
            text=None if retracted else version.text,
            revised_at=version.committed_at,
            retracted=retracted,
            disposed=version.disposed,
        )

    def _retract(self, seq: int, at: datetime) -> None:
        known = self._messages.get(seq)
        if known is not None:
            self._messages[seq] = msgspec.structs.replace(
                known, text=None, retracted=True, retracted_at=at, disposed=False
            )


def _message_of(entry: Entry) -> MessageView:
    """Return an entry as a message; one that was revised as the version that is in force."""
    current = entry.current
    body: Body | None = entry.body if current is None else current.body
    return MessageView(
        seq=entry.seq,
        version_seq=entry.seq if current is None else current.seq,
        sender=entry.actor,
        committed_at=entry.committed_at,
        text=None if body is None else body.text,
        revised_at=None if current is None else current.sent_at,
        retracted=entry.retracted,
        disposed=entry.disposed if current is None else current.disposed,
    )
