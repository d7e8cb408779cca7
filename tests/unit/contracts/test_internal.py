"""Calls between services: MessagePack, tolerant to read, keys never printed."""

from datetime import UTC, datetime
from uuid import UUID

import msgspec
import pytest

from libs.contracts.internal import (
    DekKey,
    DekWanted,
    FingerprintKey,
    KeysOf,
    MalformedMessage,
    ObtainDeks,
    SecretWire,
    SigningKeyLease,
    pack,
    unpack,
)
from libs.contracts.streams import CONSUMERS, PARTITIONS, stream_name
from tests.contract.contracts.snapshots import calls

A = UUID("01a20bb1-1520-75e1-9e9b-1227c3deee85")
NOW = datetime(2026, 11, 24, tzinfo=UTC)
WANTED = ObtainDeks(items=(DekWanted(tenant=A, conversation=A, epoch="2026-11"),), purpose="seal", act="send")


def test_a_message_is_read_as_it_was_packed():
    assert unpack(pack(WANTED), ObtainDeks) == WANTED


def test_ids_travel_as_sixteen_bytes():
    assert A.bytes in pack(WANTED)
    assert str(A).encode() not in pack(WANTED)


def test_a_field_of_a_later_version_is_no_error():
    later = {**msgspec.msgpack.decode(pack(WANTED)), "priority": 3}
    assert unpack(msgspec.msgpack.encode(later), ObtainDeks) == WANTED


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"\x80",
        b"{}",
        b"\x81\xa5items\x91\x81\xa6tenant\xa9my secret",
        b"\x91" * 100_000,
        pack(WANTED)[:-1],
        pack(WANTED) + b"\x00",
    ],
)
def test_a_malformed_message_is_refused_without_its_values(body: bytes):
    with pytest.raises(MalformedMessage) as refused:
        unpack(body, ObtainDeks)
    assert "my secret" not in str(refused.value)


def test_keys_are_never_printed():
    key = b"sixteen bytes ok" * 2
    answer = KeysOf(items=(DekKey(dek=A, key=key, kek_version=1),))
    for shown in (
        repr(answer),
        repr(FingerprintKey(dek=A, key=key)),
        repr(SigningKeyLease(kid="k", private=key, not_after=NOW)),
    ):
        assert "sixteen" not in shown
        assert "***" in shown


def test_every_message_that_carries_a_secret_prints_as_stars():
    carriers = {
        call for call in calls() if {"key", "private", "token", "password"} & set(call.__struct_fields__)
    }
    assert carriers
    assert all(issubclass(call, SecretWire) for call in carriers)


def test_a_partitions_stream_keeps_to_one_slot():
    assert stream_name("messaging", 63) == "muniment:{messaging:63}"
    for part in (-1, PARTITIONS):
        with pytest.raises(ValueError, match="partition"):
            stream_name("messaging", part)


def test_every_source_names_its_consumers():
    assert set(CONSUMERS) == {
        "audit",
        "ediscovery",
        "holds",
        "identity",
        "keys",
        "messaging",
        "retention",
    }
    assert set().union(*CONSUMERS.values()) <= set(CONSUMERS)
