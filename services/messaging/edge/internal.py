"""The routes that other services call; none of them is routed from outside."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends
from starlette.responses import Response

from libs.contracts.internal import (
    EntriesOf,
    FetchEntries,
    FetchProvedEntries,
    ProvedEntriesOf,
    ProvedEntry,
    SealedEntry,
)
from libs.host.auth import PeerVerifier, require_service
from libs.host.wire import wire_body, wire_response
from libs.kernel.ids import ConversationId, TenantId
from services.messaging.domain.entries import ConversationKey
from services.messaging.ports import ReferencedEntry
from services.messaging.usecases import prove
from services.messaging.usecases.entries import KIND_NAMES
from services.messaging.usecases.prove import ProveEntries
from services.messaging.usecases.refer import ReferToEntries

_READERS: Final = ("ediscovery",)
"""Who indexes entries, and makes productions of them."""


def entry_routes(verifier: PeerVerifier, refer: ReferToEntries, prove_entries: ProveEntries) -> APIRouter:
    """Return the routes of entries by reference and with their proofs, for eDiscovery alone."""
    router = APIRouter(prefix="/internal", include_in_schema=False)
    reader = [Depends(require_service(verifier, _READERS))]

    @router.post("/entries", dependencies=reader)
    async def entries(wanted: Annotated[FetchEntries, Depends(wire_body(FetchEntries))]) -> Response:
        places = [(ConversationId(item.conversation), item.seq) for item in wanted.items]
        found = await refer(TenantId(wanted.tenant), places)
        return wire_response(EntriesOf(items=tuple(map(_sealed_of, found))))

    @router.post("/entries/proved", dependencies=reader)
    async def proved(
        wanted: Annotated[FetchProvedEntries, Depends(wire_body(FetchProvedEntries))],
    ) -> Response:
        key = ConversationKey(TenantId(wanted.tenant), ConversationId(wanted.conversation))
        found = await prove_entries(key, wanted.first, wanted.last)
        return wire_response(ProvedEntriesOf(items=tuple(map(_proved_of, found))))

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


def _proved_of(proved: prove.ProvedEntry) -> ProvedEntry:
    entry, path = proved.kept.entry, proved.path
    stored = entry.stored
    return ProvedEntry(
        seq=stored.seq,
        kind=KIND_NAMES[stored.kind],
        message=stored.message,
        revision=stored.revision,
        actor=stored.actor,
        sent_at=stored.sent_at,
        commit=entry.commit,
        place=path.place,
        size=path.size,
        hashes=path.hashes,
        metadata=proved.metadata,
        metadata_commitment=entry.metadata_commitment,
        subjects=stored.subjects,
        metadata_salt=entry.metadata_salt,
        body_commitment=entry.body_commitment,
        sealed=stored.sealed,
        hidden=proved.kept.hidden,
        destroyed_by=proved.kept.destroyed_by,
    )
