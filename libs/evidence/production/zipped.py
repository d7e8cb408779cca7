"""A production as one file: a zip in one spelling, whose files stand in the order of the manifest.

It is written as a stream: no more than a piece of a file is in memory, and how the zip ends, some hundred
bytes a file.
"""

import zlib
from collections.abc import Iterator
from pathlib import Path

from libs.evidence.errors import EvidenceRefused
from libs.evidence.production.lines import parse_line
from libs.evidence.production.manifest import MANIFEST, NOTE, FileRef, parse_manifest
from libs.evidence.zipping import PIECE_BYTES, Zipping


def paths_of(folder: Path) -> Iterator[str]:
    """Give the paths of a production's files, in the order of its manifest. Raises EvidenceRefused."""
    manifest = parse_manifest(_read(folder, MANIFEST))
    yield MANIFEST
    yield NOTE
    for ref in manifest.segments:
        yield ref.path
        for line in _read(folder, ref.path).split(b"\n"):
            found = parse_line(line, ref.path) if line else None
            if not isinstance(found, FileRef):
                break  # files stand first in a segment
            yield found.path
    if manifest.completeness is not None:
        yield from (ref.path for ref in manifest.completeness.segments)


def zip_pieces(folder: Path) -> Iterator[bytes]:
    """Give the zip of a production, piece by piece. Raises EvidenceRefused where a file is missing."""
    zipping = Zipping()
    for path in paths_of(folder):
        yield zipping.begin(path, *_measured(folder, path))
        yield from _pieces(folder, path)
    yield zipping.end()


def _measured(folder: Path, path: str) -> tuple[int, int]:
    """Return the size of a file and its CRC-32."""
    size = checksum = 0
    for piece in _pieces(folder, path):
        size, checksum = size + len(piece), zlib.crc32(piece, checksum)
    return size, checksum


def _pieces(folder: Path, path: str) -> Iterator[bytes]:
    try:
        with (folder / path).open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                yield piece
    except OSError:
        raise EvidenceRefused("the file is missing", path) from None


def _read(folder: Path, path: str) -> bytes:
    return b"".join(_pieces(folder, path))
