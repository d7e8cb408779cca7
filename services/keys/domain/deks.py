"""Data keys (DEKs): one per conversation and epoch, wrapped under the tenant's KEK."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final
from uuid import UUID

from libs.kernel.framing import framed
from libs.kernel.ids import ConversationId, DekId, TenantId
from services.keys.domain.errors import InvalidScope

DEK_SIZE: Final = 32
FINGERPRINT_EPOCH: Final = "fingerprint"
"""The epoch of the one key of a tenant that fingerprints bodies; no message's epoch looks like it."""

_MONTH: Final = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")
_BINDING: Final = b"muniment dek v1"
_KEK_VERSION: Final = re.compile(r"vault:v([1-9][0-9]{0,8}):")
_NO_CONVERSATION: Final = ConversationId(UUID(int=0))


@dataclass(frozen=True, slots=True)
class DekScope:
    """What a data key is for; its epoch is the month of `sent_at` (`2026-11`)."""

    tenant: TenantId
    conversation: ConversationId
    epoch: str


@dataclass(frozen=True, slots=True)
class DekWish:
    """A scope, and the key of it that has sealed its share, if the caller holds such a one."""

    scope: DekScope
    exhausted: DekId | None = None


@dataclass(frozen=True, slots=True)
class Dek:
    """A data key as it is stored: wrapped, as the vault's text `vault:v<version>:…`.

    A `retired` one opens what it sealed, and seals nothing more; a shredded one is retired, and its text
    is empty.
    """

    dek: DekId
    scope: DekScope
    generation: int
    kek: str
    wrapped: str
    retired: bool = False

    @property
    def kek_version(self) -> int:
        """The version of the KEK under which it is wrapped."""
        return kek_version_of(self.wrapped)


@dataclass(frozen=True, slots=True, repr=False)
class ClearDek:
    """A data key in clear, for the memory of the service that asked; 32 bytes."""

    dek: DekId
    key: bytes
    kek_version: int

    def __repr__(self) -> str:
        """Name the key without showing it."""
        return f"ClearDek({self.dek})"


@dataclass(frozen=True, slots=True)
class DekReference:
    """A data key of a tenant, by its name."""

    tenant: TenantId
    dek: DekId


class Obstacle(StrEnum):
    """Why a data key is not handed out."""

    NOT_FOUND = "not-found"
    """It does not exist, or belongs to another tenant: both look the same."""
    KEY_UNAVAILABLE = "key-unavailable"
    """The vault works, and refuses this tenant's KEK or does not unwrap this data key."""


def scope_of_message_keys(tenant: TenantId, conversation: ConversationId, epoch: str) -> DekScope:
    """Return the scope of a conversation's messages of one month. Raises InvalidScope."""
    if not _MONTH.fullmatch(epoch):
        raise InvalidScope("`epoch` is a month, such as 2026-11")
    if conversation == _NO_CONVERSATION:
        raise InvalidScope("`conversation` is not the nil id")
    return DekScope(tenant, conversation, epoch)


def scope_of_fingerprints(tenant: TenantId) -> DekScope:
    """Return the scope of the tenant's one fingerprint key: no conversation, no month."""
    return DekScope(tenant, _NO_CONVERSATION, FINGERPRINT_EPOCH)


def has_conversation(scope: DekScope) -> bool:
    """Say whether the scope is a conversation's, and not the fingerprints' of its tenant."""
    return scope.conversation != _NO_CONVERSATION


def kek_name_of(tenant: TenantId) -> str:
    """Return the name of the tenant's key in Transit."""
    return f"tenant-{tenant}"


def kek_version_of(wrapped: str) -> int:
    """Return N of `vault:vN:…`. Raises ValueError for another text."""
    match = _KEK_VERSION.match(wrapped)
    if match is None:
        msg = "a wrapped key begins with vault:v<version>:"
        raise ValueError(msg)
    return int(match.group(1))


def context_of(scope: DekScope) -> bytes:
    """Return the context from which the vault derives the wrapping key: the conversation."""
    return scope.conversation.bytes


def binding_of(dek: DekId, scope: DekScope, generation: int) -> bytes:
    """Return what the wrapping binds besides: whoever can write rows cannot exchange two wrapped keys."""
    return framed(
        _BINDING,
        dek.bytes,
        scope.tenant.bytes,
        scope.conversation.bytes,
        scope.epoch.encode(),
        generation.to_bytes(4),
    )


def serves(dek: Dek | None, wish: DekWish) -> bool:
    """Say whether the scope's newest key can be handed out for this wish."""
    return dek is not None and not dek.retired and dek.dek != wish.exhausted


def generation_after(dek: Dek | None) -> int:
    """Return the generation that follows the scope's newest key; the first is 1."""
    return 1 if dek is None else dek.generation + 1


def by_tenant(wishes: Iterable[DekWish]) -> dict[TenantId, list[DekWish]]:
    """Return the distinct wishes of each tenant, in the order in which they were first named.

    Of two wishes for one scope the one with an exhausted key wins: both are served by its successor.
    """
    distinct: dict[DekScope, DekWish] = {}
    for wish in wishes:
        known = distinct.get(wish.scope)
        if known is None or known.exhausted is None:
            distinct[wish.scope] = wish if known is None else replace(known, exhausted=wish.exhausted)
    tenants: dict[TenantId, list[DekWish]] = {}
    for wish in distinct.values():
        tenants.setdefault(wish.scope.tenant, []).append(wish)
    return tenants
