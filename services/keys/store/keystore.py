"""The keystore on PostgreSQL."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final

from libs.contracts.events import (
    PLATFORM_TENANT,
    DekCreated,
    DekUnwrapped,
    Event,
    KekCreated,
    SigningKeyCreated,
    SigningKeyLeased,
    encode,
)
from libs.db.pool import Row, TenantDatabase, Transaction
from libs.events.outbox import OutboxRecord, append, partition_of
from libs.kernel.clock import Clock
from libs.kernel.ids import ConversationId, DekId, Ids, TenantId
from libs.telemetry.tracing import Tracing
from services.keys.domain.access import Access
from services.keys.domain.deks import Dek, DekScope
from services.keys.domain.signing import Lease, SigningKey, Use

_SCHEMA: Final = "keys"

_HAS_KEK = "SELECT FROM keys.kek WHERE tenant = %s AND kek = %s"

_ADD_KEK = """
    INSERT INTO keys.kek (tenant, kek, created_at) VALUES (%s, %s, %s)
    ON CONFLICT DO NOTHING RETURNING kek
"""

_NEWEST_DEKS = """
    SELECT DISTINCT ON (d.conversation, d.epoch)
           d.dek, d.conversation, d.epoch, d.generation, d.kek, d.wrapped
      FROM unnest(%s::uuid[], %s::text[]) AS wanted (conversation, epoch)
      JOIN keys.dek d ON d.tenant = %s AND d.conversation = wanted.conversation AND d.epoch = wanted.epoch
     ORDER BY d.conversation, d.epoch, d.generation DESC
"""

_DEKS_NAMED = """
    SELECT d.dek, d.conversation, d.epoch, d.generation, d.kek, d.wrapped
      FROM keys.dek d WHERE d.tenant = %s AND d.dek = ANY (%s::uuid[])
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

_SIGNING_COLUMNS = "kid, purpose, ordinal, public, sealed, not_before, not_after"

_NEWEST_SIGNING_KEY = f"""
    SELECT {_SIGNING_COLUMNS} FROM keys.signing_key WHERE purpose = %s ORDER BY ordinal DESC LIMIT 1
"""

_PUBLISHED_SIGNING_KEYS = f"""
    SELECT {_SIGNING_COLUMNS} FROM keys.signing_key
     WHERE purpose = %s AND published_until > %s ORDER BY ordinal
"""

_ADD_SIGNING_KEY = f"""
    INSERT INTO keys.signing_key ({_SIGNING_COLUMNS}, published_until)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING RETURNING kid
"""

_PLATFORM: Final = TenantId(PLATFORM_TENANT)
"""Stands for no tenant: no row of a tenant is seen in its transactions."""


class Facts:
    """What happened in one transaction, appended to the outbox as its last statement."""

    def __init__(self, tenant: TenantId, clock: Clock, ids: Ids, tracing: Tracing) -> None:
        """Collect facts of `tenant`."""
        self._tenant = tenant
        self._clock = clock
        self._ids = ids
        self._tracing = tracing
        self._records: list[OutboxRecord] = []

    def note(self, event: Event, subject: str) -> None:
        """Note one fact about `subject`."""
        body = encode(
            event,
            id=self._ids.uuid7(),
            time=self._clock.now(),
            tenant=self._tenant,
            subject=subject,
            traceparent=self._tracing.traceparent(),
        )
        self._records.append(OutboxRecord(partition_of(self._tenant), self._tenant, event.name, body))

    async def append_to(self, tx: Transaction) -> None:
        """Append all facts, in order."""
        await append(tx, _SCHEMA, self._records)


class PostgresTenantKeys:
    """One tenant's rows within one transaction, and the facts that leave with it."""

    def __init__(self, tx: Transaction, tenant: TenantId, clock: Clock, facts: Facts) -> None:
        """Work within `tx`, which is bound to `tenant`."""
        self._tx = tx
        self._tenant = tenant
        self._clock = clock
        self._facts = facts

    async def has_kek(self, kek: str) -> bool:
        """Say whether the tenant's KEK is known to have been made."""
        return await self._tx.fetch_one(_HAS_KEK, (self._tenant, kek)) is not None

    async def add_kek(self, kek: str, version: int) -> None:
        """Note that the KEK was made, once."""
        row = await self._tx.fetch_one(_ADD_KEK, (self._tenant, kek, self._clock.now()))
        if row is not None:
            self._facts.note(KekCreated(kek=kek, kek_version=version), kek)

    async def newest_deks(self, scopes: Collection[DekScope]) -> dict[DekScope, Dek]:
        """Return the newest generation of each scope that has any."""
        conversations = [scope.conversation for scope in scopes]
        epochs = [scope.epoch for scope in scopes]
        rows = await self._tx.fetch_all(_NEWEST_DEKS, (conversations, epochs, self._tenant))
        return {dek.scope: dek for dek in map(self._dek_of, rows)}

    async def deks_named(self, deks: Collection[DekId]) -> dict[DekId, Dek]:
        """Return the tenant's keys of these names; those of other tenants do not exist here."""
        rows = await self._tx.fetch_all(_DEKS_NAMED, (self._tenant, list(deks)))
        return {dek.dek: dek for dek in map(self._dek_of, rows)}

    async def add_deks(self, deks: Sequence[Dek]) -> set[DekId]:
        """Keep new keys and return those that were kept: another may have made the same generation first."""
        if not deks:
            return set()
        rows = await self._tx.fetch_all(
            _ADD_DEKS,
            (
                self._tenant,
                self._clock.now(),
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
                self._facts.note(_created(dek), str(dek.dek))
        return kept

    async def record_access(self, deks: Sequence[DekId], access: Access) -> None:
        """Write the entry of the key-access log; `deks` is not empty."""
        event = DekUnwrapped(deks=tuple(deks), purpose=access.purpose, act=access.act, service=access.service)
        self._facts.note(event, access.service)

    def _dek_of(self, row: Row) -> Dek:
        scope = DekScope(self._tenant, ConversationId(row.conversation), row.epoch)
        return Dek(DekId(row.dek), scope, row.generation, row.kek, row.wrapped)


class PostgresSigningKeys:
    """The platform's signing keys within one transaction, and the facts that leave with it."""

    def __init__(self, tx: Transaction, facts: Facts) -> None:
        """Work within `tx`."""
        self._tx = tx
        self._facts = facts

    async def find_newest(self, use: Use) -> SigningKey | None:
        """Return the key of this use with the greatest ordinal."""
        row = await self._tx.fetch_one(_NEWEST_SIGNING_KEY, (use,))
        return None if row is None else _signing_key_of(row)

    async def published(self, use: Use, now: datetime) -> list[SigningKey]:
        """Return the keys whose public half is still published, oldest first."""
        rows = await self._tx.fetch_all(_PUBLISHED_SIGNING_KEYS, (use, now))
        return [_signing_key_of(row) for row in rows]

    async def add(self, key: SigningKey) -> bool:
        """Keep a new key; False when another took its ordinal first."""
        row = await self._tx.fetch_one(
            _ADD_SIGNING_KEY,
            (
                key.kid,
                key.use,
                key.ordinal,
                key.public,
                key.sealed,
                key.not_before,
                key.not_after,
                key.published_until,
            ),
        )
        if row is None:
            return False
        self._facts.note(SigningKeyCreated(kid=key.kid, use=key.use, not_after=key.not_after), key.kid)
        return True

    async def record_lease(self, lease: Lease) -> None:
        """Note and publish that a service was given the key."""
        self._facts.note(SigningKeyLeased(kid=lease.kid, service=lease.service), lease.kid)


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
        """Begin a transaction on the keys of one tenant; its events are appended before it commits."""
        async with self._database.begin(tenant) as tx:
            facts = Facts(tenant, self._clock, self._ids, self._tracing)
            yield PostgresTenantKeys(tx, tenant, self._clock, facts)
            await facts.append_to(tx)

    @asynccontextmanager
    async def begin_signing(self) -> AsyncIterator[PostgresSigningKeys]:
        """Begin a transaction on the platform's signing keys."""
        async with self._database.begin(_PLATFORM) as tx:
            facts = Facts(_PLATFORM, self._clock, self._ids, self._tracing)
            yield PostgresSigningKeys(tx, facts)
            await facts.append_to(tx)

    async def answers(self) -> bool:
        """Say whether the database answers; raises DatabaseUnavailable when it does not."""
        async with self._database.begin(_PLATFORM) as tx:
            return await tx.fetch_one("SELECT 1") is not None


def _created(dek: Dek) -> DekCreated:
    return DekCreated(
        dek=dek.dek, conversation=dek.scope.conversation, epoch=dek.scope.epoch, kek_version=dek.kek_version
    )


def _signing_key_of(row: Row) -> SigningKey:
    return SigningKey(
        row.kid, Use(row.purpose), row.ordinal, row.public, row.sealed, row.not_before, row.not_after
    )
