"""The search: entries by actor, act, entity, matter and time, of the classes that their reader may see."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

from libs.db.pool import Row, Transaction
from libs.kernel.ids import TenantId
from services.audit.domain.reading import Criteria, FoundEntry, Page

_SEARCH: Final = """
SELECT e.index, e.fact, e.source, d.at, d.action, d.visibility, d.actor_kind, d.actor_id, d.actor_name,
       d.outcome, d.count, d.matter, d.approvals, d.runs
  FROM audit.detail d JOIN audit.entry e ON e.tenant = d.tenant AND e.index = d.index
 WHERE d.tenant = %(tenant)s AND d.visibility = ANY(%(shown)s::text[]) AND d.index < %(size)s
"""
_INDEX_OF: Final = """
SELECT d.index FROM audit.entry e JOIN audit.detail d ON d.tenant = e.tenant AND d.index = e.index
 WHERE e.tenant = %s AND e.fact = %s AND d.visibility = ANY(%s::text[]) AND d.index < %s
 ORDER BY d.index LIMIT 1
"""
_INDEX_NAMING: Final = """
SELECT d.index FROM audit.detail_entity x JOIN audit.detail d ON d.tenant = x.tenant AND d.index = x.index
 WHERE x.tenant = %s AND x.kind = %s AND x.id = %s AND d.visibility = ANY(%s::text[]) AND d.index < %s
 ORDER BY d.index LIMIT 1
"""
_ENTITIES: Final = """
SELECT index, kind, id FROM audit.detail_entity
 WHERE tenant = %s AND index = ANY(%s::bigint[]) ORDER BY index, place
"""
_CONDITIONS: Final = {
    "actor": "d.actor_id = %(actor)s",
    "action": "d.action = %(action)s",
    "matter": "d.matter = %(matter)s",
    "since": "d.at >= %(since)s",
    "until": "d.at < %(until)s",
}
_OF_ENTITY: Final = (
    "d.index IN (SELECT x.index FROM audit.detail_entity x"
    " WHERE x.tenant = %(tenant)s AND x.kind = %(entity_kind)s AND x.id = %(entity)s)"
)
_OF_KIND: Final = (
    "EXISTS (SELECT FROM audit.detail_entity x"
    " WHERE x.tenant = %(tenant)s AND x.index = d.index AND x.kind = %(entity_kind)s)"
)
_OF_ID: Final = (
    "EXISTS (SELECT FROM audit.detail_entity x"
    " WHERE x.tenant = %(tenant)s AND x.index = d.index AND x.id = %(entity)s)"
)


class PostgresSearch:
    """The details of one log."""

    def __init__(self, tx: Transaction, tenant: TenantId) -> None:
        """Speak through `tx`, which row-level security binds to `tenant`."""
        self._tx = tx
        self._tenant = tenant

    async def find_index(self, fact: UUID, shown: Collection[str], size: int) -> int | None:
        """Return the index, below `size`, of the entry of a fact, if its class is one of `shown`."""
        row = await self._tx.fetch_one(_INDEX_OF, (self._tenant, fact, sorted(shown), size))
        return None if row is None else row.index

    async def find_index_naming(
        self, kind: str, entity: str, shown: Collection[str], size: int
    ) -> int | None:
        """Return the index, below `size`, of the first entry of the classes `shown` that names an entity."""
        row = await self._tx.fetch_one(_INDEX_NAMING, (self._tenant, kind, entity, sorted(shown), size))
        return None if row is None else row.index

    async def search(self, wanted: Criteria, shown: Collection[str], page: Page) -> list[FoundEntry]:
        """Return entries of the classes `shown` that match, in the order of the page."""
        conditions, parameters = _conditions_of(wanted)
        if page.beyond is not None:
            conditions.append("d.index < %(beyond)s" if page.newest_first else "d.index > %(beyond)s")
        narrowed = "".join([f" AND {condition}" for condition in conditions])
        order = " ORDER BY d.index DESC" if page.newest_first else " ORDER BY d.index"
        rows = await self._tx.fetch_all(
            _SEARCH + narrowed + order + " LIMIT %(limit)s",
            {
                **parameters,
                "tenant": self._tenant,
                "shown": sorted(shown),
                "size": page.size,
                "beyond": page.beyond,
                "limit": page.limit,
            },
        )
        entities = await self.entities_of([row.index for row in rows])
        return [replace(entry_of(row), entities=entities.get(row.index, ())) for row in rows]

    async def entities_of(self, indices: Sequence[int]) -> dict[int, tuple[tuple[str, str], ...]]:
        """Return what the entries acted on, in the order in which it was told."""
        found: dict[int, list[tuple[str, str]]] = {}
        for row in await self._tx.fetch_all(_ENTITIES, (self._tenant, list(indices))):
            found.setdefault(row.index, []).append((row.kind, row.id))
        return {index: tuple(entities) for index, entities in found.items()}


def entry_of(row: Row) -> FoundEntry:
    """Return a row of details and entries, without its entities."""
    return FoundEntry(
        index=row.index,
        fact=row.fact,
        source=row.source,
        at=row.at,
        action=row.action,
        visibility=row.visibility,
        actor_kind=row.actor_kind,
        actor_id=row.actor_id,
        actor_name=row.actor_name,
        outcome=row.outcome,
        count=row.count,
        matter=row.matter,
        approvals=tuple(row.approvals),
        runs=tuple((UUID(run["conversation"]), int(run["first"]), int(run["last"])) for run in row.runs),
    )


def _conditions_of(wanted: Criteria) -> tuple[list[str], dict[str, object]]:
    """Return the conditions of what is not None, and their parameters."""
    parameters: dict[str, object] = {
        "actor": wanted.actor,
        "action": wanted.action,
        "matter": wanted.matter,
        "since": wanted.since,
        "until": wanted.until,
        "entity_kind": wanted.entity_kind,
        "entity": wanted.entity,
    }
    conditions = [text for name, text in _CONDITIONS.items() if parameters[name] is not None]
    match wanted.entity_kind, wanted.entity:
        case None, None:
            pass
        case _, None:
            conditions.append(_OF_KIND)
        case None, _:
            conditions.append(_OF_ID)
        case _:
            conditions.append(_OF_ENTITY)
    return conditions, parameters
