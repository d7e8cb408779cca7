"""Matters: what somebody has to look into, who looks, and what he can see at all."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from libs.kernel.ids import ConversationId, PrincipalId, TenantId
from services.ediscovery.domain.documents import Document
from services.ediscovery.domain.errors import MatterRefused
from services.ediscovery.domain.oracle import matches
from services.ediscovery.domain.query import Ids, Scope, scoped

MOST_NAMED: Final = 1000
LONGEST_NAME: Final = 200


@dataclass(frozen=True, slots=True)
class Bounds:
    """The scope of a matter: what one of `custodians` took part in, in one of `conversations`, of a time.

    An empty set is no limit of that kind; `since` is included, `until` is not.
    """

    custodians: frozenset[PrincipalId]
    conversations: frozenset[ConversationId]
    since: datetime | None
    until: datetime | None

    @property
    def scope(self) -> Scope:
        """The scope as the search takes it."""
        return Scope(
            conversations=frozenset(self.conversations) or None,
            participants=frozenset(self.custodians) or None,
            since=self.since,
            until=self.until,
        )

    def includes(self, document: Document) -> bool:
        """Say whether a message lies within the scope."""
        conversation = Ids("in", frozenset({document.key.conversation}))
        return matches(scoped(conversation, self.scope), document)


@dataclass(frozen=True, slots=True)
class Matter:
    """A matter; its scope is never changed: another scope is another matter."""

    tenant: TenantId
    matter: UUID
    name: str
    bounds: Bounds
    made_by: PrincipalId
    made_at: datetime


def decide_bounds(bounds: Bounds, *, everything: bool) -> Bounds:
    """Return the scope of a matter. Raises MatterRefused for one that is empty, or open by mistake."""
    if bounds.since is not None and bounds.until is not None and bounds.since >= bounds.until:
        raise MatterRefused("the time ends before it begins")
    if not (bounds.custodians or bounds.conversations or everything):
        raise MatterRefused("it names neither custodians nor conversations, and does not say `everything`")
    if everything and (bounds.custodians or bounds.conversations):
        raise MatterRefused("it says `everything`, and names custodians or conversations")
    return bounds
