"""The page for compliance officers says what the code does: its order, its example, its presets."""

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from libs.disposition import decision
from libs.disposition.claims import Erasure, Hold, Item, Rule, RuleKind
from libs.disposition.decision import RETRACTION_GRACE, Dispose, Preserve, Retain
from libs.disposition.period import Period
from libs.disposition.presets import read_presets
from libs.disposition.trace import PRECEDENCE, Voice
from tests.architecture.rules.sources import ROOT

PAGE = (ROOT / "docs" / "retention-decision.md").read_text("utf-8")
ALICE, BOB, DESK = (UUID(int=number) for number in (1, 2, 3))
SPOKEN = {
    "hold": {Voice.HOLD},
    "floor": {Voice.FLOOR, Voice.LOCK},
    "right to erasure": {Voice.ERASURE},
    "explicit": {Voice.EXPLICIT},
    "implicit": {Voice.IMPLICIT},
    "retraction": {Voice.RETRACTION},
}


def table(heading: str) -> list[list[str]]:
    """Return the cells of the table whose first row begins with `heading`, row by row."""
    _, _, rest = PAGE.partition(f"\n| {heading} |")
    lines = rest.split("\n\n")[0].split("\n")[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def at(text: str) -> datetime:
    """Return an instant of the page, in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


MESSAGE = Item(DESK, "group", at("2020-02-29T10:00"), ALICE, frozenset({ALICE, BOB}))
RULES = (
    Rule(UUID(int=11), 1, RuleKind.FLOOR, Period(years=3), frozenset({"group"})),
    Rule(UUID(int=12), 1, RuleKind.DELETION, Period(years=1), grace=timedelta(days=30)),
    Rule(
        UUID(int=13),
        1,
        RuleKind.DELETION,
        Period(years=5),
        conversations=frozenset({DESK}),
        grace=timedelta(days=10),
    ),
)
HOLD = Hold(UUID(int=14), custodians=frozenset({BOB}))
ERASURE = Erasure(UUID(int=15), ALICE, at("2024-12-05T09:00"))


def row(day: str) -> list[str]:
    """Return the row of the example that the code itself writes."""
    now = at(f"{day}T12:00")
    holds = (HOLD,) if at("2024-01-10") <= now < at("2025-06-01") else ()
    answer = decision.disposition_of(MESSAGE, RULES, holds, (), (ERASURE,), now)
    (winner,) = {step.voice.value for step in answer.trace if step.won}
    match answer:
        case Retain(until=date):
            destroyed = None
        case Preserve(due_at=date):
            destroyed = None
        case Dispose(due_at=date, destroy_at=destroyed):
            pass
    dates = ["\N{EN DASH}" if each is None else f"{each:%Y-%m-%d %H:%M}" for each in (date, destroyed)]
    return [day, type(answer).__name__.lower(), *dates, winner]


def test_the_example_is_what_the_decision_answers():
    rows = table("at noon of")
    assert len(rows) == 6
    assert [row(cells[0]) for cells in rows] == rows


@pytest.mark.planted
def test_an_example_of_another_precedence_is_caught(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(decision, "PRECEDENCE", {**PRECEDENCE, Voice.IMPLICIT: 2.5})
    assert [row(cells[0]) for cells in table("at noon of")] != table("at noon of")


def test_without_the_request_the_explicit_rule_would_have_destroyed_the_message():
    answer = decision.disposition_of(MESSAGE, RULES, (), (), (), at("2025-06-01T12:00"))
    assert isinstance(answer, Dispose)
    assert f"hidden from {answer.due_at:%Y-%m-%d %H:%M} on" in PAGE
    assert f"destroyed from {answer.destroy_at:%Y-%m-%d %H:%M} on" in PAGE
    assert [step.voice for step in answer.trace if step.won] == [Voice.EXPLICIT]


def test_the_table_of_precedence_is_that_of_the_code():
    told = [SPOKEN[re.findall(r"\*\*(.*?)\*\*", cells[1])[0]] for cells in table("rank")]
    ranks = sorted(set(PRECEDENCE.values()))
    assert told == [{voice for voice, of in PRECEDENCE.items() if of == rank} for rank in ranks]


def test_the_grace_of_a_retraction_is_that_of_the_code():
    assert f"destroyed after {RETRACTION_GRACE.days} days" in PAGE


def test_the_presets_of_the_page_are_those_of_the_policies():
    rows = []
    for preset in read_presets(ROOT / "policies" / "retention"):
        period = str(preset.period) if preset.period else "the tenant's own"
        period += f", {preset.on_request} on request" if preset.on_request else ""
        rows.append([f"`{preset.name}`", preset.source, preset.kind.value, period])
    assert table("preset") == rows
