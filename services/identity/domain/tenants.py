"""Tenants: the organisations, by a short name that stands in addresses."""

import re
from dataclasses import dataclass
from typing import Final

from libs.kernel.ids import TenantId
from services.identity.domain.errors import SlugRefused

_SLUG: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])")


@dataclass(frozen=True, slots=True)
class Tenant:
    """An organisation; `slug` is for ever, `local_sign_in` allows passwords beside the directory."""

    tenant: TenantId
    slug: str
    name: str
    local_sign_in: bool


def slug_of(text: str) -> str:
    """Return `text` if it may be a slug; raises SlugRefused."""
    if _SLUG.fullmatch(text) is None:
        raise SlugRefused
    return text
