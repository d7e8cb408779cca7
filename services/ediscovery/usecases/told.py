"""What the audit log is told: ids alone, never a query, a name or a text."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from libs.approvals.request import Request
from libs.contracts.facts import Actor, EdiscoveryFact, Entity, Run
from libs.kernel.denials import Denial
from services.ediscovery.domain.matters import Matter
from services.ediscovery.domain.productions.orders import Failure, Made, Order, Removal
from services.ediscovery.ports.books import Member, MessageViewed, SearchMade
from services.ediscovery.ports.expunges import ItemsExpunged
from services.ediscovery.ports.productions import Download

MATTER_MADE: Final = "ediscovery.matter.made"
MEMBER_ADDED: Final = "ediscovery.member.added"
SEARCH_MADE: Final = "ediscovery.search.made"
MESSAGE_VIEWED: Final = "ediscovery.message.viewed"
ITEMS_EXPUNGED: Final = "ediscovery.items.expunged"
PRODUCTION_REQUESTED: Final = "ediscovery.production.requested"
PRODUCTION_APPROVED: Final = "ediscovery.production.approved"
PRODUCTION_REFUSED: Final = "ediscovery.production.refused"
PRODUCTION_MADE: Final = "ediscovery.production.made"
PRODUCTION_FAILED: Final = "ediscovery.production.failed"
PRODUCTION_TAKEN: Final = "ediscovery.production.taken"
PRODUCTION_REMOVED: Final = "ediscovery.production.removed"
REBUILD_BEGUN: Final = "ediscovery.index.rebuild-begun"
INDEX_DROPPED: Final = "ediscovery.index.dropped"
INDEX_REBUILT: Final = "ediscovery.index.rebuilt"
ACCESS_DENIED: Final = "ediscovery.access.denied"
MOST_NAMED: Final = 100
"""Custodians, and conversations, that one fact names; beyond that it says how many there are."""


def fact_of_matter(matter: Matter) -> EdiscoveryFact:
    """Return the fact that a matter was made; the act is named as the matter is."""
    return EdiscoveryFact(
        act=matter.matter,
        action=MATTER_MADE,
        actor=Actor(kind="principal", id=matter.made_by),
        at=matter.made_at,
        matter=matter.matter,
        entities=(
            _matter(matter.matter),
            *_listed("custodian", sorted(matter.bounds.custodians)),
            *_listed("conversation", sorted(matter.bounds.conversations)),
        ),
    )


def fact_of_member(matter: UUID, act: UUID, member: Member) -> EdiscoveryFact:
    """Return the fact that somebody may look into a matter from now on."""
    return EdiscoveryFact(
        act=act,
        action=MEMBER_ADDED,
        actor=Actor(kind="principal", id=member.added_by),
        at=member.added_at,
        matter=matter,
        entities=(_matter(matter), Entity(kind="principal", id=str(member.principal))),
    )


def fact_of_search(made: SearchMade) -> EdiscoveryFact:
    """Return the fact that somebody searched in a matter."""
    return EdiscoveryFact(
        act=made.act,
        action=SEARCH_MADE,
        actor=Actor(kind="principal", id=made.by),
        at=made.at,
        matter=made.matter,
        entities=(_matter(made.matter),),
    )


def fact_of_view(viewed: MessageViewed) -> EdiscoveryFact:
    """Return the fact that somebody looked at a message in a matter."""
    key = viewed.key
    return EdiscoveryFact(
        act=viewed.act,
        action=MESSAGE_VIEWED,
        actor=Actor(kind="principal", id=viewed.by),
        at=viewed.at,
        matter=viewed.matter,
        entities=(_matter(viewed.matter), Entity(kind="conversation", id=str(key.conversation))),
        runs=(Run(conversation=key.conversation, first=key.seq, last=key.seq),),
    )


def fact_of_expunge(expunged: ItemsExpunged) -> EdiscoveryFact:
    """Return the fact that the words of destroyed items are gone."""
    return EdiscoveryFact(
        act=expunged.act,
        action=ITEMS_EXPUNGED,
        actor=Actor(kind="service", name="ediscovery"),
        at=expunged.at,
        entities=(
            Entity(kind="disposition-order", id=str(expunged.order)),
            Entity(kind="expunged-count", id=str(expunged.items)),
        ),
    )


def fact_of_production(order: Order) -> EdiscoveryFact:
    """Return the fact that a production was asked for; the act is named as the production is."""
    asked = Actor(kind="principal", id=order.asked_by)
    return _of_production(order, PRODUCTION_REQUESTED, order.production, asked, order.asked_at)


def fact_of_decision(order: Order, act: UUID, request: Request, at: datetime) -> EdiscoveryFact:
    """Return the fact that somebody else decided on a production."""
    action = PRODUCTION_APPROVED if request.approved else PRODUCTION_REFUSED
    return _of_production(order, action, act, Actor(kind="principal", id=request.decided_by), at)


def fact_of_outcome(order: Order, outcome: Made | Failure) -> EdiscoveryFact:
    """Return the fact that a production was made, with the hash of its manifest, or that it cannot be."""
    service = Actor(kind="service", name="ediscovery")
    if isinstance(outcome, Failure):
        return _of_production(order, PRODUCTION_FAILED, outcome.act, service, outcome.at)
    return _of_production(order, PRODUCTION_MADE, outcome.act, service, outcome.at, _manifest(outcome))


def fact_of_download(order: Order, made: Made, download: Download) -> EdiscoveryFact:
    """Return the fact that somebody was given a production."""
    taker = Actor(kind="principal", id=download.by)
    return _of_production(order, PRODUCTION_TAKEN, download.act, taker, download.at, _manifest(made))


def fact_of_removal(order: Order, made: Made, removal: Removal) -> EdiscoveryFact:
    """Return the fact that the files of a production were removed; its manifest is named by its hash."""
    service = Actor(kind="service", name="ediscovery")
    return _of_production(order, PRODUCTION_REMOVED, removal.act, service, removal.at, _manifest(made))


def fact_of_rebuild(act: UUID, at: datetime, *, lost: bool) -> EdiscoveryFact:
    """Return the fact that an index is made anew: because it is `lost`, or the operator wants it."""
    actor = Actor(kind="service", name="ediscovery") if lost else Actor(kind="operator")
    return EdiscoveryFact(act=act, action=REBUILD_BEGUN, actor=actor, at=at)


def fact_of_dropped(act: UUID, at: datetime) -> EdiscoveryFact:
    """Return the fact that an index was dropped because the key of its tenant is revoked."""
    return EdiscoveryFact(
        act=act, action=INDEX_DROPPED, actor=Actor(kind="service", name="ediscovery"), at=at
    )


def fact_of_rebuilt(act: UUID, rebuild: UUID, at: datetime) -> EdiscoveryFact:
    """Return the fact that an index that was made anew has taken the place of the old one."""
    return EdiscoveryFact(
        act=act,
        action=INDEX_REBUILT,
        actor=Actor(kind="service", name="ediscovery"),
        at=at,
        entities=(Entity(kind="rebuild", id=str(rebuild)),),
    )


def fact_of_denial(denial: Denial, act: UUID) -> EdiscoveryFact:
    """Return the fact of the denials of one person, act and minute; it names no matter."""
    return EdiscoveryFact(
        act=act,
        action=ACCESS_DENIED,
        actor=Actor(kind="principal", id=denial.principal),
        at=denial.minute,
        entities=(Entity(kind="act", id=denial.act),),
        outcome="refused",
        count=denial.count,
    )


def _of_production(
    order: Order, action: str, act: UUID, actor: Actor, at: datetime, *entities: Entity
) -> EdiscoveryFact:
    return EdiscoveryFact(
        act=act,
        action=action,
        actor=actor,
        at=at,
        matter=order.matter,
        entities=(_matter(order.matter), Entity(kind="production", id=str(order.production)), *entities),
        approvals=(order.request,),
    )


def _manifest(made: Made) -> Entity:
    return Entity(kind="manifest", id=made.digest.hex())


def _matter(matter: UUID) -> Entity:
    return Entity(kind="matter", id=str(matter))


def _listed(kind: str, names: Sequence[UUID]) -> list[Entity]:
    named = [Entity(kind=kind, id=str(name)) for name in names[:MOST_NAMED]]
    if len(names) > MOST_NAMED:
        named.append(Entity(kind=f"{kind}s", id=str(len(names))))
    return named
