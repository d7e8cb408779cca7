"""Evidence for strangers: what the platform shows of its log, as bundles that hold without the platform.

What a bundle says is checked here as a stranger would, before it is handed out.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeVar
from uuid import UUID

import msgspec

from libs.client.api import Api
from libs.client.errors import Refused
from libs.evidence.bundle import Commit, ShownEntry, conversation_bundle
from libs.evidence.canonical import decoded
from libs.evidence.detail import parse_detail
from libs.evidence.errors import EvidenceRefused
from libs.evidence.log import trusted_checkpoint
from libs.evidence.trust import Trust, parse_trust
from libs.evidence.verify import verify_bundle
from libs.kernel.clock import Clock

AUDIT: Final = "/audit/v1/evidence"
CONVERSATIONS: Final = "/messaging/v1/conversations"
TRUST: Final = "/keys/v1/trust.json"
MOST_PROVED: Final = 1000
"""Entries that messaging proves at a time."""
LOG_SECONDS: Final = 15.0
"""How long a commit may be on its way into the log, and under a checkpoint."""
_PAUSE_SECONDS: Final = 0.25
_AT_A_TIME: Final = 8
_NOT_FOUND: Final = 404

T = TypeVar("T")
Query = Mapping[str, str | int]


class Caller(Protocol):
    """Asks the platform as somebody; a `Client` is one."""

    def get(self, path: str, answer: type[T], query: Query | None = None) -> Awaitable[T]:
        """Return the answer to a GET as `answer`. Raises what `Api.call` raises."""
        ...


class Bearer:
    """Asks the platform with an access token that was given out elsewhere, for as long as that lasts."""

    def __init__(self, api: Api, token: str) -> None:
        """Ask by `api`, with `token`."""
        self._api = api
        self._token = token

    async def get(self, path: str, answer: type[T], query: Query | None = None) -> T:
        """Return the answer to a GET as `answer`. Raises what `Api.call` raises."""
        return await self._api.call("GET", path, answer, query=query, token=self._token)


class ProvedEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry as messaging proves it: its commit, its path there, its commitments and their openings.

    The path is base64, commitments and salts are hex, metadata canonical JSON to the byte, the body base64.
    """

    seq: int
    commit: UUID
    path: tuple[str, ...]
    metadata_commitment: str
    body_commitment: str | None = None
    metadata: str | None = None
    metadata_salt: str | None = None
    body: str | None = None
    body_salt: str | None = None


class Proved(msgspec.Struct, frozen=True, kw_only=True):
    """Entries of a conversation in a row."""

    entries: tuple[ProvedEntry, ...]


class ActShown(msgspec.Struct, frozen=True, kw_only=True):
    """What a conversation's bundle takes over from the bundle of an act."""

    checkpoint: str
    leaf: str
    proof: tuple[str, ...]
    detail: dict[str, Any]
    salt: str


class Evidence:
    """Takes evidence.

    Every method raises EvidenceRefused for what does not hold, and what `Api.call` raises.
    """

    def __init__(
        self, auditor: Caller, clock: Clock, *, reader: Caller | None = None, trust: Trust | None = None
    ) -> None:
        """Ask of the log as `auditor`, and of conversations as `reader` (by default the same person).

        Without `trust`, the keys that the platform itself names are trusted.
        """
        self._auditor = auditor
        self._reader = reader or auditor
        self._clock = clock
        self._trust = trust

    async def trust(self) -> Trust:
        """Return the trusted keys."""
        if self._trust is None:
            self._trust = parse_trust(bytes(await self._auditor.get(TRUST, msgspec.Raw)))
        return self._trust

    async def act(self, fact: UUID) -> bytes:
        """Return the evidence of one act, its detail included, by the id of its fact."""
        return await self._checked(
            bytes(await self._auditor.get(f"{AUDIT}/acts/{fact}", msgspec.Raw, {"detail": "true"}))
        )

    async def log_range(self, first: int, last: int, *, details: bool = False) -> bytes:
        """Return the evidence of the log's entries from `first` to `last`, both included."""
        query: Query = {"first": first, "last": last, "details": str(details).lower()}
        return await self._checked(bytes(await self._auditor.get(f"{AUDIT}/range", msgspec.Raw, query)))

    async def conversation(self, conversation: UUID, first: int, last: int) -> bytes:
        """Return the evidence of a conversation's entries from `first` to `last`, both included.

        A commit of a moment ago is waited for until the log covers it.
        """
        entries = [entry async for entry in self._entries(conversation, first, last)]
        if not entries:
            raise EvidenceRefused("there is no entry", "entries")
        numbers = {commit: at for at, commit in enumerate(dict.fromkeys(entry.commit for entry in entries))}
        acts = await self._commits(list(numbers))
        return await self._checked(
            conversation_bundle(
                conversation,
                [_entry_of(entry, numbers[entry.commit]) for entry in entries],
                [_commit_of(act, f"commits[{at}]") for at, act in enumerate(acts)],
                acts[-1].checkpoint.encode(),
            )
        )

    async def _entries(self, conversation: UUID, first: int, last: int) -> AsyncIterator[ProvedEntry]:
        path = f"{CONVERSATIONS}/{conversation}/evidence"
        for start in range(first, last + 1, MOST_PROVED):
            query = {"first": start, "last": min(last, start + MOST_PROVED - 1)}
            for entry in (await self._reader.get(path, Proved, query)).entries:
                yield entry

    async def _commits(self, commits: Sequence[UUID]) -> list[ActShown]:
        """Return the acts of `commits`, which are in the order of the log, all under one checkpoint.

        Once the last of them is covered by a checkpoint, so is every earlier one.
        """
        newest = await self._covered(commits[-1])
        size = trusted_checkpoint(newest.checkpoint.encode(), await self.trust()).size
        turns = asyncio.Semaphore(_AT_A_TIME)

        async def earlier(commit: UUID) -> ActShown:
            async with turns:
                return await self._shown(commit, size)

        return [*await asyncio.gather(*map(earlier, commits[:-1])), newest]

    async def _covered(self, commit: UUID) -> ActShown:
        until = self._clock.monotonic() + LOG_SECONDS
        while True:
            try:
                return await self._shown(commit)
            except Refused as refused:
                if refused.problem.status != _NOT_FOUND or self._clock.monotonic() > until:
                    raise
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _shown(self, commit: UUID, size: int | None = None) -> ActShown:
        query: dict[str, str | int] = {"detail": "true"}
        if size is not None:
            query["size"] = size
        return await self._auditor.get(f"{AUDIT}/entities/commit/{commit}", ActShown, query)

    async def _checked(self, bundle: bytes) -> bytes:
        verify_bundle(bundle, await self.trust())
        return bundle


def _entry_of(entry: ProvedEntry, commit: int) -> ShownEntry:
    """Return an entry as a bundle shows it: each half by what opens it, or else by its commitment."""
    where = f"entry {entry.seq}"
    opened, whole = entry.metadata is not None, entry.body is not None
    return ShownEntry(
        seq=entry.seq,
        commit=commit,
        path=_hashes(entry.path, where),
        metadata=None if entry.metadata is None else entry.metadata.encode(),
        metadata_salt=_bytes(entry.metadata_salt, where) if opened else None,
        metadata_commitment=None if opened else _bytes(entry.metadata_commitment, where),
        body=None if entry.body is None else decoded(entry.body, where),
        body_salt=_bytes(entry.body_salt, where) if whole else None,
        body_commitment=None if whole else _bytes(entry.body_commitment, where),
    )


def _commit_of(act: ActShown, where: str) -> Commit:
    salt = _bytes(act.salt, where) or b""
    return Commit(act.leaf.encode(), _hashes(act.proof, where), parse_detail(act.detail, where), salt)


def _hashes(proof: Iterable[str], where: str) -> list[bytes]:
    return [decoded(each, where) for each in proof]


def _bytes(value: str | None, where: str) -> bytes | None:
    if value is None:
        return None
    try:
        return bytes.fromhex(value)
    except ValueError:
        raise EvidenceRefused("hex is missing", where) from None
