"""The directory in PostgreSQL."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from psycopg.errors import UniqueViolation
from psycopg.types.json import Jsonb

from libs.db.pool import Transaction
from libs.kernel.ids import PrincipalId, TenantId
from services.identity.domain.errors import NotUnique
from services.identity.domain.principals import (
    Account,
    NamedPerson,
    Person,
    Principal,
    address_of,
    name_key_of,
)
from services.identity.domain.scim.documents import email_key_of
from services.identity.domain.scim.filters import Condition, Field, Filter

_COLUMNS: Final = (
    "principal, user_name, external_id, display_name, active, email_keys, document, version, created_at,"
    " modified_at"
)
_ADD: Final = """
INSERT INTO identity.principal (tenant, principal, user_name, name_key, external_id, display_name, active,
                                email_keys, search_key, document, version, created_at, modified_at)
VALUES (%(tenant)s, %(principal)s, %(user_name)s, %(name_key)s, %(external_id)s, %(display_name)s, %(active)s,
        %(email_keys)s, %(search_key)s, %(document)s, %(version)s, %(created_at)s, %(modified_at)s)
"""
_SAVE: Final = """
UPDATE identity.principal
   SET user_name = %(user_name)s, name_key = %(name_key)s, external_id = %(external_id)s,
       display_name = %(display_name)s, active = %(active)s, email_keys = %(email_keys)s,
       search_key = %(search_key)s, document = %(document)s, version = %(version)s,
       deactivations = deactivations + (active AND NOT %(active)s)::int,
       reactivations = reactivations + (%(active)s AND NOT active)::int,
       modified_at = %(modified_at)s
 WHERE tenant = %(tenant)s AND principal = %(principal)s
"""
_REMOVE: Final = """
UPDATE identity.principal SET active = false, removed_at = %s, modified_at = %s
 WHERE tenant = %s AND principal = %s
"""
_FIND: Final = f"""
SELECT {_COLUMNS} FROM identity.principal WHERE tenant = %s AND principal = %s AND removed_at IS NULL
"""
_FIND_LOCKED: Final = _FIND + " FOR NO KEY UPDATE"
# FOR SHARE waits for, and holds off, whoever deactivates the principal: a session is either begun before
# and ended with the others, or not begun at all.
_FIND_ACCOUNT: Final = """
SELECT p.principal, p.display_name,
       ARRAY(SELECT DISTINCT g.role FROM identity.role_grant g
              WHERE g.tenant = p.tenant AND g.principal = p.principal) AS roles
  FROM identity.principal p
 WHERE p.tenant = %s AND p.principal = %s AND p.active AND p.removed_at IS NULL
   FOR SHARE OF p
"""
_MISSING: Final = """
SELECT wanted.principal FROM unnest(%s::uuid[]) AS wanted (principal)
 WHERE NOT EXISTS (SELECT FROM identity.principal p
                    WHERE p.tenant = %s AND p.principal = wanted.principal AND p.active
                      AND p.removed_at IS NULL)
"""
_SEARCH_PEOPLE: Final = """
SELECT principal, user_name, display_name, active FROM identity.principal
 WHERE tenant = %s AND active AND removed_at IS NULL AND search_key LIKE ALL (%s::text[])
 ORDER BY display_name, principal LIMIT %s
"""
_NAMED: Final = """
SELECT principal, user_name, display_name, document FROM identity.principal
 WHERE tenant = %s AND principal = ANY (%s::uuid[]) ORDER BY principal
"""
_CALLED: Final = """
SELECT principal, user_name, display_name, document FROM identity.principal
 WHERE tenant = %(tenant)s
   AND (name_key = %(name_key)s OR email_keys @> ARRAY[%(email_key)s]
        OR lower(normalize(display_name, NFKC)) = lower(normalize(%(text)s, NFKC)))
 ORDER BY principal LIMIT %(limit)s
"""
_MATCHING: Final = "tenant = %(tenant)s AND removed_at IS NULL"
_CONDITIONS: Final = {
    Field.ID: "principal = {}",
    Field.USER_NAME: "name_key = {}",
    Field.EXTERNAL_ID: "external_id = {}",
    Field.DISPLAY_NAME: "lower(display_name) = lower({})",
    Field.ACTIVE: "active = {}",
    Field.EMAIL: "email_keys @> ARRAY[{}]",
}


class PostgresPrincipals:
    """The directory of the transaction's tenant."""

    def __init__(self, tx: Transaction, tenant: TenantId) -> None:
        """Speak through `tx`."""
        self._tx = tx
        self._tenant = tenant

    async def add(self, principal: Principal) -> None:
        """Keep a new principal. Raises NotUnique."""
        await self._write(_ADD, principal)

    async def save(self, principal: Principal) -> None:
        """Keep a changed principal, and count the change by what it was. Raises NotUnique."""
        await self._write(_SAVE, principal)

    async def remove(self, principal: PrincipalId, now: datetime) -> None:
        """Take a principal out of the directory."""
        await self._tx.execute(_REMOVE, (now, now, self._tenant, principal))

    async def find(self, principal: PrincipalId) -> Principal | None:
        """Return a principal."""
        row = await self._tx.fetch_one(_FIND, (self._tenant, principal))
        return None if row is None else _principal_of(row)

    async def find_locked(self, principal: PrincipalId) -> Principal | None:
        """Return a principal and keep others from changing it until the transaction ends."""
        row = await self._tx.fetch_one(_FIND_LOCKED, (self._tenant, principal))
        return None if row is None else _principal_of(row)

    async def find_account(self, principal: PrincipalId) -> Account | None:
        """Return an active principal's account, and keep it from being deactivated until commit."""
        row = await self._tx.fetch_one(_FIND_ACCOUNT, (self._tenant, principal))
        if row is None:
            return None
        return Account(PrincipalId(row.principal), row.display_name, frozenset(row.roles))

    async def missing_of(self, principals: Sequence[PrincipalId]) -> list[PrincipalId]:
        """Return those that are not in the directory or not active."""
        rows = await self._tx.fetch_all(_MISSING, (list(principals), self._tenant))
        return [PrincipalId(row.principal) for row in rows]

    async def search(self, wanted: Filter, offset: int, limit: int) -> tuple[int, list[Principal]]:
        """Return how many principals match, and those from `offset` on, in the order of their making."""
        narrowing, values = _narrowing_of(wanted)
        parameters = {**values, "tenant": self._tenant, "offset": offset, "limit": limit}
        row = await self._tx.fetch_one(
            f"SELECT count(*) AS total FROM identity.principal WHERE {_MATCHING} AND ({narrowing})",
            parameters,
        )
        total = 0 if row is None else row.total
        if limit == 0 or total <= offset:
            return total, []
        rows = await self._tx.fetch_all(
            f"SELECT {_COLUMNS} FROM identity.principal WHERE {_MATCHING} AND ({narrowing})"
            " ORDER BY principal OFFSET %(offset)s LIMIT %(limit)s",
            parameters,
        )
        return total, [_principal_of(row) for row in rows]

    async def search_people(self, words: Sequence[str], limit: int) -> list[Person]:
        """Return active people one of whose names begins with each of the words, by display name."""
        patterns = [f"% {_escaped(word)}%" for word in words]
        rows = await self._tx.fetch_all(_SEARCH_PEOPLE, (self._tenant, patterns, limit))
        return [
            Person(PrincipalId(row.principal), row.user_name, row.display_name, row.active) for row in rows
        ]

    async def named(self, principals: Sequence[PrincipalId]) -> list[NamedPerson]:
        """Return those of `principals` that are, or were, in the directory, by their ids."""
        rows = await self._tx.fetch_all(_NAMED, (self._tenant, list(principals)))
        return [_named_of(row) for row in rows]

    async def called(self, text: str, limit: int) -> list[NamedPerson]:
        """Return who has, or had, this user name, address or display name; case does not count."""
        wanted = {
            "tenant": self._tenant,
            "name_key": name_key_of(text),
            "email_key": email_key_of(text),
            "text": text,
            "limit": limit,
        }
        return [_named_of(row) for row in await self._tx.fetch_all(_CALLED, wanted)]

    async def _write(self, statement: str, principal: Principal) -> None:
        try:
            await self._tx.execute(statement, _parameters_of(self._tenant, principal))
        except UniqueViolation as error:
            taken = error.diag.constraint_name == "principal_external_id"
            raise NotUnique("externalId" if taken else "userName") from None


def _narrowing_of(wanted: Filter) -> tuple[str, dict[str, object]]:
    """Return the clause, made of the fixed texts above alone, and its values by the names it gives them."""
    clauses, values = ["true"], dict[str, object]()
    for number, condition in enumerate(wanted):
        clauses.append(_CONDITIONS[condition.field].format(f"%(value_{number})s"))
        values[f"value_{number}"] = _value_of(condition)
    return " AND ".join(clauses), values


def _value_of(condition: Condition) -> object:
    value = condition.value
    if condition.field is Field.USER_NAME:
        return name_key_of(str(value))
    if condition.field is Field.EMAIL:
        return email_key_of(str(value), condition.of_type)
    if condition.field is Field.ID:
        return _find_uuid(str(value))
    return value


def _find_uuid(text: str) -> UUID | None:
    """Return the id, or None: NULL equals nothing, so that a malformed id matches nobody."""
    try:
        return UUID(text)
    except ValueError:
        return None


def _parameters_of(tenant: TenantId, principal: Principal) -> dict[str, object]:
    return {
        "tenant": tenant,
        "principal": principal.principal,
        "user_name": principal.user_name,
        "name_key": principal.name_key,
        "external_id": principal.external_id,
        "display_name": principal.display_name,
        "active": principal.active,
        "email_keys": list(principal.email_keys),
        "search_key": _search_key_of(principal),
        "document": Jsonb(dict(principal.document)),
        "version": principal.version,
        "created_at": principal.created_at,
        "modified_at": principal.modified_at,
    }


def _search_key_of(principal: Principal) -> str:
    """Return the words by whose beginnings colleagues find the person, each after a space."""
    name = principal.document.get("name", {})
    texts = [
        principal.display_name,
        name.get("givenName", ""),
        name.get("familyName", ""),
        principal.user_name,
        *(key.partition("=")[2] for key in principal.email_keys if key.startswith("=")),
    ]
    words = dict.fromkeys(word for text in texts for word in name_key_of(text).split())
    return "".join(f" {word}" for word in words)


def _escaped(word: str) -> str:
    """Return a word as LIKE takes it literally."""
    return word.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")


def _named_of(row: Any) -> NamedPerson:
    return NamedPerson(PrincipalId(row.principal), row.display_name, address_of(row.user_name, row.document))


def _principal_of(row: Any) -> Principal:
    return Principal(
        principal=PrincipalId(row.principal),
        user_name=row.user_name,
        external_id=row.external_id,
        display_name=row.display_name,
        active=row.active,
        email_keys=tuple(row.email_keys),
        document=row.document,
        version=row.version,
        created_at=row.created_at,
        modified_at=row.modified_at,
    )
