"""A user's SCIM document: checked as it comes in, and read for what the platform itself needs.

A document is a dictionary of the attributes that the client set, in canonical spelling, with their values
as they were written. Nulls and empty lists are attributes that are not set (RFC 7643, section 2.5).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from services.identity.domain.errors import InvalidSyntax, InvalidValue
from services.identity.domain.principals import name_key_of
from services.identity.domain.roles import PRIVILEGED_ROLES, directory_roles_of
from services.identity.domain.scim.schema import (
    CORE,
    ENTERPRISE,
    ENTERPRISE_USER,
    USER,
    Attribute,
    Kind,
)

Document: TypeAlias = dict[str, Any]

_LONGEST_STRING: Final = 8192
_LONGEST_NAME: Final = 320
_MOST_VALUES: Final = 100


@dataclass(frozen=True, slots=True)
class DirectoryFacts:
    """What the platform reads off a document.

    `email_keys` has two entries per address: "=a@b" for any type and "work=a@b" for its own.
    """

    user_name: str
    external_id: str | None
    display_name: str
    active: bool
    email_keys: tuple[str, ...]
    roles: frozenset[str]


def document_of(body: object) -> Document:
    """Return the document that a client's POST or PUT body holds.

    Raises InvalidSyntax when it is no user resource, and InvalidValue for a value that cannot be kept.
    """
    if not isinstance(body, Mapping):
        msg = "a user is a JSON object"
        raise InvalidSyntax(msg)
    schemas = body.get("schemas")
    if not isinstance(schemas, list) or CORE.lower() not in [str(each).lower() for each in schemas]:
        raise InvalidSyntax(f"schemas must name {CORE}")
    return checked(body)


def checked(raw: Mapping[str, Any]) -> Document:
    """Return the known, set attributes of `raw` in canonical spelling; raises InvalidValue."""
    document = _checked_parts(USER, raw)
    extension = next((raw[key] for key in raw if key.lower() == ENTERPRISE.lower()), None)
    if extension is not None:
        enterprise = _checked_value(ENTERPRISE_USER, extension)
        if enterprise:
            document[ENTERPRISE] = enterprise
    if not str(document.get("userName", "")).strip():
        msg = "userName is required"
        raise InvalidValue(msg)
    if len(document["userName"]) > _LONGEST_NAME:
        raise InvalidValue(f"userName is longer than {_LONGEST_NAME} characters")
    document.setdefault("active", True)
    return document


def facts_of(document: Mapping[str, Any]) -> DirectoryFacts:
    """Return what the platform reads off a checked document.

    Raises InvalidValue for a role that no directory may grant.
    """
    names = frozenset(role.get("value", "").lower() for role in document.get("roles", ()))
    if names & PRIVILEGED_ROLES:
        raise InvalidValue(f"a directory cannot grant {', '.join(sorted(names & PRIVILEGED_ROLES))}")
    return DirectoryFacts(
        user_name=document["userName"],
        external_id=document.get("externalId"),
        display_name=_display_name_of(document),
        active=document["active"],
        email_keys=_email_keys_of(document),
        roles=directory_roles_of(names),
    )


def email_key_of(value: str, kind: str = "") -> str:
    """Return the key under which an address of that type (any type: "") is found; case does not count."""
    return f"{kind.casefold()}={name_key_of(value)}"


def _display_name_of(document: Mapping[str, Any]) -> str:
    name = document.get("name", {})
    full = " ".join(name[part] for part in ("givenName", "familyName") if name.get(part))
    shown: str = document.get("displayName") or name.get("formatted") or full or document["userName"]
    return shown


def _email_keys_of(document: Mapping[str, Any]) -> tuple[str, ...]:
    keys: dict[str, None] = {}
    for email in document.get("emails", ()):
        if "value" in email:
            keys[email_key_of(email["value"])] = None
            if email.get("type"):
                keys[email_key_of(email["value"], email["type"])] = None
    return tuple(keys)


def _checked_parts(attribute: Attribute, raw: Mapping[str, Any]) -> Document:
    """Return the set sub-attributes of a complex value; what the schema does not know is left out."""
    found: Document = {}
    for name, value in raw.items():
        part = attribute.find_part(str(name))
        if part is not None:
            kept = _checked_values(part, value) if part.many else _checked_value(part, value)
            if kept is not None and kept not in ([], {}):
                found[part.name] = kept
    return found


def _checked_values(attribute: Attribute, raw: object) -> list[Any] | None:
    if raw is None:
        return None
    values = raw if isinstance(raw, list) else [raw]
    if len(values) > _MOST_VALUES:
        raise InvalidValue(f"{attribute.name} has more than {_MOST_VALUES} values")
    kept = [value for value in (_checked_value(attribute, each) for each in values) if value]
    if sum(1 for value in kept if value.get("primary")) > 1:
        raise InvalidValue(f"{attribute.name} has more than one primary value")
    return kept


def _checked_value(attribute: Attribute, raw: object) -> Any:
    """Return one value as it is kept, or None when it is not set."""
    if raw is None:
        return None
    if attribute.kind is Kind.BOOLEAN:
        return truth_of(attribute.name, raw)
    if attribute.kind is Kind.STRING:
        return _checked_string(attribute.name, raw)
    if isinstance(raw, str) and attribute.find_part("value") is not None:
        raw = {"value": raw}  # Entra writes a manager, and some clients a role, as the bare value
    if not isinstance(raw, Mapping):
        raise InvalidValue(f"{attribute.name} is an object")
    return _checked_parts(attribute, raw)


def truth_of(name: str, raw: object) -> bool:
    """Return a boolean; Entra without its compatibility flag writes "False"."""
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, str) and raw.lower() in ("true", "false"):
        return raw.lower() == "true"
    raise InvalidValue(f"{name} is true or false")


def _checked_string(name: str, raw: object) -> str:
    if not isinstance(raw, str):
        raise InvalidValue(f"{name} is a string")
    if len(raw) > _LONGEST_STRING:
        raise InvalidValue(f"{name} is longer than {_LONGEST_STRING} characters")
    if "\x00" in raw or any("\ud800" <= letter <= "\udfff" for letter in raw):
        raise InvalidValue(f"{name} has characters that are none")
    return raw
