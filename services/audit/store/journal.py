"""Entries of all logs in PostgreSQL, as the role audit_sequencer, a batch by one statement a table."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final
from uuid import UUID

from libs.db.arrays import bigints, byteas, instants, integers, smallints, texts, uuids
from libs.db.pool import Transaction
from libs.evidence.detail import Run
from libs.kernel.ids import TenantId
from services.audit.domain.entries import Entry

_LOCK_LOGS: Final = """
    SELECT l.tenant, l.sequenced FROM audit.log l
     WHERE l.tenant = ANY(%s::uuid[]) ORDER BY l.tenant FOR UPDATE"""
_BEGIN_LOGS: Final = """
    WITH begun AS MATERIALIZED (SELECT t.tenant FROM unnest(%s::uuid[]) AS t (tenant)),
         trees AS (INSERT INTO audit.tree (tenant) SELECT b.tenant FROM begun b ON CONFLICT DO NOTHING)
    INSERT INTO audit.log (tenant) SELECT b.tenant FROM begun b ON CONFLICT DO NOTHING"""
_INSERT_ENTRIES: Final = """
    INSERT INTO audit.entry (tenant, index, leaf, fact, source, part, position)
    SELECT e.tenant, e.index, e.leaf, e.fact, e.source, e.part, e.position
      FROM unnest(%s::uuid[], %s::bigint[], %s::bytea[], %s::uuid[], %s::text[], %s::smallint[], %s::bigint[])
           AS e (tenant, index, leaf, fact, source, part, position)"""
_INSERT_DETAILS: Final = """
    INSERT INTO audit.detail (tenant, index, salt, actor_kind, actor_id, actor_name, action, outcome, count,
                              at, matter, approvals, visibility, runs)
    SELECT d.tenant, d.index, d.salt, d.actor_kind, d.actor_id, d.actor_name, d.action, d.outcome, d.count,
           d.at, d.matter, d.approvals::uuid[], d.visibility, d.runs::jsonb
      FROM unnest(%s::uuid[], %s::bigint[], %s::bytea[], %s::text[], %s::uuid[], %s::text[], %s::text[],
                  %s::text[], %s::bigint[], %s::timestamptz[], %s::uuid[], %s::text[], %s::text[], %s::text[])
           AS d (tenant, index, salt, actor_kind, actor_id, actor_name, action, outcome, count,
                 at, matter, approvals, visibility, runs)"""
_INSERT_ENTITIES: Final = """
    INSERT INTO audit.detail_entity (tenant, kind, id, index, place)
    SELECT n.tenant, n.kind, n.id, n.index, n.place
      FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::bigint[], %s::integer[])
           AS n (tenant, kind, id, index, place)"""
_ADVANCE_LOGS: Final = """
    UPDATE audit.log AS l SET sequenced = a.size
      FROM unnest(%s::uuid[], %s::bigint[]) AS a (tenant, size) WHERE l.tenant = a.tenant"""


class PostgresJournal:
    """The journal within one transaction of audit_sequencer."""

    def __init__(self, tx: Transaction) -> None:
        """Write by `tx`, which somebody else commits."""
        self._tx = tx

    async def lock_logs(self, tenants: Collection[TenantId]) -> dict[TenantId, int]:
        """Return the sizes of the logs, locked in the order of their tenants; missing ones begin at 0.

        Two that begin logs at once may wait for each other in a circle: the database ends one, which is
        tried again.
        """
        found = await self._locked(tenants)
        if missing := sorted(set(tenants) - found.keys()):
            await self._tx.execute(_BEGIN_LOGS, (uuids(missing),))
            found |= await self._locked(missing)
        return found

    async def append(self, entries: Sequence[Entry], sizes: Mapping[TenantId, int]) -> None:
        """Insert entries, details and entities, one statement each, and advance the logs."""
        tenants = uuids([entry.fact.tenant for entry in entries])
        indices = bigints([entry.index for entry in entries])
        async with self._tx.pipeline():
            await self._insert_entries(tenants, indices, entries)
            await self._insert_details(tenants, indices, entries)
            await self._insert_entities(entries)
            await self._tx.execute(_ADVANCE_LOGS, (uuids(list(sizes)), bigints(list(sizes.values()))))

    async def _locked(self, tenants: Collection[TenantId]) -> dict[TenantId, int]:
        rows = await self._tx.fetch_all(_LOCK_LOGS, (uuids(list(tenants)),))
        return {row.tenant: row.sequenced for row in rows}

    async def _insert_entries(self, tenants: bytes, indices: bytes, entries: Sequence[Entry]) -> None:
        parameters = (
            tenants,
            indices,
            byteas([entry.leaf for entry in entries]),
            uuids([entry.fact.fact for entry in entries]),
            texts([entry.fact.source for entry in entries]),
            smallints([entry.fact.part for entry in entries]),
            bigints([entry.fact.position for entry in entries]),
        )
        await self._tx.execute(_INSERT_ENTRIES, parameters)

    async def _insert_details(self, tenants: bytes, indices: bytes, entries: Sequence[Entry]) -> None:
        facts = [entry.fact for entry in entries]
        details = [fact.detail for fact in facts]
        parameters = (
            tenants,
            indices,
            byteas([entry.salt for entry in entries]),
            texts([detail.actor.kind for detail in details]),
            uuids([_uuid_of(detail.actor.id) for detail in details]),
            texts([detail.actor.name for detail in details]),
            texts([detail.action for detail in details]),
            texts([detail.outcome for detail in details]),
            bigints([detail.count for detail in details]),
            instants([fact.at for fact in facts]),
            uuids([_uuid_of(detail.matter) for detail in details]),
            texts([_array_of(detail.approvals) for detail in details]),
            texts([detail.visibility for detail in details]),
            texts([_runs_json(detail.runs) for detail in details]),
        )
        await self._tx.execute(_INSERT_DETAILS, parameters)

    async def _insert_entities(self, entries: Sequence[Entry]) -> None:
        named = [
            (entry, place, entity)
            for entry in entries
            for place, entity in enumerate(entry.fact.detail.entities)
        ]
        parameters = (
            uuids([entry.fact.tenant for entry, _, _ in named]),
            texts([entity.kind for _, _, entity in named]),
            texts([entity.id for _, _, entity in named]),
            bigints([entry.index for entry, _, _ in named]),
            integers([place for _, place, _ in named]),
        )
        await self._tx.execute(_INSERT_ENTITIES, parameters)


def _uuid_of(text: str | None) -> UUID | None:
    return None if text is None else UUID(text)


def _array_of(values: Sequence[str]) -> str:
    """Return an array literal: a column of arrays cannot be unnested beside plain columns."""
    return f"{{{','.join(values)}}}"


def _runs_json(runs: Sequence[Run]) -> str:
    """Return runs as JSON, in their order; positions are texts, as in the canonical detail."""
    told = ",".join(
        [f'{{"conversation":"{run.conversation}","first":"{run.first}","last":"{run.last}"}}' for run in runs]
    )
    return f"[{told}]"
