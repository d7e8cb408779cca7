"""What messaging refuses, with the facts of each refusal and never with content."""

from dataclasses import dataclass
from uuid import UUID

from libs.kernel.errors import DomainError


@dataclass(eq=False)
class ConversationNotFound(DomainError):
    """The conversation is absent, another tenant's, or not open to this principal: all the same."""

    conversation: UUID


@dataclass(eq=False)
class MessageNotFound(DomainError):
    """There is no message at this place, or it is not the actor's to amend: all the same."""

    conversation: UUID
    seq: int


@dataclass(eq=False)
class MessageRetracted(DomainError):
    """The message was retracted: nothing is said in its place."""

    seq: int


@dataclass(eq=False)
class MessageDisposed(DomainError):
    """What the message said is due to be destroyed, or was: nothing is said in its place."""

    seq: int


@dataclass(eq=False)
class AmendmentTooLate(DomainError):
    """The sender's own time to revise or retract the message is over, or the tenant gives none."""

    seq: int


@dataclass(eq=False)
class ReasonMissing(DomainError):
    """Whoever retracts what somebody else said says why."""

    seq: int


@dataclass(eq=False)
class RulesPassed(DomainError):
    """The rules were changed since they were read; `version` is the one in force."""

    version: int


@dataclass(eq=False)
class MapNotFound(DomainError):
    """The tenant has no such map of its conversations, or none yet."""


@dataclass(eq=False)
class ClientIdConflict(DomainError):
    """The client's id was used before, for another body or another conversation."""

    client_id: UUID


@dataclass(eq=False)
class ParticipantUnknown(DomainError):
    """A named participant is not (or not yet) an active principal of the tenant."""

    principal: UUID


@dataclass(eq=False)
class SizeRefused(DomainError):
    """A conversation would have fewer or more participants than allowed."""

    count: int
    least: int
    most: int


@dataclass(eq=False)
class DirectIsFixed(DomainError):
    """The participants of a one-to-one conversation never change."""

    conversation: UUID


@dataclass(eq=False)
class LastAdministrator(DomainError):
    """A group would be left without an administrator; somebody else is to be made one first."""

    conversation: UUID


@dataclass(eq=False)
class ConversationArchived(DomainError):
    """The conversation is archived: it is read, and nothing is added to it until it is reopened."""

    conversation: UUID


@dataclass(eq=False)
class AdministratorsWrite(DomainError):
    """The conversation is for announcements: its administrators write in it, and everybody reads."""

    conversation: UUID


@dataclass(eq=False)
class AlreadySo(DomainError):
    """Somebody else has done meanwhile what was asked for: there is nothing to add."""

    conversation: UUID


@dataclass(eq=False)
class BodyRefused(DomainError):
    """A message's body is empty or larger than allowed."""

    size: int
    most: int


@dataclass(eq=False)
class MarkRefused(DomainError):
    """A receipt names a position that the conversation has not reached."""

    seq: int
    last_seq: int


@dataclass(eq=False)
class StretchRefused(DomainError):
    """Evidence is given of a row of entries: at least one, and not more than `most`."""

    first: int
    last: int
    most: int


@dataclass(eq=False)
class EntriesNotFound(DomainError):
    """Some of these entries are absent, or not for this principal to see: all the same."""

    first: int
    last: int


@dataclass(eq=False)
class EntryUnproved(DomainError):
    """The entry is from before the audit log, which cannot prove it."""

    seq: int


@dataclass(eq=False)
class KeysUnavailable(DomainError):
    """The key service cannot give a key now; nothing was stored, and the same send may be repeated."""

    retry_after_seconds: float = 1.0


@dataclass(eq=False)
class KeyGone(KeysUnavailable):
    """The key that a record names is shredded: what survived was sealed anew, and is to be read again."""


@dataclass(eq=False)
class KeyClosed(DomainError):
    """What was sealed came too late: its key is closed. Nothing was stored, and the send may be repeated."""

    retry_after_seconds: float = 1.0


@dataclass(eq=False)
class SealingDiffers(DomainError):
    """A record that was sealed anew does not say what the old one says: the old one stays."""

    seq: int


@dataclass(eq=False)
class LogUnavailable(DomainError):
    """The log cannot be written or read now; repeating the same client id is safe."""

    retry_after_seconds: float = 1.0


@dataclass(eq=False)
class Overloaded(DomainError):
    """More sends wait for their commit than may wait; repeating the same client id is safe."""

    retry_after_seconds: float = 1.0


@dataclass(eq=False)
class NotPermitted(DomainError):
    """The actor's roles do not allow this act, whatever it is done to."""

    action: str


@dataclass(eq=False)
class ImportNotFound(DomainError):
    """There is no such import in this tenant."""

    run: UUID


@dataclass(eq=False)
class ImportRefused(DomainError):
    """The request describes no import: its batches do not add up, or a name stands for two people."""

    why: str


@dataclass(eq=False)
class ImportDiffers(DomainError):
    """The same source was asked for before, in another way: with other lines, or for other people."""

    run: UUID


@dataclass(eq=False)
class ImportNotBegun(DomainError):
    """Lines come once the import has been approved and begun."""

    run: UUID


@dataclass(eq=False)
class BatchDiffers(DomainError):
    """The lines are not those that were approved."""

    number: int


@dataclass(eq=False)
class BatchOutOfOrder(DomainError):
    """Batches come one after the other; the next one is `expected`."""

    expected: int


@dataclass(eq=False)
class DispositionsStopped(DomainError):
    """An event of the tenant is parked: it may be a hold, so nothing is destroyed until it is replayed."""


@dataclass(eq=False)
class DestroyedUndue(DomainError):
    """An item was destroyed by a run whose terms would not have it destroyed."""

    conversation: UUID
    seq: int


@dataclass(eq=False)
class ImportUnfinished(DomainError):
    """Some batches have not come yet."""

    missing: int
