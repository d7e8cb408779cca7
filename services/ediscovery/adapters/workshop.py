"""Productions in folders: each is made in its own, and stays there to be taken."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from uuid import UUID

from libs.evidence.production.folder import ProductionFolder
from libs.kernel.ids import TenantId

_PLAN: Final = "plan.json"
_MADE: Final = "production"


class FolderBench:
    """The `Bench` port: a folder with the plan, and beside it the folder of the production."""

    def __init__(self, place: Path) -> None:
        """Work below `place`, which is made when something is begun."""
        self._plan = ProductionFolder(place)
        self._place = place
        self.folder = place / _MADE
        self._files = ProductionFolder(self.folder)

    def find_plan(self) -> bytes | None:
        """Return the plan that was kept, None where the production is not begun."""
        try:
            return (self._place / _PLAN).read_bytes()
        except FileNotFoundError:
            return None

    def keep_plan(self, plan: bytes) -> None:
        """Begin anew with this plan: whatever was written is gone."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._place.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._plan.write(_PLAN, plan)

    def drop_plan(self) -> None:
        """Forget the plan: the production begins anew."""
        (self._place / _PLAN).unlink(missing_ok=True)

    def segments(self) -> Iterator[tuple[str, bytes]]:
        """Give the segments of the parts that are whole."""
        self._files.drop_unfinished()
        return self._files.segments()

    def write(self, path: str, data: bytes) -> None:
        """Write a file of the production."""
        self._files.write(path, data)

    def finish(self) -> None:
        """Return when everything is on the disk."""
        self._files.sync()

    def remove(self) -> None:
        """Remove everything, made or not."""
        if self._place.exists():
            shutil.rmtree(self._place)


class FolderWorkshop:
    """The `Workshop` port below one folder, which nobody else can read: what is made is clear text."""

    def __init__(self, folder: Path) -> None:
        """Have a bench for each production below `folder`."""
        self._folder = folder

    def bench(self, tenant: TenantId, production: UUID) -> FolderBench:
        """Return the bench of a production."""
        return FolderBench(self._folder / str(tenant) / str(production))
