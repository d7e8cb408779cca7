"""The route by which a service that hears nothing asks what was revoked."""

from collections.abc import Collection
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from libs.authn.revocations import Announcement, Revocation, encode_announcement
from libs.contracts.internal import MEDIA_TYPE
from libs.host.auth import PeerVerifier, require_service
from services.identity.domain.revocations import RevocationPage
from services.identity.usecases.revocations import ReadRevocations


def revocation_routes(
    verifier: PeerVerifier, peers: Collection[str], read_revocations: ReadRevocations
) -> APIRouter:
    """Return the route /internal/revocations, for the services in `peers`."""
    router = APIRouter(prefix="/internal", include_in_schema=False)
    caller = require_service(verifier, peers)

    @router.get("/revocations")
    async def revocations(
        _caller: Annotated[str, Depends(caller)],
        after: Annotated[int | None, Query(ge=0, lt=1 << 62)] = None,
    ) -> Response:
        page = await read_revocations(after)
        return Response(encode_announcement(_announcement_of(page)), media_type=MEDIA_TYPE)

    return router


def _announcement_of(page: RevocationPage) -> Announcement:
    return Announcement(
        position=page.position,
        since=page.since,
        revocations=[
            Revocation(each.position, each.tenant, each.principal, each.session) for each in page.revocations
        ],
        complete=page.complete,
    )
