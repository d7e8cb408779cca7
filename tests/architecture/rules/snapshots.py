"""Every event has its place in the registry, a name of the right shape, and a snapshot of its fields."""

import re
from collections.abc import Collection, Iterable, Mapping

from libs.contracts.events import Event

_NAME = re.compile(r"^[a-z]+\.[a-z]+(-[a-z]+)*\.[a-z]+(-[a-z]+)*\.v[1-9][0-9]*$")


def events_without_a_snapshot(names: Iterable[str], snapshots: Collection[str]) -> list[str]:
    """Return a sentence for each event whose fields no snapshot pins."""
    return [f"{name} has no schema snapshot" for name in names if name not in snapshots]


def snapshots_without_an_event(names: Collection[str], snapshots: Iterable[str]) -> list[str]:
    """Return a sentence for each snapshot whose event is gone: readers may still hold such events."""
    return [f"{name} has a schema snapshot and no event" for name in snapshots if name not in names]


def events_out_of_order(events: Iterable[type[Event]], registry: Mapping[str, type[Event]]) -> list[str]:
    """Return a sentence for each event that is not registered under its own name, or misnamed."""
    return [f"{event.__qualname__} {defect}" for event in events for defect in _defects_of(event, registry)]


def _defects_of(event: type[Event], registry: Mapping[str, type[Event]]) -> list[str]:
    name = getattr(event, "name", "")
    if not isinstance(name, str) or not _NAME.match(name):
        return ["is not named source.subject.action.vN"]
    return [] if registry.get(name) is event else [f"is not in the registry as {name}"]
