"""The snapshots of everything that leaves a service; run as a program, it accepts what was added.

`python -m tests.contract.contracts.snapshots` writes what is new and refuses what breaks a reader.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from libs.contracts import internal
from libs.contracts.events import EVENTS, CloudEvent
from libs.contracts.internal import SecretWire, Wire
from libs.contracts.socket import CLIENT_FRAMES, SERVER_FRAMES
from tests.contract.contracts.shapes import breaches_between, read_shape, shape_of, write_shape

EVENT_SCHEMAS = Path(__file__).parents[1] / "events" / "schemas"
FRAME_SCHEMAS = Path(__file__).parent / "frames"
CALL_SCHEMAS = Path(__file__).parent / "calls"


def calls() -> list[type[Wire]]:
    """Return every message between services."""
    return [
        kind
        for kind in vars(internal).values()
        if isinstance(kind, type) and issubclass(kind, Wire) and kind not in (Wire, SecretWire)
    ]


def kinds() -> Mapping[Path, type[msgspec.Struct]]:
    """Return each snapshot's path with the struct that it holds the shape of."""
    frames: list[type[msgspec.Struct]] = [*CLIENT_FRAMES, *SERVER_FRAMES]
    return {
        **{EVENT_SCHEMAS / f"{name}.json": event for name, event in EVENTS.items()},
        **{CALL_SCHEMAS / f"{call.__name__}.json": call for call in calls()},
        FRAME_SCHEMAS / "cloudevent.json": CloudEvent,
        **{FRAME_SCHEMAS / f"{frame.__name__.lower()}.json": frame for frame in frames},
    }


def accept() -> list[str]:
    """Write the snapshots of what was added; return the breaches, for which nothing is written."""
    refused: list[str] = []
    for path, kind in kinds().items():
        shape = shape_of(kind)
        breaches = breaches_between(read_shape(path), shape) if path.exists() else []
        refused += [f"{path.stem}: {breach}" for breach in breaches]
        if not breaches:
            write_shape(path, shape)
    return refused


if __name__ == "__main__":
    sys.exit("\n".join(accept()) or 0)
