"""Orders of disposition, and what executors answered."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from libs.disposition.claims import Erasure, Lock, Rule
from libs.kernel.ids import PrincipalId, TenantId
from services.retention.domain.errors import RuleRefused, RunRefused

EXECUTORS: Final = ("messaging",)
"""Who destroys, and therefore answers."""
WHAT_IF: Final = "what-if"
"""The kind of an order that supposes something, and whose result is never carried out."""
RUN_ACT: Final = "retention.run"
"""The act that needs four eyes."""


class State(StrEnum):
    """Where an order stands."""

    ISSUED = "issued"
    ANSWERED = "answered"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Claims:
    """By what an order is decided, beside the holds: the executors know those."""

    as_of: datetime
    rules: tuple[Rule, ...]
    locks: tuple[Lock, ...]
    erasures: tuple[Erasure, ...]
    without_holds: frozenset[UUID] = frozenset()


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What is supposed: rules that are not made, rules that are ended, erasures by these, holds released."""

    rules: tuple[Rule, ...] = ()
    without_rules: frozenset[UUID] = frozenset()
    erasures: tuple[Erasure, ...] = ()
    without_holds: frozenset[UUID] = frozenset()


@dataclass(frozen=True, slots=True)
class Order:
    """An order as it was given; `kind` is dry-run, what-if or run.

    A run names the dry run whose result was approved, with its generation of holds and its hash.
    """

    tenant: TenantId
    order: UUID
    kind: str
    claims: Claims
    issued_by: PrincipalId
    issued_at: datetime
    dry_run: UUID | None = None
    generation: int | None = None
    digest: bytes | None = None


class Done(NamedTuple):
    """What an executor did: items hidden, destroyed and spared, bytes destroyed, data keys of these."""

    hidden: int
    destroyed: int
    spared: int
    bytes: int
    deks: int


@dataclass(frozen=True, slots=True)
class Completion:
    """What one executor did: `told` is its own words. `refused` is empty where it carried out everything."""

    executor: str
    refused: str
    told: object
    at: datetime
    done: Done


class Confirmed(NamedTuple):
    """What a store has confirmed up to now: so many items or data keys, the last `at`.

    From `unrecoverable_after` on none of its backups holds them; None where it says no such time.
    """

    number: int
    at: datetime
    unrecoverable_after: datetime | None = None


class Issued(NamedTuple):
    """The certificate of a run: when it was made, the hash of what it states (32 bytes), and its act."""

    at: datetime
    digest: bytes
    act: UUID


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
    """An order with the answers that it has; a run with what was done, and which stores confirmed that."""

    order: Order
    answers: Mapping[str, Answer] = field(default_factory=dict)
    completions: Mapping[str, Completion] = field(default_factory=dict)
    confirmed: Mapping[str, Confirmed] = field(default_factory=dict)
    issued: Issued | None = None

    @property
    def runs(self) -> bool:
        """Whether it is a run."""
        return self.order.dry_run is not None

    @property
    def missing(self) -> tuple[str, ...]:
        """Return the executors that have not answered."""
        told = self.completions if self.runs else self.answers
        return tuple(executor for executor in EXECUTORS if executor not in told)

    @property
    def state(self) -> State:
        """Return where it stands."""
        refusals = [each.refused for each in self.answers.values()]
        refusals += [each.refused for each in self.completions.values()]
        if any(refusals):
            return State.FAILED
        if self.missing:
            return State.ISSUED
        return State.DONE if self.runs else State.ANSWERED


def decide_as_of(wanted: datetime | None, now: datetime) -> datetime:
    """Return the instant for which an order is decided. Raises RuleRefused for one that is still to come.

    What the future would bring may be asked for in a what-if; nothing is destroyed by a guess.
    """
    if wanted is None:
        return now
    if wanted > now:
        raise RuleRefused("an order is for a moment that has come")
    return wanted


def supposed(claims: Claims, what_if: WhatIf) -> Claims:
    """Return the claims as they would be. Raises RuleRefused for a rule that is not in force."""
    missing = what_if.without_rules - {rule.rule for rule in claims.rules}
    if missing:
        raise RuleRefused("only a rule in force can be taken for ended")
    kept = tuple(rule for rule in claims.rules if rule.rule not in what_if.without_rules)
    return Claims(
        claims.as_of,
        (*kept, *what_if.rules),
        claims.locks,
        (*claims.erasures, *what_if.erasures),
        what_if.without_holds,
    )


def result_of(tried: Standing) -> Answer:
    """Return what a dry run found. Raises RunRefused for an order that has no result."""
    if tried.runs or tried.order.kind == WHAT_IF or tried.state is not State.ANSWERED:
        raise RunRefused("only the result of a dry run that was answered can be carried out")
    (answer,) = tried.answers.values()
    return answer


def decide_run(tried: Standing, rules: tuple[Rule, ...], locks: tuple[Lock, ...]) -> None:
    """Refuse to carry out a result that was found by other `rules` and `locks`. Raises RunRefused.

    A request for erasure that came since changes nothing of what was found.
    """
    result_of(tried)
    claims = tried.order.claims
    if set(claims.rules) != set(rules) or set(claims.locks) != set(locks):
        raise RunRefused("rules or locks changed since: try it anew")
