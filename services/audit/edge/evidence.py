"""The route by which a service takes evidence of its own acts; it is not routed from outside."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends
from starlette.responses import Response

from libs.contracts.internal import ActEvidence, FetchActEvidence
from libs.host.auth import PeerVerifier, require_service
from libs.host.wire import wire_body, wire_response
from libs.kernel.ids import TenantId
from services.audit.usecases.take_evidence import OwnEvidence

_HANDS_IT_ON: Final = ("retention",)


def evidence_routes(verifier: PeerVerifier, evidence: OwnEvidence) -> APIRouter:
    """Return the route of evidence, for services that hand it to whoever may read it."""
    router = APIRouter(prefix="/internal", include_in_schema=False)
    caller = require_service(verifier, _HANDS_IT_ON)

    @router.post("/evidence")
    async def own_evidence(
        service: Annotated[str, Depends(caller)],
        wanted: Annotated[FetchActEvidence, Depends(wire_body(FetchActEvidence))],
    ) -> Response:
        bundle = await evidence(service, TenantId(wanted.tenant), wanted.kind, wanted.entity)
        return wire_response(ActEvidence(bundle=bundle))

    return router
