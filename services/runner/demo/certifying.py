"""The certificate of a demonstration's run: waited for, kept, and counted line by line."""

import asyncio
import zipfile
from http import HTTPStatus
from pathlib import Path
from typing import Final

from libs.client.errors import Refused
from services.runner.demo.officials import PATIENCE_SECONDS, Official

CERTIFICATES: Final = "/retention/v1/certificates"
FOLDER: Final = "certificates"
_NOTHING: Final = "none"
_ISSUED: Final = "issued"
_PAUSE_SECONDS: Final = 0.5


async def take_certificate(officer: Official, run: str, folder: Path) -> Path | None:
    """Keep the certificate of a run once all stores have confirmed; None where nothing was destroyed.

    Raises RunnerError and ClientError.
    """
    place = f"{CERTIFICATES}/{run}"
    shown = await officer.until(
        place, lambda each: each["standing"]["state"] in {_NOTHING, _ISSUED}, "no certificate was issued"
    )
    if shown["standing"]["state"] == _NOTHING:
        return None
    kept = folder / FOLDER / f"{run}.zip"
    kept.parent.mkdir(exist_ok=True)
    await _save(officer, f"{place}/download", kept)
    return kept


async def _save(officer: Official, path: str, to: Path) -> None:
    """Keep what lies at a path; its proof is there a moment after it was issued. Raises ClientError."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + PATIENCE_SECONDS
    while True:
        try:
            return await officer.door.save(path, to)
        except Refused as refused:
            if refused.problem.status != HTTPStatus.SERVICE_UNAVAILABLE or clock() > deadline:
                raise
        await asyncio.sleep(_PAUSE_SECONDS)


def items_in(certificate: Path) -> int:
    """Count the lines of a certificate's items."""
    with zipfile.ZipFile(certificate) as file:
        return sum(file.read(name).count(b"\n") for name in file.namelist() if name.startswith("items/"))
