"""The import of a demonstration: the officer asks, counsel approves, the officer brings it."""

from collections.abc import Mapping
from pathlib import Path
from uuid import UUID

import msgspec

from services.runner.demo.officials import Officials
from services.runner.errors import RunnerError
from services.runner.imports import Wish, bring_in, plan_of

_REASON = "What was said before there was this platform"


class Imported(msgspec.Struct, frozen=True):
    """What came of an import, by its report: lines that there were, that came, and that were refused.

    Bringing them took `seconds`.
    """

    lines: int
    imported: int
    refused: int
    seconds: float


async def bring_the_rest(officials: Officials, path: Path, people: Mapping[str, UUID]) -> Imported:
    """Import a corpus by four eyes; `people` says who of its nicks stands in the directory.

    Raises RunnerError and ClientError.
    """
    plan, wish = plan_of(path), Wish(path, _REASON)
    principals = {nick: str(principal) for nick, principal in people.items()}
    asked, _ = await bring_in(officials.officer.door, wish, plan, principals)
    await officials.counsel.approve("messaging", asked["request"])
    done, run = await bring_in(officials.officer.door, wish, plan, principals)
    if run is None:
        raise RunnerError(f"the import is {done['state']}, though it was approved")
    report = done["report"]
    return Imported(plan.lines, int(report["imported"]), int(report["refusals"]), run.seconds)
