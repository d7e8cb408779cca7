"""The socket's description for clients: AsyncAPI 3.0, made from the frames themselves.

Source: AsyncAPI specification 3.0.0.
"""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from libs.contracts.socket import CLIENT_FRAMES, PATH, SERVER_FRAMES, SUBPROTOCOL, CloseCode

_CHANNEL: Final = "socket"


def asyncapi_document(version: str = "1") -> dict[str, Any]:
    """Return the AsyncAPI document of `muniment.v1`, from the gateway's point of view."""
    frames = (*CLIENT_FRAMES, *SERVER_FRAMES)
    _, schemas = msgspec.json.schema_components(frames, ref_template="#/components/schemas/{name}")
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Muniment messaging socket", "version": version, "description": _described()},
        "defaultContentType": "application/json",
        "channels": {
            _CHANNEL: {
                "address": PATH,
                "messages": {_op_of(frame): {"$ref": _message(frame)} for frame in frames},
                "bindings": {
                    "ws": {
                        "headers": {
                            "type": "object",
                            "properties": {
                                "Sec-WebSocket-Protocol": {"type": "string", "const": SUBPROTOCOL}
                            },
                        }
                    }
                },
            }
        },
        "operations": {
            "take": _operation("receive", CLIENT_FRAMES),
            "tell": _operation("send", SERVER_FRAMES),
        },
        "components": {
            "messages": {_op_of(frame): _message_of(frame) for frame in frames},
            "schemas": schemas,
        },
    }


def _described() -> str:
    codes = ", ".join(f"{code.value} {code.name.lower().replace('_', ' ')}" for code in CloseCode)
    return f"Text frames of JSON, told apart by `op`; hello comes first. Close codes: {codes}."


def _op_of(frame: type[msgspec.Struct]) -> str:
    return str(frame.__struct_config__.tag)


def _message(frame: type[msgspec.Struct]) -> str:
    return f"#/components/messages/{_op_of(frame)}"


def _message_of(frame: type[msgspec.Struct]) -> dict[str, Any]:
    return {
        "name": _op_of(frame),
        "title": frame.__name__,
        "summary": (frame.__doc__ or "").split("\n", 1)[0],
        "payload": {"$ref": f"#/components/schemas/{frame.__name__}"},
    }


def _operation(action: str, frames: Iterable[type[msgspec.Struct]]) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{_CHANNEL}"},
        "messages": [{"$ref": f"#/channels/{_CHANNEL}/messages/{_op_of(frame)}"} for frame in frames],
    }
