"""The catalogue of acts that reach the audit log: what each means, and who may see it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

OPERATIONS: Final = "operations"
"""Visible to the tenant's administrators, auditors and compliance officers."""
LEGAL: Final = "legal"
"""Visible to legal counsel, compliance officers and auditors: a silent hold shows to nobody else."""
PLATFORM: Final = "platform"
"""Visible in the platform's own log alone, to whoever operates it."""
VISIBILITIES: Final = (OPERATIONS, LEGAL, PLATFORM)


class Action(NamedTuple):
    """One kind of act: its name begins with the service that tells of it."""

    name: str
    visibility: str
    meaning: str

    @property
    def source(self) -> str:
        """The service that tells of it."""
        return self.name.partition(".")[0]


_ALL = (
    Action("identity.tenant.created", OPERATIONS, "a tenant was made"),
    Action("identity.principal.provisioned", OPERATIONS, "a person came into the directory"),
    Action("identity.principal.updated", OPERATIONS, "a person's directory data changed"),
    Action("identity.principal.deactivated", OPERATIONS, "a person may no longer sign in"),
    Action("identity.principal.reactivated", OPERATIONS, "a person may sign in again"),
    Action("identity.principal.removed", OPERATIONS, "a person was taken out of the directory"),
    Action("identity.session.started", OPERATIONS, "a device signed in"),
    Action("identity.session.ended", OPERATIONS, "a session ended before its time, by whomever"),
    Action("identity.sign-in.refused", OPERATIONS, "attempts to sign in were refused, told of by the minute"),
    Action("identity.role.granted", OPERATIONS, "a person received a role"),
    Action("identity.role.revoked", OPERATIONS, "a person lost a role"),
    Action("identity.code.issued", OPERATIONS, "a one-time code for signing in was given out"),
    Action("identity.password.set", OPERATIONS, "a person's password was set"),
    Action("identity.scim-token.issued", OPERATIONS, "an identity provider was given a token"),
    Action("identity.access.denied", OPERATIONS, "acts were denied, told of by actor, act and minute"),
    Action("keys.kek.created", OPERATIONS, "a tenant's key-encryption key was made"),
    Action("keys.dek.created", OPERATIONS, "a data key was made for a conversation's epoch"),
    Action("keys.dek.unwrapped", OPERATIONS, "data keys were given to a service for an act that it names"),
    Action("keys.dek.unwrapped-for-matter", LEGAL, "data keys were given to a service for a legal matter"),
    Action("keys.dek.retired", LEGAL, "a data key seals nothing more: something under it was destroyed"),
    Action("keys.dek.shredded", LEGAL, "a data key was destroyed: nothing was sealed under it any more"),
    Action(
        "keys.fingerprint-key.obtained", OPERATIONS, "the tenant's fingerprint key was given to a service"
    ),
    Action("keys.signing-key.created", PLATFORM, "a key that signs was made"),
    Action(
        "keys.signing-key.leased", PLATFORM, "a key that signs was given to the service that signs with it"
    ),
    Action(
        "keys.signing-key.retired", PLATFORM, "a key signs no more: another took its place before its time"
    ),
    Action("messaging.entries.committed", OPERATIONS, "entries were committed to conversations"),
    Action(
        "messaging.conversations.committed",
        OPERATIONS,
        "a map of all conversations was committed: how far each had come, and who ever took part",
    ),
    Action("messaging.conversation.created", OPERATIONS, "a conversation was begun"),
    Action("messaging.participants.added", OPERATIONS, "people were brought into a conversation"),
    Action("messaging.participants.removed", OPERATIONS, "people were taken out of a conversation"),
    Action("messaging.name.changed", OPERATIONS, "a conversation was given another name"),
    Action("messaging.topic.changed", OPERATIONS, "a conversation was given another topic"),
    Action("messaging.administrators.added", OPERATIONS, "people were made administrators of a conversation"),
    Action(
        "messaging.administrators.removed", OPERATIONS, "people are administrators of a conversation no more"
    ),
    Action(
        "messaging.history.opened", OPERATIONS, "whoever joins a conversation sees all of it from then on"
    ),
    Action("messaging.history.closed", OPERATIONS, "whoever joins a conversation sees what follows"),
    Action(
        "messaging.announcements.begun",
        OPERATIONS,
        "in a conversation its administrators alone write from then on",
    ),
    Action("messaging.announcements.ended", OPERATIONS, "in a conversation all participants write again"),
    Action("messaging.conversation.archived", OPERATIONS, "a conversation was archived"),
    Action("messaging.conversation.reopened", OPERATIONS, "an archived conversation was reopened"),
    Action("messaging.message.revised", OPERATIONS, "somebody gave his message another text"),
    Action("messaging.message.retracted", OPERATIONS, "somebody took back a message, his own or another's"),
    Action(
        "messaging.amendment-rules.changed",
        OPERATIONS,
        "who may revise and retract messages, and for how long, was changed",
    ),
    Action("messaging.evidence.taken", OPERATIONS, "a participant took evidence of a conversation's entries"),
    Action("messaging.import.requested", OPERATIONS, "somebody asked to import correspondence"),
    Action("messaging.import.approved", OPERATIONS, "another person approved an import"),
    Action("messaging.import.refused", OPERATIONS, "another person refused an import"),
    Action("messaging.import.begun", OPERATIONS, "an approved import began"),
    Action("messaging.import.finished", OPERATIONS, "every line of an import has come"),
    Action("messaging.access.denied", OPERATIONS, "acts were denied, told of by actor, act and minute"),
    Action(
        "messaging.items.disposed", LEGAL, "items were hidden or destroyed by an order, a batch at a time"
    ),
    Action(
        "messaging.disposition.completed", LEGAL, "an order of disposition was carried out, or ended early"
    ),
    Action("retention.rule.made", OPERATIONS, "a retention rule was made"),
    Action("retention.rule.changed", OPERATIONS, "a retention rule was changed: it has a new version"),
    Action("retention.rule.ended", OPERATIONS, "a retention rule ended"),
    Action("retention.lock.made", OPERATIONS, "a preservation lock was made"),
    Action("retention.lock.extended", OPERATIONS, "a preservation lock was extended"),
    Action("retention.erasure.requested", LEGAL, "a person's request for erasure was taken in"),
    Action("retention.run.requested", LEGAL, "somebody asked for a disposition to be carried out"),
    Action("retention.run.approved", LEGAL, "somebody else approved a disposition"),
    Action("retention.run.refused", LEGAL, "somebody else refused a disposition"),
    Action("retention.order.issued", LEGAL, "a disposition was ordered, or tried out"),
    Action("retention.order.answered", LEGAL, "an executor said what it found due"),
    Action("retention.order.completed", LEGAL, "an executor carried out a disposition, or ended it early"),
    Action("retention.certificate.issued", LEGAL, "a certificate of disposition was signed"),
    Action("retention.access.denied", OPERATIONS, "acts were denied, told of by actor, act and minute"),
    Action(
        "audit.log.read", OPERATIONS, "somebody read leaves, tiles or proofs, told of by reader and minute"
    ),
    Action("audit.entries.searched", OPERATIONS, "somebody searched the log"),
    Action("audit.evidence.taken", OPERATIONS, "somebody took evidence out of the log"),
    Action("audit.access.denied", OPERATIONS, "reads of the log were denied, told of by actor and minute"),
    Action("holds.hold.placed", LEGAL, "counsel ordered that something be preserved"),
    Action(
        "holds.hold.in-force", LEGAL, "every executor confirmed a hold: nothing that it covers is destroyed"
    ),
    Action("holds.hold.release-requested", LEGAL, "somebody asked for the end of a hold"),
    Action("holds.hold.release-approved", LEGAL, "somebody else approved the end of a hold"),
    Action("holds.hold.release-refused", LEGAL, "somebody else refused the end of a hold"),
    Action("holds.hold.released", LEGAL, "a hold ended; that by itself destroys nothing"),
    Action("holds.access.denied", LEGAL, "acts on holds were denied, told of by actor, act and minute"),
    Action("ediscovery.matter.made", LEGAL, "counsel opened a matter"),
    Action("ediscovery.member.added", LEGAL, "somebody may look into a matter from now on"),
    Action("ediscovery.search.made", LEGAL, "somebody searched in a matter"),
    Action("ediscovery.message.viewed", LEGAL, "somebody looked at a message in a matter"),
    Action(
        "ediscovery.items.expunged",
        LEGAL,
        "the words of items that were destroyed are gone from the files of the index",
    ),
    Action("ediscovery.production.requested", LEGAL, "counsel asked for a production"),
    Action("ediscovery.production.approved", LEGAL, "somebody else approved a production"),
    Action("ediscovery.production.refused", LEGAL, "somebody else refused a production"),
    Action("ediscovery.production.made", LEGAL, "a production was made and signed"),
    Action("ediscovery.production.failed", LEGAL, "a production that was approved cannot be made"),
    Action("ediscovery.production.taken", LEGAL, "somebody was given a production"),
    Action("ediscovery.production.removed", LEGAL, "a production was removed, as its time was over"),
    Action("ediscovery.index.dropped", LEGAL, "an index was dropped, as the key of its tenant is revoked"),
    Action(
        "ediscovery.index.rebuild-begun",
        OPERATIONS,
        "the index is made anew: it was lost, or the operator wanted it",
    ),
    Action("ediscovery.index.rebuilt", OPERATIONS, "an index that was made anew is searched from now on"),
    Action("ediscovery.access.denied", LEGAL, "acts in eDiscovery were denied, by actor, act and minute"),
)

ACTIONS: Final[Mapping[str, Action]] = MappingProxyType({action.name: action for action in _ALL})
"""Every kind of act, by name."""
