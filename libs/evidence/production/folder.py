"""A production on a disk: each file whole or not there, and its segments, from which it goes on."""

import os
from collections.abc import Iterator
from pathlib import Path

_UNFINISHED = ".part"


class ProductionFolder:
    """Writes the files of a production below a folder, each by one rename."""

    def __init__(self, folder: Path) -> None:
        """Write below `folder`, which is made where it is missing."""
        self._folder = folder

    def write(self, path: str, data: bytes) -> None:
        """Write a file and see it on the disk before it has its name; one of that name is replaced."""
        target = self._folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_name(target.name + _UNFINISHED)
        with unfinished.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(target)

    def segments(self) -> Iterator[tuple[str, bytes]]:
        """Give the segments of the index that are there, in order, up to the first that is missing."""
        number = 1
        while (target := self._folder / f"index/{number:06}.jsonl").is_file():
            yield f"index/{number:06}.jsonl", target.read_bytes()
            number += 1

    def drop_unfinished(self) -> None:
        """Remove what an interrupted write left."""
        for path in list(self._folder.rglob(f"*{_UNFINISHED}")):
            path.unlink()
