"""The one door: what an actor may do to a conversation. Absent and forbidden look the same."""

from dataclasses import dataclass

from libs.kernel.clock import Clock
from libs.kernel.denials import Denials
from libs.kernel.errors import DomainError
from libs.kernel.ids import ConversationId, TenantId
from services.messaging.domain.amendments import (
    Message,
    MessageFacts,
    MessageKey,
    facts_of_message,
    is_in_time,
    seconds_for,
)
from services.messaging.domain.entries import ConversationKey, EntryKind
from services.messaging.domain.errors import (
    AdministratorsWrite,
    AmendmentTooLate,
    ConversationArchived,
    ConversationNotFound,
    EntriesNotFound,
    MessageDisposed,
    MessageNotFound,
    MessageRetracted,
    NotPermitted,
)
from services.messaging.domain.membership import ConversationFacts, Standing, facts_of
from services.messaging.domain.terms import DEFAULT_TERMS
from services.messaging.ports import Actor, AmendmentReader, Authorization, LogReader

READ = "ReadConversation"
SEND = "SendMessage"
REVISE = "ReviseMessage"
RETRACT = "RetractMessage"
CHANGE = "ChangeParticipants"
CHANGE_TERMS = "ChangeConversation"
ARCHIVE = "ArchiveConversation"
LEAVE = "LeaveConversation"
CREATE = "CreateConversation"
RUN_IMPORT = "RunImport"
SEE_IMPORTS = "SeeImports"
DECIDE_IMPORT = "DecideImport"
READ_RULES = "ReadAmendmentRules"
CHANGE_RULES = "ChangeAmendmentRules"

PARTICIPANT = frozenset({"participant"})


@dataclass(frozen=True, slots=True)
class _TenantFacts:
    tenant: TenantId
    kind: str = "Tenant"
    holding: frozenset[str] = frozenset()


class Access:
    """Asks the policies, with what the log says of the actor's standing."""

    def __init__(
        self,
        authorization: Authorization,
        reader: LogReader,
        amendments: AmendmentReader,
        denials: Denials,
        clock: Clock,
    ) -> None:
        """Decide by `authorization` on what `reader` and `amendments` tell, at the time of `clock`.

        What is refused is counted in `denials`.
        """
        self._authorization = authorization
        self._reader = reader
        self._amendments = amendments
        self._denials = denials
        self._clock = clock

    async def access_conversation(
        self, actor: Actor, conversation: ConversationId, action: str
    ) -> tuple[ConversationKey, Standing]:
        """Return the conversation and how the actor stands to it, if he may do `action`.

        Raises ConversationNotFound otherwise: absent, another tenant's and forbidden are one answer. Whom
        only the terms of the conversation keep from it is told so, by ConversationArchived or
        AdministratorsWrite.
        """
        key = ConversationKey(actor.tenant, conversation)
        standing = await self._reader.find_standing(key, actor.principal)
        if standing is None or not self._authorization.allows(
            actor, action, facts_of(actor.tenant, standing)
        ):
            self._denials.note(actor.tenant, actor.principal, action)
            raise self._refusal(actor, conversation, action, standing)
        return key, standing

    def _refusal(
        self, actor: Actor, conversation: ConversationId, action: str, standing: Standing | None
    ) -> DomainError:
        """Return why somebody is refused: other terms would let him, or he learns nothing."""
        if standing is None or not (standing.terms.archived or standing.terms.announcements):
            return ConversationNotFound(conversation)
        freely = standing._replace(terms=DEFAULT_TERMS)
        if not self._authorization.allows(actor, action, facts_of(actor.tenant, freely)):
            return ConversationNotFound(conversation)
        if standing.terms.archived:
            return ConversationArchived(conversation)
        return AdministratorsWrite(conversation)

    async def access_entries(
        self, actor: Actor, conversation: ConversationId, first: int, last: int
    ) -> ConversationKey:
        """Return the conversation, if the actor may read its entries from `first` to `last`, all of them.

        Raises ConversationNotFound, and EntriesNotFound for entries that are absent or not his to see.
        """
        key, standing = await self.access_conversation(actor, conversation, READ)
        if not standing.sees(first, last):
            self._denials.note(actor.tenant, actor.principal, READ)
            raise EntriesNotFound(first, last)
        return key

    async def access_message(
        self, actor: Actor, conversation: ConversationId, seq: int, kind: EntryKind
    ) -> tuple[MessageKey, Standing, Message]:
        """Return the message whose first entry is at `seq`, if the actor may amend it in this way.

        Raises ConversationNotFound and MessageNotFound, which look the same; AmendmentTooLate to its sender;
        ConversationArchived, AdministratorsWrite, MessageRetracted and MessageDisposed to whoever could
        amend it otherwise.
        """
        action = RETRACT if kind is EntryKind.MESSAGE_RETRACTED else REVISE
        key, standing = await self.access_conversation(actor, conversation, READ)
        place = MessageKey(key, seq)
        message = await self._amendments.find_message(place) if standing.sees(seq, seq) else None
        rules = await self._amendments.rules(actor.tenant)
        own = message is not None and message.sender == actor.principal
        seconds = seconds_for(rules, kind)
        in_time = message is not None and is_in_time(message.sent_at, self._clock.now(), seconds)

        def allows(standing: Standing, *, in_time: bool) -> bool:
            facts: MessageFacts = facts_of_message(
                actor.tenant, standing, own=own, in_time=in_time, moderated=rules.administrators_retract
            )
            return self._authorization.allows(actor, action, facts)

        if message is None or not allows(standing, in_time=in_time):
            self._denials.note(actor.tenant, actor.principal, action)
            if own and allows(standing, in_time=True):
                raise AmendmentTooLate(seq)
            if message is not None and allows(standing._replace(terms=DEFAULT_TERMS), in_time=in_time):
                archived = standing.terms.archived
                raise (ConversationArchived if archived else AdministratorsWrite)(conversation)
            raise MessageNotFound(conversation, seq)
        if message.retracted:
            raise MessageRetracted(seq)
        if message.gone:
            raise MessageDisposed(seq)
        return place, standing, message

    def may(self, actor: Actor, action: str, holding: frozenset[str]) -> bool:
        """Tell whether the actor may do `action` to a conversation of which the facts `holding` are known.

        For callers who ask the log itself before they refuse.
        """
        return self._authorization.allows(actor, action, ConversationFacts(actor.tenant, holding))

    def access_as_participant(self, actor: Actor, conversation: ConversationId, action: str) -> None:
        """Return if a participant with the actor's roles may do `action`; raises ConversationNotFound.

        For callers who know already, from the log itself, that the actor takes part.
        """
        if not self.may(actor, action, PARTICIPANT):
            self._denials.note(actor.tenant, actor.principal, action)
            raise ConversationNotFound(conversation)

    def access_creation(self, actor: Actor) -> None:
        """Return if the actor may begin conversations; raises NotPermitted."""
        self.access_organisation(actor, CREATE)

    def access_organisation(self, actor: Actor, action: str) -> None:
        """Return if the actor may do `action` to his organisation as a whole; raises NotPermitted."""
        if not self._authorization.allows(actor, action, _TenantFacts(actor.tenant)):
            self._denials.note(actor.tenant, actor.principal, action)
            raise NotPermitted(action)
