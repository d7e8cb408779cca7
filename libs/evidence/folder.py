"""A whole log in a folder, as transparency logs serve it: `checkpoint`, `tile/…`, `tile/entries/…`.

Beside it may lie `checkpoints/*`: further checkpoints of the same log; and `details.jsonl`: details in the
order of their leaves, `{"index", "detail", "salt"}` a line.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from libs.evidence.errors import EvidenceRefused
from libs.evidence.log import LogSource
from libs.merkle.checkpoint import parse_checkpoint
from libs.merkle.errors import NoteRefused
from libs.merkle.note import MOST_BYTES, parse_note
from libs.merkle.tiles import EntriesAt, TileAt, bundles_of, tiles_of

CHECKPOINT = "checkpoint"
CHECKPOINTS = "checkpoints"
DETAILS = "details.jsonl"
TILES = "tile"


class FolderSource:
    """Reads a log from a folder."""

    def __init__(self, folder: Path) -> None:
        """Read below `folder`."""
        self._folder = folder

    def checkpoint(self) -> bytes:
        """Return the newest checkpoint. Raises LookupError."""
        return self._read(CHECKPOINT)

    def checkpoints(self) -> Iterator[bytes]:
        """Give the further checkpoints, smallest first, whatever they are called."""
        folder = self._folder / CHECKPOINTS
        names = [f"{CHECKPOINTS}/{path.name}" for path in folder.iterdir()] if folder.is_dir() else []
        for name in sorted(names, key=lambda name: (_size_in(self._read(name)), name)):
            yield self._read(name)

    def tile(self, at: TileAt) -> bytes:
        """Return a tile. Raises LookupError."""
        return self._read(at.path)

    def entries(self, at: EntriesAt) -> bytes:
        """Return a bundle of entries. Raises LookupError."""
        return self._read(at.path)

    def _read(self, path: str) -> bytes:
        try:
            with (self._folder / path).open("rb") as file:
                return _bounded(file.read(256 * MOST_BYTES + 1), path)
        except OSError:
            raise LookupError(path) from None


def write_log(folder: Path, source: LogSource) -> None:
    """Copy the log that the newest checkpoint of `source` describes into `folder`; verifies nothing."""
    newest = source.checkpoint()
    size = parse_checkpoint(parse_note(newest).text).size
    for at in tiles_of(size):
        _write(folder / at.path, source.tile(at))
    for bundle in bundles_of(size):
        _write(folder / bundle.path, source.entries(bundle))
    for number, data in enumerate(source.checkpoints()):
        _write(folder / CHECKPOINTS / f"{number:09}", data)
    _write(folder / CHECKPOINT, newest)


def write_details(folder: Path, details: Iterable[tuple[int, object, bytes]]) -> None:
    """Write details beside the log in `folder`: each its index, its object and its salt, in their order."""
    with (folder / DETAILS).open("w", encoding="utf-8") as file:
        for index, detail, salt in details:
            file.write(json.dumps({"index": str(index), "salt": salt.hex(), "detail": detail}) + "\n")


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _size_in(note: bytes) -> int:
    """Return the size that a checkpoint tells of; -1 where it cannot be read, which others refuse."""
    try:
        return parse_checkpoint(parse_note(note).text).size
    except NoteRefused:
        return -1


def _bounded(data: bytes, path: str) -> bytes:
    if len(data) > 256 * MOST_BYTES:
        raise EvidenceRefused("the file is too long", path)
    return data
