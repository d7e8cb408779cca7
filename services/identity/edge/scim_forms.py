"""The forms of SCIM's answers: resources, lists, errors and what this server can do.

Source: RFC 7643, section 5; RFC 7644, sections 3.4.2, 3.9 and 3.12.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from starlette.responses import Response

from libs.contracts.problems import Problem
from services.identity.domain.principals import Principal
from services.identity.domain.scim.schema import CORE, ENTERPRISE

MEDIA_TYPE: Final = "application/scim+json"
MOST_RESULTS: Final = 200
_MESSAGES: Final = "urn:ietf:params:scim:api:messages:2.0"
_SERVICE_PROVIDER: Final = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
_SCIM_TYPES: Final = {
    "scim-invalid-syntax": "invalidSyntax",
    "malformed": "invalidSyntax",
    "scim-invalid-value": "invalidValue",
    "invalid": "invalidValue",
    "scim-invalid-filter": "invalidFilter",
    "scim-invalid-path": "invalidPath",
    "scim-no-target": "noTarget",
    "scim-mutability": "mutability",
    "scim-uniqueness": "uniqueness",
}
_ALWAYS: Final = ("schemas", "id", "meta")


def version_of(principal: Principal) -> str:
    """Return the weak ETag of a user's version."""
    return f'W/"{principal.version}"'


def resource_of(principal: Principal, location: str) -> dict[str, Any]:
    """Return the user as SCIM shows it; `location` is its own address."""
    schemas = [CORE, ENTERPRISE] if ENTERPRISE in principal.document else [CORE]
    return {
        "schemas": schemas,
        "id": str(principal.principal),
        **principal.document,
        "meta": {
            "resourceType": "User",
            "created": _instant(principal.created_at),
            "lastModified": _instant(principal.modified_at),
            "location": location,
            "version": version_of(principal),
        },
    }


def projected(resource: Mapping[str, Any], wanted: str | None, unwanted: str | None) -> dict[str, Any]:
    """Return the attributes that are asked for, or all but the excluded; a part counts as its whole."""
    if wanted:
        names = _names_of(wanted)
        return {key: value for key, value in resource.items() if key in _ALWAYS[:2] or key.lower() in names}
    names = _names_of(unwanted or "")
    return {key: value for key, value in resource.items() if key in _ALWAYS[:2] or key.lower() not in names}


def list_of(resources: Sequence[Mapping[str, Any]], total: int, start: int) -> dict[str, Any]:
    """Return a page of a list; `start` is 1-based."""
    return {
        "schemas": [f"{_MESSAGES}:ListResponse"],
        "totalResults": total,
        "startIndex": start,
        "itemsPerPage": len(resources),
        "Resources": list(resources),
    }


def scim_response(
    body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a SCIM answer."""
    return Response(msgspec.json.encode(body), status, dict(headers or {}), MEDIA_TYPE)


def scim_error(problem: Problem) -> Response:
    """Return a problem in SCIM's own form; `status` is a string there."""
    status = 400 if problem.status == 422 else problem.status  # noqa: PLR2004 - SCIM knows no 422
    body = {
        "schemas": [f"{_MESSAGES}:Error"],
        "status": str(status),
        "detail": problem.detail or problem.title,
    }
    scim_type = _SCIM_TYPES.get(problem.code)
    if scim_type is not None:
        body["scimType"] = scim_type
    return scim_response(body, status)


def service_provider_config(location: str) -> dict[str, Any]:
    """Return what this server can do."""
    return {
        "schemas": [_SERVICE_PROVIDER],
        "patch": {"supported": True},
        "bulk": {"supported": False, "maxOperations": 0, "maxPayloadSize": 0},
        "filter": {"supported": True, "maxResults": MOST_RESULTS},
        "changePassword": {"supported": False},
        "sort": {"supported": False},
        "etag": {"supported": True},
        "authenticationSchemes": [
            {
                "type": "oauthbearertoken",
                "name": "Bearer token",
                "description": "A token of the tenant, issued by the platform's operator.",
                "specUri": "https://www.rfc-editor.org/info/rfc6750",
                "primary": True,
            }
        ],
        "meta": {"resourceType": "ServiceProviderConfig", "location": location},
    }


def _names_of(text: str) -> set[str]:
    """Return the top-level attributes of a comma-separated list, lower-case, without core's URN."""
    names = set()
    for name in text.split(","):
        bare = name.strip().lower().removeprefix(f"{CORE.lower()}:")
        is_extension = bare.startswith(ENTERPRISE.lower())
        names.add(ENTERPRISE.lower() if is_extension else bare.partition(".")[0])
    return names


def _instant(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
