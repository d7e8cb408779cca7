"""The production of a demonstration: counsel asks, another member of the matter approves, and takes it."""

import zipfile
from collections import Counter
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec

from libs.evidence.production.lines import EntryLine, RunLine, Status, parse_line
from services.runner.demo.officials import Officials
from services.runner.errors import RunnerError
from services.runner.matters import MATTERS

PRODUCTION: Final = "production.zip"
_WANTED: Final = {
    "format": "rsmf",
    "bates": {"prefix": "DEMO-", "width": 8, "start": 1},
    "reason": "The matter of the demonstration",
}


class Statuses(msgspec.Struct, frozen=True):
    """The entries of a production by what became of them, as its own index lists them."""

    produced: int
    excluded: int
    in_error: int


async def produce(officials: Officials, officer: UUID, matter: str, folder: Path) -> Path:
    """Have a matter produced, with the compliance officer as the second pair of eyes; return the file.

    Raises RunnerError and ClientError.
    """
    counsel = officials.counsel
    await counsel.post(f"{MATTERS}/{matter}/members", {"principal": str(officer)})
    asked = await counsel.post(f"{MATTERS}/{matter}/productions", _WANTED)
    await officials.officer.approve("ediscovery", asked["request"])
    place = f"{MATTERS}/{matter}/productions/{asked['production']}"
    made = await counsel.until(
        place, lambda shown: shown["state"] in {"made", "failed"}, "no production was made"
    )
    if made["failure"] is not None:
        raise RunnerError(f"the production failed: {made['failure']}")
    kept = folder / PRODUCTION
    await counsel.door.save(f"{place}/download", kept)
    return kept


def statuses_in(production: Path) -> Statuses:
    """Count the lines of a production's index. Raises EvidenceRefused for what is none."""
    counted: Counter[Status] = Counter()
    with zipfile.ZipFile(production) as file:
        for name in file.namelist():
            if name.startswith("index/"):
                with file.open(name) as lines:
                    for line in lines:
                        match parse_line(line.rstrip(b"\n"), name):
                            case EntryLine(status=status):
                                counted[status] += 1
                            case RunLine(first=first, last=last):
                                counted[Status.EXCLUDED] += last - first + 1
    return Statuses(counted[Status.PRODUCED], counted[Status.EXCLUDED], counted[Status.ERROR])
