"""Walks a whole log and recomputes everything: needs its files and the trusted keys, nothing of ours.

Every entry is read once, in order; what is kept meanwhile does not grow with the log.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator
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
        """Give every other checkpoint that is known of the log, smallest first; none is well."""
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
    known: Iterable[Checkpoint] = (),
    on_leaf: Callable[[Leaf], None] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> LogReport:
    """Return when every entry, tile and checkpoint of a log holds, and no checkpoint knows of a longer one.

    `kept` are checkpoints of it that somebody kept elsewhere: a log that was cut off, or written anew and
    signed again, agrees with itself and not with these. `known` are trusted checkpoints that other evidence
    leads to: those of this log are compared, too, as far as it goes. `on_leaf` is given every leaf that was
    found good, in order; `on_progress` the entries walked and in all. Raises EvidenceRefused; LogRefused
    names the first bad index.
    """
    walk = _Walk(source, _Signed(source, trust, kept, known), trust, on_leaf)
    for at in bundles_of(walk.newest.size):
        walk.pass_bundle(at)
        if on_progress is not None:
            on_progress(walk.edge.size, walk.newest.size)
    walk.end()
    newest = walk.newest
    return LogReport(newest.origin, walk.log, newest.size, newest.root, walk.tiles, walk.signed.seen)


class _Signed:
    """The checkpoints of a log, smallest first; each is judged when the walk comes to its size."""

    def __init__(
        self, source: LogSource, trust: Trust, kept: Iterable[bytes], known: Iterable[Checkpoint]
    ) -> None:
        """Read the newest, before anything that it vouches for."""
        self._trust = trust
        self.newest = trusted_checkpoint(_present(source.checkpoint, "checkpoint"), trust)
        others = (self._read(data, f"checkpoints[{at}]") for at, data in enumerate(source.checkpoints()))
        elsewhere = [self._read(data, "a checkpoint that was kept") for data in kept]
        origin, size = self.newest.origin, self.newest.size
        elsewhere += [one for one in {*known} - {self.newest} if one.origin == origin and one.size <= size]
        elsewhere.sort(key=_size_of)
        self._due: Iterator[Checkpoint] = heapq.merge([self.newest], others, elsewhere, key=_size_of)
        self._next = next(self._due, None)
        self.vouched = 0
        self.seen = 0

    def meet(self, edge: Edge) -> None:
        """Compare the tree as it stands with the checkpoints of its size."""
        while self._next is not None and self._next.size <= edge.size:
            self._judge(self._next, edge)
            self.seen += 1
            self._next = next(self._due, None)

    def end(self) -> None:
        """Refuse a checkpoint of more than there is."""
        if self._next is not None:
            size, signed = self.newest.size, self._next.size
            raise LogRefused(
                f"the log was truncated: it ends at {size}, and was signed at {signed}",
                f"checkpoint of size {signed}",
                size,
            )

    def _judge(self, checkpoint: Checkpoint, edge: Edge) -> None:
        size, where = checkpoint.size, f"checkpoint of size {checkpoint.size}"
        if size < edge.size:
            raise EvidenceRefused("the checkpoints are not in the order of their sizes", where)
        if checkpoint.root == edge.root():
            self.vouched = size
            return
        if self.vouched == size and size:
            raise EvidenceRefused(
                f"the log was forked: two checkpoints of size {size} have different roots", where
            )
        raise LogRefused(
            f"entries {self.vouched} to {size - 1} do not give the root that was signed at size {size}; "
            f"first bad index {self.vouched} or later",
            where,
            self.vouched,
        )

    def _read(self, data: bytes, where: str) -> Checkpoint:
        checkpoint = trusted_checkpoint(data, self._trust, where)
        if checkpoint.origin != self.newest.origin:
            raise EvidenceRefused("the checkpoint is of another log", where)
        return checkpoint


class _Walk:
    """One walk along a log."""

    def __init__(
        self,
        source: LogSource,
        signed: _Signed,
        trust: Trust,
        on_leaf: Callable[[Leaf], None] | None,
    ) -> None:
        """Begin with the empty tree."""
        self._source = source
        self._on_leaf = on_leaf
        self.signed = signed
        self.newest = self.signed.newest
        self.log = log_of(trust.instance, self.newest.origin)
        self._log_text = str(self.log).encode()
        self.edge = Edge()
        self.tiles = 0
        self.signed.meet(self.edge)

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
        """Check what is left: the partial tiles above the leaves, and checkpoints of more than there is."""
        self.signed.end()
        level = 1
        while self.edge.size >> TILE_HEIGHT * level:
            hashes = self.edge.partial(level)
            if hashes:
                index = self.edge.size >> TILE_HEIGHT * (level + 1)
                self._compare_tile(TileAt(level, index, len(hashes) // HASH_BYTES), hashes)
            level += 1

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
        self.signed.meet(self.edge)

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


def _size_of(checkpoint: Checkpoint) -> int:
    return checkpoint.size


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
