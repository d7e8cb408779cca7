"""Passwords, codes and tokens in PostgreSQL: hashes, never the secrets."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from libs.db.pool import Transaction
from libs.kernel.ids import PrincipalId, TenantId

_SET_HASH: Final = """
INSERT INTO identity.password (tenant, principal, hash, changed_at) VALUES (%s, %s, %s, %s)
ON CONFLICT (tenant, principal) DO UPDATE
   SET hash = excluded.hash, changed_at = excluded.changed_at, version = identity.password.version + 1
"""
_FIND_HASH: Final = """
SELECT w.principal, w.hash
  FROM identity.principal p JOIN identity.password w USING (tenant, principal)
 WHERE p.tenant = %s AND p.name_key = %s AND p.removed_at IS NULL
"""
_ADD_CODES: Final = """
INSERT INTO identity.sign_in_code (tenant, digest, principal, issued_at, expires_at)
SELECT %s, code.digest, code.principal, %s, %s
  FROM unnest(%s::bytea[], %s::uuid[]) AS code (digest, principal)
"""
_FIND_CODE: Final = """
SELECT principal FROM identity.sign_in_code
 WHERE tenant = %(tenant)s AND digest = %(digest)s AND used_at IS NULL AND expires_at > %(now)s
"""
_TAKE_CODE: Final = """
UPDATE identity.sign_in_code SET used_at = %(now)s
 WHERE tenant = %(tenant)s AND digest = %(digest)s AND used_at IS NULL AND expires_at > %(now)s
"""
_DROP_CODES: Final = """
UPDATE identity.sign_in_code SET used_at = %s WHERE tenant = %s AND principal = %s AND used_at IS NULL
"""
_ADD_SCIM: Final = """
INSERT INTO identity.scim_token (tenant, token, digest, issued_at, expires_at) VALUES (%s, %s, %s, %s, %s)
"""
_FIND_SCIM: Final = """
SELECT token FROM identity.scim_token
 WHERE tenant = %s AND digest = %s AND expires_at > %s AND revoked_at IS NULL
"""


class PostgresCredentials:
    """What proves who someone is in the transaction's tenant."""

    def __init__(self, tx: Transaction, tenant: TenantId) -> None:
        """Speak through `tx`."""
        self._tx = tx
        self._tenant = tenant

    async def set_password(self, principal: PrincipalId, hashed: str, now: datetime) -> None:
        """Keep the hash of a password instead of any earlier one, and count it."""
        await self._tx.execute(_SET_HASH, (self._tenant, principal, hashed, now))

    async def find_password(self, name_key: str) -> tuple[PrincipalId, str] | None:
        """Return the principal of a user name (as it is compared) and its password's hash."""
        row = await self._tx.fetch_one(_FIND_HASH, (self._tenant, name_key))
        return None if row is None else (PrincipalId(row.principal), row.hash)

    async def add_codes(
        self, codes: Sequence[tuple[bytes, PrincipalId]], now: datetime, expires_at: datetime
    ) -> None:
        """Keep the digests of one-time codes."""
        digests, principals = [code[0] for code in codes], [code[1] for code in codes]
        await self._tx.execute(_ADD_CODES, (self._tenant, now, expires_at, digests, principals))

    async def find_code(self, digest: bytes, now: datetime) -> PrincipalId | None:
        """Return whose code it is, or None if it is unknown, used or expired."""
        row = await self._tx.fetch_one(_FIND_CODE, {"tenant": self._tenant, "digest": digest, "now": now})
        return None if row is None else PrincipalId(row.principal)

    async def take_code(self, digest: bytes, now: datetime) -> bool:
        """Use up a code; return False if it is unknown, used or expired."""
        parameters = {"tenant": self._tenant, "digest": digest, "now": now}
        return await self._tx.execute(_TAKE_CODE, parameters) == 1

    async def drop_codes(self, principal: PrincipalId, now: datetime) -> None:
        """Use up every code of a principal."""
        await self._tx.execute(_DROP_CODES, (now, self._tenant, principal))

    async def add_scim_token(self, token: UUID, digest: bytes, now: datetime, expires_at: datetime) -> None:
        """Keep the digest of a SCIM token, under the id by which the audit log knows it."""
        await self._tx.execute(_ADD_SCIM, (self._tenant, token, digest, now, expires_at))

    async def find_scim_token(self, digest: bytes, now: datetime) -> UUID | None:
        """Return the id of the SCIM token of this digest, if it is good now."""
        row = await self._tx.fetch_one(_FIND_SCIM, (self._tenant, digest, now))
        return None if row is None else UUID(bytes=row.token.bytes)
