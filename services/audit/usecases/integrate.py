"""Grow the trees over what was sequenced, and publish a checkpoint of each: one integrator at a time.

Tiles, checkpoint and size of a log are committed together, so whatever is in a tree is published, and a
crash leaves no half of it. A log that does not lead to its own last checkpoint is left alone, loudly: its
entries are still sequenced, and nothing is signed over them.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from libs.kernel.clock import Clock
from libs.kernel.ids import TenantId
from libs.merkle.tiles import TILE_HEIGHT, TILE_WIDTH, Edge, tile_root
from services.audit.domain.errors import GrowthRefused, LogDamaged
from services.audit.domain.growth import Growth, Span, Standing, grown, refuse_other_root, shares_of
from services.audit.ports.ledger import CheckpointKey, Ledger, Ledgers, Signer, Signs

ROUND_SECONDS: Final = 0.25
"""From one round to the next: how long an entry waits at most, and how often a busy log is signed."""
_OTHERS_SECONDS: Final = 1.0
"""How often it is asked whether the integrator of another process has gone."""
_DAMAGED_SECONDS: Final = 60.0
_ENTRIES_A_ROUND: Final = 8192
"""Of all logs together; what is left waits for the next round, which follows at once."""
_LOGS_A_ROUND: Final = 256
_ENTRIES_A_BREATH: Final = 2048
"""So many are hashed before others have their turn: of each turn sequencing makes a transaction's work."""
_EDGES_KEPT: Final = 1024


class Integrate:
    """Keeps the edges of the trees that grew last, and takes the others from what is stored."""

    def __init__(
        self, ledgers: Ledgers, key: CheckpointKey, instance: str, clock: Clock, signs: Signs
    ) -> None:
        """Sign for the logs of `instance`."""
        self._ledgers = ledgers
        self._key = key
        self._instance = instance
        self._clock = clock
        self._signs = signs
        self._edges: OrderedDict[TenantId, Edge] = OrderedDict()
        self._damaged: dict[TenantId, float] = {}
        self._last_served: TenantId | None = None

    async def run(self) -> None:
        """Integrate until cancelled, whenever no other process does. Raises DatabaseUnavailable."""
        while True:
            async with self._ledgers.hold() as ledger:
                self._edges.clear()  # another integrator may have been at work
                self._damaged.clear()
                if ledger is not None:
                    await self._integrate(ledger)
                self._signs.stands_by()
            await asyncio.sleep(_OTHERS_SECONDS)

    async def _integrate(self, ledger: Ledger) -> None:
        while True:
            if not await self.round(ledger):
                await asyncio.sleep(ROUND_SECONDS)

    async def round(self, ledger: Ledger) -> bool:
        """Grow what can grow; return whether there was more than one round's share of it."""
        behind = [standing for standing in await ledger.behind() if self._may_grow(standing.tenant)]
        waiting = sum(standing.waiting for standing in behind)
        signer = await self._key.find_signer() if behind else None
        self._signs.waits_for_key(waits=bool(behind) and signer is None)
        integrated = 0 if signer is None else await self._grow(ledger, behind, signer)
        self._signs.integrated(integrated, waiting - integrated)
        self._signs.damaged_logs(len(self._damaged))
        return 0 < integrated < waiting

    def _may_grow(self, tenant: TenantId) -> bool:
        return self._clock.monotonic() >= self._damaged.get(tenant, 0.0)

    async def _grow(self, ledger: Ledger, behind: Sequence[Standing], signer: Signer) -> int:
        """Grow logs by one round's share; return the number of entries that got into their trees."""
        shares = shares_of(behind, _LOGS_A_ROUND, _ENTRIES_A_ROUND, self._last_served)
        self._last_served = shares[-1].tenant
        edges = {span.tenant: await self._find_edge(ledger, span.tenant, span.first) for span in shares}
        spans = [span for span in shares if edges[span.tenant] is not None]
        hashes = await ledger.leaf_hashes(spans)
        growths = []
        hashed = 0
        for span in spans:
            edge, leaves = edges[span.tenant], hashes.get(span.tenant, [])
            if len(leaves) != span.end - span.first:
                self._give_up(LogDamaged(span.tenant, "an entry is missing", span.first + len(leaves)))
            elif edge is not None:
                growths.append(grown(span.tenant, edge, leaves, self._instance, signer.public, signer.sign))
            hashed += len(leaves)
            if hashed >= _ENTRIES_A_BREATH:
                hashed = 0
                await asyncio.sleep(0)  # hashing is work, and requests wait
        return await self._write(ledger, growths)

    async def _write(self, ledger: Ledger, growths: Sequence[Growth]) -> int:
        """Write what grew: together, or one by one when the ledger refuses some of it."""
        if not growths:
            return 0
        try:
            await ledger.grow(growths)
        except GrowthRefused as refused:
            if len(growths) == 1:
                self._give_up(LogDamaged(growths[0].tenant, refused.reason, growths[0].before))
                return 0
            return sum([await self._write(ledger, [growth]) for growth in growths])
        except BaseException:
            self._edges.clear()  # they are ahead of what is stored
            raise
        for growth in growths:
            self._damaged.pop(growth.tenant, None)
        return sum(growth.size - growth.before for growth in growths)

    async def _find_edge(self, ledger: Ledger, tenant: TenantId, size: int) -> Edge | None:
        """Return the edge of a log's tree of `size`, as it is published; None when the log is damaged."""
        edge = self._edges.get(tenant)
        if edge is None or edge.size != size:
            try:
                edge = await restored(ledger, tenant, size)
                refuse_other_root(tenant, edge, await ledger.find_published(tenant))
            except LogDamaged as damage:
                self._give_up(damage)
                return None
        self._edges[tenant] = edge
        self._edges.move_to_end(tenant)
        while len(self._edges) > _EDGES_KEPT:
            self._edges.popitem(last=False)
        return edge

    def _give_up(self, damage: LogDamaged) -> None:
        """Leave a log alone for a minute; it is told once."""
        if damage.tenant not in self._damaged:
            self._signs.damaged(damage)
        self._edges.pop(damage.tenant, None)
        self._damaged[damage.tenant] = self._clock.monotonic() + _DAMAGED_SECONDS


async def restored(ledger: Ledger, tenant: TenantId, size: int) -> Edge:
    """Return the edge of the tree over the first `size` entries, from leaves and full tiles.

    Raises LogDamaged when one of them is missing.
    """
    first = size - size % TILE_WIDTH
    span = Span(tenant, first, size)
    leaves = (await ledger.leaf_hashes([span])).get(tenant, []) if first < size else []
    if len(leaves) != size - first:
        raise LogDamaged(tenant, "an entry is missing", first + len(leaves))
    partial = [leaves]
    level = 1
    while hashes := size >> TILE_HEIGHT * level:
        count = hashes % TILE_WIDTH
        tiles = await ledger.full_tiles(tenant, level - 1, hashes - count, count) if count else []
        partial.append([tile_root(tile) for tile in tiles])
        level += 1
    return Edge.restored(size, partial)
