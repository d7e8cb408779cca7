"""Every refusal has its problem document; every event its name, its place and its snapshot."""

import gc
import importlib
import types
from collections.abc import Mapping
from typing import ClassVar

import pytest

from libs.contracts.events import EVENTS, CloudEvent, Event
from libs.host.problems import ProblemRow, merged, uncovered
from libs.kernel.errors import DomainError
from tests.architecture.rules.snapshots import (
    events_out_of_order,
    events_without_a_snapshot,
    snapshots_without_an_event,
)
from tests.architecture.rules.sources import ROOT, module_name_of, shipped_sources

SERVICES = sorted(path.name for path in (ROOT / "services").iterdir() if (path / "store").is_dir())
SNAPSHOTS = {path.stem for path in (ROOT / "tests" / "contract" / "events" / "schemas").glob("*.json")}


def modules_of(service: str) -> list[types.ModuleType]:
    """Import every module of a service; its migrations are scripts, not modules."""
    names = (module_name_of(source) for source in shipped_sources() if source.service == service)
    return [importlib.import_module(name) for name in names if ".migrations" not in name]


def tables_of(modules: list[types.ModuleType]) -> list[Mapping[type[DomainError], ProblemRow]]:
    """Return the tables of problems that the edge of a service defines."""
    return [
        module.PROBLEMS
        for module in modules
        if ".edge" in module.__name__ and module.__name__.endswith("problems") and hasattr(module, "PROBLEMS")
    ]


def events_known() -> list[type[Event]]:
    """Return every event of the house."""
    return [event for event in Event.__subclasses__() if event.__module__ == "libs.contracts.events"]


@pytest.mark.parametrize("service", SERVICES)
def test_every_refusal_of_a_service_has_a_row_in_its_one_table_of_problems(service: str):
    tables = tables_of(modules_of(service))
    assert len(tables) == 1
    assert uncovered(tables[0], f"services.{service}.") == []


@pytest.mark.parametrize("service", SERVICES)
def test_every_row_says_which_problem_it_is(service: str):
    for table in tables_of(modules_of(service)):
        for row in merged(table).values():
            assert row.type.startswith("urn:problem:")
            assert 400 <= row.status < 600
            assert row.title


@pytest.mark.planted
def test_a_refusal_without_a_row_is_caught():
    planted = type("Planted", (DomainError,), {"__module__": "services.messaging.domain.planted"})
    try:
        assert uncovered({}, "services.messaging.domain.planted") == [planted]
    finally:
        del planted
        gc.collect()


def test_every_event_has_a_snapshot_and_every_snapshot_its_event():
    assert events_without_a_snapshot(EVENTS, SNAPSHOTS) == []
    assert snapshots_without_an_event(EVENTS, SNAPSHOTS) == []


def test_every_event_stands_in_the_registry_under_its_own_name():
    assert events_out_of_order(events_known(), EVENTS) == []


@pytest.mark.planted
def test_an_event_without_a_snapshot_is_caught():
    assert events_without_a_snapshot([*EVENTS, "messaging.entry.planted.v1"], EVENTS) == [
        "messaging.entry.planted.v1 has no schema snapshot"
    ]


@pytest.mark.planted
def test_a_snapshot_whose_event_is_gone_is_caught():
    assert snapshots_without_an_event(EVENTS, [*EVENTS, "messaging.entry.planted.v1"])


@pytest.mark.planted
def test_an_event_outside_the_registry_or_misnamed_is_caught():
    class Unregistered(Event, frozen=True, kw_only=True):
        name: ClassVar[str] = "messaging.entry.planted.v1"

    class Misnamed(Event, frozen=True, kw_only=True):
        name: ClassVar[str] = "EntryPlanted"

    assert events_out_of_order([Unregistered], EVENTS)
    assert events_out_of_order([Misnamed], {"EntryPlanted": Misnamed})


def test_the_envelope_has_the_attributes_that_cloudevents_requires():
    assert {"specversion", "id", "source", "type"} <= set(CloudEvent.__struct_fields__)
