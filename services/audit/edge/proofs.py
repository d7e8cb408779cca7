"""The route of proofs for other services; it is not routed from outside."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends
from starlette.responses import Response

from libs.contracts.internal import FetchProofs, ProofsOf, ProvedAct
from libs.host.auth import PeerVerifier, require_service
from libs.host.wire import wire_body, wire_response
from libs.kernel.ids import TenantId
from services.audit.usecases.take_proofs import TakeProofs

_PRODUCERS: Final = ("ediscovery",)
"""Who makes productions, whose proofs lead to the log."""


def proof_routes(verifier: PeerVerifier, take_proofs: TakeProofs) -> APIRouter:
    """Return the route /internal/proofs, for eDiscovery alone."""
    router = APIRouter(prefix="/internal", include_in_schema=False)

    @router.post("/proofs")
    async def proofs(
        service: Annotated[str, Depends(require_service(verifier, _PRODUCERS))],
        wanted: Annotated[FetchProofs, Depends(wire_body(FetchProofs))],
    ) -> Response:
        checkpoint, proved = await take_proofs(service, TenantId(wanted.tenant), wanted.acts, wanted.size)
        items = tuple(
            ProvedAct(
                act=each.act,
                index=each.index,
                leaf=each.leaf,
                proof=each.proof,
                detail=each.detail,
                salt=each.salt,
            )
            for each in proved
        )
        return wire_response(ProofsOf(checkpoint=checkpoint.note.encode(), size=checkpoint.size, items=items))

    return router
