"""What the person at the terminal is told: one sentence, and a non-zero exit."""

from dataclasses import dataclass
from pathlib import Path


def printable(text: str) -> str:
    """Return `text` with a mark in the place of what could steer the terminal that it is told on."""
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text
    )


class RunnerError(Exception):
    """The command cannot do what it was asked; its text is one sentence."""


@dataclass(eq=False)
class AlreadyRunning(RunnerError):
    """Another `up` holds the data folder."""

    data: Path
    pid: str

    def __str__(self) -> str:
        """Name the folder and who holds it."""
        return f"Muniment already runs on {self.data} (pid {self.pid}); stop it or choose another --data."


@dataclass(eq=False)
class NotRunning(RunnerError):
    """Nothing runs on the data folder."""

    data: Path

    def __str__(self) -> str:
        """Name the folder."""
        return f"Nothing runs on the data folder {self.data}; start it with: muniment up --data {self.data}"


class Interrupted(RunnerError):
    """A signal asked to stop before everything stood."""

    def __str__(self) -> str:
        """Say so."""
        return "Stopped before everything was up."
