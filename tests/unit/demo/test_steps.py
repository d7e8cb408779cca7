"""Answers of the platform are taken for what they say; what was refused ends the demonstration."""

from typing import Any
from uuid import uuid4

import pytest

from services.runner.demo.indexed import count_indexed, settled_index
from services.runner.demo.retaining import CarriedOut, Tried, carried_out, tried
from services.runner.errors import RunnerError

FOUND = {"retained": 9, "preserved": 3, "hidden": 2, "ripe": 1}
CLASS = {name: {"items": items, "bytes": 100 * items} for name, items in FOUND.items()}
ANSWER = {"executor": "messaging", "refused": None, "classes": [CLASS, CLASS]}
DONE = {"executor": "messaging", "refused": None, "hidden": 4, "destroyed": 3, "spared": 1}


def order_of(**more: Any) -> dict[str, Any]:
    return {"order": "o", "as_of": "2026-11-24T00:00:00Z", "answers": [], "completions": [], **more}


def test_a_dry_run_is_the_sum_of_its_classes() -> None:
    assert tried(order_of(answers=[ANSWER])) == Tried("o", "2026-11-24T00:00:00Z", 6, 4, 2)


def test_a_run_is_what_messaging_did() -> None:
    others = {**DONE, "executor": "search", "destroyed": 99}
    assert carried_out(order_of(completions=[others, DONE])) == CarriedOut(4, 3, 1)


@pytest.mark.planted
def test_what_was_refused_or_not_answered_is_no_result() -> None:
    with pytest.raises(RunnerError, match="SamplesDiffer"):
        tried(order_of(answers=[{**ANSWER, "refused": "SamplesDiffer"}]))
    with pytest.raises(RunnerError, match="GenerationPassed"):
        carried_out(order_of(completions=[{**DONE, "refused": "GenerationPassed"}]))
    with pytest.raises(RunnerError, match="did not answer"):
        carried_out(order_of())


async def test_an_index_that_is_not_there_holds_nothing(tmp_path) -> None:
    assert count_indexed(tmp_path, uuid4()) == 0
    assert await settled_index(tmp_path, uuid4(), 1, patience=0.0) == 0
