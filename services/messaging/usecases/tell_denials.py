"""Tell the audit log what was denied, minute by minute."""

from libs.kernel.denials import Denials
from services.messaging.domain.errors import LogUnavailable
from services.messaging.ports import DenialWriter

TELL_SECONDS = 5.0


class TellDenials:
    """Writes the denials whose minute is over."""

    def __init__(self, denials: Denials, writer: DenialWriter) -> None:
        """Take from `denials`, write by `writer`."""
        self._denials = denials
        self._writer = writer

    async def flush(self, *, everything: bool = False) -> None:
        """Write what is due, or everything at the end; what cannot be written now waits in memory."""
        due = self._denials.take_due(everything=everything)
        if not due:
            return
        try:
            await self._writer.write(due)
        except LogUnavailable:
            self._denials.put_back(due)
