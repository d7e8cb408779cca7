"""Show and change who may revise and retract messages, and for how long."""

from dataclasses import dataclass

from services.messaging.domain.amendments import AmendmentRules
from services.messaging.domain.errors import RulesPassed
from services.messaging.ports import Actor, AmendmentRuleBook
from services.messaging.usecases.access import CHANGE_RULES, READ_RULES, Access


@dataclass(frozen=True, slots=True)
class GovernAmendments:
    """Each change is a version of its own, which says what holds from then on."""

    access: Access
    book: AmendmentRuleBook

    async def rules(self, actor: Actor) -> AmendmentRules:
        """Return the rules that are in force. Raises NotPermitted."""
        self.access.access_organisation(actor, READ_RULES)
        return await self.book.rules(actor.tenant)

    async def change(self, actor: Actor, wanted: AmendmentRules) -> AmendmentRules:
        """Put `wanted` in the place of the version that it names, and return the next one.

        Raises NotPermitted, and RulesPassed where another version is in force.
        """
        self.access.access_organisation(actor, CHANGE_RULES)
        standing = await self.book.rules(actor.tenant)
        if standing.version != wanted.version:
            raise RulesPassed(standing.version)
        following = wanted._replace(version=wanted.version + 1)
        await self.book.change(actor.tenant, following, actor.principal)
        return following
