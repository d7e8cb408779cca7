"""Presets: what regulations ask for, read from `policies/retention`, one TOML file each.

A file has `name` (its own), `title`, `source` (where the regulation says so), `kind` (`floor` or
`deletion`), and of periods (`{ years, months, days }`) `period`, unless the regulation leaves it to the
tenant, and `on_request`, if an authority may ask for a longer one. Anything else is refused.
"""

import tomllib
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

from libs.disposition.claims import Rule, RuleKind
from libs.disposition.errors import PeriodRefused, PresetRefused
from libs.disposition.period import Period

_PARTS: Final = frozenset({"years", "months", "days"})


@dataclass(frozen=True, slots=True)
class Preset:
    """A regulation's duty; `period` is None where the tenant has to say how long."""

    name: str
    title: str
    source: str
    kind: RuleKind
    period: Period | None
    on_request: Period | None

    def rule(
        self,
        rule: UUID,
        version: int,
        period: Period | None = None,
        conversation_types: frozenset[str] | None = None,
        conversations: frozenset[UUID] | None = None,
        grace: timedelta = timedelta(0),
    ) -> Rule:
        """Return a rule of a tenant made from this preset, for `period` (None: the preset's own).

        Raises PeriodRefused if neither names a period, or if a floor would be shorter than the regulation's.
        """
        chosen = period or self.period
        if chosen is None:
            raise PeriodRefused(f"{self.source} leaves the period to the tenant: it has to be given")
        if self.kind is RuleKind.FLOOR and self.period is not None and not chosen.reaches(self.period):
            raise PeriodRefused(f"{self.source} asks for {self.period}, not {chosen}")
        return Rule(rule, version, self.kind, chosen, conversation_types, conversations, grace)


def read_presets(folder: Path) -> tuple[Preset, ...]:
    """Return the presets of a folder by name. Raises PresetRefused."""
    return tuple(_read(path) for path in sorted(folder.glob("*.toml")))


def parse_preset(text: str, where: str) -> Preset:
    """Read one preset; `where` names its file in a refusal. Raises PresetRefused."""
    try:
        members: dict[str, object] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as defect:
        raise PresetRefused(str(defect), where) from None
    preset = Preset(
        name=_text(members, "name", where),
        title=_text(members, "title", where),
        source=_text(members, "source", where),
        kind=_kind(_text(members, "kind", where), where),
        period=_period(members.pop("period", None), f"{where}: period"),
        on_request=_period(members.pop("on_request", None), f"{where}: on_request"),
    )
    if members:
        raise PresetRefused(f"a preset has no {', '.join(sorted(members))}", where)
    if preset.kind is RuleKind.FLOOR and preset.period is None:
        raise PresetRefused("a floor has its period", where)
    if preset.on_request and not (preset.period and preset.on_request.reaches(preset.period)):
        raise PresetRefused("what an authority asks for is longer than the period", where)
    return preset


def _read(path: Path) -> Preset:
    try:
        preset = parse_preset(path.read_text("utf-8"), path.name)
    except UnicodeDecodeError:
        raise PresetRefused("a preset is text in UTF-8", path.name) from None
    if preset.name != path.stem:
        raise PresetRefused("a preset has the name of its file", path.name)
    return preset


def _text(members: dict[str, object], name: str, where: str) -> str:
    value = members.pop(name, None)
    if not isinstance(value, str) or not value.strip():
        raise PresetRefused(f"a preset has a {name} in words", where)
    return value


def _kind(name: str, where: str) -> RuleKind:
    try:
        return RuleKind(name)
    except ValueError:
        raise PresetRefused(f"a preset is a floor or a deletion, not a {name}", where) from None


def _period(value: object, where: str) -> Period | None:
    if value is None:
        return None
    if not isinstance(value, dict) or not value or not value.keys() <= _PARTS:
        raise PresetRefused("a period has years, months, days, or some of them", where)
    if not all(type(count) is int and count >= 0 for count in value.values()):
        raise PresetRefused("a period counts in whole numbers, none of them negative", where)
    return Period(**value)
