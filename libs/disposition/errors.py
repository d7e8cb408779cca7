"""What is refused before any decision is made."""

from dataclasses import dataclass

from libs.kernel.errors import DomainError


@dataclass(eq=False)
class PeriodRefused(DomainError):
    """A period is negative, is missing, or falls short of what it must reach; `reason` is for a person."""

    reason: str


@dataclass(eq=False)
class PresetRefused(DomainError):
    """A preset cannot be read: why, and in which file or member of it."""

    reason: str
    where: str
