"""What users may be searched by: equalities of a few attributes, all of which must hold."""

from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

from services.identity.domain.errors import InvalidFilter
from services.identity.domain.scim.schema import CORE


class Field(Enum):
    """An attribute that can be searched by."""

    ID = "id"
    USER_NAME = "userName"
    EXTERNAL_ID = "externalId"
    DISPLAY_NAME = "displayName"
    ACTIVE = "active"
    EMAIL = "emails.value"


@dataclass(frozen=True, slots=True)
class Condition:
    """One equality; `of_type` narrows an address to one type ("" = any)."""

    field: Field
    value: str | bool
    of_type: str = ""


Filter: TypeAlias = tuple[Condition, ...]

_FIELDS: Final = {
    "id": Field.ID,
    "username": Field.USER_NAME,
    "externalid": Field.EXTERNAL_ID,
    "displayname": Field.DISPLAY_NAME,
    "active": Field.ACTIVE,
    "emails": Field.EMAIL,
    "emails.value": Field.EMAIL,
}


def condition_of(attribute: str, value: str, *, of_type: str = "") -> Condition:
    """Return the equality of `attribute` (as a filter names it) and `value`; raises InvalidFilter."""
    name = attribute.lower().removeprefix(f"{CORE.lower()}:")
    field = _FIELDS.get(name)
    if field is None:
        raise InvalidFilter("filters go by id, userName, externalId, displayName, active and emails.value")
    if field is not Field.ACTIVE:
        return Condition(field, value, of_type)
    if value.lower() not in ("true", "false"):
        raise InvalidFilter("active is true or false")
    return Condition(field, value.lower() == "true")
