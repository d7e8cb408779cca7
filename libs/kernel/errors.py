"""The root of every error that a rule of the domain raises."""

from dataclasses import dataclass


@dataclass(eq=False)
class DomainError(Exception):
    """A refusal that carries its facts; each service's table turns it into a problem document.

    Subclasses are dataclasses with `eq=False` and not frozen: contextlib sets `__traceback__` on them.
    """

    def __str__(self) -> str:
        """Return the error's name and its facts, which never include content."""
        return repr(self)
