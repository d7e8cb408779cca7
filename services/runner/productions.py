"""`muniment matter produce …`: ask for productions of a matter, see what came of them, and take one."""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from services.runner.account import Account, signed_in
from services.runner.errors import RunnerError
from services.runner.matters import MATTERS

PAGE = 100


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for: a format, a query (None: all of the scope), the prefix of page numbers, and why."""

    format: str
    query: str | None
    bates: str | None
    reason: str


def ask(account: Account, matter: UUID, asked: Asked, *, as_json: bool) -> None:
    """Ask for a production, which another member has to approve. Raises RunnerError."""
    wanted: dict[str, Any] = {"format": asked.format, "query": asked.query, "reason": asked.reason}
    if asked.bates is not None:
        wanted["bates"] = {"prefix": asked.bates}

    async def posted() -> dict[str, Any]:
        async with signed_in(account) as door:
            return await door.call("POST", _place(matter), dict[str, Any], body=wanted)

    shown = asyncio.run(posted())
    if as_json:
        print(json.dumps(shown))
        return
    request = shown["request"]
    print(shown["production"])
    print(f"{shown['entries']} entries of {shown['conversations']} conversations are in its scope.")
    print(f"Another member: muniment approval approve {request['request']} --digest {request['digest']}")


def list_productions(account: Account, matter: UUID, *, as_json: bool) -> None:
    """Print the productions of a matter, the newest first. Raises RunnerError."""

    async def asked() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        query: dict[str, Any] = {"limit": PAGE}
        async with signed_in(account) as door:
            while True:
                page = await door.call("GET", _place(matter), dict[str, Any], query=query)
                found += page["productions"]
                if page["next"] is None:
                    return found
                query["after"] = page["next"]

    productions = asyncio.run(asked())
    if as_json:
        print(json.dumps(productions))
        return
    for each in productions:
        print(f"{each['production']}  {each['state']:<8} {each['format']:<8} {_progress(each)}")


def take(account: Account, matter: UUID, production: UUID, to: Path, *, as_json: bool) -> None:
    """Keep a production in the file `to`, which is not there yet. Raises RunnerError."""
    if to.exists():
        raise RunnerError(f"{to} is there already, and no production is written over anything.")

    async def asked() -> None:
        async with signed_in(account) as door:
            await door.save(f"{_place(matter)}/{production}/download", to)

    asyncio.run(asked())
    told = f"Production {production} is in {to}: check it by muniment verify."
    print(json.dumps({"production": str(production), "to": str(to)}) if as_json else told)


def _progress(shown: dict[str, Any]) -> str:
    if shown["failure"] is not None:
        return str(shown["failure"])
    if shown["counts"] is None:
        return f"{shown['done']} of {shown['entries']} entries"
    counts = shown["counts"]
    excluded = sum(counts["excluded"].values())
    return f"{counts['produced']} produced, {excluded} excluded, {counts['errors']} in error"


def _place(matter: UUID) -> str:
    return f"{MATTERS}/{matter}/productions"
