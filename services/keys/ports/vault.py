"""The vault, as the key service sees it: it holds the keys of keys and never gives them away."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, repr=False)
class Clear:
    """A key to be wrapped; `context` chooses the derived wrapping key, `binding` is authenticated with it."""

    key: bytes
    context: bytes
    binding: bytes

    def __repr__(self) -> str:
        """Show nothing of the key."""
        return "Clear(***)"


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A wrapped key and the context and binding under which it was wrapped."""

    text: str
    context: bytes
    binding: bytes


@dataclass(eq=False)
class KekRefused(Exception):
    """The vault answers, and refuses the key of this name."""

    name: str


class Vault(Protocol):
    """Every method may raise VaultUnavailable (sealed, gone, no sign-in)."""

    async def create_kek(self, name: str) -> None:
        """Make the key `name` unless it exists. Raises KekRefused."""
        ...

    async def wrap(self, kek: str, keys: Sequence[Clear]) -> list[str]:
        """Return the wrapped texts, in order; few calls for many keys. Raises KekRefused."""
        ...

    async def unwrap(self, kek: str, keys: Sequence[Wrapped]) -> list[bytes | None]:
        """Return the keys in order, None for each that does not open as it is named. Raises KekRefused."""
        ...
