"""A log as its rows are, all of one snapshot, for whoever verifies or copies it.

By a connection of its own, and not asynchronous: a walk along a whole log is work, and no server's. The
rows may be anything that somebody made of them who can change the tables too, NULL included.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, LiteralString

import psycopg
from psycopg.rows import namedtuple_row

from libs.evidence.errors import EvidenceRefused
from libs.kernel.ids import TenantId
from libs.kernel.secrets import Secret
from libs.merkle.checkpoint import parse_checkpoint
from libs.merkle.errors import NoteRefused
from libs.merkle.hashing import HASH_BYTES
from libs.merkle.note import parse_note
from libs.merkle.tiles import MOST_ENTRY_BYTES, TILE_WIDTH, EntriesAt, TileAt, entry_bundle, tile_root
from services.audit.domain.stored import Count, DetailRows, EntryRows, Extent

_BEGIN: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_BIND: Final = "SELECT set_config('app.tenant', %s, true)"
_ENTRIES: Final = """
SELECT index, leaf, leaf_hash, fact, source, part, position FROM audit.entry
 WHERE tenant = %s AND index >= %s AND index < %s
"""
# A time that Python has no name for (infinity, or before Christ) is no time of any leaf: NULL says so.
_DETAILS: Final = """
SELECT index, salt, actor_kind, actor_id, actor_name, action, outcome, count, matter, approvals, visibility,
       runs, CASE WHEN at >= '0002-01-01' AND at < '9999-01-01' THEN at END AS at
  FROM audit.detail WHERE tenant = %s AND index >= %s AND index < %s
"""
_ENTITIES: Final = """
SELECT index, place, kind, id FROM audit.detail_entity
 WHERE tenant = %s AND index >= %s AND index < %s ORDER BY index, place
"""
_TILES: Final = """
SELECT number, hashes FROM audit.tile
 WHERE tenant = %s AND level = %s AND number >= %s AND number < %s ORDER BY number
"""
_NEWEST: Final = """
SELECT size, root, note FROM audit.checkpoint WHERE tenant = %s ORDER BY size DESC LIMIT 1
"""
_CHECKPOINTS: Final = """
SELECT size, root, note FROM audit.checkpoint
 WHERE tenant = %s AND size >= %s AND size < %s ORDER BY size LIMIT 1000
"""
_LEAST_SIZE: Final = -(1 << 63)
"""Of a row: a size that is none is given out, too, for it to be refused."""
_LOG: Final = """
SELECT l.sequenced, coalesce(t.integrated, 0) AS integrated
  FROM audit.log l LEFT JOIN audit.tree t ON t.tenant = l.tenant WHERE l.tenant = %s
"""
_COUNT_ENTRIES: Final = """
SELECT count(*) AS rows, min(index) FILTER (WHERE index < 0 OR index >= %(size)s) AS stray
  FROM audit.entry WHERE tenant = %(tenant)s
"""
_COUNT_DETAILS: Final = """
SELECT count(*) AS rows, min(index) FILTER (WHERE index < 0 OR index >= %(size)s) AS stray
  FROM audit.detail WHERE tenant = %(tenant)s
"""
_COUNT_ENTITIES: Final = """
SELECT count(*) AS rows, min(index) FILTER (WHERE index < 0 OR index >= %(size)s) AS stray
  FROM audit.detail_entity WHERE tenant = %(tenant)s
"""
_COUNT_TILES: Final = """
SELECT count(*) AS rows, min(number * power(256::numeric, level + 1))
         FILTER (WHERE number < 0 OR (number + 1) * power(256::numeric, level + 1) > %(size)s) AS stray
  FROM audit.tile WHERE tenant = %(tenant)s
"""


@contextlib.contextmanager
def open_log(dsn: Secret, tenant: TenantId) -> Iterator["DatabaseLog"]:
    """Give the log of `tenant` as it is at this moment, read as the role audit_app.

    Raises psycopg.Error when the database does not answer.
    """
    with psycopg.connect(
        dsn.reveal(),
        autocommit=True,
        row_factory=namedtuple_row,
        application_name="audit-verify",
        options="-c timezone=UTC",
    ) as connection:
        connection.execute(_BEGIN)
        connection.execute(_BIND, (str(tenant),))
        yield DatabaseLog(connection, tenant)


class DatabaseLog:
    """The StoredLog in one transaction. It keeps the rows of 256 entries, for a walk in order."""

    def __init__(self, connection: psycopg.Connection[Any], tenant: TenantId) -> None:
        """Read by `connection`, which row-level security binds to `tenant`."""
        self._connection = connection
        self._tenant = tenant
        self._block = -1
        self._entries: dict[int, Any] = {}
        self._stored: dict[int, EntryRows] = {}

    @property
    def tenant(self) -> TenantId:
        """Whose log it is."""
        return self._tenant

    def published(self) -> int:
        """Return the size of the largest checkpoint, 0 before the first."""
        row = self._find(_NEWEST)
        return 0 if row is None else row.size

    def checkpoint(self) -> bytes:
        """Return the newest checkpoint. Raises LookupError."""
        row = self._find(_NEWEST)
        if row is None:
            raise LookupError("checkpoint")
        return _note_in(row)

    def checkpoints(self) -> Iterator[bytes]:
        """Give all other checkpoints, smallest first."""
        newest, first = self.published(), _LEAST_SIZE
        while rows := self._all(_CHECKPOINTS, first, newest):
            for row in rows:
                yield _note_in(row)
            first = rows[-1].size + 1

    def tile(self, at: TileAt) -> bytes:
        """Return a tile: a full one as it is stored, another from what lies below. Raises LookupError.

        Of an entry that is missing a partial tile of level 0 has zeros.
        """
        first = at.index * TILE_WIDTH
        if at.full:
            return self._tiles(at.level, at.index, 1)[0]
        if at.level:
            return b"".join([tile_root(tile) for tile in self._tiles(at.level - 1, first, at.width)])
        self._load(at.index)
        rows = [self._entries.get(index) for index in range(first, first + at.width)]
        return b"".join([bytes(HASH_BYTES) if row is None else row.leaf_hash for row in rows])

    def entries(self, at: EntriesAt) -> bytes:
        """Return a bundle of leaves; one that is missing is empty."""
        self._load(at.index)
        first = at.index * TILE_WIDTH
        rows = [self._entries.get(index) for index in range(first, first + at.width)]
        return entry_bundle([b"" if row is None else row.leaf[:MOST_ENTRY_BYTES] for row in rows])

    def entry(self, index: int) -> EntryRows:
        """Return the rows of an entry. Raises LookupError."""
        self._load(index // TILE_WIDTH)
        return self._stored[index]

    def extent(self) -> Extent:
        """Return the log's own sizes (0 and 0 where it has none), and those of its tables."""
        row = self._find(_LOG)
        sequenced, integrated = (0, 0) if row is None else (row.sequenced, row.integrated)
        return Extent(
            sequenced,
            integrated,
            self._count(_COUNT_ENTRIES, "entry", sequenced),
            self._count(_COUNT_DETAILS, "detail", sequenced),
            self._count(_COUNT_ENTITIES, "detail_entity", sequenced),
            self._count(_COUNT_TILES, "tile", integrated),
        )

    def _count(self, statement: LiteralString, table: str, size: int) -> Count:
        parameters = {"tenant": self._tenant, "size": size}
        (row,) = self._connection.execute(statement, parameters, binary=True)
        return Count(table, row.rows, None if row.stray is None else int(row.stray))

    def _tiles(self, level: int, first: int, count: int) -> list[bytes]:
        rows = self._all(_TILES, level, first, first + count)
        if [row.number for row in rows if row.hashes] != list(range(first, first + count)):
            raise LookupError(level, first)
        return [row.hashes for row in rows]

    def _load(self, block: int) -> None:
        """Read the rows of the entries from `block` * 256 on."""
        if block == self._block:
            return
        span = block * TILE_WIDTH, (block + 1) * TILE_WIDTH
        entities: dict[int, list[Any]] = {}
        for row in self._all(_ENTITIES, *span):
            entities.setdefault(row.index, []).append(row)
        details = {row.index: row for row in self._all(_DETAILS, *span)}
        self._entries = {row.index: row for row in self._all(_ENTRIES, *span) if row.leaf and row.leaf_hash}
        self._stored = {
            index: _entry_of(row, _detail_of(details.get(index), entities.get(index, ())))
            for index, row in self._entries.items()
        }
        self._block = block

    def _find(self, statement: LiteralString) -> Any:
        return self._connection.execute(statement, (self._tenant,), binary=True).fetchone()

    def _all(self, statement: LiteralString, *parameters: int) -> list[Any]:
        return self._connection.execute(statement, (self._tenant, *parameters), binary=True).fetchall()


def _note_in(row: Any) -> bytes:
    """Return the note of a checkpoint, whose row must say what the note says. Raises EvidenceRefused."""
    note = str(row.note).encode()
    try:
        checkpoint = parse_checkpoint(parse_note(note).text)
    except NoteRefused as refused:
        raise EvidenceRefused(refused.reason, f"checkpoint of size {row.size}") from None
    if (checkpoint.size, checkpoint.root) != (row.size, row.root):
        raise EvidenceRefused("the row says otherwise than its note", f"checkpoint of size {row.size}")
    return note


def _entry_of(row: Any, detail: DetailRows | None) -> EntryRows:
    return EntryRows(row.leaf, row.leaf_hash, row.fact, row.source, row.part, row.position, detail)


def _detail_of(row: Any, entities: Sequence[Any]) -> DetailRows | None:
    if row is None:
        return None
    detail = {
        "action": row.action,
        "actor": _present({"kind": row.actor_kind, "id": _text_of(row.actor_id), "name": row.actor_name}),
        "approvals": row.approvals and [str(approval) for approval in row.approvals],
        "count": str(row.count),
        "entities": [{"kind": entity.kind, "id": entity.id} for entity in entities],
        "matter": _text_of(row.matter),
        "outcome": row.outcome,
        "runs": row.runs,
        "visibility": row.visibility,
    }
    return DetailRows(detail, row.salt or b"", tuple(entity.place for entity in entities), row.at)


def _present(members: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in members.items() if value is not None}


def _text_of(identifier: object) -> str | None:
    return None if identifier is None else str(identifier)
