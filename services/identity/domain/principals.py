"""Principals: the people of a tenant's directory."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from libs.kernel.ids import PrincipalId


def name_key_of(user_name: str) -> str:
    """Return the form under which user names are compared: case and composition do not count."""
    return unicodedata.normalize("NFKC", user_name).casefold()


@dataclass(frozen=True, slots=True)
class Principal:
    """A person as the directory describes it.

    `document` holds the SCIM attributes as the client wrote them; the other fields are read off it.
    `version` counts its changes from 1; the instants are aware, UTC.
    """

    principal: PrincipalId
    user_name: str
    external_id: str | None
    display_name: str
    active: bool
    email_keys: tuple[str, ...]
    document: Mapping[str, Any]
    version: int
    created_at: datetime
    modified_at: datetime

    @property
    def name_key(self) -> str:
        """The user name as it is compared."""
        return name_key_of(self.user_name)


@dataclass(frozen=True, slots=True)
class Person:
    """What colleagues see of a principal."""

    principal: PrincipalId
    user_name: str
    display_name: str
    active: bool


@dataclass(frozen=True, slots=True)
class NamedPerson:
    """Somebody as correspondence names him: `email` is his primary address, None if he has none."""

    principal: PrincipalId
    name: str
    email: str | None


def address_of(user_name: str, document: Mapping[str, Any]) -> str | None:
    """Return the primary address, the first where none is primary, or a user name that is an address."""
    emails = [email for email in document.get("emails", ()) if email.get("value")]
    primary = [email for email in emails if email.get("primary")]
    for email in (*primary, *emails):
        address: str = email["value"]
        return address
    return user_name if "@" in user_name else None


@dataclass(frozen=True, slots=True)
class Account:
    """What a session needs to know of its principal."""

    principal: PrincipalId
    display_name: str
    roles: frozenset[str]
