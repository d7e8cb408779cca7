"""Reads SCIM filters: the text becomes equalities of known attributes, and never any SQL.

Source: RFC 7644, section 3.4.2.2. Of the grammar, `eq` joined by `and` is answered, which is what Entra and
Okta send; the rest is refused as invalidFilter rather than answered wrongly (scim2-filter-parser gives
`and` and `or` the same precedence).
"""

import json
from collections.abc import Iterator
from typing import Any, Final

from scim2_filter_parser import ast
from scim2_filter_parser.lexer import SCIMLexer
from scim2_filter_parser.parser import SCIMParser

from services.identity.domain.errors import InvalidFilter
from services.identity.domain.scim.filters import Condition, Filter, condition_of

_LONGEST: Final = 1024
_MOST_CONDITIONS: Final = 10
_UNSUPPORTED: Final = "a filter is made of equalities (eq), joined by and"


def filter_of(text: str) -> Filter:
    """Return what a filter asks for; raises InvalidFilter."""
    if len(text) > _LONGEST or "\x00" in text:
        raise InvalidFilter(_UNSUPPORTED)
    try:
        tree = SCIMParser().parse(SCIMLexer().tokenize(text))
    except Exception:  # noqa: BLE001 - the parser raises whatever its grammar makes it raise
        raise InvalidFilter("the filter cannot be read") from None
    conditions = tuple(_conditions_of(tree))
    if not conditions or len(conditions) > _MOST_CONDITIONS:
        raise InvalidFilter(_UNSUPPORTED)
    return conditions


def _conditions_of(node: Any) -> Iterator[Condition]:
    match node:
        case ast.Filter(negated=False, namespace=None):
            yield from _conditions_of(node.expr)
        case ast.Filter(negated=False):
            yield _selected(node)
        case ast.LogExpr() if node.op.lower() == "and":
            yield from _conditions_of(node.expr1)
            yield from _conditions_of(node.expr2)
        case ast.AttrExpr() if node.value.lower() == "eq":
            yield _equality(node)
        case _:
            raise InvalidFilter(_UNSUPPORTED)


def _equality(node: Any) -> Condition:
    """Return `userName eq "x"`, or `emails[type eq "work"].value eq "x"`."""
    path, value = node.attr_path, _text_of(node.comp_value)
    if isinstance(path.attr_name, ast.Filter):
        kinds = _parts_of(path.attr_name)
        if set(kinds) != {"type"}:
            raise InvalidFilter(_UNSUPPORTED)
        return condition_of(_name_of(path.attr_name.namespace), value, of_type=kinds["type"])
    return condition_of(_name_of(path), value)


def _selected(node: Any) -> Condition:
    """Return `emails[type eq "work" and value eq "x"]`."""
    parts = _parts_of(node)
    if "value" not in parts or not set(parts) <= {"type", "value"}:
        raise InvalidFilter(_UNSUPPORTED)
    return condition_of(_name_of(node.namespace), parts["value"], of_type=parts.get("type", ""))


def _parts_of(node: Any) -> dict[str, str]:
    """Return the equalities inside brackets, by part."""
    parts: dict[str, str] = {}
    for inner in _leaves_of(node.expr):
        name = inner.attr_path.attr_name
        if not isinstance(name, str) or inner.attr_path.sub_attr or name.lower() in parts:
            raise InvalidFilter(_UNSUPPORTED)
        parts[name.lower()] = _text_of(inner.comp_value)
    return parts


def _leaves_of(node: Any) -> Iterator[Any]:
    match node:
        case ast.Filter(negated=False, namespace=None):
            yield from _leaves_of(node.expr)
        case ast.LogExpr() if node.op.lower() == "and":
            yield from _leaves_of(node.expr1)
            yield from _leaves_of(node.expr2)
        case ast.AttrExpr() if node.value.lower() == "eq":
            yield node
        case _:
            raise InvalidFilter(_UNSUPPORTED)


def _name_of(path: Any) -> str:
    """Return an attribute's path as text, its schema in front."""
    if not isinstance(path.attr_name, str):
        raise InvalidFilter(_UNSUPPORTED)
    schema = f"{path.uri}:" if path.uri else ""
    part = f".{path.sub_attr.value}" if path.sub_attr else ""
    return f"{schema}{path.attr_name}{part}"


def _text_of(value: Any) -> str:
    """Return a comparison value; strings are JSON strings, escapes and all."""
    text: str = value.value
    if "\\" not in text:
        return text
    try:
        unescaped = json.loads(f'"{text}"')
        str(unescaped).encode()
    except ValueError:
        raise InvalidFilter("a value is a JSON string") from None
    if "\x00" in unescaped:
        raise InvalidFilter("a value has characters that are none")
    return str(unescaped)
