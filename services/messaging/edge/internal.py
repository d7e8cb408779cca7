"""The routes that other services call; none of them is routed from outside."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends
from starlette.responses import Response

from libs.contracts.internal import EntriesOf, FetchEntries, SealedEntry
from libs.host.auth import PeerVerifier, require_service
from libs.host.wire import wire_body, wire_response
from libs.kernel.ids import ConversationId, TenantId
from services.messaging.ports import ReferencedEntry
from services.messaging.usecases.entries import KIND_NAMES
from services.messaging.usecases.refer import ReferToEntries

_INDEXES: Final = ("ediscovery",)


def entry_routes(verifier: PeerVerifier, refer: ReferToEntries) -> APIRouter:
    """Return the route of entries by reference, for eDiscovery alone."""
    router = APIRouter(prefix="/internal", include_in_schema=False)

    @router.post("/entries", dependencies=[Depends(require_service(verifier, _INDEXES))])
    async def entries(wanted: Annotated[FetchEntries, Depends(wire_body(FetchEntries))]) -> Response:
        places = [(ConversationId(item.conversation), item.seq) for item in wanted.items]
        found = await refer(TenantId(wanted.tenant), places)
        return wire_response(EntriesOf(items=tuple(map(_sealed_of, found))))

    return router


def _sealed_of(found: ReferencedEntry) -> SealedEntry:
    stored = found.stored
    return SealedEntry(
        conversation=found.conversation,
        seq=stored.seq,
        kind=KIND_NAMES[stored.kind],
        message=stored.message,
        revision=stored.revision,
        actor=stored.actor,
        sent_at=stored.sent_at,
        participants=found.participants,
        sealed=stored.sealed,
        hidden=found.hidden,
    )
