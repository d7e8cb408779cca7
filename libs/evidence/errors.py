"""What a verifier answers when evidence does not hold."""

from dataclasses import dataclass

from libs.kernel.errors import DomainError


@dataclass(eq=False)
class EvidenceRefused(DomainError):
    """The evidence does not show what it claims: why, and at which place of it; both for a person."""

    reason: str
    where: str


@dataclass(eq=False)
class LogRefused(EvidenceRefused):
    """A log is not what its checkpoints say; `index` is the first bad entry, if it has one."""

    index: int | None = None
