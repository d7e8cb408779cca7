"""What a verifier answers when a proof does not prove."""

from dataclasses import dataclass

from libs.kernel.errors import DomainError


@dataclass(eq=False)
class ProofRefused(DomainError):
    """The proof does not show what it claims; `reason` says which step failed, for a person."""

    reason: str


@dataclass(eq=False)
class NoteRefused(DomainError):
    """The note, or the checkpoint in it, is malformed or not signed by a key that is trusted."""

    reason: str


@dataclass(eq=False)
class TileRefused(DomainError):
    """A tile, a bundle of entries or the path of one is not what it should be."""

    reason: str
