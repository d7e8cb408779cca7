"""The one door: what an actor may do to a conversation. Absent and forbidden look the same."""

from dataclasses import dataclass

from libs.kernel.denials import Denials
from libs.kernel.ids import ConversationId, TenantId
from services.messaging.domain.entries import ConversationKey
from services.messaging.domain.errors import ConversationNotFound, EntriesNotFound, NotPermitted
from services.messaging.domain.membership import ConversationFacts, Standing, facts_of
from services.messaging.ports import Actor, Authorization, LogReader

READ = "ReadConversation"
SEND = "SendMessage"
CHANGE = "ChangeParticipants"
CREATE = "CreateConversation"
RUN_IMPORT = "RunImport"
SEE_IMPORTS = "SeeImports"
DECIDE_IMPORT = "DecideImport"

PARTICIPANT = frozenset({"participant"})


@dataclass(frozen=True, slots=True)
class _TenantFacts:
    tenant: TenantId
    kind: str = "Tenant"
    holding: frozenset[str] = frozenset()


class Access:
    """Asks the policies, with what the log says of the actor's standing."""

    def __init__(self, authorization: Authorization, reader: LogReader, denials: Denials) -> None:
        """Decide by `authorization` on standings read by `reader`; count in `denials` what is refused."""
        self._authorization = authorization
        self._reader = reader
        self._denials = denials

    async def access_conversation(
        self, actor: Actor, conversation: ConversationId, action: str
    ) -> tuple[ConversationKey, Standing]:
        """Return the conversation and how the actor stands to it, if he may do `action`.

        Raises ConversationNotFound otherwise: absent, another tenant's and forbidden are one answer.
        """
        key = ConversationKey(actor.tenant, conversation)
        standing = await self._reader.find_standing(key, actor.principal)
        if standing is None or not self._authorization.allows(
            actor, action, facts_of(actor.tenant, standing)
        ):
            self._denials.note(actor.tenant, actor.principal, action)
            raise ConversationNotFound(conversation)
        return key, standing

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

    def access_as_participant(self, actor: Actor, conversation: ConversationId, action: str) -> None:
        """Return if a participant with the actor's roles may do `action`; raises ConversationNotFound.

        For callers who know already, from the log itself, that the actor takes part.
        """
        if not self._authorization.allows(actor, action, ConversationFacts(actor.tenant, PARTICIPANT)):
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
