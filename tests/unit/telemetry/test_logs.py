"""Log lines say what happened, and never what was written or which secret was used."""

import io
import logging
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID

import msgspec
import pytest
import structlog

from libs.contracts.socket import Body, Hello
from libs.kernel.secrets import Secret
from libs.telemetry.logs import (
    LONGEST_TEXT,
    REFUSED_KEYS,
    ContentGuard,
    ContentRefused,
    configure_logging,
    get_logger,
)

CANARY = "the takeover closes on Friday"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    written = io.StringIO()
    configure_logging("messaging", stream=written)
    yield written
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [msgspec.json.decode(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_json_object_with_time_level_and_service(stream: io.StringIO):
    get_logger().info("committed", entries=3)
    (line,) = lines(stream)
    assert line["event"] == "committed"
    assert line["entries"] == 3
    assert line["level"] == "info"
    assert line["service"] == "messaging"
    assert datetime.fromisoformat(str(line["timestamp"])).tzinfo == UTC


@pytest.mark.parametrize("key", sorted(REFUSED_KEYS))
def test_a_key_of_content_is_refused_at_any_depth(stream: io.StringIO, key: str):
    get_logger().info("sent", **{key: CANARY})
    get_logger().info("sent", frame={"inner": [{key.upper(): CANARY}]})
    assert CANARY not in stream.getvalue()
    assert [line["refused"] for line in lines(stream)] == [[key], [key]]


@pytest.mark.parametrize(
    "value",
    [
        CANARY.encode(),
        bytearray(CANARY.encode()),
        Body(text=CANARY),
        Hello(token=CANARY),
        Secret(CANARY),
        ValueError(CANARY),
        type("Unknown", (), {"__repr__": lambda _self: CANARY})(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_that_is_not_plain_shows_as_its_type(stream: io.StringIO, value: object):
    get_logger().info("seen", what=value, among=[value])
    assert CANARY not in stream.getvalue()
    assert lines(stream)[0]["what"] == f"<{type(value).__name__}>"


def test_ids_and_instants_are_shown(stream: io.StringIO):
    one = UUID(int=1)
    get_logger().info("seen", conversation=one, at=datetime(2026, 11, 24, tzinfo=UTC))
    assert lines(stream)[0]["conversation"] == str(one)
    assert lines(stream)[0]["at"] == "2026-11-24 00:00:00+00:00"


def test_a_long_text_is_cut(stream: io.StringIO):
    get_logger().info("seen", why="x" * 5000)
    assert lines(stream)[0]["why"] == "x" * LONGEST_TEXT + "…"


def test_what_contains_itself_is_cut(stream: io.StringIO):
    loop: dict[str, object] = {}
    loop["loop"] = loop
    get_logger().info("seen", loop=loop)
    assert "<dict>" in stream.getvalue()


def test_an_exception_shows_its_type_and_frames_and_no_message(stream: io.StringIO):
    def fail():
        try:
            int(CANARY)
        except ValueError as cause:
            raise KeyError(CANARY) from cause

    try:
        fail()
    except KeyError:
        get_logger().error("failed", exc_info=True)
    assert CANARY not in stream.getvalue()
    (line,) = lines(stream)
    facts = msgspec.convert(line["exception"], list[dict[str, object]])
    assert [fact["type"] for fact in facts] == ["builtins.KeyError", "builtins.ValueError"]
    assert "test_logs.py" in str(facts[0]["at"])


def test_the_standard_librarys_lines_have_the_same_form(stream: io.StringIO):
    try:
        os.environ[CANARY]
    except KeyError:
        logging.getLogger("some.driver").exception("connection lost")
    (line,) = lines(stream)
    assert line["event"] == "connection lost"
    assert line["level"] == "error"
    assert line["service"] == "messaging"
    assert CANARY not in stream.getvalue()


def test_extra_fields_of_the_standard_library_are_guarded_too(stream: io.StringIO):
    logging.getLogger("some.driver").warning("sent", extra={"body": CANARY, "size": 3})
    (line,) = lines(stream)
    assert line["size"] == 3
    assert CANARY not in stream.getvalue()


@pytest.mark.parametrize("name", ["httpx", "uvicorn.error", "hvac", "urllib3.connectionpool"])
def test_chatty_libraries_are_silent_below_a_warning(stream: io.StringIO, name: str):
    logging.getLogger(name).info("HTTP Request: POST /identity/v1/sessions?token=%s", CANARY)
    assert stream.getvalue() == ""


def test_strict_logging_raises_where_content_would_be_lost():
    with pytest.raises(ContentRefused, match="text"):
        ContentGuard(strict=True)(None, "info", {"event": "sent", "text": CANARY})


def test_the_requests_id_comes_from_its_context(stream: io.StringIO):
    with structlog.contextvars.bound_contextvars(request_id="r-12345678"):
        get_logger().info("inside")
    get_logger().info("outside")
    inside, outside = lines(stream)
    assert inside["request_id"] == "r-12345678"
    assert "request_id" not in outside
