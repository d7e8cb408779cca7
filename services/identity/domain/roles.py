"""Roles, and who may grant which."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from services.identity.domain.errors import RoleUnknown


class RoleSource(Enum):
    """Who granted a role: the directory's SCIM client, or the platform's operator."""

    SCIM = "scim"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class RolesChanged:
    """The roles that a principal received from one source, and those that it lost."""

    granted: frozenset[str] = frozenset()
    revoked: frozenset[str] = frozenset()


EMPLOYEE: Final = "employee"
DIRECTORY_ROLES: Final = frozenset({EMPLOYEE, "guest", "it_admin"})
"""What a directory may grant."""
PRIVILEGED_ROLES: Final = frozenset(
    {"compliance_officer", "legal_counsel", "reviewer", "auditor", "key_custodian"}
)
"""Never granted by SCIM or SAML: an administrator of the directory could make himself counsel."""
ROLES: Final = DIRECTORY_ROLES | PRIVILEGED_ROLES


def role_of(name: str) -> str:
    """Return `name` if there is such a role; raises RoleUnknown."""
    if name not in ROLES:
        raise RoleUnknown
    return name


def directory_roles_of(names: frozenset[str]) -> frozenset[str]:
    """Return the roles that a directory grants by these names: an employee, if it names none of ours."""
    return (names & DIRECTORY_ROLES) or frozenset({EMPLOYEE})
