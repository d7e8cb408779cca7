"""Whom a name means."""

from collections.abc import Collection
from typing import Protocol
from uuid import UUID

from libs.kernel.ids import TenantId


class Directory(Protocol):
    """The people of an organisation, those included who have left it."""

    async def called(self, tenant: TenantId, name: str) -> Collection[UUID]:
        """Return whoever has this user name, address or display name, whatever its case.

        Raises CorrespondenceUnavailable.
        """
        ...
