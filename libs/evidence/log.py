"""Walks a whole log and recomputes everything: needs its files and the trusted keys, nothing of ours.

Every entry is read once, in order; what is kept meanwhile does not grow with the log.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar
from uuid import UUID

from libs.evidence.errors import EvidenceRefused, LogRefused
from libs.evidence.leaf import LEAF, Leaf, instant_of, parse_leaf
from libs.evidence.trust import Trust, log_of
from libs.merkle.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint
from libs.merkle.errors import NoteRefused, TileRefused
from libs.merkle.hashing import HASH_BYTES, leaf_hash
from libs.merkle.note import parse_note
from libs.merkle.tiles import TILE_HEIGHT, TILE_WIDTH, Edge, EntriesAt, TileAt, bundles_of, parse_bundle

_INDEX, _LOG = 4, 5
At = TypeVar("At", TileAt, EntriesAt)


class LogSource(Protocol):
    """Where a log is read from; LookupError says that a part of it is not there."""

    def checkpoint(self) -> bytes:
        """Return the newest checkpoint, a signed note."""
        ...

    def checkpoints(self) -> Iterable[bytes]:
        """Give every other checkpoint that is known of the log, in any order; none is well."""
        ...

    def tile(self, at: TileAt) -> bytes:
        """Return the bytes of a tile."""
        ...

    def entries(self, at: EntriesAt) -> bytes:
        """Return the bytes of a bundle of entries."""
        ...


@dataclass(frozen=True, slots=True)
class LogReport:
    """What was found to hold: all `size` entries, under `tiles` tiles and `checkpoints` checkpoints."""

    origin: str
    log: UUID
    size: int
    root: bytes
    tiles: int
    checkpoints: int


def trusted_checkpoint(data: bytes, trust: Trust, where: str = "checkpoint") -> Checkpoint:
    """Return the checkpoint in a note that a key of `trust` signed. Raises EvidenceRefused."""
    try:
        origin = parse_checkpoint(parse_note(data).text).origin
        log_of(trust.instance, origin)
        return open_checkpoint(data, trust.verifiers(origin))
    except NoteRefused as refused:
        raise EvidenceRefused(refused.reason, where) from None


def refuse_forks(checkpoints: Iterable[tuple[str, Checkpoint]]) -> None:
    """Refuse two checkpoints (each with its place) of one log and size that have different roots."""
    seen: dict[tuple[str, int], tuple[str, bytes]] = {}
    for where, checkpoint in checkpoints:
        key = (checkpoint.origin, checkpoint.size)
        other, root = seen.setdefault(key, (where, checkpoint.root))
        if root != checkpoint.root:
            raise EvidenceRefused(
                f"the log was forked: two checkpoints of size {checkpoint.size} have different roots",
                f"{other} and {where}",
            )


def verify_log(
    source: LogSource,
    trust: Trust,
    *,
    kept: Iterable[bytes] = (),
    on_leaf: Callable[[Leaf], None] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> LogReport:
    """Return when every entry, tile and checkpoint of a log holds, and no checkpoint knows of a longer one.

    `kept` are checkpoints of it that somebody kept elsewhere: a log that was cut off, or written anew and
    signed again, agrees with itself and not with these. `on_leaf` is given every leaf that was found good,
    in order; `on_progress` the entries walked and in all. Raises EvidenceRefused; LogRefused names the first
    bad index.
    """
    walk = _Walk(source, trust, kept, on_leaf)
    for at in bundles_of(walk.newest.size):
        walk.pass_bundle(at)
        if on_progress is not None:
            on_progress(walk.edge.size, walk.newest.size)
    walk.end()
    newest = walk.newest
    return LogReport(newest.origin, walk.log, newest.size, newest.root, walk.tiles, walk.seen)


class _Walk:
    """One walk along a log."""

    def __init__(
        self,
        source: LogSource,
        trust: Trust,
        kept: Iterable[bytes],
        on_leaf: Callable[[Leaf], None] | None,
    ) -> None:
        """Read and judge the checkpoints, before anything that they vouch for."""
        self._source = source
        self._on_leaf = on_leaf
        self.newest = trusted_checkpoint(_present(source.checkpoint, "checkpoint"), trust)
        self.log = log_of(trust.instance, self.newest.origin)
        self._log_text = str(self.log).encode()
        self.edge = Edge()
        self.tiles = 0
        self._vouched = 0
        self._roots: dict[int, bytes] = {self.newest.size: self.newest.root}
        self.seen = 1
        for number, data in enumerate(source.checkpoints()):
            self._add(trusted_checkpoint(data, trust, f"checkpoints[{number}]"))
        for data in kept:
            self._add(trusted_checkpoint(data, trust, "a checkpoint that was kept"))
        self._compare_root()

    def pass_bundle(self, at: EntriesAt) -> None:
        """Check the entries of a bundle, the tile over them, and what else ends in it."""
        first = at.index * TILE_WIDTH
        bundle = self._read(self._source.entries, at, first)
        tile = self._read(self._source.tile, TileAt(0, at.index, at.width), first)
        if len(tile) != at.width * HASH_BYTES:
            index = first + min(len(tile) // HASH_BYTES, at.width)
            raise LogRefused(f"the tile does not have {at.width} hashes", f"tile 0/{at.index}", index)
        try:
            entries = parse_bundle(bundle, at.width)
        except TileRefused as refused:
            index = first + _first_unlike(bundle, tile, at.width)
            raise LogRefused(f"{refused.reason}; first bad index {index}", at.path, index) from None
        self.tiles += 1
        for offset, entry in enumerate(entries):
            self._pass_entry(entry, tile[offset * HASH_BYTES : (offset + 1) * HASH_BYTES])

    def end(self) -> None:
        """Check the partial tiles above the leaves; nothing else is left."""
        level = 1
        while self.edge.size >> TILE_HEIGHT * level:
            hashes = self.edge.partial(level)
            if hashes:
                index = self.edge.size >> TILE_HEIGHT * (level + 1)
                self._compare_tile(TileAt(level, index, len(hashes) // HASH_BYTES), hashes)
            level += 1

    def _add(self, checkpoint: Checkpoint) -> None:
        """Take in another checkpoint of the log."""
        where = f"checkpoint of size {checkpoint.size}"
        if checkpoint.origin != self.newest.origin:
            raise EvidenceRefused("the checkpoint is of another log", where)
        if checkpoint.size > self.newest.size:
            raise LogRefused(
                f"the log was truncated: it ends at {self.newest.size}, and was signed at {checkpoint.size}",
                where,
                self.newest.size,
            )
        if self._roots.setdefault(checkpoint.size, checkpoint.root) != checkpoint.root:
            raise EvidenceRefused(
                f"the log was forked: two checkpoints of size {checkpoint.size} have different roots", where
            )
        self.seen += 1

    def _pass_entry(self, entry: bytes, expected: bytes) -> None:
        index = self.edge.size
        found = LEAF.fullmatch(entry)
        if found is None:
            raise _bad(index, "is not canonical" if entry else "is missing")
        if found[_LOG] != self._log_text:
            raise _bad(index, "is of another log")
        if found[_INDEX] != b"%d" % index:
            raise _bad(index, f"says that it is entry {found[_INDEX].decode()}")
        hashed = leaf_hash(entry)
        if hashed != expected:
            raise _bad(index, "does not have the hash that its tile gives")
        try:
            instant_of(found[1])
        except EvidenceRefused:
            raise _bad(index, "has a time that no clock shows") from None
        for at, computed in self.edge.append(hashed):
            if at.level:
                self._compare_tile(at, computed)
        if self._on_leaf is not None:
            self._on_leaf(parse_leaf(entry))
        if self.edge.size in self._roots:
            self._compare_root()

    def _compare_root(self) -> None:
        """Compare the tree as it stands with the checkpoint of its size, if there is one."""
        size = self.edge.size
        if self._roots.get(size, self.edge.root()) != self.edge.root():
            raise LogRefused(
                f"entries {self._vouched} to {size - 1} do not give the root that was signed at size {size}; "
                f"first bad index {self._vouched} or later",
                f"checkpoint of size {size}",
                self._vouched,
            )
        if size in self._roots:
            self._vouched = size

    def _compare_tile(self, at: TileAt, computed: bytes) -> None:
        spread = TILE_HEIGHT * at.level
        first = at.index * TILE_WIDTH << spread
        tile = self._read(self._source.tile, at, first)
        self.tiles += 1
        if tile != computed:
            hashes = range(0, len(computed), HASH_BYTES)
            wrong = next(
                (i for i in hashes if tile[i : i + HASH_BYTES] != computed[i : i + HASH_BYTES]), len(computed)
            )
            index = first + (wrong // HASH_BYTES << spread)
            raise LogRefused(
                f"the tile does not have the hashes of its entries; first bad index {index}", at.path, index
            )

    def _read(self, read: Callable[[At], bytes], at: At, index: int) -> bytes:
        try:
            return read(at)
        except LookupError:
            raise LogRefused(f"it is missing; first bad index {index}", at.path, index) from None


def _present(read: Callable[[], bytes], where: str) -> bytes:
    try:
        return read()
    except LookupError:
        raise EvidenceRefused("it is missing", where) from None


def _first_unlike(bundle: bytes, tile: bytes, width: int) -> int:
    """Return the number of entries at the beginning of a broken bundle that are those of the tile."""
    at = 0
    for number in range(width):
        end = at + 2 + int.from_bytes(bundle[at : at + 2])
        if leaf_hash(bundle[at + 2 : end]) != tile[number * HASH_BYTES : (number + 1) * HASH_BYTES]:
            return number
        at = end
    return width


def _bad(index: int, how: str) -> LogRefused:
    return LogRefused(f"entry {index} {how}", f"entry {index}", index)
