"""A corpus of messages: JSON lines, gzipped or not, read one at a time and never held.

A line has date, time, channel, nick and text; other fields are ignored, and so are empty lines.
"""

import gzip
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from services.runner.errors import RunnerError

_GZIP_MAGIC: Final = b"\x1f\x8b"


class Row(msgspec.Struct, frozen=True):
    """One line of a corpus; other fields are ignored."""

    date: str
    channel: str
    nick: str
    text: str
    time: str = ""


def rows_of(path: Path) -> Iterator[tuple[int, Row]]:
    """Yield the lines of a corpus with their numbers, from 1.

    Raises RunnerError, with the line, for what cannot be read.
    """
    decoder = msgspec.json.Decoder(Row)
    number = 0
    try:
        with _opened(path) as lines:
            for line in lines:
                number += 1
                if line.strip():
                    yield number, decoder.decode(line)
    except (OSError, EOFError, msgspec.DecodeError) as defect:
        raise RunnerError(f"{path} cannot be read as a corpus (line {number}): {defect}") from defect


@contextmanager
def _opened(path: Path) -> Iterator[Iterable[bytes]]:
    """Open a file, unpacking it when it is gzipped, whatever its name."""
    with path.open("rb") as plain:
        is_packed = plain.read(2) == _GZIP_MAGIC
        plain.seek(0)
        if is_packed:
            with gzip.open(plain) as unpacked:
                yield unpacked
        else:
            yield plain
