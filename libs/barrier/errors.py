"""Why nothing is destroyed, or no hold taken in."""

from dataclasses import dataclass

from libs.kernel.errors import DomainError
from libs.kernel.ids import TenantId


@dataclass(eq=False)
class GenerationPassed(DomainError):
    """The holds changed since the order was made: it is void, and has to be made anew."""

    ordered: int
    current: int


@dataclass(eq=False)
class GenerationUnknown(DomainError):
    """The order knows of holds that have not arrived here yet: it may be carried out when they have."""

    ordered: int
    current: int


@dataclass(eq=False)
class GenerationSkipped(DomainError):
    """A change of the tenant's holds never arrived: what follows it must wait."""

    tenant: TenantId
    generation: int
    current: int
