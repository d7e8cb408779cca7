"""What was revoked, over all tenants."""

from datetime import datetime
from typing import Protocol

from services.identity.domain.revocations import RevocationPage


class RevocationLog(Protocol):
    """Reads the numbered revocations."""

    async def read_after(self, position: int) -> RevocationPage:
        """Return what was revoked after `position`."""
        ...

    async def read_since(self, instant: datetime) -> RevocationPage:
        """Return what was revoked since `instant`: all that can matter to who has never asked before."""
        ...
