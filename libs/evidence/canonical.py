"""Canonical JSON, and reading what must be exactly that. Source: RFC 8785."""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any, cast
from uuid import UUID

import rfc8785

from libs.evidence.errors import EvidenceRefused

NUMBER = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


def canonical(value: object) -> bytes:
    """Return the one spelling of a JSON value. Raises EvidenceRefused for what has none."""
    try:
        return rfc8785.dumps(cast("Any", value))
    except (rfc8785.CanonicalizationError, RecursionError, UnicodeEncodeError):
        raise EvidenceRefused("the value has no canonical form", "value") from None


def canonical_line(value: Mapping[str, Any]) -> bytes:
    """Return `canonical(value)` of objects, lists and strings with ASCII names, many times sooner.

    Raises EvidenceRefused for text that UTF-8 cannot hold.
    """
    try:
        return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        raise EvidenceRefused("the value has no canonical form", "value") from None


def parse_canonical(data: bytes, where: str) -> Any:
    """Return the value of canonical bytes. Raises EvidenceRefused for any other spelling of it."""
    value = parse_json(data, where)
    if canonical(value) != data:
        raise EvidenceRefused("the bytes are not canonical (RFC 8785)", where)
    return value


def parse_json(data: bytes | str, where: str) -> Any:
    """Return the value of JSON without doubled keys. Raises EvidenceRefused."""
    try:
        return json.loads(data, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        raise EvidenceRefused("this is not JSON, or a key stands twice in it", where) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


class Fields:
    """The members of a JSON object, read strictly: each once, each of its type, none left over."""

    def __init__(self, value: object, where: str) -> None:
        """Read `value`, which stands at `where`. Raises EvidenceRefused for what is no object."""
        if not isinstance(value, Mapping):
            raise EvidenceRefused("an object is missing", where)
        self._rest = dict(value)
        self.where = where

    def has(self, name: str) -> bool:
        """Tell whether the member is there and not yet read."""
        return name in self._rest

    def raw(self, name: str) -> Any:
        """Return the member as it is."""
        if name not in self._rest:
            raise EvidenceRefused("a member is missing", f"{self.where}.{name}")
        return self._rest.pop(name)

    def text(self, name: str) -> str:
        """Return a string that UTF-8 can hold."""
        value = self.raw(name)
        if not isinstance(value, str) or any("\ud800" <= character <= "\udfff" for character in value):
            raise EvidenceRefused("a string is missing", f"{self.where}.{name}")
        return value

    def number(self, name: str) -> int:
        """Return a natural number, which stands as a decimal string."""
        value = self.text(name)
        if not NUMBER.fullmatch(value):
            raise EvidenceRefused("a decimal number is missing", f"{self.where}.{name}")
        return int(value)

    def uuid(self, name: str) -> UUID:
        """Return a UUID in lower case."""
        value = self.text(name)
        try:
            found = UUID(value)
        except ValueError:
            found = None
        if found is None or str(found) != value:
            raise EvidenceRefused("a UUID is missing", f"{self.where}.{name}")
        return found

    def hexed(self, name: str, length: int) -> bytes:
        """Return `length` bytes that stand as lower-case hex."""
        value = self.text(name)
        if not re.fullmatch(f"[0-9a-f]{{{2 * length}}}", value):
            raise EvidenceRefused(f"{length} bytes in hex are missing", f"{self.where}.{name}")
        return bytes.fromhex(value)

    def base64(self, name: str) -> bytes:
        """Return bytes that stand as base64."""
        return decoded(self.text(name), f"{self.where}.{name}")

    def items(self, name: str) -> list[Any]:
        """Return a list."""
        value = self.raw(name)
        if not isinstance(value, list):
            raise EvidenceRefused("a list is missing", f"{self.where}.{name}")
        return value

    def hashes(self, name: str) -> list[bytes]:
        """Return a list of hashes, each in base64; their lengths are the proof's business."""
        return [decoded(value, f"{self.where}.{name}") for value in self.items(name)]

    def end(self) -> None:
        """Refuse members that nobody asked for."""
        if self._rest:
            raise EvidenceRefused("an unknown member", f"{self.where}.{min(self._rest)}")


def decoded(value: object, where: str) -> bytes:
    """Return the bytes of standard base64, in its one spelling. Raises EvidenceRefused."""
    try:
        found = base64.b64decode(cast("str", value), validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise EvidenceRefused("base64 is missing", where) from None
    if base64.b64encode(found).decode() != value:
        raise EvidenceRefused("base64 is missing", where)
    return found


def encoded(value: bytes) -> str:
    """Return bytes as standard base64."""
    return base64.b64encode(value).decode()
