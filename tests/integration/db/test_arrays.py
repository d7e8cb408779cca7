"""Packed arrays reach the server as the values that went in."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID, uuid4

import pytest

from libs.db import arrays
from libs.db.pool import TenantDatabase
from libs.kernel.ids import TenantId

OURS = TenantId(uuid4())
Pack = Callable[[Sequence[Any]], bytes]


@pytest.mark.parametrize(
    ("pack", "kind", "values"),
    [
        (arrays.uuids, "uuid", [UUID(int=0), None, UUID(int=2**128 - 1)]),
        (arrays.byteas, "bytea", [b"", b"\x00\xff" * 1000, None]),
        (arrays.texts, "text", ["", "naïve 🙂", None, "NULL", "{}"]),
        (arrays.smallints, "smallint", [0, -1, 32767]),
        (arrays.integers, "integer", [0, None, -(2**31)]),
        (arrays.bigints, "bigint", [0, None, 2**63 - 1]),
        (arrays.booleans, "boolean", [True, False]),
        (
            arrays.instants,
            "timestamptz",
            [
                datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC),
                datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
                None,
                datetime(2000, 1, 1, tzinfo=timezone(timedelta(hours=5))),
            ],
        ),
        (arrays.uuids, "uuid", []),
        (arrays.texts, "text", [None]),
    ],
)
async def test_what_is_packed_is_what_the_server_sees(
    notes: TenantDatabase, pack: Pack, kind: str, values: list[Any]
) -> None:
    async with notes.begin(OURS) as tx:
        rows = await tx.fetch_all(f"SELECT * FROM unnest(%s::{kind}[]) AS u (value)", (pack(values),))
        # the server's own text form of the driver's own array is the second witness
        same = await tx.fetch_one(f"SELECT %s::{kind}[] = %s::{kind}[] AS same", (pack(values), values))
    assert [row.value for row in rows] == values
    assert same is not None
    assert same.same
