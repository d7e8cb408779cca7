"""A hold: its terms, its states, and what its release is known by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Final, NamedTuple
from uuid import UUID

from libs.kernel.framing import framed
from libs.kernel.ids import PrincipalId, TenantId
from services.holds.domain.errors import HoldRefused

EXECUTORS: Final = ("ediscovery", "keys", "messaging")
"""Who destroys, and therefore confirms: a hold is in force when the slowest of them has."""
MOST_NAMED: Final = 1000
"""Custodians, and conversations, that one hold may name."""
MOST_REASON: Final = 1000
RELEASE: Final = "holds.hold.released"
"""The act that needs four eyes."""

_RELEASE_DIGEST: Final = b"muniment/hold-release/v1"


class State(StrEnum):
    """Where a hold stands: executors destroy nothing that one in force covers."""

    PLACED = "placed"
    IN_FORCE = "in-force"
    RELEASED = "released"


class NoticeState(StrEnum):
    """How far a custodian's notice has come."""

    DUE = "due"
    SENT = "sent"
    ACKNOWLEDGED = "acknowledged"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a hold preserves, and why.

    It concerns what was sent from `since` on and before `until` (None: open) by or to one of the
    custodians, and all of that time in the conversations; everything, where it names neither. A silent
    hold is told to none of them. `reason` is a person's own words: it goes into no log.
    """

    custodians: frozenset[PrincipalId]
    conversations: frozenset[UUID]
    since: datetime | None
    until: datetime | None
    silent: bool
    reason: str
    matter: UUID | None = None

    @property
    def names_all(self) -> bool:
        """Whether it names nobody and nothing, and so concerns everything of its time."""
        return not self.custodians and not self.conversations


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold as it was placed; `generation` is the one that its placing raised the tenant to."""

    tenant: TenantId
    hold: UUID
    generation: int
    terms: Terms
    placed_by: PrincipalId
    placed_at: datetime


class Release(NamedTuple):
    """The end of a hold: by whom, with whose request, at which generation."""

    generation: int
    request: UUID
    released_by: PrincipalId
    released_at: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """A hold with what has become of it: who confirmed it and when, who was told, who ended it.

    `unknown` are custodians who are not in the directory.
    """

    hold: Hold
    confirmations: Mapping[str, datetime] = field(default_factory=dict)
    in_force_at: datetime | None = None
    release: Release | None = None
    notices: Mapping[PrincipalId, NoticeState] = field(default_factory=dict)
    unknown: frozenset[PrincipalId] = frozenset()

    @property
    def state(self) -> State:
        """Return where it stands."""
        if self.release is not None:
            return State.RELEASED
        return State.PLACED if self.in_force_at is None else State.IN_FORCE

    @property
    def missing(self) -> tuple[str, ...]:
        """Return the executors that have not confirmed it."""
        return tuple(executor for executor in EXECUTORS if executor not in self.confirmations)


class Progress(NamedTuple):
    """A tenant's generation, and the highest that each executor has confirmed, with the time of that."""

    generation: int
    confirmed: Mapping[str, tuple[int, datetime]]


def decide_terms(terms: Terms, *, everything: bool) -> Terms:
    """Return the terms, with their reason trimmed, if a hold can be placed on them. Raises HoldRefused.

    A hold on everything says so: an empty list by mistake must not look like one.
    """
    words = terms.reason.strip()
    if not 0 < len(words) <= MOST_REASON:
        raise HoldRefused(f"`reason` takes 1 to {MOST_REASON} characters")
    if terms.names_all is not everything:
        raise HoldRefused("a hold names custodians or conversations, or says that it is on everything")
    if max(len(terms.custodians), len(terms.conversations)) > MOST_NAMED:
        raise HoldRefused(f"a hold names at most {MOST_NAMED} custodians and {MOST_NAMED} conversations")
    if terms.since is not None and terms.until is not None and terms.until <= terms.since:
        raise HoldRefused("`until` lies after `since`")
    return Terms(
        terms.custodians,
        terms.conversations,
        terms.since,
        terms.until,
        terms.silent,
        words,
        terms.matter,
    )


def slowest_of(confirmed: Mapping[str, int]) -> int:
    """Return the generation that every executor has confirmed, by the highest of each."""
    return min(confirmed.get(executor, 0) for executor in EXECUTORS)


def digest_of_release(hold: Hold) -> bytes:
    """Return the hash (32 bytes) of what a release does: it ends this hold, on these terms."""
    terms = hold.terms
    return sha256(
        framed(
            _RELEASE_DIGEST,
            hold.tenant.bytes,
            hold.hold.bytes,
            hold.generation.to_bytes(8),
            _listed(sorted(terms.custodians)),
            _listed(sorted(terms.conversations)),
            _said(terms.since),
            _said(terms.until),
            b"silent" if terms.silent else b"with notice",
            b"" if terms.matter is None else terms.matter.bytes,
        )
    ).digest()


def _listed(names: Sequence[UUID]) -> bytes:
    return framed(*(name.bytes for name in names))


def _said(instant: datetime | None) -> bytes:
    return b"" if instant is None else instant.astimezone(UTC).isoformat().encode()
