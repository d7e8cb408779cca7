"""The rows of the key service, in transactions that its use cases own."""

from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol
from uuid import UUID

from libs.kernel.ids import DekId, TenantId
from services.keys.domain.access import Access
from services.keys.domain.deks import Dek, DekScope
from services.keys.domain.signing import Initiator, Lease, SigningKey, Use


class TenantKeys(Protocol):
    """One tenant's keys within one transaction.

    What happens is told of by the same transaction: `add_*` tells what was made, `record_access` what was
    handed out, each for the service that asked (`access`).
    """

    async def has_kek(self, kek: str) -> bool:
        """Say whether the tenant's KEK is known to have been made."""
        ...

    async def add_kek(self, kek: str, version: int, access: Access) -> None:
        """Note that the KEK was made, once."""
        ...

    async def newest_deks(self, scopes: Collection[DekScope]) -> dict[DekScope, Dek]:
        """Return the newest generation of each scope that has any."""
        ...

    async def find_dek(self) -> Dek | None:
        """Return the tenant's newest data key that is not shredded, None where there is none."""
        ...

    async def deks_named(self, deks: Collection[DekId]) -> dict[DekId, Dek]:
        """Return the tenant's keys of these names; those of others, and shredded ones, do not exist."""
        ...

    async def add_deks(self, deks: Sequence[Dek], access: Access) -> set[DekId]:
        """Keep new keys and return those that were kept: another may have made the same generation first."""
        ...

    async def retire_deks(self, deks: Sequence[Dek], order: UUID, service: str) -> None:
        """Let keys seal nothing more, for the sake of an order; those that are retired stay as they are."""
        ...

    async def record_access(self, deks: Sequence[Dek], access: Access) -> None:
        """Write the entry of the key-access log that names `deks`; none, when nothing was handed out."""
        ...


class SigningKeys(Protocol):
    """The platform's signing keys within one transaction, and what leaves with it."""

    async def find_newest(self, use: Use) -> SigningKey | None:
        """Return the key of this use with the greatest ordinal."""
        ...

    async def published(self, use: Use, now: datetime) -> list[SigningKey]:
        """Return the keys by which something current may be signed, oldest first."""
        ...

    async def ending_after(self, use: Use, instant: datetime) -> list[SigningKey]:
        """Return the keys of this use that end after `instant`, oldest first."""
        ...

    async def all(self) -> list[SigningKey]:
        """Return every key that there ever was, by use, oldest first."""
        ...

    async def add(self, key: SigningKey, initiator: Initiator) -> bool:
        """Keep a new key; False when another took its ordinal first."""
        ...

    async def record_lease(self, lease: Lease) -> None:
        """Note and tell that a service was given the key."""
        ...

    async def retire(
        self, key: SigningKey, successor: SigningKey, not_after: datetime, initiator: Initiator
    ) -> None:
        """Let a key end at `not_after`, before its time, because `successor` signs from now on."""
        ...


class Keystore(Protocol):
    """Opens transactions; each commits when its block ends without an error."""

    def begin(self, tenant: TenantId) -> AbstractAsyncContextManager[TenantKeys]:
        """Begin a transaction on the keys of one tenant."""
        ...

    def begin_signing(self) -> AbstractAsyncContextManager[SigningKeys]:
        """Begin a transaction on the platform's signing keys."""
        ...
