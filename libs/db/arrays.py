"""Arrays in PostgreSQL's binary form, packed at once: the driver's own dumper costs a call an element.

For the few statements that carry whole batches; everywhere else a list is good enough.
Source: PostgreSQL 18, `array_send` (number of dimensions, flags, element type, dimension, lower bound,
then each element behind its length, -1 for NULL).
"""

import struct
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from uuid import UUID

from psycopg.adapt import AdaptersMap, Dumper
from psycopg.pq import Format

_HEADER = struct.Struct("!iiIii")
_EMPTY = struct.Struct("!iiI")
_LENGTH = struct.Struct("!i")
_NULL = _LENGTH.pack(-1)
_UUID_LENGTH = _LENGTH.pack(16)
_SMALLINT = struct.Struct("!ih")
_INTEGER = struct.Struct("!ii")
_BIGINT = struct.Struct("!iq")
_BOOLEAN = struct.Struct("!i?")
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)

_BOOL, _BYTEA, _INT8, _INT2, _INT4, _TEXT, _TIMESTAMPTZ, _UUID = 16, 17, 20, 21, 23, 25, 1184, 2950


class UuidArray(bytes):
    """A packed uuid[]."""


class ByteaArray(bytes):
    """A packed bytea[]."""


class TextArray(bytes):
    """A packed text[]."""


class SmallintArray(bytes):
    """A packed smallint[]."""


class IntegerArray(bytes):
    """A packed integer[]."""


class BigintArray(bytes):
    """A packed bigint[]."""


class InstantArray(bytes):
    """A packed timestamptz[]."""


class BooleanArray(bytes):
    """A packed boolean[]."""


def uuids(values: Sequence[UUID | None]) -> UuidArray:
    """Pack UUIDs."""
    return UuidArray(
        _packed(_UUID, [_NULL if value is None else _UUID_LENGTH + value.bytes for value in values])
    )


def byteas(values: Sequence[bytes | None]) -> ByteaArray:
    """Pack byte strings."""
    return ByteaArray(_packed(_BYTEA, _measured(values)))


def texts(values: Sequence[str | None]) -> TextArray:
    """Pack texts, as UTF-8."""
    return TextArray(
        _packed(_TEXT, _measured([None if value is None else value.encode() for value in values]))
    )


def smallints(values: Sequence[int]) -> SmallintArray:
    """Pack integers of 16 bits. Raises struct.error for a greater one."""
    pack = _SMALLINT.pack
    return SmallintArray(_packed(_INT2, [pack(2, value) for value in values]))


def integers(values: Sequence[int | None]) -> IntegerArray:
    """Pack integers of 32 bits. Raises struct.error for a greater one."""
    pack = _INTEGER.pack
    return IntegerArray(_packed(_INT4, [_NULL if value is None else pack(4, value) for value in values]))


def bigints(values: Sequence[int | None]) -> BigintArray:
    """Pack integers of 64 bits. Raises struct.error for a greater one."""
    pack = _BIGINT.pack
    return BigintArray(_packed(_INT8, [_NULL if value is None else pack(8, value) for value in values]))


def booleans(values: Sequence[bool]) -> BooleanArray:
    """Pack truth values."""
    pack = _BOOLEAN.pack
    return BooleanArray(_packed(_BOOL, [pack(1, value) for value in values]))


def instants(values: Sequence[datetime | None]) -> InstantArray:
    """Pack aware instants, to the microsecond."""
    pack = _BIGINT.pack
    return InstantArray(
        _packed(_TIMESTAMPTZ, [_NULL if value is None else pack(8, _microseconds(value)) for value in values])
    )


def register_arrays(adapters: AdaptersMap) -> None:
    """Let connections with these `adapters` send packed arrays as they are."""
    for dumper in _DUMPERS:
        adapters.register_dumper(dumper.packed, dumper)


def _measured(values: Iterable[bytes | None]) -> list[bytes]:
    pack = _LENGTH.pack
    return [_NULL if value is None else pack(len(value)) + value for value in values]


def _packed(element: int, parts: Sequence[bytes]) -> bytes:
    if not parts:
        return _EMPTY.pack(0, 0, element)
    return _HEADER.pack(1, 1 if _NULL in parts else 0, element, len(parts), 1) + b"".join(parts)


def _microseconds(instant: datetime) -> int:
    passed = instant - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds


class _PackedDumper(Dumper):
    """Sends bytes that are the value already."""

    format = Format.BINARY
    packed: type = bytes

    def dump(self, obj: bytes) -> bytes:
        return bytes(obj)


class _UuidDumper(_PackedDumper):
    oid = 2951
    packed = UuidArray


class _ByteaDumper(_PackedDumper):
    oid = 1001
    packed = ByteaArray


class _TextDumper(_PackedDumper):
    oid = 1009
    packed = TextArray


class _SmallintDumper(_PackedDumper):
    oid = 1005
    packed = SmallintArray


class _IntegerDumper(_PackedDumper):
    oid = 1007
    packed = IntegerArray


class _BigintDumper(_PackedDumper):
    oid = 1016
    packed = BigintArray


class _BooleanDumper(_PackedDumper):
    oid = 1000
    packed = BooleanArray


class _InstantDumper(_PackedDumper):
    oid = 1185
    packed = InstantArray


_DUMPERS = (
    _UuidDumper,
    _ByteaDumper,
    _TextDumper,
    _SmallintDumper,
    _IntegerDumper,
    _BigintDumper,
    _BooleanDumper,
    _InstantDumper,
)
