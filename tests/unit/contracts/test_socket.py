"""The frames of muniment.v1: what both sides write and read, and what they refuse."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.contracts.problems import Problem
from libs.contracts.socket import (
    CLIENT_FRAMES,
    SERVER_FRAMES,
    Ack,
    Body,
    ClientFrame,
    CloseCode,
    ConversationEntries,
    Entries,
    Entry,
    EntryKind,
    Error,
    Hello,
    MalformedFrame,
    Mark,
    Page,
    Ping,
    Pong,
    Retract,
    Revise,
    Send,
    ServerFrame,
    Sync,
    Text,
    Welcome,
    body_bytes,
    body_of,
    encode_frame,
    read_client_frame,
    read_server_frame,
)

A = UUID("01a20bb1-1520-75e1-9e9b-1227c3deee85")
B = UUID("01a20bb1-1520-75e1-9e9b-1227c3deee86")
NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
ENTRY = Entry(
    seq=7,
    kind=EntryKind.MESSAGE_CREATED,
    message=A,
    revision=0,
    actor=B,
    sent_at=NOW,
    committed_at=NOW,
    members_version=1,
    body=Body(text="hej"),
)
CLIENT: list[ClientFrame] = [
    Hello(token="t", cursors={A: 4}, limit=100),
    Hello(token="t"),
    Send(id=A, conversation=B, body=Text(text="")),
    Revise(id=A, conversation=B, seq=7, body=Text(text="hej!")),
    Retract(id=A, conversation=B, seq=7),
    Retract(id=A, conversation=B, seq=7, reason="spam"),
    Mark(conversation=A, delivered=4, read=3),
    Sync(ref="1", cursors={A: 0}),
    Ping(),
]
SERVER: list[ServerFrame] = [
    Welcome(gateway="gw-1", principal=A, session=B, heartbeat_seconds=20, resume=True),
    Ack(id=A, conversation=B, seq=7, message=A, committed_at=NOW),
    Entries(conversation=A, entries=(ENTRY,)),
    Page(
        ref="hello",
        entries=(ConversationEntries(conversation=A, entries=(ENTRY,)),),
        more=False,
        cursors={A: 7},
    ),
    Error(problem=Problem(type="urn:problem:x", title="X", status=404, code="x"), ref=str(A)),
    Pong(ref="1"),
]


@pytest.mark.parametrize("frame", CLIENT, ids=lambda frame: type(frame).__name__)
def test_a_clients_frame_is_read_as_it_was_written(frame: ClientFrame):
    assert read_client_frame(encode_frame(frame)) == frame


@pytest.mark.parametrize("frame", SERVER, ids=lambda frame: type(frame).__name__)
def test_a_gateways_frame_is_read_as_it_was_written(frame: ServerFrame):
    assert read_server_frame(encode_frame(frame)) == frame


def test_every_frame_is_tried_here():
    assert {type(frame) for frame in CLIENT} == set(CLIENT_FRAMES)
    assert {type(frame) for frame in SERVER} == set(SERVER_FRAMES)


def test_a_frame_says_what_it_is_and_leaves_out_what_is_absent():
    assert msgspec.json.decode(encode_frame(Hello(token="t"))) == {"op": "hello", "token": "t"}
    assert msgspec.json.decode(encode_frame(Ping())) == {"op": "ping"}


@pytest.mark.parametrize("frame", [*CLIENT, *SERVER], ids=lambda frame: type(frame).__name__)
def test_every_frame_is_read_with_fields_of_a_later_version(frame: ClientFrame | ServerFrame):
    later = later_version_of(msgspec.json.decode(encode_frame(frame)))
    read = read_client_frame if isinstance(frame, CLIENT_FRAMES) else read_server_frame
    assert read(msgspec.json.encode(later)) == frame


def later_version_of(part: Any) -> Any:
    """Return the frame with a new field in it and in each object within it; maps of ids stay as they are."""
    if isinstance(part, list):
        return [later_version_of(item) for item in part]
    if isinstance(part, dict) and not all(is_id(key) for key in part):
        return {**{key: later_version_of(value) for key, value in part.items()}, "added": [1]}
    return part


def is_id(text: str) -> bool:
    return len(text) == 36 and text.count("-") == 4


def test_a_field_of_a_later_version_is_no_error():
    assert read_client_frame('{"op":"ping","ref":"1","priority":"high"}') == Ping(ref="1")
    assert read_server_frame('{"op":"pong","ref":"1","load":0.5}') == Pong(ref="1")
    later = msgspec.json.decode(encode_frame(SERVER[2]))
    later["entries"][0]["kind"] = "reaction_added"
    later["entries"][0]["reaction"] = "👍"
    read = read_server_frame(msgspec.json.encode(later))
    assert isinstance(read, Entries)
    assert read.entries[0].kind == "reaction_added"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        '"hello"',
        "[" * 100_000,
        '{"op":"hello"}',
        '{"op":"welcome"}',
        '{"op":"launch"}',
        '{"op":1}',
        '{"op":"hello","token":"t","cursors":{"x":1}}',
        f'{{"op":"hello","token":"t","cursors":{{"{A}":-1}}}}',
        f'{{"op":"hello","token":"t","cursors":{{"{A}":1.5}}}}',
        '{"op":"hello","token":"t","limit":0}',
        '{"op":"hello","token":"t","limit":10001}',
        f'{{"op":"send","id":"1","conversation":"{B}","body":{{"text":"x"}}}}',
        f'{{"op":"send","id":"{A}","conversation":"{B}","body":{{}}}}',
        f'{{"op":"send","id":"{A}","conversation":"{B}","body":{{"text":null}}}}',
        f'{{"op":"send","id":"{A}","conversation":"{B}","body":{{"text":"\\ud800"}}}}',
        '{"op":"sync","ref":"' + "r" * 65 + '","cursors":{}}',
        b"\xff\xfe{}",
    ],
)
def test_a_malformed_frame_is_refused(text: str | bytes):
    with pytest.raises(MalformedFrame):
        read_client_frame(text)


@given(st.text() | st.binary())
def test_nothing_that_is_sent_does_worse_than_be_refused(text: str | bytes):
    for read in (read_client_frame, read_server_frame):
        with pytest.raises(MalformedFrame):
            read(text)


def test_a_hello_prints_without_its_token():
    assert "secret" not in repr(Hello(token="secret"))


def test_a_body_is_read_as_it_was_sealed():
    for body in (Body(text="hej"), Body(text=""), Body(name="Team")):
        assert body_of(body_bytes(body)) == body
    assert body_bytes(Body(text="hej")) == b'{"text":"hej"}'
    assert body_of(b'{"text":"x","format":"later"}') == Body(text="x")
    with pytest.raises(MalformedFrame):
        body_of(b"\x00")


def test_the_close_codes_are_those_of_the_protocol():
    assert {code.name: code.value for code in CloseCode} == {
        "NORMAL": 1000,
        "BINARY_OR_UNREADABLE": 1003,
        "MALFORMED": 1007,
        "OVERSIZED": 1009,
        "RESTARTING": 1012,
        "TRY_LATER": 1013,
        "UNAUTHENTICATED": 4001,
        "REVOKED": 4003,
        "RESYNC": 4008,
    }
