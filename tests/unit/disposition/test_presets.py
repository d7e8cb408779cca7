"""What regulations ask for is data, each with its source, and a tenant's rule does not fall short of it."""

from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from libs.disposition.claims import Rule, RuleKind
from libs.disposition.errors import PeriodRefused, PresetRefused
from libs.disposition.period import Period
from libs.disposition.presets import Preset, parse_preset, read_presets
from tests.architecture.rules.sources import ROOT

PRESETS = {preset.name: preset for preset in read_presets(ROOT / "policies" / "retention")}
ID = UUID(int=1)
GOOD = 'name = "x"\ntitle = "X"\nsource = "Law 1"\nkind = "floor"\nperiod = { years = 3 }\n'


def test_the_presets_are_those_that_the_platform_promises():
    assert {name: (preset.kind, preset.period, preset.on_request) for name, preset in PRESETS.items()} == {
        "cftc-1.31": (RuleKind.FLOOR, Period(years=5), None),
        "finra-4511": (RuleKind.FLOOR, Period(years=6), None),
        "gdpr-storage-limitation": (RuleKind.DELETION, None, None),
        "hipaa-documentation": (RuleKind.FLOOR, Period(years=6), None),
        "mifid-ii": (RuleKind.FLOOR, Period(years=5), Period(years=7)),
        "sec-17a-4": (RuleKind.FLOOR, Period(years=3), None),
    }


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_every_preset_says_where_its_regulation_stands(preset: Preset):
    assert preset.title
    assert any(figure.isdigit() for figure in preset.source)


def test_a_rule_is_made_from_a_preset():
    made = PRESETS["sec-17a-4"].rule(ID, 2, conversation_types=frozenset({"group"}))
    assert made == Rule(ID, 2, RuleKind.FLOOR, Period(years=3), frozenset({"group"}))


def test_a_floor_may_be_longer_than_its_regulation_asks_and_never_shorter():
    preset = PRESETS["mifid-ii"]
    assert preset.rule(ID, 1, preset.on_request).period == Period(years=7)
    with pytest.raises(PeriodRefused, match="asks for 5 years, not 4 years, 11 months"):
        preset.rule(ID, 1, Period(years=4, months=11))
    with pytest.raises(PeriodRefused):
        preset.rule(ID, 1, Period())


def test_where_the_regulation_names_no_period_the_tenant_does():
    preset = PRESETS["gdpr-storage-limitation"]
    with pytest.raises(PeriodRefused, match="leaves the period to the tenant"):
        preset.rule(ID, 1)
    made = preset.rule(ID, 1, Period(years=1), grace=timedelta(days=30))
    assert (made.kind, made.period, made.grace) == (
        RuleKind.DELETION,
        Period(years=1),
        timedelta(days=30),
    )


def test_a_period_that_a_deletion_preset_proposes_may_be_shortened():
    preset = parse_preset(GOOD.replace("floor", "deletion"), "x.toml")
    assert preset.rule(ID, 1, Period(years=1)).period == Period(years=1)


def test_a_good_preset_is_read():
    assert parse_preset(GOOD, "x.toml") == Preset("x", "X", "Law 1", RuleKind.FLOOR, Period(years=3), None)


@pytest.mark.parametrize(
    ("was", "is_", "reason"),
    [
        ('name = "x"', 'name = "', "Illegal character"),
        ('source = "Law 1"\n', "", "a source in words"),
        ('source = "Law 1"', 'source = " "', "a source in words"),
        ('title = "X"', "title = 3", "a title in words"),
        ('kind = "floor"', 'kind = "ceiling"', "not a ceiling"),
        ("period = { years = 3 }\n", "", "a floor has its period"),
        ("{ years = 3 }", "3", "years, months, days"),
        ("{ years = 3 }", "{}", "years, months, days"),
        ("{ years = 3 }", "{ weeks = 3 }", "years, months, days"),
        ("{ years = 3 }", "{ years = -3 }", "none of them negative"),
        ("{ years = 3 }", "{ years = 3.5 }", "whole numbers"),
        ("{ years = 3 }", "{ years = true }", "whole numbers"),
        ("{ years = 3 }", "{ years = 3 }\non_request = { years = 2 }", "longer than the period"),
        ("{ years = 3 }", "{ years = 3 }\ngrace = 3", "a preset has no grace"),
    ],
)
def test_a_preset_that_is_not_understood_is_refused(was: str, is_: str, reason: str):
    with pytest.raises(PresetRefused) as refused:
        parse_preset(GOOD.replace(was, is_), "x.toml")
    assert reason in refused.value.reason
    assert refused.value.where.startswith("x.toml")


def test_a_file_that_is_named_otherwise_than_its_preset_is_refused(tmp_path: Path):
    (tmp_path / "y.toml").write_text(GOOD)
    with pytest.raises(PresetRefused, match="the name of its file"):
        read_presets(tmp_path)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path):
    (tmp_path / "y.toml").write_bytes(b"\xff")
    with pytest.raises(PresetRefused, match="UTF-8"):
        read_presets(tmp_path)
