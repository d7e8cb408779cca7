"""The search engine itself, whatever the index holds."""

from typing import Protocol


class Engine(Protocol):
    """Tells whether it can be used."""

    async def state(self) -> str:
        """Return what it is, and how it is. Raises IndexUnavailable."""
        ...


class EngineSigns(Protocol):
    """Shows whether it answers to who runs the platform."""

    def engine(self, reason: str | None) -> None:
        """Show why it does not answer, None when it does."""
        ...
