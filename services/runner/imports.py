"""`muniment import FILE`: bring a corpus into the platform, approved by somebody else, resumable at any line.

The file is read three times and never held: to hash it, to cut it into batches, to bring them. The same
command asks, begins, goes on after whatever interrupted it, and tells the report again once it is finished.
"""

import asyncio
import hashlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from libs.client.errors import ClientError, Refused, Unreachable
from libs.kernel.ids import PrincipalId, TenantId
from services.messaging.domain.imports import (
    MOST_LINES,
    MOST_NAME,
    Batch,
    Line,
    Wanted,
    batch_digest,
    import_digest,
)
from services.runner.account import Account, Door, signed_in
from services.runner.corpus import rows_of
from services.runner.errors import RunnerError

IMPORTS: Final = "/messaging/v1/imports"
MOST_BYTES: Final = 900_000
"""Of a batch on its way: the platform reads requests of up to 1 MiB."""
PATIENCE_SECONDS: Final = 120.0
_CHUNK: Final = 1 << 20
_BUSY: Final = (429, 502, 503, 504)
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0
_TELL_SECONDS: Final = 1.0


class SourceLine(msgspec.Struct, frozen=True):
    """A line as the platform reads it."""

    line: int
    date: str
    time: str
    channel: str
    nick: str
    text: str


class Plan(NamedTuple):
    """What a file asks for: its SHA-256, its lines, and for each batch the hash and the size."""

    source: bytes
    lines: int
    digests: list[str]
    sizes: list[int]


@dataclass(frozen=True, slots=True)
class Wish:
    """What to import, and how; `people` is a JSON file of nick → user name."""

    corpus: Path
    reason: str
    people: Path | None = None
    wait: bool = False
    as_json: bool = False


class Run(NamedTuple):
    """What one run of the command did: lines that it brought, and lines that had come before."""

    brought: int
    repeated: int
    seconds: float


def import_corpus(account: Account, wish: Wish) -> None:
    """Ask for the import, or go on with it, and print how it stands. Raises RunnerError."""
    plan = plan_of(wish.corpus)
    people = _people_of(wish.people)
    facts, run = asyncio.run(_imported(account, wish, plan, people))
    if wish.as_json:
        print(json.dumps({**facts, "this_run": None if run is None else run._asdict()}))
        return
    print(_sentences_of(facts, run))


def check_corpus(account: Account, wish: Wish) -> None:
    """Print the digest that an import of the file has, and ask for nothing: what an approver compares."""
    plan = plan_of(wish.corpus)
    people = _people_of(wish.people)

    async def digested() -> str:
        async with signed_in(account) as door:
            me = await door.call("GET", "/identity/v1/me", dict[str, Any])
            principals = await _principals_of(door, people)
        batches = zip(plan.digests, plan.sizes, strict=True)
        wanted = Wanted(
            source=plan.source,
            name=wish.corpus.name,
            lines=plan.lines,
            batches=tuple(Batch(bytes.fromhex(digest), size) for digest, size in batches),
            people=tuple((nick, PrincipalId(UUID(one))) for nick, one in principals.items()),
        )
        return import_digest(TenantId(UUID(me["tenant"]["id"])), wanted).hex()

    digest = asyncio.run(digested())
    shown = {"digest": digest, "source": plan.source.hex(), "lines": plan.lines}
    print(json.dumps(shown) if wish.as_json else f"Digest:  {digest}  ({plan.lines:,} lines)")


def plan_of(path: Path) -> Plan:
    """Return what a file asks for. Raises RunnerError for a file that is no corpus, or an empty one."""
    hashed = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                hashed.update(chunk)
    except OSError as error:
        raise RunnerError(f"{path}: {error.strerror or error}") from error
    digests: list[str] = []
    sizes: list[int] = []
    for batch in batches_of(path):
        digests.append(batch_digest(batch).hex())
        sizes.append(len(batch))
    if not digests:
        raise RunnerError(f"{path} holds no message")
    return Plan(hashed.digest(), sum(sizes), digests, sizes)


def batches_of(path: Path) -> Iterator[list[Line]]:
    """Yield the lines of a corpus, cut into batches: the same file is always cut in the same way.

    Raises RunnerError for what cannot be read, and for a line that is too long to be brought at all.
    """
    batch: list[Line] = []
    size = 0
    for number, row in rows_of(path):
        line = Line(number, row.date, row.time, row.channel, row.nick, row.text)
        length = len(msgspec.json.encode(SourceLine(*line))) + 1
        if length > MOST_BYTES:
            raise RunnerError(f"{path} cannot be read as a corpus: line {number} has {length} bytes")
        if batch and (len(batch) == MOST_LINES or size + length > MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += length
    if batch:
        yield batch


async def _imported(
    account: Account, wish: Wish, plan: Plan, people: Mapping[str, str]
) -> tuple[Mapping[str, Any], Run | None]:
    async with signed_in(account) as door:
        return await bring_in(door, wish, plan, await _principals_of(door, people))


async def bring_in(
    door: Door, wish: Wish, plan: Plan, principals: Mapping[str, str]
) -> tuple[Mapping[str, Any], Run | None]:
    """Ask for the import, or go on with it once it is approved; `principals` are by nick.

    Returns how it stands, and what was brought, None while it waits. Raises RunnerError and ClientError.
    """
    asked = {
        "source": plan.source.hex(),
        "name": wish.corpus.name[:MOST_NAME],
        "lines": plan.lines,
        "batches": plan.digests,
        "sizes": plan.sizes,
        "people": principals,
        "reason": wish.reason,
    }
    facts = await _decided(door, await _patiently(door, IMPORTS, asked), wait=wish.wait)
    if facts["state"] not in ("approved", "begun", "finished"):
        return facts, None
    run = f"{IMPORTS}/{facts['run']}"
    begun = await _patiently(door, f"{run}/begin", {})
    done = await _bring(door, run, wish.corpus, plan, begun["done"])
    return await _patiently(door, f"{run}/finish", {}), done


async def _decided(door: Door, facts: Mapping[str, Any], *, wait: bool) -> Mapping[str, Any]:
    """Return the import once somebody has decided, where that is waited for."""
    while wait and facts["state"] == "pending":
        await asyncio.sleep(_TELL_SECONDS)
        facts = await door.call("GET", f"{IMPORTS}/{facts['run']}", dict[str, Any])
    return facts


async def _bring(door: Door, run: str, corpus: Path, plan: Plan, done: int) -> Run:
    """Bring the batches from number `done` on, one after the other, and tell how far it is."""
    clock = asyncio.get_running_loop().time
    begun = told = clock()
    brought, repeated = 0, sum(plan.sizes[:done])
    batches = enumerate(batches_of(corpus))
    upcoming = await asyncio.to_thread(next, batches, None)
    while upcoming is not None:
        number, batch = upcoming
        if number < done:
            upcoming = await asyncio.to_thread(next, batches, None)
            continue
        body = {"lines": [SourceLine(*line) for line in batch]}
        sent = asyncio.create_task(_patiently(door, f"{run}/batches/{number}", body))
        upcoming = await asyncio.to_thread(next, batches, None)  # while the other one is under way
        answer = await sent
        if answer["repeated"]:
            repeated += len(batch)
        else:
            brought += len(batch)
        if clock() - told >= _TELL_SECONDS or upcoming is None:
            told = clock()
            speed = brought / max(told - begun, 0.001)
            print(f"{brought + repeated:,} of {plan.lines:,} lines ({speed:,.0f}/s)", file=sys.stderr)
    return Run(brought, repeated, clock() - begun)


async def _patiently(door: Door, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """POST until it is answered: everything here may be said twice. Raises ClientError after two minutes."""
    clock = asyncio.get_running_loop().time
    deadline, pause = clock() + PATIENCE_SECONDS, _SHORTEST_PAUSE
    while True:
        try:
            return await door.call("POST", path, dict[str, Any], body=body)
        except ClientError as error:
            is_passing = isinstance(error, Unreachable) or (
                isinstance(error, Refused) and error.problem.status in _BUSY
            )
            if not is_passing or clock() + pause > deadline:
                raise
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def _people_of(path: Path | None) -> Mapping[str, str]:
    if path is None:
        return {}
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    except OSError as error:
        raise RunnerError(f"{path}: {error.strerror or error}") from error
    except msgspec.DecodeError as defect:
        raise RunnerError(f"{path} does not map nicks to user names: {defect}") from defect


async def _principals_of(door: Door, people: Mapping[str, str]) -> dict[str, str]:
    """Return nick → principal for nick → user name. Raises RunnerError for a name that nobody has."""
    principals: dict[str, str] = {}
    for user_name in sorted(set(people.values())):
        found = await door.call(
            "GET", "/identity/v1/people", dict[str, Any], query={"query": user_name, "limit": 200}
        )
        for person in found["people"]:
            if person["user_name"].casefold() == user_name.casefold():
                principals[user_name] = person["principal"]
        if user_name not in principals:
            raise RunnerError(f"The directory knows no {user_name}.")
    return {nick: principals[user_name] for nick, user_name in people.items()}


def _sentences_of(facts: Mapping[str, Any], run: Run | None) -> str:
    report: Mapping[str, Any] = facts["report"]
    if run is None:
        request: Mapping[str, Any] = facts["request"]
        return (
            f"The import of {facts['lines']:,} lines ({facts['name']}) is {facts['state']}.\n"
            f"Request: {request['request']}\nDigest:  {request['digest']}\n"
            "Another compliance officer or counsel approves it by: muniment approval … approve REQUEST"
            " --digest DIGEST; then run this command again."
        )
    refusals: Sequence[Mapping[str, Any]] = report["refused"]
    came = (
        f"{report['imported']:,} of {report['lines']:,} lines are imported into"
        f" {report['conversations']:,} conversations, from {report['first_at']} to {report['last_at']};"
        f" {report['refusals']:,} were refused."
    )
    brought = f"This run brought {run.brought:,} lines; {run.repeated:,} had come before."
    refused = [f"Line {refusal['line']} was refused: {refusal['why']}." for refusal in refusals]
    return "\n".join([came, brought, *refused])
