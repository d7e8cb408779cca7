"""Every act that the catalogue names is counted by its own service, and no service counts another's."""

import importlib
from collections.abc import Iterable, Mapping

import pytest

from libs.contracts.actions import ACTIONS, Action
from tests.architecture.rules.sources import ROOT

SERVICES = sorted(path.parent.parent.name for path in (ROOT / "services").glob("*/store/acts.py"))


def counted() -> dict[str, Mapping[str, str]]:
    """Return what each service counts: action → statement."""
    return {service: importlib.import_module(f"services.{service}.store.acts").ACTS for service in SERVICES}


def differences(catalogue: Iterable[Action], acts: Mapping[str, Mapping[str, str]]) -> set[tuple[str, str]]:
    """Return (service, action) of what is named and not counted, or counted and not named."""
    named = {(action.source, action.name) for action in catalogue}
    return named ^ {(service, action) for service, statements in acts.items() for action in statements}


def test_every_kind_of_act_is_counted_by_the_service_that_tells_of_it() -> None:
    assert differences(ACTIONS.values(), counted()) == set()


@pytest.mark.planted
def test_an_act_that_nobody_counts_is_caught() -> None:
    planted = Action("keys.door.opened", "operations", "a door was opened")
    assert differences([*ACTIONS.values(), planted], counted()) == {("keys", "keys.door.opened")}
    assert differences(ACTIONS.values(), {**counted(), "media": {"media.door.opened": ""}}) == {
        ("media", "media.door.opened")
    }
