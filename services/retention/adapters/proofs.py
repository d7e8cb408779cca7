"""Evidence that a certificate is in the audit log, from the log's internal route."""

from typing import Final
from uuid import UUID

from libs.contracts.internal import ActEvidence, FetchActEvidence
from libs.evidence.certificate.statement import CERTIFICATE_ENTITY
from libs.host.clients import PeerNotFound, PeerRefused, PeerUnavailable, ServiceClient
from libs.kernel.ids import TenantId
from services.retention.domain.errors import CertificateUnavailable

_PATH: Final = "/internal/evidence"


class AuditProofs:
    """Asks the audit log for the act that names a certificate, under its newest checkpoint."""

    def __init__(self, audit: ServiceClient) -> None:
        """Ask `audit`."""
        self._audit = audit

    async def bundle(self, tenant: TenantId, certificate: UUID) -> bytes:
        """Return the evidence. Raises CertificateUnavailable until a checkpoint covers it."""
        wanted = FetchActEvidence(tenant=tenant, kind=CERTIFICATE_ENTITY, entity=str(certificate))
        try:
            return (await self._audit.call(_PATH, wanted, ActEvidence)).bundle
        except PeerUnavailable as error:
            raise CertificateUnavailable(error.retry_after_seconds) from error
        except (PeerNotFound, PeerRefused) as error:
            raise CertificateUnavailable from error
