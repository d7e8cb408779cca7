"""The keystore on PostgreSQL."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

from libs.contracts.events import PLATFORM_TENANT, DekCreated, DekUnwrapped, KekCreated
from libs.db.pool import Row, TenantDatabase, Transaction
from libs.kernel.clock import Clock
from libs.kernel.ids import ConversationId, DekId, Ids, TenantId
from libs.telemetry.tracing import Tracing
from services.keys.domain.access import Access, Given, given_of
from services.keys.domain.deks import Dek, DekScope
from services.keys.store import facts
from services.keys.store.outgoing import Outgoing
from services.keys.store.signing_keys import PostgresSigningKeys

_HAS_KEK = "SELECT FROM keys.kek WHERE tenant = %s AND kek = %s"

_ADD_KEK = """
    INSERT INTO keys.kek (tenant, kek, created_at) VALUES (%s, %s, %s)
    ON CONFLICT DO NOTHING RETURNING kek
"""

_NEWEST_DEKS = """
    SELECT DISTINCT ON (d.conversation, d.epoch)
           d.dek, d.conversation, d.epoch, d.generation, d.kek, coalesce(d.wrapped, '') AS wrapped,
           d.wrapped IS NULL OR r.dek IS NOT NULL AS retired
      FROM unnest(%s::uuid[], %s::text[]) AS wanted (conversation, epoch)
      JOIN keys.dek d ON d.tenant = %s AND d.conversation = wanted.conversation AND d.epoch = wanted.epoch
      LEFT JOIN keys.dek_retirement r ON r.tenant = d.tenant AND r.dek = d.dek
     ORDER BY d.conversation, d.epoch, d.generation DESC
"""

_DEKS_NAMED = """
    SELECT d.dek, d.conversation, d.epoch, d.generation, d.kek, d.wrapped, r.dek IS NOT NULL AS retired
      FROM keys.dek d
      LEFT JOIN keys.dek_retirement r ON r.tenant = d.tenant AND r.dek = d.dek
     WHERE d.tenant = %s AND d.dek = ANY (%s::uuid[]) AND d.wrapped IS NOT NULL
"""

_NEWEST_DEK = """
    SELECT d.dek, d.conversation, d.epoch, d.generation, d.kek, d.wrapped, r.dek IS NOT NULL AS retired
      FROM keys.dek d
      LEFT JOIN keys.dek_retirement r ON r.tenant = d.tenant AND r.dek = d.dek
     WHERE d.tenant = %s AND d.wrapped IS NOT NULL ORDER BY d.created_at DESC LIMIT 1
"""

_RETIRE = """
    INSERT INTO keys.dek_retirement (tenant, dek, retirement, order_id, service, at)
    SELECT %s, k.dek, k.retirement, %s, %s, %s
      FROM unnest(%s::uuid[], %s::uuid[]) AS k (dek, retirement) ORDER BY k.dek
    ON CONFLICT (tenant, dek) DO NOTHING
    RETURNING dek, retirement
"""

# Sorted by the unique key: two writers of the same keys wait for each other in one order, never in a circle.
_ADD_DEKS = """
    INSERT INTO keys.dek (tenant, dek, conversation, epoch, generation, kek, kek_version, wrapped, created_at)
    SELECT %s, made.dek, made.conversation, made.epoch, made.generation, made.kek, made.kek_version,
           made.wrapped, %s
      FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::int[], %s::text[], %s::int[], %s::text[])
           AS made (dek, conversation, epoch, generation, kek, kek_version, wrapped)
     ORDER BY made.conversation, made.epoch, made.generation
    ON CONFLICT (tenant, conversation, epoch, generation) DO NOTHING
    RETURNING dek
"""

_ADD_ACCESS = """
    INSERT INTO keys.key_access (tenant, access, action, service, purpose, act, deks, at)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
"""

_PLATFORM: Final = TenantId(PLATFORM_TENANT)
"""Stands for no tenant: no row of a tenant is seen in its transactions."""


class PostgresTenantKeys:
    """One tenant's rows within one transaction, and what leaves with it."""

    def __init__(self, tx: Transaction, tenant: TenantId, clock: Clock, ids: Ids, outgoing: Outgoing) -> None:
        """Work within `tx`, which is bound to `tenant`."""
        self._tx = tx
        self._tenant = tenant
        self._clock = clock
        self._ids = ids
        self._outgoing = outgoing

    async def has_kek(self, kek: str) -> bool:
        """Say whether the tenant's KEK is known to have been made."""
        return await self._tx.fetch_one(_HAS_KEK, (self._tenant, kek)) is not None

    async def add_kek(self, kek: str, version: int, access: Access) -> None:
        """Note that the KEK was made, once."""
        now = self._clock.now()
        row = await self._tx.fetch_one(_ADD_KEK, (self._tenant, kek, now))
        if row is not None:
            self._outgoing.note(KekCreated(kek=kek, kek_version=version), kek)
            self._outgoing.tell(facts.kek_created(self._ids.uuid7(), kek, access, now))

    async def newest_deks(self, scopes: Collection[DekScope]) -> dict[DekScope, Dek]:
        """Return the newest generation of each scope that has any."""
        conversations = [scope.conversation for scope in scopes]
        epochs = [scope.epoch for scope in scopes]
        rows = await self._tx.fetch_all(_NEWEST_DEKS, (conversations, epochs, self._tenant))
        return {dek.scope: dek for dek in map(self._dek_of, rows)}

    async def find_dek(self) -> Dek | None:
        """Return the tenant's newest data key that is not shredded, None where there is none."""
        row = await self._tx.fetch_one(_NEWEST_DEK, (self._tenant,))
        return None if row is None else self._dek_of(row)

    async def deks_named(self, deks: Collection[DekId]) -> dict[DekId, Dek]:
        """Return the tenant's keys of these names; those of others, and shredded ones, do not exist."""
        rows = await self._tx.fetch_all(_DEKS_NAMED, (self._tenant, list(deks)))
        return {dek.dek: dek for dek in map(self._dek_of, rows)}

    async def add_deks(self, deks: Sequence[Dek], access: Access) -> set[DekId]:
        """Keep new keys and return those that were kept: another may have made the same generation first."""
        if not deks:
            return set()
        now = self._clock.now()
        rows = await self._tx.fetch_all(
            _ADD_DEKS,
            (
                self._tenant,
                now,
                [dek.dek for dek in deks],
                [dek.scope.conversation for dek in deks],
                [dek.scope.epoch for dek in deks],
                [dek.generation for dek in deks],
                [dek.kek for dek in deks],
                [dek.kek_version for dek in deks],
                [dek.wrapped for dek in deks],
            ),
        )
        kept = {DekId(row.dek) for row in rows}
        for dek in deks:
            if dek.dek in kept:
                self._outgoing.note(_created(dek), str(dek.dek))
                self._outgoing.tell(facts.dek_created(dek, access, now))
        return kept

    async def retire_deks(self, deks: Sequence[Dek], order: UUID, service: str) -> None:
        """Let keys seal nothing more, for the sake of an order; those that are retired stay as they are."""
        now, named = self._clock.now(), {dek.dek: dek for dek in deks}
        retirements = [self._ids.uuid7() for _ in named]
        row = (self._tenant, order, service, now, list(named), retirements)
        for kept in await self._tx.fetch_all(_RETIRE, row):
            fact = facts.dek_retired(kept.retirement, named[DekId(kept.dek)], order, service, now)
            self._outgoing.tell(fact)

    async def record_access(self, deks: Sequence[Dek], access: Access) -> None:
        """Write the entry of the key-access log that names `deks`; none, when nothing was handed out.

        The fingerprint key is an entry of its own, whatever it was asked for with.
        """
        for given, names in given_of(deks).items():
            await self._record(given, names, access)

    async def _record(self, given: Given, names: Sequence[DekId], access: Access) -> None:
        act, now = self._ids.uuid7(), self._clock.now()
        told = facts.keys_given(act, given, names, access, now)
        row = (self._tenant, act, told.action, access.service, access.purpose, access.act, list(names), now)
        await self._tx.execute(_ADD_ACCESS, row)
        event = DekUnwrapped(
            deks=tuple(names), purpose=access.purpose, act=access.act, service=access.service
        )
        self._outgoing.note(event, access.service)
        self._outgoing.tell(told)

    def _dek_of(self, row: Row) -> Dek:
        scope = DekScope(self._tenant, ConversationId(row.conversation), row.epoch)
        return Dek(DekId(row.dek), scope, row.generation, row.kek, row.wrapped, row.retired)


class PostgresKeystore:
    """Opens transactions on the service's own database."""

    def __init__(self, database: TenantDatabase, clock: Clock, ids: Ids, tracing: Tracing) -> None:
        """Use `database` as the role keys_app."""
        self._database = database
        self._clock = clock
        self._ids = ids
        self._tracing = tracing

    @asynccontextmanager
    async def begin(self, tenant: TenantId) -> AsyncIterator[PostgresTenantKeys]:
        """Begin a transaction on the keys of one tenant; what it tells is appended before it commits."""
        async with self._database.begin(tenant) as tx:
            outgoing = Outgoing(tenant, self._clock, self._ids, self._tracing)
            yield PostgresTenantKeys(tx, tenant, self._clock, self._ids, outgoing)
            await outgoing.append_to(tx)

    @asynccontextmanager
    async def begin_signing(self) -> AsyncIterator[PostgresSigningKeys]:
        """Begin a transaction on the platform's signing keys."""
        async with self._database.begin(_PLATFORM) as tx:
            outgoing = Outgoing(_PLATFORM, self._clock, self._ids, self._tracing)
            yield PostgresSigningKeys(tx, self._clock, self._ids, outgoing)
            await outgoing.append_to(tx)

    async def answers(self) -> bool:
        """Say whether the database answers; raises DatabaseUnavailable when it does not."""
        async with self._database.begin(_PLATFORM) as tx:
            return await tx.fetch_one("SELECT 1") is not None


def _created(dek: Dek) -> DekCreated:
    return DekCreated(
        dek=dek.dek, conversation=dek.scope.conversation, epoch=dek.scope.epoch, kek_version=dek.kek_version
    )
