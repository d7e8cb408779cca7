"""The formats of evidence as JSON Schemas (draft 2020-12), for whoever reads them without us."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

_DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
_UUID: Final = {"type": "string", "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"}
_NUMBER: Final = {"type": "string", "pattern": "^(0|[1-9][0-9]{0,18})$"}
_HASH: Final = {"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "32 bytes in hex"}
_SALT: Final = {"type": "string", "pattern": "^[0-9a-f]{32}$", "description": "16 bytes in hex"}
_PROOF: Final = {"type": "array", "items": {"type": "string", "pattern": "^[A-Za-z0-9+/]{43}=$"}}
_TEXT: Final = {"type": "string"}
_NOTE: Final = {"type": "string", "description": "a signed note, C2SP signed-note, of a C2SP tlog-checkpoint"}
_INSTANT: Final = {
    "type": "string",
    "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$",
}


def _object(required: Mapping[str, Any], optional: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def _named(name: str, meaning: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"$schema": _DRAFT, "title": name, "description": meaning, **schema}


def _array(items: dict[str, Any], least: int = 0) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": least}


_DETAIL: Final = _object(
    {
        "action": _TEXT,
        "actor": _object({"kind": _TEXT}, {"id": _TEXT, "name": _TEXT}),
        "approvals": _array(_TEXT),
        "count": _NUMBER,
        "entities": _array(_object({"kind": _TEXT, "id": _TEXT})),
        "matter": {"type": ["string", "null"]},
        "outcome": _TEXT,
        "runs": _array(_object({"conversation": _UUID, "first": _NUMBER, "last": _NUMBER})),
        "visibility": {"enum": ["operations", "legal", "platform"]},
    }
)
_LEAF: Final = _object(
    {
        "at": _INSTANT,
        "detail": _HASH,
        "fact": _UUID,
        "index": _NUMBER,
        "log": _UUID,
        "part": {"type": "integer", "minimum": 0, "maximum": 99_999},
        "position": _NUMBER,
        "source": {"type": "string", "pattern": "^[a-z][a-z0-9-]{0,63}$"},
        "v": {"const": 1},
    },
    {"root": _HASH},
)
_OPENED: Final = {"detail": _DETAIL, "salt": _SALT}
_LEAF_TEXT: Final = {"type": "string", "description": "the canonical bytes of a leaf (RFC 8785)"}


def _bundle(
    kind: str, members: Mapping[str, Any], optional: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    head = {
        "v": {"const": 1},
        "kind": {"const": kind},
        "checkpoint": _NOTE,
        "others": _array(_object({"checkpoint": _NOTE, "proof": _PROOF})),
    }
    return _object({**head, **members}, optional)


_ENTRY: Final = _object(
    {"seq": _NUMBER, "commit": _NUMBER, "path": _PROOF},
    {
        "metadata": _TEXT,
        "metadata_salt": _SALT,
        "metadata_commitment": _HASH,
        "body": {"type": "string", "contentEncoding": "base64"},
        "body_salt": _SALT,
        "body_commitment": _HASH,
    },
)
_KEY: Final = {
    "type": "object",
    "properties": {
        "kid": _TEXT,
        "use": _TEXT,
        "algorithm": _TEXT,
        "public": {"type": "string", "contentEncoding": "base64"},
        "not_before": {"type": "string", "format": "date-time"},
        "not_after": {"type": ["string", "null"], "format": "date-time"},
    },
    "required": ["kid", "use", "algorithm", "public", "not_before", "not_after"],
}

_FILE: Final = {"path": _TEXT, "sha256": _HASH, "size": _NUMBER}
_REASONS: Final = {"enum": ["outside", "absent", "query", "privilege", "disposed"]}
_HALVES: Final = {
    "metadata": _TEXT,
    "metadata_salt": _SALT,
    "metadata_commitment": _HASH,
    "body_salt": _SALT,
    "body_commitment": _HASH,
}
_MANIFEST: Final = _object(
    {
        "v": {"const": 1},
        "kind": {"const": "production"},
        "production": _UUID,
        "tenant": _UUID,
        "made_at": _INSTANT,
        "format": {"enum": ["jsonl", "eml", "eml-day", "rsmf"]},
        "scope": _object(
            {},
            {
                "conversations": _array(_UUID),
                "custodians": _array(_UUID),
                "since": _INSTANT,
                "until": _INSTANT,
            },
        ),
        "counts": _object(
            {
                "in_scope": _NUMBER,
                "produced": _NUMBER,
                "excluded": _object(dict.fromkeys(_REASONS["enum"], _NUMBER)),
                "errors": _NUMBER,
                "redacted": _NUMBER,
                "pages": _NUMBER,
            }
        ),
        "segments": _array(_object(_FILE)),
        "approvals": _array(_UUID),
    },
    {
        "query": _TEXT,
        "matter": _UUID,
        "bates": _object({"prefix": _TEXT, "width": _NUMBER, "start": _NUMBER}, {"page_characters": _NUMBER}),
        "checkpoint": _NOTE,
        "completeness": _object(
            {"leaf": _LEAF_TEXT, "proof": _PROOF, **_OPENED, "segments": _array(_object(_FILE))}
        ),
    },
)
_PRODUCTION_LINE: Final = {
    "oneOf": [
        _object({"kind": {"const": "file"}, **_FILE}),
        _object(
            {"kind": {"const": "commit"}, "number": _NUMBER, "leaf": _LEAF_TEXT, "proof": _PROOF, **_OPENED}
        ),
        _object(
            {
                "kind": {"const": "entry"},
                "conversation": _UUID,
                "seq": _NUMBER,
                "status": {"enum": ["produced", "excluded", "error"]},
            },
            {
                "reason": _TEXT,
                "certificate": _UUID,
                "file": _TEXT,
                "bates": {**_array(_TEXT, 2), "maxItems": 2},
                "redacted": {"const": True},
                "proof": _object({"commit": _NUMBER, "path": _PROOF}, _HALVES),
            },
        ),
        _object(
            {
                "kind": {"const": "run"},
                "conversation": _UUID,
                "first": _NUMBER,
                "last": _NUMBER,
                "reason": _REASONS,
            }
        ),
    ]
}
_PRODUCTION_CONVERSATION: Final = _object(
    {"conversation": _UUID, "last_seq": _NUMBER, "participants": _HASH},
    {
        "count": _NUMBER,
        "root": _HASH,
        "salt": _SALT,
        "custodians": _array(_object({"first": _NUMBER, "tags": _PROOF, "proof": _PROOF})),
        "index": _NUMBER,
        "proof": _PROOF,
    },
)

SCHEMAS: Final[Mapping[str, dict[str, Any]]] = MappingProxyType(
    {
        "leaf": _named("leaf", "what the tree is over: canonical JSON, RFC 8785", _LEAF),
        "detail": _named("detail", "what a leaf commits to, under its salt", _DETAIL),
        "act": _named(
            "act",
            "evidence of one act",
            _bundle("act", {"leaf": _LEAF_TEXT, "proof": _PROOF}, _OPENED),
        ),
        "log-range": _named(
            "log-range",
            "evidence of entries in a row",
            _bundle(
                "log-range",
                {
                    "leaves": _array(_LEAF_TEXT, 1),
                    "proof": _PROOF,
                    "details": _array(_object({"index": _NUMBER, **_OPENED})),
                },
            ),
        ),
        "conversation-range": _named(
            "conversation-range",
            "evidence of a conversation's entries in a row",
            _bundle(
                "conversation-range",
                {
                    "conversation": _UUID,
                    "commits": _array(_object({"leaf": _LEAF_TEXT, "proof": _PROOF, **_OPENED}), 1),
                    "entries": _array(_ENTRY, 1),
                },
            ),
        ),
        "production": _named("production", "manifest.json: what a production is", _MANIFEST),
        "production-line": _named(
            "production-line", "a line of index/NNNNNN.jsonl in a production", _PRODUCTION_LINE
        ),
        "production-conversation": _named(
            "production-conversation", "a line of map/NNNNNN.jsonl in a production", _PRODUCTION_CONVERSATION
        ),
        "trust": _named(
            "trust",
            "trust.json: every key that ever signed",
            {
                "type": "object",
                "properties": {"v": {"const": 1}, "instance": _TEXT, "keys": _array(_KEY)},
                "required": ["v", "instance", "keys"],
            },
        ),
    }
)
"""Each format by its name."""
