"""Orders of disposition, and what executors answered."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from libs.disposition.claims import Erasure, Lock, Rule
from libs.kernel.ids import PrincipalId, TenantId
from services.retention.domain.errors import RuleRefused

EXECUTORS: Final = ("messaging",)
"""Who destroys, and therefore answers."""


class State(StrEnum):
    """Where an order stands."""

    ISSUED = "issued"
    ANSWERED = "answered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Claims:
    """By what an order is decided, beside the holds: the executors know those."""

    as_of: datetime
    rules: tuple[Rule, ...]
    locks: tuple[Lock, ...]
    erasures: tuple[Erasure, ...]


@dataclass(frozen=True, slots=True)
class Order:
    """An order as it was given; `kind` is dry-run."""

    tenant: TenantId
    order: UUID
    kind: str
    claims: Claims
    issued_by: PrincipalId
    issued_at: datetime


@dataclass(frozen=True, slots=True)
class Answer:
    """What one executor found behind the holds of `generation`: `found` is its own words, kept as they came.

    `digest` (32 bytes) is the hash that an approval names. `refused` is empty where it found all.
    """

    executor: str
    generation: int
    digest: bytes
    refused: str
    found: object
    at: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """An order with the answers that it has."""

    order: Order
    answers: Mapping[str, Answer] = field(default_factory=dict)

    @property
    def missing(self) -> tuple[str, ...]:
        """Return the executors that have not answered."""
        return tuple(executor for executor in EXECUTORS if executor not in self.answers)

    @property
    def state(self) -> State:
        """Return where it stands."""
        if any(answer.refused for answer in self.answers.values()):
            return State.FAILED
        return State.ISSUED if self.missing else State.ANSWERED


def decide_as_of(wanted: datetime | None, now: datetime) -> datetime:
    """Return the instant for which an order is decided. Raises RuleRefused for one that is still to come.

    What the future would bring may be asked for in a what-if; nothing is destroyed by a guess.
    """
    if wanted is None:
        return now
    if wanted > now:
        raise RuleRefused("an order is for a moment that has come")
    return wanted
