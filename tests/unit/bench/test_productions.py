"""A production is measured when it is made and whole, and not otherwise."""

from typing import Any

import pytest

from services.runner.bench.productions import figures_of_production
from services.runner.errors import RunnerError

MIB = 1 << 20
COUNTS = {"produced": 1000, "excluded": {}, "errors": 0}
MADE = {"state": "made", "failure": None, "counts": COUNTS}


def test_time_rate_and_memory_are_judged() -> None:
    figures = {each.name: each for each in figures_of_production(MADE, 900, 4.0, 100 * MIB, 301 * MIB)}
    assert figures["production of everything as RSMF"].value == 4.0
    assert figures["production of everything as RSMF"].holds is True
    assert figures["entries produced"].value == 250.0
    assert figures["memory of eDiscovery while it produces, at most"].value == 301.0
    assert figures["memory of eDiscovery while it produces, at most"].holds is False
    late = {each.name: each for each in figures_of_production(MADE, 900, 301.0, MIB, MIB)}
    assert late["production of everything as RSMF"].holds is False


@pytest.mark.planted
@pytest.mark.parametrize(
    "shown",
    [
        {"state": "failed", "failure": "no key", "counts": None},
        {**MADE, "counts": {**COUNTS, "errors": 1}},
        {**MADE, "counts": {**COUNTS, "produced": 899}},
    ],
    ids=["failed", "errors", "too few"],
)
def test_what_is_not_made_or_not_whole_is_no_measurement(shown: dict[str, Any]) -> None:
    with pytest.raises(RunnerError):
        figures_of_production(shown, 900, 4.0, MIB, MIB)
