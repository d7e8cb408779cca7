"""What a verifier answers when a proof does not prove."""

from dataclasses import dataclass

from libs.kernel.errors import DomainError


@dataclass(eq=False)
class ProofRefused(DomainError):
    """The proof does not show what it claims; `reason` says which step failed, for a person."""

    reason: str
