"""The socket's AsyncAPI document is whole: made from the frames, with no reference that leads nowhere."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from libs.contracts.asyncapi import asyncapi_document
from libs.contracts.socket import CLIENT_FRAMES, PATH, SERVER_FRAMES


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    read: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(asyncapi_document()))
    return read


def references_in(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if "$ref" in part:
            yield part["$ref"]
        for inner in part.values():
            yield from references_in(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from references_in(inner)


def test_it_is_asyncapi_3_for_the_sockets_path(document: dict[str, Any]):
    assert document["asyncapi"] == "3.0.0"
    assert document["channels"]["socket"]["address"] == PATH


def test_every_reference_leads_somewhere(document: dict[str, Any]):
    references = set(references_in(document))
    assert references
    for reference in references:
        found: Any = document
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]


def test_every_frame_is_a_message_of_the_side_that_sends_it(document: dict[str, Any]):
    def messages(operation: str) -> set[str]:
        return {m["$ref"].rpartition("/")[2] for m in document["operations"][operation]["messages"]}

    assert messages("take") == {frame.__name__.lower() for frame in CLIENT_FRAMES}
    assert messages("tell") == {frame.__name__.lower() for frame in SERVER_FRAMES}
    for name, message in document["components"]["messages"].items():
        assert message["summary"].endswith(".")
        schema = document["components"]["schemas"][message["title"]]
        assert schema["properties"]["op"] == {"enum": [name]}
