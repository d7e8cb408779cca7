"""From an entry of the log to the entry that a device is shown."""

from libs.contracts.socket import Body, body_of
from libs.contracts.socket import Entry as ShownEntry
from libs.kernel.ids import MessageId, instant_of
from services.messaging.domain.bodies import unpacked
from services.messaging.domain.entries import ConversationKey, Entry, EntryKind
from services.messaging.domain.errors import KeyGone
from services.messaging.ports import Keys, LiveEntry, LogReader, StoredEntry

KIND_NAMES = {kind: kind.name.lower() for kind in EntryKind}


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
        committed_at=instant_of(draft.message),
        members_version=entry.members_version,
        message=draft.message,
        body=None if body is None else body_of(body),
        subjects=draft.subjects,
    )


def shown_from_record(
    key: ConversationKey, record: LiveEntry | StoredEntry, keys: Keys, *, disposed: bool
) -> ShownEntry:
    """Return an entry whose body is sealed, opened; raises NotAtHand when its key must be fetched."""
    return ShownEntry(
        seq=record.seq,
        kind=KIND_NAMES[EntryKind(record.kind)],
        revision=record.revision,
        actor=record.actor,
        sent_at=record.sent_at,
        committed_at=instant_of(record.message),
        members_version=record.members_version,
        message=record.message,
        body=None if record.sealed is None else _opened(key, record, record.sealed, keys),
        disposed=disposed,
        subjects=tuple(record.subjects),
    )


def _opened(key: ConversationKey, record: LiveEntry | StoredEntry, sealed: bytes, keys: Keys) -> Body:
    opening = keys.find_opening_key(sealed)
    if opening is None:
        raise NotAtHand
    return body_of(unpacked(opening.open(sealed, key, MessageId(record.message), record.revision)).body)


async def read_opened(
    reader: LogReader, keys: Keys, key: ConversationKey, after: int, until: int, limit: int
) -> list[ShownEntry]:
    """Return at most `limit` entries with `after` < seq ≤ `until`, opened, in order.

    What was sealed anew between the reading and the opening is read once more: its old key is gone then.
    Raises KeysUnavailable.
    """
    try:
        return await open_stored(key, await reader.entries(key, after, until, limit), keys)
    except KeyGone:
        return await open_stored(key, await reader.entries(key, after, until, limit), keys)


async def open_stored(key: ConversationKey, stored: list[StoredEntry], keys: Keys) -> list[ShownEntry]:
    """Return entries of the log, opened, with one request for all keys that are missing.

    An entry whose payload was disposed of comes back as a tombstone. Raises KeysUnavailable.
    """
    missing = [
        entry.sealed
        for entry in stored
        if entry.sealed is not None and keys.find_opening_key(entry.sealed) is None
    ]
    if missing:
        await keys.fetch_opening_keys(key.tenant, missing)
    return [
        shown_from_record(key, entry, keys, disposed=entry.had_body and entry.sealed is None)
        for entry in stored
    ]
