"""The certificate of a demonstration's run: waited for, kept, and counted line by line."""

import zipfile
from pathlib import Path
from typing import Final

from services.runner.demo.officials import Official

CERTIFICATES: Final = "/retention/v1/certificates"
FOLDER: Final = "certificates"
_NOTHING: Final = "none"
_ISSUED: Final = "issued"


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
    await officer.door.save(f"{place}/download", kept)
    return kept


def items_in(certificate: Path) -> int:
    """Count the lines of a certificate's items."""
    with zipfile.ZipFile(certificate) as file:
        return sum(file.read(name).count(b"\n") for name in file.namelist() if name.startswith("items/"))
