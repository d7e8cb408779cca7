"""How fast a log is checked off line: a whole log in a folder, walked as an auditor walks it."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.evidence.folder import CHECKPOINT, FolderSource
from libs.evidence.leaf import Leaf, leaf_of
from libs.evidence.log import verify_log
from libs.evidence.trust import CHECKPOINTS, ED25519, Trust, TrustedKey, origin_of
from libs.merkle.checkpoint import Checkpoint, sign_checkpoint
from libs.merkle.hashing import leaf_hash
from libs.merkle.tiles import TILE_WIDTH, Edge, EntriesAt, TileAt, entry_bundle, tiles_of
from services.runner.bench.figures import Figure, figure_of
from services.runner.temporary import temporary_folder

ENTRIES: Final = 200_000
LEAST_WALKED: Final = 25_000.0
LEAST_HASHED: Final = 100_000.0
_INSTANCE: Final = "bench.example"
_LOG: Final = UUID(int=7)
_BEGUN: Final = datetime(2026, 1, 1, tzinfo=UTC)


def walk_figures(report: Callable[[str], None]) -> list[Figure]:
    """Return how many entries a second are checked wholly, and how many are only hashed into their tree."""
    report(f"making a log of {ENTRIES} entries")
    leaves = leaves_of(ENTRIES)
    with temporary_folder() as folder:
        trust = write_log_of(leaves, folder)
        report("walking it")
        began = time.monotonic()
        verify_log(FolderSource(folder), trust)
        walked = time.monotonic() - began
    report("hashing it")
    began = time.monotonic()
    edge = Edge()
    for leaf in leaves:
        edge.append(leaf_hash(leaf))
    edge.root()
    hashed = time.monotonic() - began
    return [
        figure_of("entries checked wholly, from a folder", ENTRIES / walked, "1/s", least=LEAST_WALKED),
        figure_of("entries hashed into their tree", ENTRIES / hashed, "1/s", least=LEAST_HASHED),
    ]


def leaves_of(count: int) -> list[bytes]:
    """Return the leaves of a log of commits, each in its canonical form."""
    return [
        leaf_of(
            Leaf(
                log=_LOG,
                index=index,
                fact=UUID(int=index),
                source="messaging",
                part=index % 64,
                position=index + 1,
                at=_BEGUN + timedelta(milliseconds=index),
                detail=index.to_bytes(32),
                root=(index + 1).to_bytes(32),
            )
        )
        for index in range(count)
    ]


def write_log_of(leaves: list[bytes], folder: Path) -> Trust:
    """Write a log over `leaves` in the form that is checked, and return whom to trust for it."""
    edge = Edge()
    tiles: dict[TileAt, bytes] = {}
    for leaf in leaves:
        tiles.update(edge.append(leaf_hash(leaf)))
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    public = key.public_key().public_bytes_raw()
    for at in tiles_of(len(leaves)):
        _write(folder / at.path, tiles[at] if at.full else edge.partial(at.level))
    for start in range(0, len(leaves), TILE_WIDTH):
        some = leaves[start : start + TILE_WIDTH]
        _write(folder / EntriesAt(start // TILE_WIDTH, len(some)).path, entry_bundle(some))
    checkpoint = Checkpoint(origin_of(_INSTANCE, _LOG), len(leaves), edge.root())
    _write(folder / CHECKPOINT, sign_checkpoint(checkpoint, public, key.sign))
    return Trust(_INSTANCE, (TrustedKey("bench", CHECKPOINTS, ED25519, public, _BEGUN, None),))


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
