"""The API's documentation, whole without network: OpenAPI 3.1 and one page that lists its operations.

No script, no font, no style from elsewhere: the page is one document whose only style is allowed by hash.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from html import escape
from typing import Any, Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse

from libs.host.layers import CONTENT_POLICY

_METHODS: Final = ("get", "post", "put", "patch", "delete", "head", "options")
_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;"
    "background:#fff}h1{font-size:1.6rem}details{border:1px solid #d0d7de;border-radius:6px;margin:.5rem 0;"
    "padding:.5rem .75rem}summary{cursor:pointer}code,pre{font:14px/1.5 ui-monospace,monospace}"
    "pre{overflow:auto;background:#f6f8fa;padding:.75rem;border-radius:6px}.m{display:inline-block;"
    "min-width:4.5rem;font-weight:600}table{border-collapse:collapse}td,th{border:1px solid #d0d7de;"
    "padding:.2rem .5rem;text-align:left}a{color:#0550ae}"
    "@media (prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}pre{background:#161b22}"
    "details,td,th{border-color:#30363d}a{color:#79c0ff}}"
)
Describe = Callable[[], Mapping[str, Any]]
"""Makes a document when it is first asked for."""
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
PAGE_POLICY: Final = f"{CONTENT_POLICY}; style-src 'sha256-{_STYLE_HASH}'"
_PROBLEM_SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "description": "A problem document (RFC 9457).",
    "required": ["type", "title", "status", "code"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["detail"],
                "properties": {
                    "detail": {"type": "string"},
                    "pointer": {"type": "string"},
                    "parameter": {"type": "string"},
                },
            },
        },
    },
}
_PROBLEM_RESPONSE: Final[Mapping[str, Any]] = {
    "description": "A problem document (RFC 9457).",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


class DocumentedApp(FastAPI):
    """An app whose OpenAPI 3.1 document tells of our problem documents for every error."""

    def openapi(self) -> dict[str, Any]:
        """Return the document, made at the first call."""
        if self.openapi_schema is None:
            self.openapi_schema = _with_problems(super().openapi())
        return self.openapi_schema


def add_docs(app: FastAPI, prefix: str, describe_socket: Describe | None) -> None:
    """Serve `<prefix>/openapi.json`, `/docs` and, for a service with a socket, `/asyncapi.json`.

    Internal routes stand in none of them.
    """

    async def schema(_request: Request) -> JSONResponse:
        return JSONResponse(app.openapi())

    async def page(_request: Request) -> HTMLResponse:
        described = None if describe_socket is None else describe_socket()
        socket = "" if described is None else _socket_part(described, f"{prefix}/asyncapi.json")
        return HTMLResponse(
            page_of(app.openapi(), f"{prefix}/openapi.json", socket),
            headers={"content-security-policy": PAGE_POLICY},
        )

    app.add_api_route(f"{prefix}/openapi.json", schema, include_in_schema=False)
    app.add_api_route(f"{prefix}/docs", page, include_in_schema=False)
    if describe_socket is not None:

        async def frames(_request: Request) -> JSONResponse:
            return JSONResponse(describe_socket())

        app.add_api_route(f"{prefix}/asyncapi.json", frames, include_in_schema=False)


def _with_problems(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document with our problem documents in place of the framework's own errors."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = dict(_PROBLEM_SCHEMA)
    for _, _, operation in _operations_of(document):
        responses = operation.setdefault("responses", {})
        responses.pop("422", None)
        responses.setdefault("default", dict(_PROBLEM_RESPONSE))
    return document


def page_of(document: Mapping[str, Any], address: str, more: str = "") -> str:
    """Return an HTML page that lists the operations of an OpenAPI document found at `address`, and `more`."""
    info = document["info"]
    operations = "\n".join(_operation_block(*operation) for operation in _operations_of(document))
    schemas = "\n".join(
        f"<details><summary><code>{escape(name)}</code></summary>{_json(schema)}</details>"
        for name, schema in sorted(document.get("components", {}).get("schemas", {}).items())
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(info["title"])}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>"
        f"<p>{escape(info.get('description', ''))}</p>"
        f'<p>OpenAPI {escape(document["openapi"])}: <a href="{escape(address)}">{escape(address)}</a></p>'
        f"<h2>Operations</h2>{operations}{more}<h2>Schemas</h2>{schemas}</body></html>"
    )


def _socket_part(document: Mapping[str, Any], address: str) -> str:
    """Return the part of the page that lists the frames of a socket, by who sends them."""
    components = document["components"]
    lists = ""
    for action, sender in (("receive", "client"), ("send", "gateway")):
        names = [
            reference["$ref"].rpartition("/")[2]
            for operation in document["operations"].values()
            if operation["action"] == action
            for reference in operation["messages"]
        ]
        blocks = "".join(_frame_block(components["messages"][name], components["schemas"]) for name in names)
        lists += f"<h3>From the {sender}</h3>{blocks}"
    link = f'<a href="{escape(address)}">{escape(address)}</a>'
    return (
        f"<h2>Socket</h2><p>{escape(document['info']['description'])}</p>"
        f"<p>AsyncAPI {escape(document['asyncapi'])}: {link}</p>{lists}"
    )


def _frame_block(message: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    schema = schemas[message["payload"]["$ref"].rpartition("/")[2]]
    return (
        f"<details><summary><code>{escape(message['name'])}</code> {escape(message['summary'])}</summary>"
        f"{_json(schema)}</details>"
    )


def _operations_of(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in sorted(document.get("paths", {}).items()):
        for method in _METHODS:
            if method in item:
                yield path, method, item[method]


def _operation_block(path: str, method: str, operation: Mapping[str, Any]) -> str:
    parameters = "".join(
        f"<tr><td><code>{escape(p['name'])}</code></td><td>{escape(p['in'])}</td>"
        f"<td>{'required' if p.get('required') else 'optional'}</td>"
        f"<td>{escape(p.get('description', ''))}</td></tr>"
        for p in operation.get("parameters", ())
    )
    body = operation.get("requestBody", {}).get("content", {})
    answers = {code: sorted(answer.get("content", {})) for code, answer in operation["responses"].items()}
    return (
        f'<details><summary><span class="m">{method.upper()}</span> <code>{escape(path)}</code> '
        f"{escape(operation.get('summary', ''))}</summary><p>{escape(operation.get('description', ''))}</p>"
        + (
            f"<table><tr><th>name</th><th>in</th><th></th><th></th></tr>{parameters}</table>"
            if parameters
            else ""
        )
        + (f"<p>Body</p>{_json(body)}" if body else "")
        + f"<p>Answers</p>{_json(answers)}</details>"
    )


def _json(value: object) -> str:
    return f"<pre>{escape(json.dumps(value, indent=2, sort_keys=True))}</pre>"
