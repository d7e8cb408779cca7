"""Commitments to entries: canonical, salted, and each provable without the other."""

import hashlib
import json

from libs.evidence.entry import body_commitment, metadata_commitment
from libs.kernel.framing import framed
from services.messaging.domain.bodies import Payload, packed, unpacked
from services.messaging.domain.commitments import metadata_of
from services.messaging.domain.entries import EntryKind, Provenance
from tests.unit.messaging.drafts import draft, named


def test_metadata_are_canonical_json() -> None:
    added = draft(kind=EntryKind.PARTICIPANTS_ADDED, subjects=("bo", "cy"))
    metadata = metadata_of(added.key, added, 12)
    value = json.loads(metadata)
    assert metadata == json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    assert value["seq"] == 12
    assert value["subjects"] == [str(named("bo")), str(named("cy"))]
    assert value["sent_at"] == "2026-11-24T12:00:00.000000Z"


def test_an_imported_entry_commits_to_its_line_of_its_source() -> None:
    imported = draft()._replace(provenance=Provenance(b"\xab" * 32, 77))
    metadata = metadata_of(imported.key, imported, 12)
    value = json.loads(metadata)
    assert metadata == json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    assert value.pop("provenance") == {"line": 77, "source": "ab" * 32}
    assert value == json.loads(metadata_of(imported.key, draft(), 12))
    others = {
        metadata_of(imported.key, imported._replace(provenance=Provenance(source, line)), 12)
        for source, line in ((b"\xab" * 32, 78), (b"\xac" * 32, 77))
    }
    assert len({metadata, metadata_of(imported.key, draft(), 12), *others}) == 4


def test_another_place_or_another_salt_is_another_commitment() -> None:
    one = draft()
    commitments = {
        metadata_commitment(metadata_of(one.key, one, 1), b"a" * 16),
        metadata_commitment(metadata_of(one.key, one, 2), b"a" * 16),
        metadata_commitment(metadata_of(one.key, one, 1), b"b" * 16),
        metadata_commitment(metadata_of(one.key, one._replace(revision=1), 1), b"a" * 16),
    }
    assert len(commitments) == 4


def test_a_body_is_committed_to_apart_from_the_metadata() -> None:
    assert body_commitment(b"same", b"a" * 16) != metadata_commitment(b"same", b"a" * 16)


def test_a_commitment_can_be_checked_with_nothing_but_sha_256() -> None:
    salt, body = b"\x01" * 16, b'{"text":"hello"}'
    expected = hashlib.sha256(framed(b"muniment/entry-body/v1", salt, body)).digest()
    assert body_commitment(body, salt) == expected


def test_a_payload_comes_back_as_it_was_packed() -> None:
    payload = Payload(b"m" * 16, b"b" * 16, b'{"text":""}')
    assert unpacked(packed(payload)) == payload
