"""`muniment matter …`: open a matter, say who looks into it, and search in it."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from services.runner.account import Account, signed_in

MATTERS: Final = "/ediscovery/v1/matters"
PAGE: Final = 100

Answer = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Scope:
    """What can be seen in a matter at all."""

    custodians: tuple[UUID, ...]
    conversations: tuple[UUID, ...]
    everything: bool
    since: str | None
    until: str | None


def make(account: Account, name: str, scope: Scope, *, as_json: bool) -> None:
    """Open a matter, of which the account is the first member. Raises RunnerError."""
    wanted = {
        "name": name,
        "custodians": list(map(str, scope.custodians)),
        "conversations": list(map(str, scope.conversations)),
        "everything": scope.everything,
        "since": scope.since,
        "until": scope.until,
    }
    made = _asked(account, "POST", MATTERS, wanted)
    print(json.dumps(made) if as_json else made["matter"])


def add_member(account: Account, matter: UUID, principal: UUID, *, as_json: bool) -> None:
    """Let somebody look into a matter. Raises RunnerError."""
    shown = _asked(account, "POST", f"{MATTERS}/{matter}/members", {"principal": str(principal)})
    print(json.dumps(shown) if as_json else f"{principal} is a member of {matter}.")


def list_matters(account: Account, *, as_json: bool) -> None:
    """Print the newest matters of the account. Raises RunnerError."""
    matters = _asked(account, "GET", MATTERS)["matters"]
    if as_json:
        print(json.dumps(matters))
        return
    for each in matters:
        print(f"{each['matter']}  {each['made_at']}  {each['name']}")


def search(account: Account, matter: UUID, query: str, most: int, *, as_json: bool) -> None:
    """Print at most `most` hits, page by page; each page is an act. Raises RunnerError."""

    async def asked() -> list[Answer]:
        found: list[Answer] = []
        body: dict[str, Any] = {"query": query}
        async with signed_in(account) as door:
            while len(found) < most:
                body["limit"] = min(PAGE, most - len(found))
                page = await door.call("POST", f"{MATTERS}/{matter}/searches", dict[str, Any], body=body)
                found += page["hits"]
                if page["next"] is None:
                    break
                body["after"] = page["next"]
        return found

    found = asyncio.run(asked())
    if as_json:
        print(json.dumps(found))
        return
    for hit in found:
        print(f"{hit['sent_at']}  {hit['conversation']} {hit['seq']}  from {hit['sender']}")
        print(f"    {_marked(hit)}")


def _marked(hit: Answer) -> str:
    """Return the excerpt in one line that no terminal obeys, its marked words between [ and ]."""
    excerpt, pieces, at = hit["excerpt"], [], 0
    for begin, end in hit["marks"]:
        pieces += [excerpt[at:begin], "[", excerpt[begin:end], "]"]
        at = end
    text = "".join([*pieces, excerpt[at:]])
    return "".join(character if character.isprintable() else " " for character in text)


def _asked(account: Account, method: str, path: str, body: Answer | None = None) -> dict[str, Any]:
    async def asked() -> dict[str, Any]:
        async with signed_in(account) as door:
            more = {} if body is None else {"body": body}
            return await door.call(method, path, dict[str, Any], **more)

    return asyncio.run(asked())
