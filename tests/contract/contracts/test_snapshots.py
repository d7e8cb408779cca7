"""Whatever leaves a service keeps its fields: they are only added, with a default."""

from pathlib import Path
from uuid import UUID

import msgspec
import pytest

from libs.contracts.events import EVENTS
from libs.contracts.socket import CLIENT_FRAMES, SERVER_FRAMES
from tests.contract.contracts.shapes import breaches_between, read_shape, shape_of
from tests.contract.contracts.snapshots import (
    CALL_SCHEMAS,
    EVENT_SCHEMAS,
    FRAME_SCHEMAS,
    calls,
    kinds,
)


@pytest.mark.parametrize("path", kinds(), ids=lambda path: path.stem)
def test_a_contract_is_what_its_snapshot_says(path: Path):
    assert path.exists(), "no snapshot: run python -m tests.contract.contracts.snapshots"
    old, new = read_shape(path), shape_of(kinds()[path])
    assert breaches_between(old, new) == []
    assert sorted(new) == sorted(old), "fields were added: run python -m tests.contract.contracts.snapshots"


def test_every_snapshot_has_its_contract():
    frames = {frame.__name__.lower() for frame in (*CLIENT_FRAMES, *SERVER_FRAMES)} | {"cloudevent"}
    assert {path.stem for path in EVENT_SCHEMAS.glob("*.json")} == set(EVENTS)
    assert {path.stem for path in FRAME_SCHEMAS.glob("*.json")} == frames
    assert {path.stem for path in CALL_SCHEMAS.glob("*.json")} == {call.__name__ for call in calls()}


class Old(msgspec.Struct, kw_only=True):
    kept: int
    conversation: UUID
    inner: list["Inner"]
    note: str = ""


class Inner(msgspec.Struct, kw_only=True):
    seq: int


class WithoutAField(msgspec.Struct, kw_only=True):
    kept: int
    inner: list[Inner]
    note: str = ""


class WithAnotherType(Old, kw_only=True):
    conversation: str  # type: ignore[assignment]


class NoLongerRequired(Old, kw_only=True):
    kept: int = 0


class NowRequired(Old, kw_only=True):
    note: str


class WithAnotherDefault(Old, kw_only=True):
    note: str = "none"


class Renamed(msgspec.Struct, kw_only=True, rename={"kept": "held"}):
    kept: int
    conversation: UUID
    inner: list[Inner]
    note: str = ""


class InnerChanged(msgspec.Struct, kw_only=True):
    seq: str


class WithAnotherInner(Old, kw_only=True):
    inner: list[InnerChanged]  # type: ignore[assignment]


class NewWithoutDefault(Old, kw_only=True):
    added: int


class NewWithDefault(Old, kw_only=True):
    added: int = 0
    more: Inner | None = None


@pytest.mark.parametrize(
    ("changed", "breach"),
    [
        (WithoutAField, "conversation is gone"),
        (WithAnotherType, "conversation was"),
        (NoLongerRequired, "kept was"),
        (NowRequired, "note was"),
        (WithAnotherDefault, "note was"),
        (Renamed, "kept is gone"),
        (WithAnotherInner, "inner[].seq was"),
        (NewWithoutDefault, "added is new and has no default"),
    ],
)
def test_a_planted_change_is_a_breach(changed: type[msgspec.Struct], breach: str):
    breaches = breaches_between(shape_of(Old), shape_of(changed))
    assert any(found.startswith(breach) for found in breaches), breaches


def test_a_field_added_with_a_default_is_no_breach():
    assert breaches_between(shape_of(Old), shape_of(NewWithDefault)) == []


@pytest.mark.parametrize("frame", [*CLIENT_FRAMES, *SERVER_FRAMES, *EVENTS.values()])
def test_taking_away_any_field_of_any_contract_is_noticed(frame: type[msgspec.Struct]):
    whole = shape_of(frame)
    for path in whole:
        without = {other: facts for other, facts in whole.items() if other != path}
        assert breaches_between(whole, without) == [f"{path} is gone"]
