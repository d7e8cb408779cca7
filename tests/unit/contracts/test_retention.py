"""The hash that people approve: it changes with all by which something was found, and with nothing else."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import msgspec
import pytest

from libs.contracts.retention import (
    ClassFound,
    OrderedErasure,
    OrderedLock,
    OrderedPeriod,
    OrderedRule,
    Terms,
    digest_of_result,
)

TENANT = UUID(int=1)
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
RULE = OrderedRule(rule=UUID(int=2), version=1, kind="deletion", period=OrderedPeriod(years=3))
TERMS = Terms(as_of=NOON, rules=(RULE,))
FOUND = (ClassFound(conversation_type="group", retained=4, ripe=2, ripe_bytes=90),)


def digest(tenant: UUID = TENANT, terms: Terms = TERMS, generation: int = 7, found=FOUND) -> bytes:
    return digest_of_result(tenant, terms, generation, found)


def changed(terms: Terms = TERMS, **fields: object) -> Terms:
    return msgspec.structs.replace(terms, **fields)


def test_the_same_result_has_the_same_hash_wherever_it_was_read():
    wire = msgspec.json.encode(TERMS)
    assert digest(terms=msgspec.json.decode(wire, type=Terms)) == digest()
    assert len(digest()) == 32


def test_an_instant_is_spelled_as_it_came_over_the_wire():
    other = NOON.astimezone(timezone(timedelta(hours=1)))
    assert digest(terms=changed(as_of=other)) == digest()


@pytest.mark.parametrize(
    "other",
    [
        digest(tenant=UUID(int=9)),
        digest(generation=8),
        digest(found=()),
        digest(found=(msgspec.structs.replace(FOUND[0], ripe=3),)),
        digest(found=(msgspec.structs.replace(FOUND[0], conversations=(UUID(int=4),)),)),
        digest(terms=changed(as_of=NOON + timedelta(microseconds=1))),
        digest(terms=changed(rules=())),
        digest(terms=changed(without_holds=(UUID(int=6),))),
        digest(terms=changed(rules=(msgspec.structs.replace(RULE, version=2),))),
        digest(terms=changed(rules=(msgspec.structs.replace(RULE, grace_seconds=1),))),
        digest(terms=changed(locks=(OrderedLock(lock=UUID(int=3), period=OrderedPeriod(days=1)),))),
        digest(
            terms=changed(
                erasures=(OrderedErasure(erasure=UUID(int=3), subject=UUID(int=4), requested_at=NOON),)
            )
        ),
    ],
)
@pytest.mark.planted
def test_whatever_else_is_found_or_ordered_has_another_hash(other: bytes):
    assert other != digest()
