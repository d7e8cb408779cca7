"""Why a server could not be had or started; each is one sentence for the person at the terminal."""

from dataclasses import dataclass
from pathlib import Path


class EngineError(Exception):
    """A server could not be had, started or stopped."""


@dataclass(eq=False)
class EngineMissing(EngineError):
    """The wheel that brings a server is not installed."""

    engine: str
    wheel: str

    def __str__(self) -> str:
        """Say which wheel is missing."""
        return f"{self.engine} is not installed: the wheel {self.wheel} is missing (make env)"


@dataclass(eq=False)
class EngineFailed(EngineError):
    """A server ended, or was not ready in time."""

    engine: str
    reason: str
    log: Path

    def __str__(self) -> str:
        """Say what happened and where the server's own words stand."""
        return f"{self.engine} {self.reason}; its log is {self.log}"


@dataclass(eq=False)
class FolderRefused(EngineError):
    """A folder that must be private belongs to somebody else or cannot be made."""

    folder: Path
    reason: str

    def __str__(self) -> str:
        """Name the folder and what is wrong with it."""
        return f"the folder {self.folder} cannot be used: {self.reason}"


@dataclass(eq=False)
class EngineNotProvisioned(EngineError):
    """A server that no wheel brings was not put where `make engines` puts it."""

    engine: str
    folder: Path

    def __str__(self) -> str:
        """Say where it was looked for, and how it gets there."""
        return f"{self.engine} is not provisioned: there is no complete {self.folder} (make engines)"
