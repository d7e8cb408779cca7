"""What runs destroyed, from messaging's internal route."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from libs.contracts.internal import DestroyedEntry, DestroyedOf, EntryNamed, FetchDestroyed
from libs.evidence.certificate.items import DestroyedLine
from libs.host.clients import PeerNotFound, PeerRefused, PeerUnavailable, ServiceClient
from libs.kernel.ids import TenantId
from services.retention.domain.errors import CertificateUnavailable
from services.retention.ports.certificates import Place

_PATH: Final = "/internal/dispositions/destroyed"


class MessagingDestroyed:
    """Reads it page by page."""

    def __init__(self, messaging: ServiceClient) -> None:
        """Ask `messaging`."""
        self._messaging = messaging

    async def page(
        self, tenant: TenantId, order: UUID, after: Place | None, limit: int
    ) -> Sequence[DestroyedLine]:
        """Return at most `limit` items in order, from behind `after` on."""
        behind = None if after is None else EntryNamed(conversation=after.conversation, seq=after.seq)
        wanted = FetchDestroyed(tenant=tenant, order=order, after=behind, limit=limit)
        try:
            found = await self._messaging.call(_PATH, wanted, DestroyedOf)
        except PeerUnavailable as error:
            raise CertificateUnavailable(error.retry_after_seconds) from error
        except (PeerNotFound, PeerRefused) as error:
            raise CertificateUnavailable from error
        return [_line_of(item) for item in found.items]


def _line_of(item: DestroyedEntry) -> DestroyedLine:
    return DestroyedLine(
        item.conversation,
        item.seq,
        item.conversation_type,
        item.sent_at,
        item.commit,
        item.metadata_commitment,
        item.body_commitment,
        item.dek,
        item.bytes,
        item.due_at,
        item.destroy_at,
        item.destroyed_at,
        item.voice,
        item.source,
        item.version,
    )
