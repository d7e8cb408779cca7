"""What productions are made from, by the internal routes of messaging, audit and identity."""

import asyncio
import json
from collections.abc import Collection, Mapping
from typing import Final
from uuid import UUID

from libs.contracts.internal import (
    PROVED_LIMIT,
    SALTS_BEFORE_BODY,
    FetchHeads,
    FetchMap,
    FetchPeople,
    FetchProofs,
    FetchProvedEntries,
    HeadsOf,
    MapOf,
    MappedConversation,
    PeopleOf,
    ProofsOf,
    ProvedAct,
    ProvedEntriesOf,
    ProvedEntry,
)
from libs.envelope.errors import RecordRefused
from libs.envelope.place import Place
from libs.envelope.record import dek_of
from libs.envelope.sealing import SealingKey
from libs.evidence.bundle import Commit
from libs.evidence.detail import parse_detail
from libs.host.clients import ServiceClient
from libs.kernel.ids import ConversationId, DekId, MessageId, TenantId
from services.ediscovery.adapters.correspondence import SealedCorrespondence
from services.ediscovery.adapters.peers import asked
from services.ediscovery.domain.productions.items import Person
from services.ediscovery.domain.productions.sources import (
    BodyState,
    CommittedMap,
    Head,
    LoggedEntry,
    Proofs,
    Span,
)
from services.ediscovery.domain.texts import Purpose

_FIELD: Final = "payload"
_SALT_BYTES: Final = SALTS_BEFORE_BODY // 2


class ServiceSources:
    """The `Sources` port over three peers; bodies are opened with the keys of `correspondence`."""

    def __init__(
        self,
        messaging: ServiceClient,
        audit: ServiceClient,
        identity: ServiceClient,
        correspondence: SealedCorrespondence,
    ) -> None:
        """Ask these."""
        self._messaging = messaging
        self._audit = audit
        self._identity = identity
        self._correspondence = correspondence

    async def map(self, tenant: TenantId) -> CommittedMap:
        """Return what is committed about all conversations of a tenant; it is as new as the question."""
        found = await asked(self._messaging, "/internal/map", FetchMap(tenant=tenant, fresh=True), MapOf)
        return CommittedMap(found.act, found.at, found.root, found.conversations)

    async def heads(self, tenant: TenantId, act: UUID, after: UUID | None) -> list[Head]:
        """Return the next conversations of the map `act`, by ascending id."""
        wanted = FetchHeads(tenant=tenant, act=act, after=after, limit=PROVED_LIMIT)
        found = await asked(self._messaging, "/internal/map/heads", wanted, HeadsOf)
        return list(map(_head_of, found.items))

    async def entries(
        self, tenant: TenantId, conversation: UUID, first: int, last: int, purpose: Purpose
    ) -> list[LoggedEntry]:
        """Return those of the entries `first` to `last` that are there, opened."""
        wanted = FetchProvedEntries(tenant=tenant, conversation=conversation, first=first, last=last)
        found = await asked(self._messaging, "/internal/entries/proved", wanted, ProvedEntriesOf)
        sealed = {dek_of(entry.sealed) for entry in found.items if entry.sealed is not None}
        keys = await self._correspondence.opening_keys(tenant, sealed, purpose)
        return await asyncio.to_thread(_opened, tenant, conversation, found.items, keys)

    async def proofs(self, tenant: TenantId, acts: Collection[UUID], size: int | None) -> Proofs:
        """Return the leaves of acts under a checkpoint."""
        wanted = FetchProofs(tenant=tenant, acts=tuple(acts), size=size)
        found = await asked(self._audit, "/internal/proofs", wanted, ProofsOf)
        return Proofs(found.checkpoint, found.size, {each.act: _commit_of(each) for each in found.items})

    async def people(self, tenant: TenantId, principals: Collection[UUID]) -> dict[UUID, Person]:
        """Return those of the people whom the directory knows."""
        wanted = FetchPeople(tenant=tenant, principals=tuple(principals))
        found = await asked(self._identity, "/internal/people", wanted, PeopleOf)
        return {each.principal: Person(each.principal, each.name, each.email) for each in found.items}


def _head_of(found: MappedConversation) -> Head:
    return Head(
        found.conversation,
        found.kind,
        found.last_seq,
        found.participants,
        found.salt,
        found.principals,
        tuple(Span(each.principal, each.from_seq, each.until_seq) for each in found.spans),
    )


def _commit_of(found: ProvedAct) -> Commit:
    return Commit(found.leaf, found.proof, parse_detail(json.loads(found.detail)), found.salt)


def _opened(
    tenant: TenantId,
    conversation: UUID,
    entries: Collection[ProvedEntry],
    keys: Mapping[DekId, SealingKey],
) -> list[LoggedEntry]:
    return [_entry_of(tenant, ConversationId(conversation), entry, keys) for entry in entries]


def _entry_of(
    tenant: TenantId, conversation: ConversationId, entry: ProvedEntry, keys: Mapping[DekId, SealingKey]
) -> LoggedEntry:
    state, clear = _clear_of(tenant, conversation, entry, keys)
    metadata_salt, body_salt, body = entry.metadata_salt, None, None
    if clear is not None:
        metadata_salt, body_salt = clear[:_SALT_BYTES], clear[_SALT_BYTES:SALTS_BEFORE_BODY]
        body = clear[SALTS_BEFORE_BODY:]
    return LoggedEntry(
        seq=entry.seq,
        kind=entry.kind,
        message=entry.message,
        revision=entry.revision,
        actor=entry.actor,
        sent_at=entry.sent_at,
        subjects=entry.subjects,
        state=state,
        commit=entry.commit if entry.size else None,
        path=entry.hashes,
        metadata=entry.metadata,
        metadata_commitment=entry.metadata_commitment,
        metadata_salt=metadata_salt,
        body=body,
        body_salt=body_salt,
        body_commitment=entry.body_commitment,
        destroyed_by=entry.destroyed_by,
        superseded_by=entry.superseded_by,
        retracted_by=entry.retracted_by,
    )


def _clear_of(
    tenant: TenantId, conversation: ConversationId, entry: ProvedEntry, keys: Mapping[DekId, SealingKey]
) -> tuple[BodyState, bytes | None]:
    """Return what was sealed for an entry, and what became of it."""
    if entry.sealed is None:
        never = entry.body_commitment is None and entry.destroyed_by is None
        return (BodyState.NONE if never else BodyState.DESTROYED), None
    key = keys.get(dek_of(entry.sealed))
    if key is None:
        return BodyState.NO_KEY, None
    place = Place(tenant, conversation, MessageId(entry.message), entry.revision, _FIELD)
    try:
        return BodyState.CLEAR, key.open(entry.sealed, place)
    except RecordRefused:
        return BodyState.UNREADABLE, None
