"""The HTTP door of certificates of disposition."""

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel
from starlette.responses import Response, StreamingResponse

from libs.authn.actor import Actor
from libs.host.auth import ActorVerifier, RevocationCheck, require_actor
from services.retention.domain.certificates import certificate_of
from services.retention.domain.orders import Standing
from services.retention.ports.certificates import KeptCertificate
from services.retention.usecases.certificates import Certificates

MOST_LISTED: Final = 100
_ZIP: Final = "application/zip"


class LackingView(BaseModel):
    """A store that has not confirmed: what it did, of what, and since when it is waited for."""

    store: str
    confirmed: int
    of: int
    since: datetime


class CertificateStandingView(BaseModel):
    """How far a certificate is: none (nothing was destroyed), waiting (for stores), due, or issued."""

    state: str
    lacking: list[LackingView]


class CertificateView(BaseModel):
    """A certificate that was issued; it has the id of its run. `digest` is the hash of what it states."""

    certificate: UUID
    issued_at: datetime
    digest: str
    items: int
    bytes: int
    deks: int


class CertificateShown(BaseModel):
    """How far the certificate of a run is, and the certificate once it was issued."""

    standing: CertificateStandingView
    certificate: CertificateView | None


class CertificatesView(BaseModel):
    """Certificates, the newest first; `next` is the `after` of the next page, null on the last."""

    certificates: list[CertificateView]
    next: UUID | None


def certificate_routes(
    prefix: str, *, verifier: ActorVerifier, revocations: RevocationCheck, certificates: Certificates
) -> APIRouter:
    """Return the routes of certificates, below `prefix`."""
    router = APIRouter(prefix=f"{prefix}/certificates", tags=["certificates"])
    signed_in = require_actor(verifier, revocations)

    @router.get("", summary="List the certificates")
    async def listed(
        actor: Annotated[Actor, Depends(signed_in)],
        after: UUID | None = None,
        limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = 20,
    ) -> CertificatesView:
        """List what was certified, the newest first."""
        page = await certificates.listed(actor, after, limit)
        return CertificatesView(certificates=[_view(each) for each in page.certificates], next=page.after)

    @router.get("/{certificate}", summary="Show how far the certificate of a run is")
    async def shown(actor: Annotated[Actor, Depends(signed_in)], certificate: UUID) -> CertificateShown:
        """Show what it waits for, or what it certifies; it has the id of its run."""
        found = await certificates.get(actor, certificate)
        standing = certificate_standing_view(found.standing)
        if standing is None:
            msg = "a certificate is of a run that is over"
            raise TypeError(msg)
        return CertificateShown(
            standing=standing, certificate=None if found.kept is None else _view(found.kept)
        )

    @router.get(
        "/{certificate}/download",
        summary="Download a certificate",
        response_class=Response,
        responses={200: {"content": {_ZIP: {}}, "description": "A zip, which `muniment verify` checks."}},
    )
    async def download(actor: Annotated[Actor, Depends(signed_in)], certificate: UUID) -> StreamingResponse:
        """Download a certificate as one file, with the evidence that it is in the audit log."""
        pieces = await certificates.download(actor, certificate)
        named = {"content-disposition": f'attachment; filename="certificate-{certificate}.zip"'}
        return StreamingResponse(pieces, media_type=_ZIP, headers={**named, "cache-control": "no-store"})

    return router


def certificate_standing_view(standing: Standing) -> CertificateStandingView | None:
    """Return how far the certificate of a run is; None for what is no run, or is not over."""
    found = certificate_of(standing)
    if found is None:
        return None
    lacking = [
        LackingView(store=each.store, confirmed=each.confirmed, of=each.of, since=each.since)
        for each in found.lacking
    ]
    return CertificateStandingView(state=found.state.value, lacking=lacking)


def _view(kept: KeptCertificate) -> CertificateView:
    return CertificateView(
        certificate=kept.certificate,
        issued_at=kept.issued.at,
        digest=kept.issued.digest.hex(),
        items=kept.items,
        bytes=kept.destroyed_bytes,
        deks=kept.deks,
    )
