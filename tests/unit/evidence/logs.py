"""Logs made in memory, for tests that then tamper with them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.evidence.detail import Actor, Detail, detail_commitment
from libs.evidence.leaf import Leaf, leaf_of
from libs.evidence.trust import Trust, TrustedKey, origin_of
from libs.merkle.checkpoint import Checkpoint, sign_checkpoint
from libs.merkle.hashing import leaf_hash
from libs.merkle.tiles import EntriesAt, TileAt, entry_bundle
from libs.merkle.tree import root_of

INSTANCE = "muniment.test"
TENANT = UUID("0190a1b2-0000-7000-8000-000000000001")
START = datetime(2026, 11, 24, 9, tzinfo=UTC)
KEY, STRANGER = (Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32) for seed in (7, 8))
TRUST = Trust(
    INSTANCE,
    (
        TrustedKey("c1", "checkpoints", "ed25519", KEY.public_key().public_bytes_raw(), START, None),
        TrustedKey("t1", "tokens", "ed25519", STRANGER.public_key().public_bytes_raw(), START, None),
    ),
)
DETAIL = Detail("identity.session.started", Actor("principal", id="p-1"), "done", "operations")
SALT = bytes(range(16))


def leaf_at(index: int, *, root: bytes | None = None, detail: Detail = DETAIL, log: UUID = TENANT) -> bytes:
    """Return the canonical leaf of an act."""
    return leaf_of(
        Leaf(
            log=log,
            index=index,
            fact=UUID(int=index + 1),
            source="identity" if root is None else "messaging",
            part=12,
            position=index + 1,
            at=START + timedelta(microseconds=index),
            detail=detail_commitment(detail, SALT),
            root=root,
        )
    )


def note_of(leaves: list[bytes], key: Ed25519PrivateKey = KEY, log: UUID = TENANT) -> bytes:
    """Return a signed checkpoint over all of `leaves`."""
    root = root_of([leaf_hash(leaf) for leaf in leaves])
    checkpoint = Checkpoint(origin_of(INSTANCE, log), len(leaves), root)
    return sign_checkpoint(checkpoint, key.public_key().public_bytes_raw(), key.sign)


@dataclass
class MadeLog:
    """A log as its server would show it; `newest`, `further` and `tiles` may be replaced by a forger."""

    leaves: list[bytes]
    newest: bytes = b""
    further: list[bytes] = field(default_factory=list)
    tiles: dict[TileAt, bytes] = field(default_factory=dict)
    bundles: dict[EntriesAt, bytes] = field(default_factory=dict)
    hashed: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Sign the log as it is and keep its hashes: what is changed later does not change them."""
        self.newest = self.newest or note_of(self.leaves)
        self.hashed = self.hashed or [leaf_hash(leaf) for leaf in self.leaves]

    def checkpoint(self) -> bytes:
        return self.newest

    def checkpoints(self) -> Iterable[bytes]:
        return sorted(self.further, key=lambda note: int(note.split(b"\n")[1]))

    def tile(self, at: TileAt) -> bytes:
        spread = 256**at.level
        starts = [(at.index * 256 + i) * spread for i in range(at.width)]
        made = b"".join(root_of(self.hashed[start : start + spread]) for start in starts)
        return self.tiles.get(at, made)

    def entries(self, at: EntriesAt) -> bytes:
        shown = self.leaves[at.index * 256 : at.index * 256 + at.width]
        return self.bundles[at] if at in self.bundles else entry_bundle(shown)


def leaves_of(size: int) -> list[bytes]:
    """Return the first `size` leaves of the log."""
    return [leaf_at(index) for index in range(size)]
