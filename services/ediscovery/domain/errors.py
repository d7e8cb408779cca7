"""What the search refuses, and why."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from libs.kernel.errors import DomainError
from libs.kernel.ids import TenantId


@dataclass(eq=False)
class QueryRefused(DomainError):
    """The text is no query: `column` is where, from 1 in the text as it was given."""

    column: int
    reason: str


@dataclass(eq=False)
class NameUnknown(DomainError):
    """A field of a query names nobody and nothing, or several: `column` is where it begins, from 1."""

    field: str
    column: int


@dataclass(eq=False)
class IndexUnavailable(DomainError):
    """The search engine does not answer, or refuses: nothing is known of what was asked of it."""

    reason: str


@dataclass(eq=False)
class IndexRebuilding(DomainError):
    """The tenant's index was lost or damaged, and is made anew: what it would find is not all there is."""

    tenant: TenantId


@dataclass(eq=False)
class ExpungeUnfinished(DomainError):
    """What was to vanish from an index is perhaps still in its files: a disposition is not confirmed."""

    tenant: TenantId
    reason: str


@dataclass(eq=False)
class ExpungesStopped(DomainError):
    """A change of the tenant's holds is parked: no word vanishes until it is replayed."""

    tenant: TenantId


@dataclass(eq=False)
class NotFound(DomainError):
    """There is no such thing, or none that this person may know of."""


@dataclass(eq=False)
class MatterRefused(DomainError):
    """A matter is asked for that cannot be; `reason` is for a person."""

    reason: str


@dataclass(eq=False)
class MatterConflict(DomainError):
    """The id was used before, for another matter."""

    matter: UUID


@dataclass(eq=False)
class CorrespondenceUnavailable(DomainError):
    """Messages or the keys that open them cannot be had now; the same may be asked again."""

    retry_after_seconds: int = 1


@dataclass(eq=False)
class KeyRefused(DomainError):
    """The vault works, and refuses the key of a tenant: asking again is no remedy."""

    tenant: TenantId


@dataclass(eq=False)
class ProductionRefused(DomainError):
    """A production is asked for that cannot be made; `reason` is for a person."""

    reason: str


@dataclass(eq=False)
class ProductionConflict(DomainError):
    """The id was used before, for another production."""

    production: UUID


@dataclass(eq=False)
class ProductionUnfinished(DomainError):
    """The production is not there to be taken: it is `stage`."""

    production: UUID
    stage: str


@dataclass(eq=False)
class ProductionExpired(DomainError):
    """The production cannot be taken any more: its files were kept until `until`, its record stays."""

    production: UUID
    until: datetime


@dataclass(eq=False)
class ProofsBehind(DomainError):
    """No checkpoint covers yet what a production is made from: it is made a little later."""

    production: UUID
