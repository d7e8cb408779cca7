"""Zips in one spelling, written and read as streams: the same files in their order are the same bytes.

Nothing is compressed or dated, as compressors and clocks differ; what is read back is compared with what
would have been written. Source: PKWARE APPNOTE 6.3.10, sections 4.3 and 4.5.3.
"""

import re
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from libs.evidence.errors import EvidenceRefused

PATH: Final = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*(\.[a-z0-9]+)?", re.ASCII)
"""What the path of a file is like: it leads out of no folder."""
PIECE_BYTES: Final = 1 << 18
LONGEST_NAME: Final = 255

_LOCAL: Final = struct.Struct("<4s5H3I2H")
_CENTRAL: Final = struct.Struct("<4s6H3I5H2I")
_END: Final = struct.Struct("<4s4H2IH")
_END_64: Final = struct.Struct("<4sQ2H2I4Q")
_LOCATOR_64: Final = struct.Struct("<4sIQI")
_EXTRA_64: Final = struct.Struct("<2HQ")
_LOCAL_MARK: Final = b"PK\3\4"
_CENTRAL_MARK: Final = b"PK\1\2"
_VERSION, _VERSION_64 = 20, 45
_STORED: Final = 0
_DATE: Final = 0x21  # 1 January 1980, the oldest
_FULL_16, _FULL_32 = 0xFFFF, 0xFFFFFFFF


class Zipping:
    """Gives what stands between the files of a zip: `begin` before each, and `end` behind the last."""

    def __init__(self) -> None:
        """Begin without a file."""
        self._central = bytearray()
        self._number = self._at = 0

    def begin(self, path: str, size: int, checksum: int) -> bytes:
        """Return what stands before a file of `size` bytes (below 4 GiB) with this CRC-32."""
        name = path.encode("ascii")
        begin = (_STORED, 0, _DATE, checksum, size, size, len(name))
        extra = _EXTRA_64.pack(1, 8, self._at) if self._at >= _FULL_32 else b""
        version = _VERSION_64 if extra else _VERSION
        end = (len(extra), 0, 0, 0, 0, min(self._at, _FULL_32))
        self._central += _CENTRAL.pack(_CENTRAL_MARK, version, version, 0, *begin, *end) + name + extra
        self._at += _LOCAL.size + len(name) + size
        self._number += 1
        return _LOCAL.pack(_LOCAL_MARK, _VERSION, 0, *begin, 0) + name

    def whole(self, path: str, data: bytes) -> bytes:
        """Return a file with what stands before it."""
        return self.begin(path, len(data), zlib.crc32(data)) + data

    def end(self) -> bytes:
        """Return what stands behind the last file."""
        number, at, length = self._number, self._at, len(self._central)
        most = (min(number, _FULL_16), min(number, _FULL_16), min(length, _FULL_32), min(at, _FULL_32), 0)
        end = _END.pack(b"PK\5\6", 0, 0, *most)
        if number >= _FULL_16 or length >= _FULL_32 or at >= _FULL_32:
            versions = (_VERSION_64, _VERSION_64, 0, 0)
            wide = _END_64.pack(b"PK\6\6", _END_64.size - 12, *versions, number, number, length, at)
            end = wide + _LOCATOR_64.pack(b"PK\6\7", 0, at + length, 1) + end
        return bytes(self._central) + end


def is_zipped(path: Path) -> bool:
    """Tell whether a file begins as a zip does."""
    try:
        with path.open("rb") as file:
            return file.read(len(_LOCAL_MARK)) == _LOCAL_MARK
    except OSError:
        return False


def unzip(path: Path, folder: Path, most: int) -> None:
    """Write the files of a zip below `folder`, which is empty; none is longer than `most`.

    Raises EvidenceRefused for a zip in another spelling, as far as its files show it; the rest is for
    `refuse_other_spelling`.
    """
    with path.open("rb") as file:
        while (begin := file.read(_LOCAL.size))[: len(_LOCAL_MARK)] == _LOCAL_MARK:
            if len(begin) < _LOCAL.size:
                raise _other(path.name)
            *_, size, _unpacked, length, more = _LOCAL.unpack(begin)
            name = file.read(min(length, LONGEST_NAME)).decode("ascii", "replace")
            if more or length > LONGEST_NAME or size > most or not PATH.fullmatch(name):
                raise _other(path.name)
            _unpack(file, size, folder, name)


def zip_of(paths: Iterable[str], read: Callable[[str], bytes]) -> Iterator[bytes]:
    """Give the bytes of the zip of these files in their order."""
    zipping = Zipping()
    for path in paths:
        yield zipping.whole(path, read(path))
    yield zipping.end()


def refuse_other_spelling(path: Path, pieces: Iterable[bytes]) -> None:
    """Compare a zip with the bytes that it must have. Raises EvidenceRefused for others."""
    with path.open("rb") as file:
        if any(file.read(len(piece)) != piece for piece in pieces) or file.read(1):
            raise _other(path.name)


def _unpack(file: BinaryIO, size: int, folder: Path, name: str) -> None:
    target = folder / name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as written:
            while size:
                piece = file.read(min(size, PIECE_BYTES))
                if not piece:
                    raise EvidenceRefused("the file ends too soon", name)
                written.write(piece)
                size -= len(piece)
    except OSError:
        raise EvidenceRefused("the file stands twice in the zip, or cannot be written", name) from None


def _other(name: str) -> EvidenceRefused:
    return EvidenceRefused("the zip is not in its one spelling", name)
