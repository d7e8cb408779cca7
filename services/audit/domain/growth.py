"""How a log's tree grows: over the entries that it does not have yet, to a checkpoint of the new size."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from libs.evidence.trust import origin_of
from libs.kernel.ids import TenantId
from libs.merkle.checkpoint import Checkpoint, sign_checkpoint
from libs.merkle.tiles import Edge, TileAt
from services.audit.domain.errors import LogDamaged


class Standing(NamedTuple):
    """A log with `sequenced` entries, of which the tree has the first `integrated`."""

    tenant: TenantId
    sequenced: int
    integrated: int

    @property
    def waiting(self) -> int:
        """How many entries no tree has yet."""
        return self.sequenced - self.integrated


class Span(NamedTuple):
    """Entries of a log from `first` to `end`, without `end`."""

    tenant: TenantId
    first: int
    end: int


class Published(NamedTuple):
    """What a log's largest checkpoint says."""

    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Growth:
    """What a log's tree grew by: from `before` to `size` entries, with the tiles that became full."""

    tenant: TenantId
    before: int
    size: int
    root: bytes
    note: str
    tiles: tuple[tuple[TileAt, bytes], ...]


def shares_of(
    behind: Iterable[Standing], logs: int, entries: int, after: TenantId | None = None
) -> list[Span]:
    """Return what one round takes in: of at most `logs` logs, and at most `entries` of them all.

    Logs take turns: those beyond `after`, the last one of the round before, come first. An equal part of
    the entries is for each of them, and what one does not need is for the others: nobody waits for the flood
    of another.
    """
    turns = sorted(
        behind, key=lambda standing: (after is not None and standing.tenant <= after, standing.tenant)
    )[:logs]
    shares: dict[TenantId, int] = {}
    for served, standing in enumerate(sorted(turns, key=lambda standing: standing.waiting)):
        share = min(standing.waiting, entries // (len(turns) - served))
        shares[standing.tenant] = share
        entries -= share
    return [
        Span(standing.tenant, standing.integrated, standing.integrated + shares[standing.tenant])
        for standing in turns
        if shares[standing.tenant]
    ]


def refuse_other_root(tenant: TenantId, edge: Edge, published: Published | None) -> None:
    """Refuse a tree that its own last checkpoint does not describe: nothing is signed over it.

    Raises LogDamaged.
    """
    size = 0 if published is None else published.size
    if edge.size != size:
        raise LogDamaged(tenant, f"its tree has {edge.size} entries and its last checkpoint {size}")
    if published is not None and edge.root() != published.root:
        raise LogDamaged(tenant, f"its entries do not give the root that was signed at size {size}")


def grown(
    tenant: TenantId,
    edge: Edge,
    leaves: Iterable[bytes],
    instance: str,
    public: bytes,
    sign: Callable[[bytes], bytes],
) -> Growth:
    """Add leaf hashes to `edge`, and return what that made of the log, signed."""
    before = edge.size
    tiles = [tile for leaf in leaves for tile in edge.append(leaf)]
    root = edge.root()
    checkpoint = Checkpoint(origin_of(instance, tenant), edge.size, root)
    note = sign_checkpoint(checkpoint, public, sign).decode()
    return Growth(tenant, before, edge.size, root, note, tuple(tiles))
