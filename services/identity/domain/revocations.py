"""Revocations, numbered over all tenants in the order in which they were committed."""

from collections.abc import Sequence
from dataclasses import dataclass

from libs.kernel.ids import PrincipalId, SessionId, TenantId


@dataclass(frozen=True, slots=True)
class Revoked:
    """The revocation number `position`: this session ended before its time."""

    position: int
    tenant: TenantId
    principal: PrincipalId
    session: SessionId


@dataclass(frozen=True, slots=True)
class RevocationPage:
    """Every revocation after `since` up to `position`; if not `complete`, there are more after these."""

    position: int
    since: int
    revocations: Sequence[Revoked]
    complete: bool
