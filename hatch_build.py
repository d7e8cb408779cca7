"""Tells the build what Muniment runs on, from requirements.in, so that the list is written once."""

from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


def dependencies_of(text: str) -> list[str]:
    """Return the requirements that the text of a `.in` file names, without comments and options."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("-")]


class RequirementsHook(MetadataHookInterface):
    """Fills `dependencies` in."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the dependencies of the distribution."""
        metadata["dependencies"] = dependencies_of(Path(self.root, "requirements.in").read_text("utf-8"))
