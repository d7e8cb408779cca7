"""PATCH: a user's document after a list of changes, all or none.

Source: RFC 7644, section 3.5.2, and what Entra and Okta send beside it: capital operation names, dotted
and URN keys inside a value without a path, values to remove named by `value`.
"""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from services.identity.domain.errors import InvalidPath, InvalidSyntax, InvalidValue, NoTarget
from services.identity.domain.scim.documents import Document, checked
from services.identity.domain.scim.paths import Path, path_of
from services.identity.domain.scim.schema import (
    SERVER_ATTRIBUTES,
    USER,
    Attribute,
    Kind,
    find_schema,
)

PATCH_OP: Final = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
_MOST_OPERATIONS: Final = 100
_OPERATIONS: Final = ("add", "replace", "remove")


@dataclass(frozen=True, slots=True)
class Operation:
    """One change: `op` is add, replace or remove; `path` is None for the resource itself."""

    op: str
    path: str | None
    value: Any


def operations_of(body: object) -> list[Operation]:
    """Return the operations of a PATCH body; raises InvalidSyntax."""
    if not isinstance(body, Mapping):
        raise InvalidSyntax("a PATCH is a JSON object")
    fields = {str(key).lower(): value for key, value in body.items()}
    schemas, operations = fields.get("schemas"), fields.get("operations")
    if not isinstance(schemas, list) or PATCH_OP.lower() not in [str(each).lower() for each in schemas]:
        raise InvalidSyntax(f"schemas must name {PATCH_OP}")
    if not isinstance(operations, list) or not 0 < len(operations) <= _MOST_OPERATIONS:
        raise InvalidSyntax(f"Operations has 1 to {_MOST_OPERATIONS} members")
    return [_operation_of(each) for each in operations]


def patched(document: Mapping[str, Any], operations: list[Operation]) -> Document:
    """Return the checked document after all operations; the given one stays as it is.

    Raises InvalidPath, InvalidValue, NoTarget and NotMutable.
    """
    draft: Document = copy.deepcopy(dict(document))
    for operation in operations:
        if operation.path is None:
            _change_resource(draft, operation)
        else:
            _change(draft, operation.op, path_of(operation.path), operation.value)
    return checked(draft)


def _operation_of(raw: object) -> Operation:
    if not isinstance(raw, Mapping):
        raise InvalidSyntax("an operation is a JSON object")
    fields = {str(key).lower(): value for key, value in raw.items()}
    op, path = fields.get("op"), fields.get("path")
    if not isinstance(op, str) or op.lower() not in _OPERATIONS:
        raise InvalidSyntax("op is add, replace or remove")
    if path is not None and not isinstance(path, str):
        raise InvalidPath("path is a string")
    return Operation(op.lower(), path or None, fields.get("value"))


def _change_resource(draft: Document, operation: Operation) -> None:
    """Change what a value without a path names by its keys."""
    if operation.op == "remove":
        raise NoTarget("remove needs a path")
    if not isinstance(operation.value, Mapping):
        raise InvalidValue("without a path the value is an object")
    for path, value in _named(operation.value):
        _change(draft, operation.op, path, value)


def _named(value: Mapping[str, Any]) -> Iterator[tuple[Path, Any]]:
    """Yield where each key of an object goes, without the server's own attributes and unknown ones."""
    for key, inner in value.items():
        if key.lower() in SERVER_ATTRIBUTES:
            continue
        if find_schema(key) is not None or key.lower().startswith("urn:"):
            schema = find_schema(key)
            if schema is None and ":" in key:
                yield from _known(key, inner)
            elif isinstance(inner, Mapping):
                for part, deep in inner.items():
                    yield from _known(f"{key}:{part}", deep)
        else:
            yield from _known(key, inner)


def _known(key: str, value: Any) -> Iterator[tuple[Path, Any]]:
    try:
        yield path_of(key), value
    except InvalidPath:
        return


def _change(draft: Document, op: str, path: Path, value: Any) -> None:
    holder = draft if path.schema is USER else draft.setdefault(path.schema.name, {})
    if path.attribute is None:
        _change_whole(holder, op, path.schema, value)
    elif path.attribute.many:
        _change_values(holder, op, path, path.attribute, value)
    elif path.part is not None:
        inner = holder[path.attribute.name] = _parts_of(holder, path.attribute)
        _set(inner, path.part.name, None if op == "remove" else value)
    elif path.attribute.kind is Kind.COMPLEX and op != "remove" and isinstance(value, Mapping):
        holder[path.attribute.name] = {
            **_parts_of(holder, path.attribute),
            **_canonical(path.attribute, value),
        }
    else:
        _set(holder, path.attribute.name, None if op == "remove" else value)


def _parts_of(holder: Document, attribute: Attribute) -> Document:
    """Return the parts so far; what an operation before it put there may be anything, and has none."""
    parts = holder.get(attribute.name)
    return dict(parts) if isinstance(parts, Mapping) else {}


def _change_whole(holder: Document, op: str, schema: Attribute, value: Any) -> None:
    if op == "remove":
        holder.clear()
        return
    if not isinstance(value, Mapping):
        raise InvalidValue("an extension is an object")
    holder.update(_canonical(schema, value))


def _change_values(holder: Document, op: str, path: Path, attribute: Attribute, value: Any) -> None:
    """Change a list of values: all of them, or those that the path selects."""
    values: list[Document] = holder.setdefault(attribute.name, [])
    if path.selection is None and path.part is None:
        holder[attribute.name] = _whole_list(values, op, attribute, value)
    elif op == "remove":
        holder[attribute.name] = _without(values, path)
    else:
        _change_selected(values, op, path, value)


def _whole_list(values: list[Document], op: str, attribute: Attribute, value: Any) -> list[Document]:
    given = [] if value is None else _objects_of(attribute, value)
    if op == "remove":
        # Entra names the values to remove by `value` instead of a filter in the path.
        gone = {str(each.get("value", "")).casefold() for each in given}
        return [each for each in values if given and str(each.get("value", "")).casefold() not in gone]
    if op == "replace":
        return given
    kept = [_unprimed(each) for each in values] if any(each.get("primary") for each in given) else values
    return kept + [each for each in given if each not in values]


def _without(values: list[Document], path: Path) -> list[Document]:
    kept: list[Document] = []
    for each in values:
        if not path.selects(each):
            kept.append(each)
        elif path.part is not None:
            kept.append({name: inner for name, inner in each.items() if name != path.part.name})
    return kept


def _change_selected(values: list[Document], op: str, path: Path, value: Any) -> None:
    selected = [each for each in values if path.selects(each)]
    if not selected:
        if path.selection is None or (op == "replace" and path.part is None):
            raise NoTarget("no value matches the path")
        # Entra expects the value that it selects to be made, e.g. emails[type eq "work"].value.
        selected = [dict(path.selection)]
        values.extend(selected)
    for each in selected:
        if path.part is not None:
            _set(each, path.part.name, value)
        elif isinstance(value, Mapping) and path.attribute is not None:
            each.update(_canonical(path.attribute, value))
        else:
            raise InvalidValue("the value of a selection is an object")
    if any(_is_true(each.get("primary")) for each in selected):
        for each in values:
            if each not in selected and "primary" in each:
                each["primary"] = False


def _objects_of(attribute: Attribute, value: Any) -> list[Document]:
    given = value if isinstance(value, list) else [value]
    objects: list[Document] = []
    for each in given:
        if isinstance(each, str):
            objects.append({"value": each})
        elif isinstance(each, Mapping):
            objects.append(_canonical(attribute, each))
        else:
            raise InvalidValue(f"a value of {attribute.name} is an object")
    return objects


def _canonical(attribute: Attribute, value: Mapping[str, Any]) -> Document:
    """Return the known parts of a value in canonical spelling, dotted keys of Entra's included."""
    found: Document = {}
    for key, inner in value.items():
        part = attribute.find_part(str(key))
        if part is not None:
            found[part.name] = (
                _is_true(inner) if part.kind is Kind.BOOLEAN and isinstance(inner, str) else inner
            )
    return found


def _is_true(value: object) -> bool:
    return value is True or (isinstance(value, str) and value.lower() == "true")


def _unprimed(value: Document) -> Document:
    return {**value, "primary": False} if value.get("primary") else value


def _set(holder: Document, name: str, value: Any) -> None:
    if value is None:
        holder.pop(name, None)
    else:
        holder[name] = value
