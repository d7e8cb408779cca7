"""The routes that other services call; none of them is routed from outside."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends
from starlette.responses import Response

from libs.contracts.internal import (
    ConversationHead,
    ConversationsOf,
    EntriesOf,
    FetchConversations,
    FetchEntries,
    FetchHeads,
    FetchMap,
    FetchProvedEntries,
    HeadsOf,
    MapOf,
    MappedConversation,
    ProvedEntriesOf,
    ProvedEntry,
    SealedEntry,
    Span,
)
from libs.host.auth import PeerVerifier, require_service
from libs.host.wire import wire_body, wire_response
from libs.kernel.ids import ConversationId, TenantId
from services.messaging.domain import maps
from services.messaging.domain.entries import ConversationKey
from services.messaging.ports import Referenced, ReferencedEntry
from services.messaging.usecases import prove
from services.messaging.usecases.entries import KIND_NAMES
from services.messaging.usecases.maps import CommitMaps, ReadMaps
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
        return wire_response(_entries_of(found, once=wanted.audiences))

    @router.post("/conversations", dependencies=reader)
    async def conversations(
        wanted: Annotated[FetchConversations, Depends(wire_body(FetchConversations))],
    ) -> Response:
        since = None if wanted.since is None else ConversationId(wanted.since)
        heads, total = await refer.conversations(TenantId(wanted.tenant), since, wanted.limit)
        items = tuple(ConversationHead(conversation=name, last_seq=last) for name, last in heads)
        return wire_response(ConversationsOf(items=items, entries=total))

    @router.post("/entries/proved", dependencies=reader)
    async def proved(
        wanted: Annotated[FetchProvedEntries, Depends(wire_body(FetchProvedEntries))],
    ) -> Response:
        key = ConversationKey(TenantId(wanted.tenant), ConversationId(wanted.conversation))
        found = await prove_entries(key, wanted.first, wanted.last)
        return wire_response(ProvedEntriesOf(items=tuple(map(_proved_of, found))))

    return router


def map_routes(verifier: PeerVerifier, commit_maps: CommitMaps, read_maps: ReadMaps) -> APIRouter:
    """Return the routes of what is committed about all conversations, for eDiscovery alone."""
    router = APIRouter(prefix="/internal/map", include_in_schema=False)
    reader = [Depends(require_service(verifier, _READERS))]

    @router.post("", dependencies=reader)
    async def newest(wanted: Annotated[FetchMap, Depends(wire_body(FetchMap))]) -> Response:
        tenant = TenantId(wanted.tenant)
        if wanted.fresh:
            await commit_maps.commit(tenant)
        found = await read_maps.newest(tenant)
        return wire_response(
            MapOf(act=found.act, at=found.at, root=found.root, conversations=found.conversations)
        )

    @router.post("/heads", dependencies=reader)
    async def heads(wanted: Annotated[FetchHeads, Depends(wire_body(FetchHeads))]) -> Response:
        found = await read_maps.heads(TenantId(wanted.tenant), wanted.act, wanted.after, wanted.limit)
        return wire_response(HeadsOf(items=tuple(map(_mapped_of, found))))

    return router


def _mapped_of(found: maps.MappedConversation) -> MappedConversation:
    return MappedConversation(
        conversation=found.head.conversation,
        kind=found.kind,
        last_seq=found.head.last_seq,
        participants=found.head.participants,
        salt=found.salt,
        principals=found.principals,
        spans=tuple(
            Span(principal=span.principal, from_seq=span.from_seq, until_seq=span.until_seq)
            for span in found.spans
        ),
    )


def _entries_of(found: Referenced, *, once: bool) -> EntriesOf:
    """Return entries with those who took part: each of the audiences `once`, or with every entry."""
    if once:
        items = tuple(_sealed_of(each, (), each.audience) for each in found.entries)
        return EntriesOf(items=items, audiences=tuple(found.audiences))
    return EntriesOf(
        items=tuple(_sealed_of(each, found.audiences[each.audience], None) for each in found.entries)
    )


def _sealed_of(found: ReferencedEntry, participants: tuple[UUID, ...], audience: int | None) -> SealedEntry:
    stored = found.stored
    return SealedEntry(
        conversation=found.conversation,
        seq=stored.seq,
        kind=KIND_NAMES[stored.kind],
        message=stored.message,
        revision=stored.revision,
        actor=stored.actor,
        sent_at=stored.sent_at,
        participants=participants,
        sealed=stored.sealed,
        hidden=found.hidden,
        audience=audience,
        **found.amended._asdict(),
        versions=found.versions,
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
        **proved.kept.amended._asdict(),
    )
