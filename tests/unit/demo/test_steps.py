"""Answers of the platform are taken for what they say; what was refused ends the demonstration."""

from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from libs.kernel.ids import TenantId
from services.ediscovery.adapters.tantivy import TantivyIndex
from services.ediscovery.domain.documents import Cursor, Removal
from services.runner.demo.indexed import count_indexed, settled_index
from services.runner.demo.retaining import CarriedOut, Tried, carried_out, tried
from services.runner.errors import RunnerError
from tests.contract.search.reference import Log
from tests.contract.search.town import puts, said

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
    assert carried_out(order_of(completions=[others, DONE])) == CarriedOut("o", 4, 3, 1)


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
    assert await settled_index(partial(count_indexed, tmp_path), uuid4(), 1, patience=0.0) == 0


async def test_the_index_is_counted_in_the_engine_s_files_without_changing_them(tmp_path) -> None:
    tenant = TenantId(uuid4())
    index = TantivyIndex(tmp_path, Log())
    march, april = said(1, "one"), said(2, "two", sent_at=datetime(2026, 4, 1, tzinfo=UTC))
    await index.apply(tenant, puts([march, april]), Cursor("messaging/7", 2))
    before = sorted(path for path in tmp_path.rglob("*"))
    assert count_indexed(tmp_path, tenant) == await index.count(tenant) == 2
    assert sorted(path for path in tmp_path.rglob("*")) == before
    await index.apply(tenant, [Removal(3, april.key)], Cursor("messaging/7", 3))
    count = partial(count_indexed, tmp_path)
    assert await settled_index(count, tenant, 1, patience=5.0) == 1
    assert await settled_index(count, tenant, 2, patience=0.0) == 1
