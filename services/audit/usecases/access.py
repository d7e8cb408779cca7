"""What a reader may do with his tenant's log, and which classes of details he may see."""

from dataclasses import dataclass

from libs.kernel.actors import Actor, Facts, Permissions
from libs.kernel.denials import Denials
from libs.kernel.ids import TenantId
from services.audit.domain.errors import EntryNotFound
from services.audit.domain.reading import CLASSES, PLATFORM, READ_LOG, SEE_DETAIL


@dataclass(frozen=True, slots=True)
class Access:
    """Asks the policies, and counts what they deny."""

    permissions: Permissions
    denials: Denials

    def access_log(self, actor: Actor, log: TenantId, action: str) -> None:
        """Return if the actor may do that to a log: his tenant's, or the platform's. Raises EntryNotFound."""
        if not self.permissions.allows(actor, action, _facts_of(actor, log)):
            self.denials.note(actor.tenant, actor.principal, action)
            raise EntryNotFound("log")

    def access_details(self, actor: Actor) -> frozenset[str]:
        """Return the classes of details that the actor may see. Raises EntryNotFound when it is none."""
        shown = self.find_classes(actor)
        if not shown:
            self.denials.note(actor.tenant, actor.principal, SEE_DETAIL)
            raise EntryNotFound("entry")
        return shown

    def find_classes(self, actor: Actor) -> frozenset[str]:
        """Return the classes of details that the actor may see."""
        return frozenset(
            shown
            for shown in CLASSES
            if self.permissions.allows(
                actor, SEE_DETAIL, Facts("AuditDetail", actor.tenant, frozenset({shown}))
            )
        )

    def sees_indices(self, actor: Actor) -> bool:
        """Return whether the actor may know where entries stand: gaps tell how much is kept from him."""
        return self.permissions.allows(actor, READ_LOG, _facts_of(actor, actor.tenant))


def _facts_of(actor: Actor, log: TenantId) -> Facts:
    """Return a log as the policies know it; the platform's is one that all organisations have in common."""
    if log == PLATFORM:
        return Facts("AuditLog", actor.tenant, frozenset({"platform"}))
    return Facts("AuditLog", log)
