"""A production on a disk: each file whole or not there, and its segments, from which it goes on."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from libs.evidence.errors import EvidenceRefused
from libs.evidence.production.lines import parse_line
from libs.evidence.production.manifest import FileRef

_UNFINISHED = ".part"
_DATA = "data/"


class ProductionFolder:
    """Writes the files of a production below a folder, each by one rename.

    Data files may be many: they reach the disk when the machine likes, and are compared with their segment
    before a production goes on. All others are on the disk before they have their names.
    """

    def __init__(self, folder: Path) -> None:
        """Write below `folder`, which is made where it is missing."""
        self._folder = folder

    def write(self, path: str, data: bytes) -> None:
        """Write a file; one of that name is replaced."""
        target = self._folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_name(target.name + _UNFINISHED)
        with unfinished.open("wb") as file:
            file.write(data)
            if not path.startswith(_DATA):
                file.flush()
                os.fsync(file.fileno())
        unfinished.replace(target)

    def sync(self) -> None:
        """Return when everything is on the disk; a production is not done before."""
        os.sync()

    def segments(self) -> Iterator[tuple[str, bytes]]:
        """Give the segments of the index in order, up to the first that is missing or lacks a file."""
        number = 1
        while (target := self._folder / f"index/{number:06}.jsonl").is_file():
            data = target.read_bytes()
            if not all(self._has(ref) for ref in _files_of(data)):
                return
            yield f"index/{number:06}.jsonl", data
            number += 1

    def drop_unfinished(self) -> None:
        """Remove what an interrupted write left."""
        for path in list(self._folder.rglob(f"*{_UNFINISHED}")):
            path.unlink()

    def _has(self, ref: FileRef) -> bool:
        """Tell whether a file is there as its segment says."""
        target = self._folder / ref.path
        if not target.is_file() or target.stat().st_size != ref.size:
            return False
        return hashlib.sha256(target.read_bytes()).digest() == ref.sha256


def _files_of(segment: bytes) -> Iterator[FileRef]:
    """Give the files that a segment names, which stand first in it."""
    for data in segment.split(b"\n"):
        try:
            line = parse_line(data, "segment")
        except EvidenceRefused:
            return
        if not isinstance(line, FileRef):
            return
        yield line
