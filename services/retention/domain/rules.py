"""Rules, preservation locks and requests for erasure, in versions that are never changed in place."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from libs.disposition.claims import Erasure, Lock, Rule, RuleKind
from libs.disposition.period import Period
from libs.disposition.presets import Preset
from libs.kernel.ids import PrincipalId, TenantId
from services.retention.domain.errors import RuleEnded, RuleRefused, VersionPassed

CONVERSATION_TYPES: Final = frozenset({"direct", "group", "import"})
MOST_CONVERSATIONS: Final = 1000
"""Conversations that one rule may name."""
MOST_YEARS: Final = 200
LONGEST_GRACE: Final = timedelta(days=3660)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A rule as somebody asks for it; where it names a preset, what it leaves out is the preset's."""

    kind: RuleKind | None
    period: Period | None
    conversation_types: frozenset[str] | None = None
    conversations: frozenset[UUID] | None = None
    grace: timedelta = timedelta(0)
    preset: str | None = None


@dataclass(frozen=True, slots=True)
class RuleVersion:
    """One version of a rule: by whom, when, from which preset; `ended`: from then on it says nothing."""

    tenant: TenantId
    rule: Rule
    preset: str | None
    ended: bool
    made_by: PrincipalId
    made_at: datetime


@dataclass(frozen=True, slots=True)
class LockVersion:
    """One version of a preservation lock; each reaches at least as far as the one before."""

    tenant: TenantId
    lock: Lock
    version: int
    made_by: PrincipalId
    made_at: datetime


@dataclass(frozen=True, slots=True)
class ErasureRequest:
    """A subject's request for erasure, as an officer took it in."""

    tenant: TenantId
    erasure: Erasure
    taken_by: PrincipalId


def decide_rule(rule: UUID, version: int, wanted: Wanted, presets: Mapping[str, Preset]) -> Rule:
    """Return a version of a rule as it was asked for. Raises RuleRefused, and PeriodRefused."""
    _refuse_unknown_types(wanted.conversation_types)
    if wanted.conversations is not None and not 0 < len(wanted.conversations) <= MOST_CONVERSATIONS:
        raise RuleRefused(f"a rule names 1 to {MOST_CONVERSATIONS} conversations, or none of them")
    if wanted.preset is None:
        made = _free_rule(rule, version, wanted)
    else:
        made = _preset_of(wanted, presets).rule(
            rule, version, wanted.period, wanted.conversation_types, wanted.conversations, wanted.grace
        )
    _refuse_odd_period(made.period)
    if made.grace > LONGEST_GRACE:
        raise RuleRefused(f"the time of grace is at most {LONGEST_GRACE.days} days")
    if made.kind is RuleKind.FLOOR and made.grace:
        raise RuleRefused("a floor has no time of grace")
    return made


def decide_change(latest: RuleVersion, seen: int, wanted: Wanted, presets: Mapping[str, Preset]) -> Rule:
    """Return the version that follows `latest`, of which the person saw version `seen`.

    A floor stays a floor and a deletion a deletion. Raises what `decide_rule` raises, VersionPassed and
    RuleEnded.
    """
    _refuse_passed(latest, seen)
    made = decide_rule(latest.rule.rule, seen + 1, wanted, presets)
    if made.kind is not latest.rule.kind:
        raise RuleRefused(f"a {latest.rule.kind.value} does not become a {made.kind.value}: end it")
    return made


def decide_end(latest: RuleVersion, seen: int) -> Rule:
    """Return the version that ends a rule. Raises VersionPassed and RuleEnded."""
    _refuse_passed(latest, seen)
    return replace(latest.rule, version=seen + 1)


def decide_lock(lock: UUID, period: Period, conversation_types: frozenset[str] | None) -> Lock:
    """Return a new lock. Raises RuleRefused."""
    _refuse_unknown_types(conversation_types)
    _refuse_odd_period(period)
    return Lock(lock, period, conversation_types)


def decide_extension(
    latest: LockVersion, seen: int, period: Period, conversation_types: frozenset[str] | None
) -> Lock:
    """Return the lock extended. Raises VersionPassed, RuleRefused, and PeriodRefused for less of it."""
    if latest.version != seen:
        raise VersionPassed(latest.version)
    _refuse_unknown_types(conversation_types)
    _refuse_odd_period(period)
    return latest.lock.extended_to(period, conversation_types)


def in_force(versions: Iterable[RuleVersion]) -> tuple[Rule, ...]:
    """Return the rules of the newest versions that have not ended, in the order of their ids."""
    return tuple(sorted((each.rule for each in versions if not each.ended), key=lambda rule: rule.rule))


def _free_rule(rule: UUID, version: int, wanted: Wanted) -> Rule:
    if wanted.kind is None or wanted.period is None:
        raise RuleRefused("a rule without a preset has a kind and a period")
    return Rule(
        rule,
        version,
        wanted.kind,
        wanted.period,
        wanted.conversation_types,
        wanted.conversations,
        wanted.grace,
    )


def _preset_of(wanted: Wanted, presets: Mapping[str, Preset]) -> Preset:
    preset = presets.get(wanted.preset or "")
    if preset is None:
        raise RuleRefused("there is no such preset")
    if wanted.kind not in (None, preset.kind):
        raise RuleRefused(f"this preset is a {preset.kind.value}")
    return preset


def _refuse_passed(latest: RuleVersion, seen: int) -> None:
    if latest.ended:
        raise RuleEnded(latest.rule.rule)
    if latest.rule.version != seen:
        raise VersionPassed(latest.rule.version)


def _refuse_unknown_types(types: frozenset[str] | None) -> None:
    if types is not None and not (types and types <= CONVERSATION_TYPES):
        raise RuleRefused(f"conversation types are {', '.join(sorted(CONVERSATION_TYPES))}, one at least")


def _refuse_odd_period(period: Period) -> None:
    if period == Period():
        raise RuleRefused("a period is not empty")
    if period.years + period.months / 12 + period.days / 365 > MOST_YEARS:
        raise RuleRefused(f"a period is at most {MOST_YEARS} years")
