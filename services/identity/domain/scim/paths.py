"""The path of a PATCH operation: an attribute, perhaps of an extension, a selection of values, a part.

Source: RFC 7644, section 3.5.2, figure 7.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from services.identity.domain.errors import InvalidPath, NotMutable
from services.identity.domain.scim.schema import (
    CORE,
    ENTERPRISE,
    SERVER_ATTRIBUTES,
    USER,
    Attribute,
    find_schema,
)

_LONGEST: Final = 512
_SHAPE: Final = re.compile(
    r"(?P<name>[A-Za-z][\w-]*)(?:\[(?P<selection>.*)\])?(?:\.(?P<part>\$?[A-Za-z][\w-]*))?"
)
_CONDITION: Final = re.compile(
    r'\s*(?P<part>\$?[A-Za-z][\w-]*)\s+eq\s+(?:"(?P<text>[^"\\]*)"|(?P<word>true|false))\s*', re.IGNORECASE
)
_AND: Final = re.compile(r"and\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Path:
    """Where a change goes: `attribute` of `schema`, those of its values that `selection` names, their `part`.

    An attribute of None is the extension as a whole. `selection` maps parts to the values they must have.
    """

    schema: Attribute
    attribute: Attribute | None
    selection: Mapping[str, str | bool] | None = None
    part: Attribute | None = None

    def selects(self, value: Mapping[str, Any]) -> bool:
        """Return whether one value of the attribute is among the selected; case of strings does not count."""
        return all(_same(value.get(part), wanted) for part, wanted in (self.selection or {}).items())


def path_of(text: str) -> Path:
    """Return what a path says.

    Raises InvalidPath when it cannot be read or names no attribute, NotMutable for the server's own.
    """
    if len(text) > _LONGEST:
        raise InvalidPath("the path is too long")
    schema, rest = _schema_and_rest(text.strip())
    if not rest:
        return Path(schema, None)
    shape = _SHAPE.fullmatch(rest)
    if shape is None:
        raise InvalidPath("the path cannot be read")
    if schema is USER and shape["name"].lower() in SERVER_ATTRIBUTES:
        raise NotMutable(f"{shape['name']} is set by the server")
    attribute = schema.find_part(shape["name"])
    if attribute is None:
        raise InvalidPath(f"there is no attribute {shape['name']}")
    selection = None if shape["selection"] is None else _selection_of(attribute, shape["selection"])
    part = None if shape["part"] is None else _part_of(attribute, shape["part"])
    return Path(schema, attribute, selection, part)


def _schema_and_rest(text: str) -> tuple[Attribute, str]:
    for urn in (CORE, ENTERPRISE):
        if text.lower().startswith(urn.lower()):
            schema = find_schema(urn)
            rest = text[len(urn) :]
            if schema is None or (rest and rest[0] not in ":."):
                break
            return schema, rest[1:]
    return USER, text


def _part_of(attribute: Attribute, name: str) -> Attribute:
    part = attribute.find_part(name)
    if part is None:
        raise InvalidPath(f"{attribute.name} has no part {name}")
    return part


def _selection_of(attribute: Attribute, text: str) -> dict[str, str | bool]:
    """Return the conditions in brackets: equalities, joined by `and`."""
    if not attribute.many:
        raise InvalidPath(f"{attribute.name} has one value and takes no filter")
    selection: dict[str, str | bool] = {}
    place = 0
    while True:
        condition = _CONDITION.match(text, place)
        if condition is None:
            raise InvalidPath("a path's filter is made of equalities, joined by and")
        word = condition["word"]
        value: str | bool = condition["text"] if word is None else word.lower() == "true"
        selection[_part_of(attribute, condition["part"]).name] = value
        place = condition.end()
        if place == len(text):
            return selection
        conjunction = _AND.match(text, place)
        if conjunction is None:
            raise InvalidPath("a path's filter is made of equalities, joined by and")
        place = conjunction.end()


def _same(value: object, wanted: object) -> bool:
    if isinstance(wanted, bool):
        return (value is True) == wanted
    return str(value).casefold() == str(wanted).casefold()
