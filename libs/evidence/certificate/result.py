"""The result that two people agreed on: the object whose hash was approved, and what a verifier reads in it.

Its numbers are JSON numbers, as they were hashed. It names rules, preservation locks and requests for
erasure, the generation of holds, and the counts of every class.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from libs.disposition.claims import Erasure, Lock, Rule, RuleKind
from libs.disposition.errors import PeriodRefused
from libs.disposition.period import Period
from libs.evidence.canonical import Fields, canonical
from libs.evidence.errors import EvidenceRefused
from libs.evidence.production.manifest import instant_in

_VERSION: Final = "muniment/disposition-result/v1"
_STANDINGS: Final = ("retained", "preserved", "hidden", "ripe")


@dataclass(frozen=True, slots=True)
class Result:
    """What was approved: `due` items were to be hidden (those that a hold keeps too), `ripe` destroyed."""

    tenant: UUID
    generation: int
    as_of: datetime
    rules: tuple[Rule, ...]
    locks: tuple[Lock, ...]
    erasures: tuple[Erasure, ...]
    due: int
    ripe: int
    ripe_bytes: int


def digest_of(result: Mapping[str, Any]) -> bytes:
    """Return the hash (32 bytes) that was approved."""
    return hashlib.sha256(canonical(result)).digest()


def parse_result(value: object, where: str) -> Result:
    """Read the object strictly. Raises EvidenceRefused."""
    fields = Fields(value, where)
    if fields.text("v") != _VERSION:
        raise EvidenceRefused("this is no result that is known", f"{where}.v")
    terms = Fields(fields.raw("terms"), f"{where}.terms")
    classes = [_class(each, f"{where}.classes[{at}]") for at, each in enumerate(fields.items("classes"))]
    found = Result(
        fields.uuid("tenant"),
        _whole(fields, "generation"),
        instant_in(terms, "as_of"),
        tuple(_rule(each, f"{terms.where}.rules[{at}]") for at, each in enumerate(terms.items("rules"))),
        tuple(_lock(each, f"{terms.where}.locks[{at}]") for at, each in enumerate(terms.items("locks"))),
        tuple(
            _erasure(each, f"{terms.where}.erasures[{at}]") for at, each in enumerate(terms.items("erasures"))
        ),
        sum(each["preserved"] + each["hidden"] + each["ripe"] for each in classes),
        sum(each["ripe"] for each in classes),
        sum(each["ripe_bytes"] for each in classes),
    )
    if terms.items("without_holds"):
        raise EvidenceRefused("a hold is supposed away", f"{terms.where}.without_holds")
    terms.end()
    fields.end()
    return found


def _rule(value: object, where: str) -> Rule:
    fields = Fields(value, where)
    try:
        rule = Rule(
            fields.uuid("rule"),
            _whole(fields, "version"),
            RuleKind(fields.text("kind")),
            _period(fields),
            _types(fields),
            _conversations(fields),
            timedelta(seconds=_whole(fields, "grace_seconds")),
        )
    except (ValueError, OverflowError, PeriodRefused):
        raise EvidenceRefused("this is no rule", where) from None
    fields.end()
    return rule


def _lock(value: object, where: str) -> Lock:
    fields = Fields(value, where)
    lock = Lock(fields.uuid("lock"), _period(fields), _types(fields))
    fields.end()
    return lock


def _erasure(value: object, where: str) -> Erasure:
    fields = Fields(value, where)
    erasure = Erasure(fields.uuid("erasure"), fields.uuid("subject"), instant_in(fields, "requested_at"))
    fields.end()
    return erasure


def _class(value: object, where: str) -> dict[str, int]:
    fields = Fields(value, where)
    fields.text("conversation_type")
    for name in ("conversations", "first_at", "last_at"):
        fields.raw(name)
    names = [*_STANDINGS, *(f"{standing}_bytes" for standing in _STANDINGS)]
    counts = {name: _whole(fields, name) for name in names}
    fields.end()
    return counts


def _period(outer: Fields) -> Period:
    fields = Fields(outer.raw("period"), f"{outer.where}.period")
    period = Period(_whole(fields, "years"), _whole(fields, "months"), _whole(fields, "days"))
    fields.end()
    return period


def _types(fields: Fields) -> frozenset[str] | None:
    types = _list_or_none(fields, "conversation_types")
    if types is None:
        return None
    return frozenset(Fields({"type": each}, fields.where).text("type") for each in types)


def _conversations(fields: Fields) -> frozenset[UUID] | None:
    names = _list_or_none(fields, "conversations")
    if names is None:
        return None
    return frozenset(Fields({"conversation": each}, fields.where).uuid("conversation") for each in names)


def _list_or_none(fields: Fields, name: str) -> list[Any] | None:
    value = fields.raw(name)
    if value is not None and not isinstance(value, list):
        raise EvidenceRefused("a list or null is missing", f"{fields.where}.{name}")
    return value


def _whole(fields: Fields, name: str) -> int:
    """Read a whole number that stands as a number of JSON."""
    value = fields.raw(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise EvidenceRefused("a whole number is missing", f"{fields.where}.{name}")
    return value
