"""The route by which retention reads what a run destroyed; it is not routed from outside."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends
from starlette.responses import Response

from libs.contracts.internal import DestroyedEntry, DestroyedOf, FetchDestroyed
from libs.host.auth import PeerVerifier, require_service
from libs.host.wire import wire_body, wire_response
from libs.kernel.ids import TenantId
from services.messaging.domain.dispositions import Place
from services.messaging.ports import DestroyedItem
from services.messaging.usecases.tell_destroyed import TellDestroyed

_CERTIFIES: Final = ("retention",)


def destroyed_routes(verifier: PeerVerifier, tell: TellDestroyed) -> APIRouter:
    """Return the route of what was destroyed, for retention alone."""
    router = APIRouter(prefix="/internal/dispositions", include_in_schema=False)

    @router.post("/destroyed", dependencies=[Depends(require_service(verifier, _CERTIFIES))])
    async def destroyed(wanted: Annotated[FetchDestroyed, Depends(wire_body(FetchDestroyed))]) -> Response:
        after = None if wanted.after is None else Place(wanted.after.conversation, wanted.after.seq)
        found = await tell(TenantId(wanted.tenant), wanted.order, after, wanted.limit)
        return wire_response(DestroyedOf(items=tuple(map(_entry_of, found))))

    return router


def _entry_of(item: DestroyedItem) -> DestroyedEntry:
    return DestroyedEntry(
        conversation=item.place.conversation,
        seq=item.place.seq,
        conversation_type=item.conversation_type,
        sent_at=item.sent_at,
        commit=item.commit,
        metadata_commitment=item.metadata_commitment,
        body_commitment=item.body_commitment,
        dek=item.dek,
        bytes=item.bytes,
        destroyed_at=item.destroyed_at,
        due_at=item.due_at,
        destroy_at=item.destroy_at,
        voice=item.voice,
        source=item.source,
        version=item.version,
    )
