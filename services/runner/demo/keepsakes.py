"""What a demonstration leaves behind for whoever wants to check it: files that hold without the platform.

Each is checked as a stranger would, by the keys of `trust.json` alone; and copies of it that somebody has
tampered with are refused.
"""

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from libs.evidence.errors import EvidenceRefused
from libs.evidence.production.manifest import MOST_FILE_BYTES
from libs.evidence.trust import Trust, parse_trust
from libs.evidence.verify import verify_path
from libs.evidence.zipping import unzip
from services.runner.demo.officials import Official

TRUST: Final = "trust.json"
TRUST_PATH: Final = f"/keys/v1/{TRUST}"


class Judged(msgspec.Struct, frozen=True):
    """Whether a file holds, and whether each of its tampered copies is refused; in words what is wrong."""

    holds: bool
    tampered_refused: bool
    sentences: tuple[str, ...] = ()


async def take_trust(official: Official, folder: Path) -> Trust:
    """Keep the platform's published keys in `folder`, and return them. Raises ClientError."""
    path = folder / TRUST
    await official.door.save(TRUST_PATH, path)
    return parse_trust(path.read_bytes())


async def judged(what: str, kept: Path, trust: Trust) -> Judged:
    """Return what becomes of the zipped evidence in the file `kept`, and of tampered copies of it."""
    return await asyncio.to_thread(_judge, what, kept, trust)


def _judge(what: str, kept: Path, trust: Trust) -> Judged:
    wrong = []
    refusal = _refusal(kept, trust)
    if refusal is not None:
        wrong.append(f"the {what} does not hold: {refusal}")
    tampered = []
    with tempfile.TemporaryDirectory(prefix="muniment-tampered-") as name:
        copy = Path(name)
        unzip(kept, copy, MOST_FILE_BYTES)
        for how, tamper in TAMPERINGS.items():
            with tamper(copy):
                tampered.append(_refusal(copy, trust) is not None)
            if not tampered[-1]:
                wrong.append(f"a copy of the {what} holds, though {how}")
    return Judged(refusal is None, all(tampered), tuple(wrong))


def _refusal(path: Path, trust: Trust) -> str | None:
    try:
        verify_path(path, trust)
    except EvidenceRefused as refused:
        return refused.reason
    return None


class Changed:
    """A file of a folder that is another for as long as the block lasts."""

    def __init__(self, path: Path, change: Callable[[bytes], bytes]) -> None:
        self._path = path
        self._change = change
        self._was = path.read_bytes()

    def __enter__(self) -> None:
        self._path.write_bytes(self._change(self._was))

    def __exit__(self, *_: object) -> None:
        self._path.write_bytes(self._was)


def _flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def _without_last_line(data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    return b"".join(lines[:-1])


def _statement_of(folder: Path) -> Path:
    return next(path for path in sorted(folder.iterdir()) if path.suffix == ".json")


def _lines_of(folder: Path) -> Path:
    return next(_files(folder, "*.jsonl"))


def _content_of(folder: Path) -> Path:
    return next(_files(folder, "data/*/*"), None) or _lines_of(folder)


def _files(folder: Path, pattern: str) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob(pattern)) if path.stat().st_size)


TAMPERINGS: Final[dict[str, Callable[[Path], Changed]]] = {
    "a bit of what it holds was flipped": lambda copy: Changed(_content_of(copy), _flipped),
    "a line of it was left out": lambda copy: Changed(_lines_of(copy), _without_last_line),
    "a bit of what is signed was flipped": lambda copy: Changed(_statement_of(copy), _flipped),
}
"""What somebody might do to a copy: how it is said, and what does it for the length of a block."""
