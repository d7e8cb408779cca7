"""A figure: what was measured, against what, and whether the goal holds."""

import math
from collections.abc import Sequence

import msgspec


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
    least: float | None = None,
    most: float | None = None,
) -> Figure:
    """Return a figure with its ratio and its one goal.

    That is: at least `least_ratio` of the baseline, or at least `least`, or at most `most`.
    """
    ratio = value / baseline if baseline else None
    goal, holds = None, None
    if least_ratio is not None:
        goal, holds = f"at least {least_ratio:g} of the baseline", ratio is not None and ratio >= least_ratio
    elif least is not None:
        goal, holds = f"at least {least:g} {unit}", value >= least
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


def percentile_of(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that at least so many percent of them do not exceed: one that was seen."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def in_words(figure: Figure) -> str:
    """Return the figure as a line for people."""
    line = f"{figure.name:<54} {figure.value:>10g} {figure.unit:<5}"
    if figure.baseline is not None:
        line += f"  baseline {figure.baseline:g}, ratio {figure.ratio:g}"
    if figure.goal is not None:
        line += f"  goal: {figure.goal}: {'holds' if figure.holds else 'DOES NOT HOLD'}"
    return line.rstrip()


def _rounded(value: float) -> float:
    """Return the value with four digits that mean something."""
    return float(f"{value:.4g}")
