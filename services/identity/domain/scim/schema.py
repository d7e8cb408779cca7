"""The attributes of a user that this server keeps, and their canonical spelling.

Source: RFC 7643, sections 4.1 and 4.3.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

CORE: Final = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE: Final = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
SERVER_ATTRIBUTES: Final = frozenset({"id", "meta", "groups", "schemas", "password"})
"""What a client cannot set, lower-case; a password is never kept."""


class Kind(Enum):
    """What values an attribute has."""

    STRING = "string"
    BOOLEAN = "boolean"
    COMPLEX = "complex"


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute by its canonical name; `many` for a list of values, `parts` for sub-attributes."""

    name: str
    kind: Kind = Kind.STRING
    many: bool = False
    parts: tuple["Attribute", ...] = ()

    def find_part(self, name: str) -> "Attribute | None":
        """Return the sub-attribute of that name; case does not count."""
        wanted = name.lower()
        return next((part for part in self.parts if part.name.lower() == wanted), None)


def _complex(name: str, *parts: str, many: bool = False) -> Attribute:
    flags = (Attribute("primary", Kind.BOOLEAN),) if many else ()
    return Attribute(name, Kind.COMPLEX, many, tuple(Attribute(part) for part in parts) + flags)


def _values(name: str) -> Attribute:
    return _complex(name, "value", "display", "type", "$ref", many=True)


USER: Final = Attribute(
    CORE,
    Kind.COMPLEX,
    parts=(
        Attribute("userName"),
        Attribute("externalId"),
        _complex(
            "name",
            "formatted",
            "familyName",
            "givenName",
            "middleName",
            "honorificPrefix",
            "honorificSuffix",
        ),
        Attribute("displayName"),
        Attribute("nickName"),
        Attribute("profileUrl"),
        Attribute("title"),
        Attribute("userType"),
        Attribute("preferredLanguage"),
        Attribute("locale"),
        Attribute("timezone"),
        Attribute("active", Kind.BOOLEAN),
        *[
            _values(name)
            for name in (
                "emails",
                "phoneNumbers",
                "ims",
                "photos",
                "entitlements",
                "roles",
                "x509Certificates",
            )
        ],
        _complex(
            "addresses",
            "formatted",
            "streetAddress",
            "locality",
            "region",
            "postalCode",
            "country",
            "type",
            many=True,
        ),
    ),
)
ENTERPRISE_USER: Final = Attribute(
    ENTERPRISE,
    Kind.COMPLEX,
    parts=(
        Attribute("employeeNumber"),
        Attribute("costCenter"),
        Attribute("organization"),
        Attribute("division"),
        Attribute("department"),
        _complex("manager", "value", "$ref", "displayName"),
    ),
)


def find_schema(urn: str) -> Attribute | None:
    """Return the schema of that URN; case does not count."""
    wanted = urn.lower()
    return next((schema for schema in (USER, ENTERPRISE_USER) if schema.name.lower() == wanted), None)
