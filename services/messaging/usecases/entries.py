"""From an entry of the log to the entry that a device is shown."""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from libs.contracts.socket import Body, Version, body_of
from libs.contracts.socket import Entry as ShownEntry
from libs.kernel.ids import MessageId, TenantId, instant_of
from services.messaging.domain.bodies import unpacked
from services.messaging.domain.entries import ConversationKey, Draft, Entry, EntryKind
from services.messaging.domain.errors import KeyGone
from services.messaging.ports import Keys, LiveEntry, LogReader, StoredBody, StoredEntry, StoredVersion

KIND_NAMES = {kind: kind.name.lower() for kind in EntryKind}


Sees = Callable[[int], bool]
"""Tells whether a reader may see the entry at a `seq`."""


class NotAtHand(Exception):
    """The key that would open an entry has to be fetched first."""


def shown_from_commit(entry: Entry, body: bytes | None) -> ShownEntry:
    """Return an entry that this gateway just committed, with the clear body that it still holds."""
    draft = entry.draft
    return ShownEntry(
        seq=entry.seq,
        kind=KIND_NAMES[draft.kind],
        revision=draft.revision,
        actor=draft.actor,
        sent_at=draft.sent_at,
        committed_at=_committed_at(draft),
        members_version=entry.members_version,
        message=draft.message,
        body=None if body is None else body_of(body),
        subjects=draft.subjects,
        message_seq=draft.message_seq,
    )


def shown_from_live(key: ConversationKey, record: LiveEntry, keys: Keys) -> ShownEntry:
    """Return what another gateway committed, opened; raises NotAtHand when its key must be fetched."""
    return ShownEntry(
        seq=record.seq,
        kind=KIND_NAMES[EntryKind(record.kind)],
        revision=record.revision,
        actor=record.actor,
        sent_at=record.sent_at,
        committed_at=_committed_at(record),
        members_version=record.members_version,
        message=record.message,
        body=_opened(key, record.message, record.revision, record.sealed, keys),
        subjects=tuple(record.subjects),
        message_seq=record.message_seq,
    )


def shown_from_log(
    key: ConversationKey, stored: StoredEntry, keys: Keys, sees: Sees | None = None
) -> ShownEntry:
    """Return an entry of the log, opened; raises NotAtHand when its key must be fetched.

    Of a revised message the version in force is shown with the first entry, to whoever `sees` that version.
    """
    version = stored.version
    if version is not None and sees is not None and not sees(version.seq):
        version = None
    return ShownEntry(
        seq=stored.seq,
        kind=KIND_NAMES[stored.kind],
        revision=stored.revision,
        actor=stored.actor,
        sent_at=stored.sent_at,
        committed_at=_committed_at(stored),
        members_version=stored.members_version,
        message=stored.message,
        body=_opened(key, stored.message, stored.revision, stored.sealed, keys),
        disposed=stored.gone,
        subjects=stored.subjects,
        message_seq=stored.message_seq,
        superseded=stored.superseded,
        retracted=stored.retracted,
        current=None if version is None else _shown_version(key, stored, version, keys),
    )


def _shown_version(key: ConversationKey, stored: StoredEntry, version: StoredVersion, keys: Keys) -> Version:
    return Version(
        seq=version.seq,
        revision=version.revision,
        sent_at=version.sent_at,
        body=_opened(key, stored.message, version.revision, version.sealed, keys),
        disposed=version.sealed is None,
    )


def _committed_at(entry: Draft | LiveEntry | StoredEntry) -> datetime:
    """Return when we committed it, as its id tells; an amendment has its message's, and is not imported."""
    return instant_of(entry.message) if entry.message_seq is None else entry.sent_at


def _opened(
    key: ConversationKey, message: UUID, revision: int, sealed: bytes | None, keys: Keys
) -> Body | None:
    if sealed is None:
        return None
    opening = keys.find_opening_key(sealed)
    if opening is None:
        raise NotAtHand
    return body_of(unpacked(opening.open(sealed, key, MessageId(message), revision)).body)


async def read_opened(
    reader: LogReader,
    keys: Keys,
    key: ConversationKey,
    after: int,
    until: int,
    limit: int,
    sees: Sees | None = None,
) -> list[ShownEntry]:
    """Return at most `limit` entries with `after` < seq ≤ `until`, opened for whoever `sees`, in order.

    What was sealed anew between the reading and the opening is read once more: its old key is gone then.
    Raises KeysUnavailable.
    """
    try:
        return await open_stored(key, await reader.entries(key, after, until, limit), keys, sees)
    except KeyGone:
        return await open_stored(key, await reader.entries(key, after, until, limit), keys, sees)


def opened_body(tenant: TenantId, stored: StoredBody, keys: Keys) -> Body:
    """Return what an entry says; raises NotAtHand when its key must be fetched."""
    key = ConversationKey(tenant, stored.conversation)
    body = _opened(key, stored.message, stored.revision, stored.sealed, keys)
    return body or Body()


async def open_stored(
    key: ConversationKey, stored: list[StoredEntry], keys: Keys, sees: Sees | None = None
) -> list[ShownEntry]:
    """Return entries of the log, opened, with one request for all keys that are missing.

    An entry whose payload was disposed of comes back as a tombstone. Raises KeysUnavailable.
    """
    sealed = [entry.sealed for entry in stored]
    sealed += [entry.version.sealed for entry in stored if entry.version is not None]
    missing = [one for one in sealed if one is not None and keys.find_opening_key(one) is None]
    if missing:
        await keys.fetch_opening_keys(key.tenant, missing)
    return [shown_from_log(key, entry, keys, sees) for entry in stored]
