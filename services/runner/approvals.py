"""`muniment approval …`: see what waits for four eyes, approve it or refuse it."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from services.runner.account import Account, signed_in

SERVICES: Final = ("messaging",)
"""The services whose acts need four eyes."""


def list_requests(account: Account, *, as_json: bool) -> None:
    """Print the newest requests that the account may see."""

    async def asked() -> list[Mapping[str, Any]]:
        async with signed_in(account) as door:
            found: list[Mapping[str, Any]] = []
            for service in SERVICES:
                answer = await door.call("GET", f"/{service}/v1/approvals", dict[str, Any])
                found += answer["requests"]
            return found

    requests = asyncio.run(asked())
    if as_json:
        print(json.dumps(requests))
        return
    for request in requests:
        print(f"{request['request']}  {request['state']:<9} {request['act']}  {request['digest']}")
        print(f"    {request['requested_at']} by {request['requester']}: {request['reason']}")


def decide(account: Account, request: UUID, digest: str, *, approves: bool, as_json: bool) -> None:
    """Approve or refuse a request of which the person saw `digest` (hex)."""

    async def asked() -> Mapping[str, Any]:
        async with signed_in(account) as door:
            body = {"approves": approves, "digest": digest.lower()}
            return await door.call("POST", f"/messaging/v1/approvals/{request}", dict[str, Any], body=body)

    decided = asyncio.run(asked())
    print(json.dumps(decided) if as_json else f"Request {request} is {decided['state']}.")
