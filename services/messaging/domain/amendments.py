"""What may become of a message after it was sent: who may revise or retract it, and for how long. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from libs.kernel.ids import MessageId, PrincipalId, TenantId
from services.messaging.domain.entries import ConversationKey, ConversationKind, EntryKind
from services.messaging.domain.membership import Standing

MOST_REASON: Final = 1_000
"""Characters of a reason."""
MOST_SECONDS: Final = 100 * 366 * 86_400


class MessageKey(NamedTuple):
    """Names a message by the place of its first entry."""

    key: ConversationKey
    seq: int


class Amended(NamedTuple):
    """How a message stands behind the lock of its conversation: its last revision, a retraction included."""

    revision: int = 0
    retracted: bool = False

    def by(self, kind: EntryKind) -> "Amended":
        """Return how it stands after one amendment more."""
        return Amended(self.revision + 1, kind is EntryKind.MESSAGE_RETRACTED)


UNAMENDED: Final = Amended()


class Message(NamedTuple):
    """A message as whoever would amend it finds it.

    `revision` is its last; `gone` says that the text in force is due to be destroyed, or was.
    """

    message: MessageId
    sender: PrincipalId
    sent_at: datetime
    revision: int
    retracted: bool
    gone: bool


class AmendmentRules(NamedTuple):
    """Who may revise and retract in a tenant, and for how many seconds after a message was sent.

    None is without end, 0 is not at all. `version` is 0 for the rules that hold where nobody made others.
    """

    version: int = 0
    revise_seconds: int | None = 86_400
    retract_seconds: int | None = 86_400
    administrators_retract: bool = True


DEFAULT_RULES: Final = AmendmentRules()


@dataclass(frozen=True, slots=True)
class MessageFacts:
    """What the policies may know of a message: yes-or-no facts named in the policies' schema."""

    tenant: TenantId
    holding: frozenset[str]
    kind: str = "Message"


def seconds_for(rules: AmendmentRules, kind: EntryKind) -> int | None:
    """Return for how long a sender may do this to his own message; None is without end."""
    return rules.retract_seconds if kind is EntryKind.MESSAGE_RETRACTED else rules.revise_seconds


def is_in_time(sent_at: datetime, now: datetime, seconds: int | None) -> bool:
    """Tell whether `now` lies within `seconds` after `sent_at`."""
    return seconds is None or now < sent_at + timedelta(seconds=seconds)


def facts_of_message(
    tenant: TenantId, standing: Standing, *, own: bool, in_time: bool, moderated: bool
) -> MessageFacts:
    """Return what the policies may know of a message as one principal stands to it.

    `moderated` says that the tenant lets administrators of a conversation retract what others said.
    """
    facts = {
        "participant": standing.takes_part,
        "administrator": standing.administrator,
        "direct": standing.kind is ConversationKind.DIRECT,
        "imported": standing.kind is ConversationKind.IMPORT,
        "announcements": standing.terms.announcements,
        "archived": standing.terms.archived,
        "own": own,
        "in_time": in_time,
        "moderated": moderated,
    }
    return MessageFacts(tenant, frozenset(name for name, holds in facts.items() if holds))
