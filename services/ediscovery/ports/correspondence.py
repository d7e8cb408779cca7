"""Where messages are read, and how far the index follows them."""

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

from libs.kernel.ids import TenantId
from services.ediscovery.domain.documents import DocumentKey
from services.ediscovery.domain.texts import Purpose, Text


class Correspondence(Protocol):
    """The messages of the log, unsealed."""

    async def texts(self, tenant: TenantId, keys: Collection[DocumentKey], purpose: Purpose) -> list[Text]:
        """Return those of the messages that still have a text, in order of their keys.

        Raises CorrespondenceUnavailable or KeyRefused.
        """
        ...

    async def versions(
        self, tenant: TenantId, amendments: Collection[DocumentKey]
    ) -> dict[DocumentKey, tuple[DocumentKey, ...]]:
        """Return of each of these revisions and retractions all versions of its message.

        Raises CorrespondenceUnavailable.
        """
        ...


class Backlog(Protocol):
    """What was committed and cannot be found yet."""

    async def oldest(self) -> datetime | None:
        """Return when the oldest of it was committed, None when there is nothing.

        Raises CorrespondenceUnavailable.
        """
        ...


class LagSigns(Protocol):
    """Shows how far the index is behind."""

    def lags(self, seconds: float) -> None:
        """Show it."""
        ...
