"""`muniment approval …`: see what waits for four eyes, approve it or refuse it."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from libs.client.errors import Refused
from services.runner.account import Account, Door, signed_in
from services.runner.errors import RunnerError

SERVICES: Final = ("messaging", "holds", "retention", "ediscovery")
"""The services whose acts need four eyes."""
_NOT_FOR_HIM: Final = (403, 404)


def list_requests(account: Account, *, as_json: bool) -> None:
    """Print the newest requests that the account may see."""

    async def asked() -> list[Mapping[str, Any]]:
        async with signed_in(account) as door:
            answers = [await _found(door, f"/{service}/v1/approvals") for service in SERVICES]
            return [request for answer in answers if answer for request in answer["requests"]]

    requests = asyncio.run(asked())
    if as_json:
        print(json.dumps(requests))
        return
    for request in requests:
        print(f"{request['request']}  {request['state']:<9} {request['act']}  {request['digest']}")
        print(f"    {request['requested_at']} by {request['requester']}: {request['reason']}")


def decide(account: Account, request: UUID, digest: str, *, approves: bool, as_json: bool) -> None:
    """Approve or refuse a request of which the person saw `digest` (hex). Raises RunnerError."""

    async def asked() -> Mapping[str, Any]:
        async with signed_in(account) as door:
            for service in SERVICES:
                place = f"/{service}/v1/approvals/{request}"
                if await _found(door, place) is not None:
                    body = {"approves": approves, "digest": digest.lower()}
                    return await door.call("POST", place, dict[str, Any], body=body)
        raise RunnerError(f"There is no request {request}, or not for {account.user_name} to see.")

    decided = asyncio.run(asked())
    print(json.dumps(decided) if as_json else f"Request {request} is {decided['state']}.")


async def _found(door: Door, place: str) -> Mapping[str, Any] | None:
    """Return what is there for this person to see, or None."""
    try:
        return await door.call("GET", place, dict[str, Any])
    except Refused as refused:
        if refused.problem.status in _NOT_FOR_HIM:
            return None
        raise
