"""Take evidence of entries: what opens their commitments, and their paths in the trees of their commits.

The other half of the proof, from each commit to a signed checkpoint, is the audit log's to give.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple
from uuid import UUID

from libs.kernel.ids import ConversationId, TenantId
from services.messaging.domain.bodies import Payload, unpacked
from services.messaging.domain.commitments import metadata_of
from services.messaging.domain.commits import Path
from services.messaging.domain.entries import ConversationKey
from services.messaging.domain.errors import EntryUnproved, KeyGone, KeysUnavailable, StretchRefused
from services.messaging.ports import Actor, CommittedEntry, Evidence, Keys, Taking
from services.messaging.usecases.access import Access

MOST_PROVED: Final = 1000
_COMMITS_AT_A_TIME: Final = 32
"""Commits whose leaves are in memory together: each has at most some hundred."""
_BEFORE: Final = UUID(int=0)
"""The commit of entries from before the audit log."""


class ProvedEntry(NamedTuple):
    """An entry with its path in its commit, its commitments, and what opens them where that still exists.

    `metadata` are its canonical bytes; `body` is as it was sent. A salt is None with what it opens.
    """

    seq: int
    commit: UUID
    path: Path
    metadata_commitment: bytes
    body_commitment: bytes | None
    metadata: bytes | None
    metadata_salt: bytes | None
    body: bytes | None
    body_salt: bytes | None


class TakeEvidence:
    """Gives evidence of a conversation to those who may read it; each time is an act of its own."""

    def __init__(self, access: Access, evidence: Evidence, keys: Keys) -> None:
        """Decide by `access`, read and record by `evidence`, open by `keys`."""
        self._access = access
        self._evidence = evidence
        self._keys = keys

    async def __call__(
        self, actor: Actor, conversation: ConversationId, first: int, last: int
    ) -> list[ProvedEntry]:
        """Return the entries from `first` to `last` with what proves them; nothing leaves untold.

        Raises ConversationNotFound, StretchRefused, EntriesNotFound, EntryUnproved, KeysUnavailable or
        LogUnavailable.
        """
        if not first <= last < first + MOST_PROVED:
            raise StretchRefused(first, last, MOST_PROVED)
        key = await self._access.access_entries(actor, conversation, first, last)
        committed = await self._openable(key, first, last)
        paths = await self._paths(key, committed)
        proved = [self._proved(key, entry, paths[entry.stored.seq]) for entry in committed]
        await self._evidence.record(Taking(key, actor.principal, first, last))
        return proved

    async def _openable(self, key: ConversationKey, first: int, last: int) -> list[CommittedEntry]:
        """Return the entries with their keys at hand; what was sealed anew meanwhile is read once more."""
        committed = await self._evidence.committed(key, first, last)
        for entry in committed:
            if entry.commit == _BEFORE:
                raise EntryUnproved(entry.stored.seq)
        try:
            await self._fetch_keys(key.tenant, committed)
        except KeyGone:
            committed = await self._evidence.committed(key, first, last)
            await self._fetch_keys(key.tenant, committed)
        return committed

    async def _fetch_keys(self, tenant: TenantId, committed: Sequence[CommittedEntry]) -> None:
        sealed = [entry.stored.sealed for entry in committed if entry.stored.sealed is not None]
        missing = [record for record in sealed if self._keys.find_opening_key(record) is None]
        if missing:
            await self._keys.fetch_opening_keys(tenant, missing)

    async def _paths(self, key: ConversationKey, committed: Sequence[CommittedEntry]) -> dict[int, Path]:
        commits = list(dict.fromkeys(entry.commit for entry in committed))
        paths: dict[int, Path] = {}
        for start in range(0, len(commits), _COMMITS_AT_A_TIME):
            trees = await self._evidence.trees(key.tenant, commits[start : start + _COMMITS_AT_A_TIME])
            for entry in committed:
                if entry.commit in trees:
                    paths[entry.stored.seq] = trees[entry.commit].path(key.conversation, entry.stored.seq)
        return paths

    def _proved(self, key: ConversationKey, entry: CommittedEntry, path: Path) -> ProvedEntry:
        stored = entry.stored
        payload = self._payload(key, entry)
        metadata_salt = entry.metadata_salt if payload is None else payload.metadata_salt
        return ProvedEntry(
            seq=stored.seq,
            commit=entry.commit,
            path=path,
            metadata_commitment=entry.metadata_commitment,
            body_commitment=entry.body_commitment,
            metadata=None if metadata_salt is None else metadata_of(key, stored, stored.seq),
            metadata_salt=metadata_salt,
            body=None if payload is None else payload.body,
            body_salt=None if payload is None else payload.body_salt,
        )

    def _payload(self, key: ConversationKey, entry: CommittedEntry) -> Payload | None:
        """Return what was sealed; None where nothing was, or it was disposed of."""
        stored = entry.stored
        if stored.sealed is None:
            return None
        opening = self._keys.find_opening_key(stored.sealed)
        if opening is None:  # it was fetched a moment ago, and pushed out by others meanwhile
            raise KeysUnavailable
        return unpacked(opening.open(stored.sealed, key, stored.message, stored.revision))
