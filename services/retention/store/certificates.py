"""Certificates and their segments, by transactions of the role retention_app, each bound to one tenant."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from libs.approvals.request import Request
from libs.db.pool import TenantDatabase, Transaction
from libs.kernel.clock import Clock
from libs.kernel.ids import Ids, TenantId
from services.retention.domain.orders import Issued, Standing
from services.retention.ports.books import Outgoing
from services.retention.ports.certificates import KeptCertificate, KeptSegment, NewSegment, Place, Totals
from services.retention.store.books import PostgresBook

_SEGMENTS: Final = """
    SELECT s.number, s.items, s.last_conversation, s.last_seq, s.sha256, octet_length(s.body) AS size
      FROM retention.certificate_segment s
     WHERE s.tenant = %s AND s.certificate = %s ORDER BY s.number"""
_SEGMENT: Final = """
    SELECT s.body FROM retention.certificate_segment s
     WHERE s.tenant = %s AND s.certificate = %s AND s.number = %s"""
_ADD_SEGMENT: Final = """
    INSERT INTO retention.certificate_segment (tenant, certificate, number, items, last_conversation,
           last_seq, last_destroyed_at, bytes, deks, sha256, body, at)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (tenant, certificate, number) DO NOTHING"""
_SUMS: Final = """
    SELECT coalesce(sum(s.items), 0)::bigint AS items, coalesce(sum(s.bytes), 0)::bigint AS bytes,
           max(s.last_destroyed_at) AS last_destroyed_at
      FROM retention.certificate_segment s WHERE s.tenant = %s AND s.certificate = %s"""
_DEKS: Final = """
    SELECT count(*)::bigint AS deks, count(*) FILTER (WHERE k.dek IS NULL)::bigint AS unshredded
      FROM (SELECT DISTINCT d.dek FROM retention.certificate_segment s, unnest(s.deks) AS d (dek)
             WHERE s.tenant = %(tenant)s AND s.certificate = %(certificate)s) n
      LEFT JOIN retention.shredded k
        ON k.tenant = %(tenant)s AND k.order_id = %(certificate)s AND k.dek = n.dek"""
_ADD: Final = """
    INSERT INTO retention.certificate
           (tenant, certificate, act, digest, items, bytes, deks, statement, note, issued_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (tenant, certificate) DO NOTHING"""
_FIND: Final = """
    SELECT c.certificate, c.act, c.digest, c.items, c.bytes, c.deks, c.statement, c.note, c.issued_at
      FROM retention.certificate c WHERE c.tenant = %s AND c.certificate = %s"""
_LISTED: Final = """
    SELECT c.certificate, c.act, c.digest, c.items, c.bytes, c.deks, ''::bytea AS statement,
           ''::bytea AS note, c.issued_at
      FROM retention.certificate c
     WHERE c.tenant = %s AND (%s::uuid IS NULL OR c.certificate < %s)
     ORDER BY c.certificate DESC LIMIT %s"""


class PostgresCertificateBook:
    """One tenant's certificates within one transaction."""

    def __init__(self, tx: Transaction, tenant: TenantId, clock: Clock, ids: Ids) -> None:
        """Speak through `tx`, which row-level security binds to `tenant`."""
        self._tx = tx
        self._tenant = tenant
        self._book = PostgresBook(tx, tenant, clock, ids)

    async def find_order(self, order: UUID) -> Standing | None:
        """Return an order as it stands."""
        return await self._book.find_order(order)

    async def find_request(self, dry_run: UUID) -> Request | None:
        """Return the newest request to carry out the result of a dry run."""
        return await self._book.requests.find_latest(dry_run)

    async def segments(self, certificate: UUID) -> list[KeptSegment]:
        """Return the segments that are written, in order."""
        rows = await self._tx.fetch_all(_SEGMENTS, (self._tenant, certificate))
        return [
            KeptSegment(
                row.number,
                row.items,
                Place(row.last_conversation, row.last_seq),
                bytes(row.sha256),
                row.size,
            )
            for row in rows
        ]

    async def segment(self, certificate: UUID, number: int) -> bytes:
        """Return the lines of a segment that is written. Raises LookupError for none."""
        row = await self._tx.fetch_one(_SEGMENT, (self._tenant, certificate, number))
        if row is None:
            msg = f"segment {number}"
            raise LookupError(msg)
        return bytes(row.body)

    async def add_segment(self, certificate: UUID, segment: NewSegment, at: datetime) -> bool:
        """Write a segment; False if somebody else did."""
        added = await self._tx.execute(
            _ADD_SEGMENT,
            (
                self._tenant,
                certificate,
                segment.number,
                segment.items,
                segment.last.conversation,
                segment.last.seq,
                segment.last_destroyed_at,
                segment.destroyed_bytes,
                list(segment.deks),
                segment.sha256,
                segment.body,
                at,
            ),
        )
        return added == 1

    async def totals(self, certificate: UUID) -> Totals:
        """Return what the segments add up to."""
        named = {"tenant": self._tenant, "certificate": certificate}
        (sums,) = await self._tx.fetch_all(_SUMS, (self._tenant, certificate))
        (deks,) = await self._tx.fetch_all(_DEKS, named)
        return Totals(sums.items, sums.bytes, deks.deks, deks.unshredded, sums.last_destroyed_at)

    async def add(self, kept: KeptCertificate) -> bool:
        """Write a certificate; False if somebody else did."""
        added = await self._tx.execute(
            _ADD,
            (
                self._tenant,
                kept.certificate,
                kept.issued.act,
                kept.issued.digest,
                kept.items,
                kept.destroyed_bytes,
                kept.deks,
                kept.statement,
                kept.note,
                kept.issued.at,
            ),
        )
        return added == 1

    async def find(self, certificate: UUID) -> KeptCertificate | None:
        """Return a certificate that was issued."""
        row = await self._tx.fetch_one(_FIND, (self._tenant, certificate))
        return None if row is None else _kept_of(row)

    async def issued(self, after: UUID | None, limit: int) -> list[KeptCertificate]:
        """Return certificates, the newest first, from behind `after` on; without what they state."""
        rows = await self._tx.fetch_all(_LISTED, (self._tenant, after, after, limit))
        return [_kept_of(row) for row in rows]

    async def publish(self, events: Sequence[Outgoing]) -> None:
        """Append to the outbox: the last statement of the transaction."""
        await self._book.publish(events)


class PostgresCertificateBooks:
    """Begins transactions of one tenant each."""

    def __init__(self, database: TenantDatabase, clock: Clock, ids: Ids) -> None:
        """Use the pool `database`, of the role retention_app."""
        self._database = database
        self._clock = clock
        self._ids = ids

    def begin(self, tenant: TenantId) -> AbstractAsyncContextManager[PostgresCertificateBook]:
        """Begin a transaction that commits unless its block raises."""
        return self._begin(tenant)

    @asynccontextmanager
    async def _begin(self, tenant: TenantId) -> AsyncIterator[PostgresCertificateBook]:
        async with self._database.begin(tenant) as tx:
            yield PostgresCertificateBook(tx, tenant, self._clock, self._ids)


def _kept_of(row: Any) -> KeptCertificate:
    return KeptCertificate(
        row.certificate,
        Issued(row.issued_at, bytes(row.digest), row.act),
        row.items,
        row.bytes,
        row.deks,
        bytes(row.statement),
        bytes(row.note),
    )
