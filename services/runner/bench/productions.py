"""The figures of a production: a whole corpus as RSMF, how long that takes, and in how much memory."""

import time
from typing import Any, Final

from services.runner.bench.figures import Figure, figure_of
from services.runner.bench.messaging import Report
from services.runner.bench.office import Office, soon
from services.runner.bench.processes import PeakMemory, proportional_bytes
from services.runner.errors import RunnerError
from services.runner.matters import MATTERS

MOST_SECONDS: Final = 300.0
MOST_MIB: Final = 300.0
FORMAT: Final = "rsmf"
PATIENCE_SECONDS: Final = 1800.0
_EDISCOVERY: Final = "ediscovery"
_ENDED: Final = ("made", "failed", "refused", "expired")
_MIB: Final = 1024.0**2


async def production_figures(office: Office, matter: str, least: int, report: Report) -> list[Figure]:
    """Return how long everything in a matter takes to be produced, from its approval to the signed manifest.

    Raises RunnerError when it fails, produces fewer than the `least` messages there are, or does not
    produce all that it should.
    """
    report("producing everything as RSMF")
    officer, counsel = office.officials.officer, office.officials.counsel
    await counsel.post(f"{MATTERS}/{matter}/members", {"principal": str(office.officer)})
    productions = f"{MATTERS}/{matter}/productions"
    asked = await counsel.post(productions, {"format": FORMAT, "reason": "To measure it"})
    pid = office.facts["processes"][_EDISCOVERY]
    before = proportional_bytes([pid])
    with PeakMemory(pid) as memory:
        began = time.monotonic()
        await officer.approve(_EDISCOVERY, asked["request"])
        shown = await soon(
            counsel,
            f"{productions}/{asked['production']}",
            lambda production: production["state"] in _ENDED,
            "no production was made",
            PATIENCE_SECONDS,
        )
        lasted = time.monotonic() - began
    return figures_of_production(shown, least, lasted, before, memory.most)


def figures_of_production(
    shown: dict[str, Any], least: int, seconds: float, before: int, most: int
) -> list[Figure]:
    """Return the figures of a production as it is shown at its end; memory in bytes. Raises RunnerError."""
    counts = shown["counts"]
    if shown["state"] != "made" or counts is None:
        raise RunnerError(f"the production is {shown['state']}: {shown['failure']}")
    if counts["errors"] or counts["produced"] < least:
        raise RunnerError(
            f"of {least} messages {counts['produced']} were produced, with {counts['errors']} errors"
        )
    return [
        figure_of("production of everything as RSMF", seconds, "s", most=MOST_SECONDS),
        figure_of("entries produced", counts["produced"] / seconds, "1/s"),
        figure_of("memory of eDiscovery before it produces", before / _MIB, "MiB"),
        figure_of("memory of eDiscovery while it produces, at most", most / _MIB, "MiB", most=MOST_MIB),
    ]
