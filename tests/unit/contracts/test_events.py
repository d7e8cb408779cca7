"""Events in their envelopes: written whole, read tolerantly, refused without a word of their content."""

from datetime import UTC, datetime
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.contracts.events import (
    EVENTS,
    CommittedEntry,
    EntriesCommitted,
    MalformedEvent,
    SessionRevoked,
    TenantCreated,
    decode,
    encode,
    source_of,
)
from libs.contracts.streams import CONSUMERS

ID = UUID("01a20bb1-1520-75e1-9e9b-1227c3deee85")
TENANT = UUID("01a20bb1-1520-75e1-9e9b-1227c3deee86")
NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
REVOKED = SessionRevoked(session=ID, principal=TENANT, reason="signed-out")


def envelope(**changes: object) -> bytes:
    whole = msgspec.json.decode(encode(REVOKED, id=ID, time=NOW, tenant=TENANT, subject=str(ID)))
    return msgspec.json.encode({k: v for k, v in {**whole, **changes}.items() if v is not ...})


def test_an_envelope_has_the_attributes_of_cloudevents():
    written = msgspec.json.decode(
        encode(REVOKED, id=ID, time=NOW, tenant=TENANT, subject="s", traceparent="00-a-b-01")
    )
    assert written == {
        "specversion": "1.0",
        "id": str(ID),
        "source": "/identity",
        "type": "identity.session.revoked.v1",
        "time": "2026-11-24T06:00:00Z",
        "tenant": str(TENANT),
        "subject": "s",
        "traceparent": "00-a-b-01",
        "data": {"session": str(ID), "principal": str(TENANT), "reason": "signed-out"},
    }


def test_what_was_written_is_read_again():
    read, event = decode(encode(REVOKED, id=ID, time=NOW, tenant=TENANT))
    assert event == REVOKED
    assert (read.id, read.tenant, read.time, read.type) == (ID, TENANT, NOW, SessionRevoked.name)


@given(
    st.lists(
        st.builds(
            CommittedEntry,
            seq=st.integers(0, 2**62),
            kind=st.sampled_from(["message_created", "participants_added"]),
            message=st.none() | st.uuids(),
            revision=st.integers(0, 2**31 - 1),
            dek=st.none() | st.uuids(),
            sent_at=st.none() | st.datetimes(timezones=st.just(UTC)),
        ),
        max_size=5,
    )
)
def test_every_commit_of_entries_is_read_as_it_was_written(entries: list[CommittedEntry]):
    event = EntriesCommitted(conversation=ID, partition=63, members_version=2, entries=tuple(entries))
    assert decode(encode(event, id=ID, time=NOW, tenant=TENANT))[1] == event


def test_the_tenants_title_is_called_name_on_the_wire():
    event = TenantCreated(tenant=TENANT, slug="acme", title="Acme")
    body = encode(event, id=ID, time=NOW, tenant=TENANT)
    assert msgspec.json.decode(body)["data"] == {"tenant": str(TENANT), "slug": "acme", "name": "Acme"}


def test_a_field_of_a_later_version_is_no_error():
    data = {"session": str(ID), "principal": str(TENANT), "reason": "x", "device_class": "phone"}
    assert decode(envelope(data=data, laterextension="v"))[1] == SessionRevoked(
        session=ID, principal=TENANT, reason="x"
    )


def test_an_event_of_a_later_version_is_passed_on_unread():
    read, event = decode(envelope(type="identity.session.revoked.v2", data={"everything": "else"}))
    assert event is None
    assert read.type == "identity.session.revoked.v2"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"{}",
        envelope(specversion="0.3"),
        envelope(id="none"),
        envelope(tenant=...),
        envelope(time="2026-11-24T06:00:00"),
        envelope(data=...),
        envelope(data={"session": str(ID)}),
        envelope(data={"session": "my secret", "principal": str(TENANT), "reason": "x"}),
    ],
)
def test_a_malformed_event_is_refused_without_its_values(body: bytes):
    with pytest.raises(MalformedEvent) as refused:
        decode(body)
    assert "my secret" not in str(refused.value)


def test_every_event_is_registered_under_its_own_name():
    for name, event in EVENTS.items():
        assert event.name == name
        assert source_of(name) in CONSUMERS
        assert len(name.split(".")) == 4
