"""Acts counted over domain rows, and entries found by walking every log: two places that can disagree.

Both are read past the services, as the administrator of their databases.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import psycopg

from libs.evidence.leaf import Leaf
from libs.evidence.log import verify_log
from libs.evidence.trust import Trust, parse_trust
from libs.merkle.hashing import leaf_hash
from libs.merkle.tiles import EntriesAt, TileAt, entry_bundle, tile_root
from services.audit.store import acts as acts_of_audit
from services.ediscovery.store import acts as acts_of_ediscovery
from services.holds.store import acts as acts_of_holds
from services.identity.store import acts as acts_of_identity
from services.keys.store import acts as acts_of_keys
from services.messaging.store import acts as acts_of_messaging
from services.retention.store import acts as acts_of_retention
from services.runner.peers import trusted_keys
from tests.support.platform import Platform, wait_until

ACTS: Final[Mapping[str, Mapping[str, str]]] = {
    "audit": acts_of_audit.ACTS,
    "ediscovery": acts_of_ediscovery.ACTS,
    "holds": acts_of_holds.ACTS,
    "identity": acts_of_identity.ACTS,
    "keys": acts_of_keys.ACTS,
    "messaging": acts_of_messaging.ACTS,
    "retention": acts_of_retention.ACTS,
}
SETTLING_SECONDS: Final = 120.0

Place = tuple[str, int, int]
"""Source, part and position: where a fact stood in its outbox."""


@dataclass(frozen=True)
class Acts:
    """What domain rows tell: acts by tenant and source, and where the outboxes ended at that moment."""

    counts: "Counter[tuple[UUID, str]]"
    heads: dict[tuple[str, int], int]

    @property
    def total(self) -> int:
        """Return the number of all acts."""
        return self.counts.total()


@dataclass
class Entries:
    """What the leaves of all logs tell: where each entry's fact stood, by the tenant of the log."""

    places: list[tuple[UUID, Place]] = field(default_factory=list)
    facts: "Counter[tuple[str, UUID]]" = field(default_factory=Counter)

    def take(self, leaf: Leaf) -> None:
        """Take in a leaf that was found good."""
        self.places.append((leaf.log, (leaf.source, leaf.part, leaf.position)))
        self.facts[leaf.source, leaf.fact] += 1


@contextmanager
def snapshot_of(platform: Platform, source: str) -> Iterator["psycopg.Connection[tuple[Any, ...]]"]:
    """Give a connection to a service's database that sees one moment."""
    with psycopg.connect(platform.facts["databases"][source]) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield connection


def counted_acts(platform: Platform) -> Acts:
    """Count the acts of every source over its rows, each source at one moment."""
    acts = Acts(Counter(), {})
    for source, statements in ACTS.items():
        with snapshot_of(platform, source) as connection:
            for statement in statements.values():
                for tenant, count in connection.execute(statement.encode()):
                    acts.counts[tenant, source] += int(count)
            heads = f"SELECT part, position FROM {source}.outbox_head"
            acts.heads.update({(source, part): at for part, at in connection.execute(heads.encode())})
    return acts


def wait_for_entries(platform: Platform, acts: Acts) -> None:
    """Wait until the audit service has taken in what was told when `acts` were counted, and published it."""

    def behind() -> int:
        with snapshot_of(platform, "audit") as connection:
            rows = connection.execute(
                "SELECT source, part, position FROM audit.projection_cursor WHERE consumer = 'audit'"
            )
            cursors = {(source, part): position for source, part, position in rows}
            waiting = connection.execute(
                "SELECT count(*) FROM audit.log l JOIN audit.tree t USING (tenant)"
                " WHERE t.integrated < l.sequenced"
            ).fetchone()
        assert waiting is not None
        facts = sum(max(0, head - int(cursors.get(place, 0))) for place, head in acts.heads.items())
        return facts + int(waiting[0])

    wait_until(lambda: behind() == 0, "the audit log does not catch up", SETTLING_SECONDS)


def walked_entries(platform: Platform) -> Entries:
    """Walk every log, recomputing all of it, and return what its leaves tell. Raises EvidenceRefused."""
    entries = Entries()
    trust = parse_trust(trusted_keys(platform.facts))
    with snapshot_of(platform, "audit") as connection:
        tenants = [
            tenant for (tenant,) in connection.execute("SELECT tenant FROM audit.log WHERE sequenced > 0")
        ]
        for tenant in tenants:
            _walk(RowsOfLog(connection, tenant), tenant, trust, entries)
    return entries


def _walk(source: "RowsOfLog", tenant: UUID, trust: Trust, entries: Entries) -> None:
    report = verify_log(source, trust, on_leaf=entries.take)
    assert (report.log, report.size) == (tenant, len(source.leaves)), "entries lie beyond the last checkpoint"


class RowsOfLog:
    """One log as its rows have it: a source to walk. Tiles that are not stored follow from what is below."""

    def __init__(self, connection: "psycopg.Connection[tuple[Any, ...]]", tenant: UUID) -> None:
        """Read the log of `tenant` wholly."""

        def rows(statement: str) -> list[tuple[Any, ...]]:
            return connection.execute(statement.encode(), (tenant,)).fetchall()

        self.leaves = [
            bytes(leaf) for (leaf,) in rows("SELECT leaf FROM audit.entry WHERE tenant = %s ORDER BY index")
        ]
        tiles = rows("SELECT level, number, hashes FROM audit.tile WHERE tenant = %s")
        self._tiles: dict[TileAt, bytes] = {
            TileAt(level, number): bytes(hashes) for level, number, hashes in tiles
        }
        notes = rows("SELECT note FROM audit.checkpoint WHERE tenant = %s ORDER BY size")
        self._notes: list[bytes] = [note.encode() for (note,) in notes]

    def checkpoint(self) -> bytes:
        """Return the newest checkpoint."""
        if not self._notes:
            raise LookupError("checkpoint")
        return self._notes[-1]

    def checkpoints(self) -> list[bytes]:
        """Return the others."""
        return self._notes[:-1]

    def tile(self, at: TileAt) -> bytes:
        """Return a tile."""
        if at.full:
            return self._tiles[at]
        below = range(at.index * 256, at.index * 256 + at.width)
        if at.level == 0:
            return b"".join(leaf_hash(self.leaves[index]) for index in below)
        return b"".join(tile_root(self._tiles[TileAt(at.level - 1, number)]) for number in below)

    def entries(self, at: EntriesAt) -> bytes:
        """Return a bundle of entries."""
        return entry_bundle(self.leaves[at.index * 256 : at.index * 256 + at.width])


def differences(acts: Acts, entries: Entries) -> list[str]:
    """Say where an act does not have exactly one entry; nothing is well.

    Entries of what was told after the acts were counted are left out.
    """
    told = [(tenant, place) for tenant, place in entries.places if place[2] <= acts.heads.get(place[:2], 0)]
    found = Counter((tenant, place[0]) for tenant, place in told)
    wrong = [
        f"{acts.counts[key]} acts of {key[1]} in tenant {key[0]} have {found[key]} entries"
        for key in sorted(acts.counts | found)
        if acts.counts[key] != found[key]
    ]
    places = Counter(place for _, place in entries.places)
    wrong += [f"{place} has {count} entries" for place, count in places.items() if count > 1]
    return wrong + [
        f"fact {fact} of {source} has {count} entries"
        for (source, fact), count in entries.facts.items()
        if count > 1
    ]


def what_is_wrong(platform: Platform) -> list[str]:
    """Count acts, wait for their entries, walk all logs, and say where these disagree."""
    acts = counted_acts(platform)
    wait_for_entries(platform, acts)
    return differences(acts, walked_entries(platform))
