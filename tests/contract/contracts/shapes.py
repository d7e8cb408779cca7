"""What the wire shows of a struct, flattened, so that two versions can be compared field by field."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

Shape = dict[str, dict[str, Any]]
"""Path of a field (`entries[].seq`) → its JSON Schema, without what it contains, and `required`."""


def shape_of(kind: type[msgspec.Struct]) -> Shape:
    """Return the shape of a struct's JSON form."""
    schema = msgspec.json.decode(msgspec.json.encode(msgspec.json.schema(kind)))
    shape: Shape = {}
    _walk(schema, schema.get("$defs", {}), "", shape, required=True)
    return shape


def breaches_between(old: Shape, new: Shape) -> list[str]:
    """Return a sentence for every way in which `new` breaks those who write or read `old`."""
    breaches = [f"{path} is gone" for path in old if path not in new]
    breaches += [
        f"{path} was {facts} and is {new[path]}"
        for path, facts in old.items()
        if path in new and new[path] != facts
    ]
    return breaches + [
        f"{path} is new and has no default"
        for path, facts in new.items()
        if path not in old and facts["required"] and _parent_of(path) in old
    ]


def read_shape(path: Path) -> Shape:
    """Return the shape that a snapshot holds."""
    return msgspec.json.decode(path.read_bytes(), type=Shape)


def write_shape(path: Path, shape: Shape) -> None:
    """Write a snapshot, one field a line, in order."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(shape, order="sorted"), indent=2) + b"\n")


def _parent_of(path: str) -> str:
    """Return the path of the array that holds the element, or of the object that holds the field.

    The root's is empty.
    """
    return path.removesuffix("[]") if path.endswith("[]") else path.rpartition(".")[0]


def _walk(
    schema: Mapping[str, Any], definitions: Mapping[str, Any], path: str, shape: Shape, *, required: bool
) -> None:
    """Add what lies at `path` and below it."""
    schema = _resolved(schema, definitions)
    shape[path] = {"required": required, "is": _own(schema, definitions)}
    for option in _options_of(schema, definitions):
        for name, inner in option.get("properties", {}).items():
            below = f"{path}.{name}" if path else name
            _walk(inner, definitions, below, shape, required=name in option.get("required", ()))
        if "items" in option:
            _walk(option["items"], definitions, f"{path}[]", shape, required=True)
        if isinstance(option.get("additionalProperties"), Mapping):
            _walk(option["additionalProperties"], definitions, f"{path}{{}}", shape, required=True)


def _resolved(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    name = schema.get("$ref", "").removeprefix("#/$defs/")
    return definitions[name] if name else schema


def _options_of(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [_resolved(option, definitions) for option in schema.get("anyOf", [schema])]


def _own(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Any:
    """Return the schema's own constraints; fields and items have lines of their own."""
    if "anyOf" in schema:
        return [_own(option, definitions) for option in _options_of(schema, definitions)]
    skipped = {"title", "description", "properties", "required", "items"}
    own = {key: value for key, value in schema.items() if key not in skipped}
    if isinstance(own.get("additionalProperties"), Mapping):
        own["additionalProperties"] = True
    return own
