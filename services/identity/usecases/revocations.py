"""Answer a service that asks what was revoked."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from libs.kernel.clock import Clock
from services.identity.domain.revocations import RevocationPage
from services.identity.ports.revocations import RevocationLog

_YOUNG: Final = timedelta(minutes=10)
"""Older revocations concern no access token that could still be good."""


@dataclass(frozen=True, slots=True)
class ReadRevocations:
    """Reads the numbered revocations."""

    log: RevocationLog
    clock: Clock

    async def __call__(self, after: int | None) -> RevocationPage:
        """Return what was revoked after the number `after`; for None, whatever can still matter."""
        if after is None:
            return await self.log.read_since(self.clock.now() - _YOUNG)
        return await self.log.read_after(after)
