"""Messages from messaging's internal route, opened by keys of the purpose for which they are read."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Final

from libs.contracts.internal import (
    BATCH_LIMIT,
    CONVERSATIONS_LIMIT,
    ENTRIES_LIMIT,
    SALTS_BEFORE_BODY,
    ConversationsOf,
    DekNamed,
    EntriesOf,
    EntryNamed,
    FetchConversations,
    FetchEntries,
    KeysOf,
    SealedEntry,
    UnwrapDeks,
)
from libs.contracts.socket import EntryKind, body_of
from libs.envelope.place import Place
from libs.envelope.record import dek_of
from libs.envelope.ring import KeyRing
from libs.envelope.sealing import SealingKey
from libs.host.clients import ServiceClient
from libs.kernel.clock import Clock
from libs.kernel.ids import ConversationId, DekId, MessageId, PrincipalId, TenantId
from services.ediscovery.adapters.peers import asked
from services.ediscovery.domain.documents import Document, DocumentKey
from services.ediscovery.domain.errors import KeyRefused
from services.ediscovery.domain.texts import INDEXING, Purpose, Text
from services.ediscovery.ports.rebuilds import LogPage

_FIELD: Final = "payload"
_SAID: Final = frozenset((EntryKind.MESSAGE_CREATED, EntryKind.MESSAGE_REVISED))
_SHREDDED: Final = "not-found"
_AT_A_TIME: Final = 4


class SealedCorrespondence:
    """The `Correspondence` port, and the source from which an index is written anew.

    A key lives here for at most `max_age_seconds`, for its purpose and matter alone.
    """

    def __init__(
        self,
        messaging: ServiceClient,
        keys: ServiceClient,
        clock: Clock,
        *,
        max_age_seconds: float,
        max_keys: int,
    ) -> None:
        """Read entries from `messaging` and unwrap their keys at `keys`."""
        self._messaging = messaging
        self._keys = keys
        self._ring = KeyRing(clock, max_keys=max_keys, max_age_seconds=max_age_seconds)

    async def texts(self, tenant: TenantId, keys: Collection[DocumentKey], purpose: Purpose) -> list[Text]:
        """Return those of the messages that still have a text, in order of their keys."""
        wanted = sorted(keys)
        found: list[Text] = []
        batches = [wanted[start : start + ENTRIES_LIMIT] for start in range(0, len(wanted), ENTRIES_LIMIT)]
        for start in range(0, len(batches), _AT_A_TIME):
            some = batches[start : start + _AT_A_TIME]
            pages = await asyncio.gather(*(self._entries(tenant, batch) for batch in some))
            found += await self._opened(tenant, pages, purpose)
        return found

    async def versions(
        self, tenant: TenantId, amendments: Collection[DocumentKey]
    ) -> dict[DocumentKey, tuple[DocumentKey, ...]]:
        """Return of each of these revisions and retractions all versions of its message."""
        wanted = sorted(amendments)
        found: dict[DocumentKey, tuple[DocumentKey, ...]] = {}
        for start in range(0, len(wanted), ENTRIES_LIMIT):
            page = await self._entries(tenant, wanted[start : start + ENTRIES_LIMIT])
            for entry in page.items:
                name = ConversationId(entry.conversation)
                found[DocumentKey(name, entry.seq)] = tuple(DocumentKey(name, seq) for seq in entry.versions)
        return found

    async def documents(self, tenant: TenantId, keys: Collection[DocumentKey]) -> AsyncIterator[Document]:
        """Give the documents of those of `keys` that still exist."""
        for text in await self.texts(tenant, keys, INDEXING):
            yield text.document

    async def page(
        self, tenant: TenantId, conversation: ConversationId | None, seq: int, limit: int
    ) -> LogPage:
        """Return the entries behind one: the rest of its conversation, and then the next ones."""
        keys: list[DocumentKey] = []
        total = 0
        while len(keys) < limit:
            wanted = FetchConversations(tenant=tenant, since=conversation)
            found = await asked(self._messaging, "/internal/conversations", wanted, ConversationsOf)
            total = found.entries
            begun = conversation
            for head in found.items:
                name = ConversationId(head.conversation)
                first = seq + 1 if name == begun else 1
                last = min(head.last_seq, first + limit - len(keys) - 1)
                keys += (DocumentKey(name, number) for number in range(first, last + 1))
                conversation, seq = name, max(last, first - 1)
                if len(keys) == limit:
                    break
            if len(found.items) < CONVERSATIONS_LIMIT:
                break
        return LogPage(keys, total)

    async def _entries(self, tenant: TenantId, keys: Sequence[DocumentKey]) -> EntriesOf:
        items = tuple(EntryNamed(conversation=key.conversation, seq=key.seq) for key in keys)
        wanted = FetchEntries(tenant=tenant, items=items, audiences=True)
        return await asked(self._messaging, "/internal/entries", wanted, EntriesOf)

    async def _opened(self, tenant: TenantId, pages: Sequence[EntriesOf], purpose: Purpose) -> list[Text]:
        """Open messages, beside the event loop: there may be many."""
        sealed = {dek_of(each.sealed) for page in pages for each in page.items if each.sealed is not None}
        keys = await self.opening_keys(tenant, sealed, purpose)
        return await asyncio.to_thread(_texts_of, tenant, pages, keys)

    async def opening_keys(
        self, tenant: TenantId, deks: Collection[DekId], purpose: Purpose
    ) -> dict[DekId, SealingKey]:
        """Return the keys; one that was shredded is left out: what it sealed is gone."""
        at_hand = {dek: self._ring.find(dek, purpose.name, purpose.matter) for dek in deks}
        keys = {dek: key for dek, key in at_hand.items() if key is not None}
        missing = sorted(deks - keys.keys())
        for start in range(0, len(missing), BATCH_LIMIT):
            named = tuple(DekNamed(tenant=tenant, dek=dek) for dek in missing[start : start + BATCH_LIMIT])
            wanted = UnwrapDeks(items=named, purpose=purpose.name, act=purpose.act)
            for item in (await asked(self._keys, "/internal/deks/unwrap", wanted, KeysOf)).items:
                if item.dek is not None and item.key is not None:
                    key = SealingKey(DekId(item.dek), item.key)
                    self._ring.put(key, purpose.name, purpose.matter)
                    keys[key.dek] = key
                elif item.problem != _SHREDDED:
                    raise KeyRefused(tenant)
        return keys


def _texts_of(tenant: TenantId, pages: Sequence[EntriesOf], keys: Mapping[DekId, SealingKey]) -> list[Text]:
    """Return those messages of some pages that have a text which one of the keys opens."""
    texts: list[Text] = []
    for page in pages:
        audiences = [frozenset(map(PrincipalId, each)) for each in page.audiences]
        for entry in page.items:
            if entry.kind not in _SAID or entry.sealed is None:
                continue
            if (key := keys.get(dek_of(entry.sealed))) is not None:
                if entry.audience is None:  # of a messaging that does not tell them once yet
                    there = frozenset(map(PrincipalId, entry.participants))
                else:
                    there = audiences[entry.audience]
                texts.append(_text_of(tenant, entry, entry.sealed, there, key))
    return texts


def _text_of(
    tenant: TenantId,
    entry: SealedEntry,
    sealed: bytes,
    participants: frozenset[PrincipalId],
    key: SealingKey,
) -> Text:
    conversation, message = ConversationId(entry.conversation), MessageId(entry.message)
    clear = key.open(sealed, Place(tenant, conversation, message, entry.revision, _FIELD))
    return Text(
        DocumentKey(conversation, entry.seq),
        message,
        entry.sent_at,
        PrincipalId(entry.actor),
        participants,
        body_of(clear[SALTS_BEFORE_BODY:]).text or "",
        entry.revision,
        entry.superseded_by,
        entry.retracted_by,
    )
