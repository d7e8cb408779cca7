"""The platform's signing keys on PostgreSQL: rows are written once, an early end is a row of its own."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from libs.contracts.events import SigningKeyCreated, SigningKeyLeased
from libs.db.pool import Row, Transaction
from libs.kernel.clock import Clock
from libs.kernel.ids import Ids
from services.keys.domain.signing import PUBLISHED_AFTER_END, Initiator, Lease, SigningKey, Use
from services.keys.store import facts
from services.keys.store.outgoing import Outgoing

# least() passes over NULL: a key that was not retired has the end that was foreseen.
_KEYS: Final = """
    SELECT k.kid, k.purpose, k.ordinal, k.public, k.sealed, k.not_before,
           least(k.not_after, r.not_after) AS not_after
      FROM keys.signing_key k LEFT JOIN keys.signing_key_retirement r ON r.kid = k.kid
"""

_ALL: Final = f"{_KEYS} ORDER BY k.purpose, k.ordinal"

_NEWEST: Final = f"{_KEYS} WHERE k.purpose = %s ORDER BY k.ordinal DESC LIMIT 1"

_ENDING_AFTER: Final = f"""
    {_KEYS} WHERE k.purpose = %s AND least(k.not_after, r.not_after) > %s ORDER BY k.ordinal
"""

_ADD: Final = """
    INSERT INTO keys.signing_key
           (kid, purpose, ordinal, public, sealed, not_before, not_after, published_until)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING RETURNING kid
"""

_ADD_LEASE: Final = """
    INSERT INTO keys.signing_key_lease (lease, kid, service, at, not_after) VALUES (%s, %s, %s, %s, %s)
"""

_ADD_RETIREMENT: Final = """
    INSERT INTO keys.signing_key_retirement (kid, retirement, successor, at, not_after)
    VALUES (%s, %s, %s, %s, %s)
"""


class PostgresSigningKeys:
    """The platform's signing keys within one transaction, and what leaves with it."""

    def __init__(self, tx: Transaction, clock: Clock, ids: Ids, outgoing: Outgoing) -> None:
        """Work within `tx`."""
        self._tx = tx
        self._clock = clock
        self._ids = ids
        self._outgoing = outgoing

    async def find_newest(self, use: Use) -> SigningKey | None:
        """Return the key of this use with the greatest ordinal."""
        row = await self._tx.fetch_one(_NEWEST, (use,))
        return None if row is None else _signing_key_of(row)

    async def published(self, use: Use, now: datetime) -> list[SigningKey]:
        """Return the keys by which something current may be signed, oldest first."""
        return await self.ending_after(use, now - PUBLISHED_AFTER_END)

    async def ending_after(self, use: Use, instant: datetime) -> list[SigningKey]:
        """Return the keys of this use that end after `instant`, oldest first."""
        return _signing_keys_of(await self._tx.fetch_all(_ENDING_AFTER, (use, instant)))

    async def all(self) -> list[SigningKey]:
        """Return every key that there ever was, by use, oldest first."""
        return _signing_keys_of(await self._tx.fetch_all(_ALL))

    async def add(self, key: SigningKey, initiator: Initiator) -> bool:
        """Keep a new key; False when another took its ordinal first."""
        row = await self._tx.fetch_one(
            _ADD,
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
        self._outgoing.note(SigningKeyCreated(kid=key.kid, use=key.use, not_after=key.not_after), key.kid)
        act = self._ids.uuid7()
        self._outgoing.tell(facts.signing_key_created(act, key, initiator, self._clock.now()))
        return True

    async def record_lease(self, lease: Lease) -> None:
        """Note and tell that a service was given the key."""
        act = self._ids.uuid7()
        await self._tx.execute(_ADD_LEASE, (act, lease.kid, lease.service, lease.at, lease.not_after))
        self._outgoing.note(SigningKeyLeased(kid=lease.kid, service=lease.service), lease.kid)
        self._outgoing.tell(facts.signing_key_leased(act, lease))

    async def retire(
        self, key: SigningKey, successor: SigningKey, not_after: datetime, initiator: Initiator
    ) -> None:
        """Let a key end at `not_after`, before its time, because `successor` signs from now on."""
        act, now = self._ids.uuid7(), self._clock.now()
        await self._tx.execute(_ADD_RETIREMENT, (key.kid, act, successor.kid, now, not_after))
        self._outgoing.tell(facts.signing_key_retired(act, key, successor, initiator, now))


def _signing_keys_of(rows: Sequence[Row]) -> list[SigningKey]:
    return [_signing_key_of(row) for row in rows]


def _signing_key_of(row: Row) -> SigningKey:
    return SigningKey(
        row.kid, Use(row.purpose), row.ordinal, row.public, row.sealed, row.not_before, row.not_after
    )
