"""A figure: what was measured, against what, and whether the goal holds."""

from collections.abc import Iterable

import msgspec
from rich.table import Table


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One measured value; `baseline` was measured in the same run, `ratio` is value by baseline.

    `goal` is a sentence of what is promised, `holds` whether it is kept; None where nothing is promised.
    """

    name: str
    value: float
    unit: str
    baseline: float | None = None
    ratio: float | None = None
    goal: str | None = None
    holds: bool | None = None


def figure_of(
    name: str,
    value: float,
    unit: str,
    *,
    baseline: float | None = None,
    least_ratio: float | None = None,
    most: float | None = None,
) -> Figure:
    """Return a figure with its ratio and goal: at least `least_ratio` of the baseline, or at most `most`."""
    ratio = value / baseline if baseline else None
    goal, holds = None, None
    if least_ratio is not None:
        goal, holds = f"at least {least_ratio:g} of the baseline", ratio is not None and ratio >= least_ratio
    elif most is not None:
        goal, holds = f"at most {most:g} {unit}", value <= most
    return Figure(
        name=name,
        value=_rounded(value),
        unit=unit,
        baseline=None if baseline is None else _rounded(baseline),
        ratio=None if ratio is None else _rounded(ratio),
        goal=goal,
        holds=holds,
    )


def table_of(figures: Iterable[Figure]) -> Table:
    """Return the figures as a table for people."""
    table = Table("figure", "value", "unit", "baseline", "ratio", "goal", "holds")
    for each in figures:
        table.add_row(
            each.name,
            f"{each.value:g}",
            each.unit,
            "" if each.baseline is None else f"{each.baseline:g}",
            "" if each.ratio is None else f"{each.ratio:g}",
            each.goal or "",
            "" if each.holds is None else ("yes" if each.holds else "NO"),
        )
    return table


def _rounded(value: float) -> float:
    """Return the value with four digits that mean something."""
    return float(f"{value:.4g}")
