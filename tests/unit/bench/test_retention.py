"""What the figures of retention are reckoned from."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from services.runner.bench import retention
from services.runner.bench.figures import percentile_of
from services.runner.bench.messaging import Spent
from services.runner.bench.office import Office
from services.runner.bench.retention import hold_figures, import_figures, rule_days
from services.runner.demo.importing import Imported


def test_a_percentile_is_a_value_that_was_seen() -> None:
    values = [float(number) for number in range(20, 0, -1)]
    assert percentile_of(values, 50) == 10.0
    assert percentile_of(values, 95) == 19.0
    assert percentile_of(values, 100) == 20.0
    assert percentile_of([7.0], 1) == percentile_of([7.0], 95) == 7.0


@pytest.mark.parametrize(("seconds", "holds"), [(1.0, True), (1.01, False)])
def test_an_import_that_is_too_slow_misses_its_goal(seconds: float, holds: bool) -> None:
    spent = Spent({})
    spent.seconds = {"gateway": 0.3, "caddy": 0.000_3}
    speed, *shares = import_figures(Imported(3_001, 3_000, 1, seconds), spent)
    assert speed.holds is holds
    assert [(each.name, each.value, each.holds) for each in shares] == [
        ("processor time an imported message: gateway", 100.0, None)
    ]


def test_a_rule_covers_what_was_sent_until_the_cut_and_at_most_a_day_more() -> None:
    cut = datetime.now(UTC) - timedelta(days=400, hours=7)
    assert timedelta() <= datetime.now(UTC) - timedelta(days=rule_days(cut)) - cut < timedelta(days=1)
    assert rule_days(datetime.now(UTC)) == 1, "a rule has a period"


class SlowExecutor:
    """Both officials of a platform that shows a release at once, and whose executor hears of it later."""

    def __init__(self) -> None:
        self.generation = 0
        self.state = ""
        self.behind = 0

    @property
    def still_holds(self) -> bool:
        return self.behind > 0

    async def post(self, path: str, _: Any) -> dict[str, Any]:
        if path.endswith("/release"):
            return {"request": "asked"}
        self.generation += 1
        self.state = "in-force"
        return {"hold": "placed"}

    async def approve(self, *_: Any) -> None:
        self.generation += 1
        self.state, self.behind = "released", 3

    async def get(self, path: str) -> dict[str, Any]:
        if path != "/holds/v1/generation":
            return {"state": self.state}
        self.behind -= self.still_holds
        confirmed = self.generation - self.still_holds
        return {"generation": self.generation, "executors": [{"generation": confirmed}]}


async def test_holds_are_measured_until_nobody_holds_anything_any_more(monkeypatch) -> None:
    monkeypatch.setattr(retention, "HOLD_ROUNDS", 2)
    people = SlowExecutor()
    office = cast("Office", SimpleNamespace(officials=SimpleNamespace(counsel=people, officer=people)))
    await hold_figures(office, lambda _: None)
    assert people.generation == 4
    assert not people.still_holds, "what is due is counted next, and nothing on hold is"
