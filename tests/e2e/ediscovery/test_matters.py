"""Counsel finds in a matter what lies in its scope, and nobody else learns that there is one."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from libs.client.client import Client
from libs.client.errors import Refused
from services.runner.account import Account, Door, signed_in
from services.runner.demo.script import person_of
from tests.e2e.runner.test_evidence import kept, ran
from tests.support.town import Town, town

__all__ = ["town"]

pytestmark = pytest.mark.xdist_group("platform")

PASSWORD = "a password of some length"
ROLES = ("legal_counsel", "reviewer", "it_admin", "compliance_officer", "auditor", "employee")
CY, ADA, BEN = 3, 4, 5
SECONDS = 90.0
MATTERS = "/ediscovery/v1/matters"


class Chambers:
    """People of a town, each signed in with one role; some of them wrote to each other."""

    def __init__(self, town: Town, doors: dict[str, Door], rooms: list[UUID]) -> None:
        self.platform = town.platform
        self.tenant = town.tenant
        self.principals = [str(principal) for principal in town.principals]
        self.doors = doors
        self.rooms = [str(room) for room in rooms]

    async def get(self, path: str, role: str = "legal_counsel") -> dict[str, Any]:
        return await self.doors[role].call("GET", path, dict[str, Any])

    async def post(self, path: str, body: dict[str, Any], role: str = "legal_counsel") -> dict[str, Any]:
        return await self.doors[role].call("POST", path, dict[str, Any], body=body)

    async def matter(self, **terms: Any) -> str:
        wanted = {"name": "canary-3e7a", "custodians": [self.principals[BEN]], **terms}
        return str((await self.post(MATTERS, wanted))["matter"])

    async def found(
        self, matter: str, query: str, role: str = "legal_counsel", **more: Any
    ) -> dict[str, Any]:
        return await self.post(f"{MATTERS}/{matter}/searches", {"query": query, **more}, role)

    async def comes_to(self, matter: str, query: str, count: int) -> list[dict[str, Any]]:
        deadline = time.monotonic() + SECONDS
        while True:
            hits: list[dict[str, Any]] = (await self.found(matter, query))["hits"]
            if len(hits) >= count:
                break
            assert time.monotonic() < deadline, hits
        assert len(hits) == count
        return hits


async def changed(creator: Client, other: Client, others: list[UUID]) -> None:
    """Let a group go through whatever may become of one."""
    room = (await creator.create_conversation("group", others[:1], name="Plans")).conversation
    await creator.settle(room, name="Great plans", topic="Spring", history="all")
    await creator.change_participants(room, add=others[1:])
    await creator.change_administrators(room, add=others[1:])
    await creator.settle(room, announcements=True)
    await other.post(room, "Spring it is")
    await creator.change_administrators(room, remove=others[1:])
    await other.leave(room)
    await creator.settle(room, history="join", announcements=False)
    await creator.settle(room, archived=True)
    await creator.settle(room, archived=False, topic="")


@pytest.fixture
async def chambers(town: Town, tmp_path: Path) -> AsyncIterator[Chambers]:
    clients = await town.settle(len(ROLES))
    rooms = []
    for other in (BEN, CY):
        room = (await clients[ADA].create_conversation("direct", [town.principals[other]])).conversation
        for number in range(3):
            await clients[ADA].post(room, f"the zebra canary-51c8 number{number} goes to {other}")
        rooms.append(room)
    await changed(clients[ADA], clients[CY], [town.principals[BEN], town.principals[CY]])
    place = f"/internal/tenants/{town.tenant.tenant}"
    doors: dict[str, Door] = {}
    async with AsyncExitStack() as stack:
        for number, role in enumerate(ROLES):
            principal = {"principal": str(town.principals[number])}
            town.platform.operator.call("POST", f"{place}/passwords", {**principal, "password": PASSWORD})
            if role != "employee":
                town.platform.operator.call("POST", f"{place}/roles", {**principal, "role": role})
            password = kept(tmp_path / f"password-{number}", PASSWORD.encode())
            account = Account(town.tenant.slug, person_of(number).user_name, password, town.platform.data)
            doors[role] = await stack.enter_async_context(signed_in(account))
        yield Chambers(town, doors, rooms)


async def test_counsel_finds_what_lies_in_the_scope_with_its_words_marked(chambers: Chambers):
    matter = await chambers.matter()
    hits = await chambers.comes_to(matter, "zebra number*", 3)
    assert {hit["conversation"] for hit in hits} == {chambers.rooms[0]}
    for hit in hits:
        marked = [hit["excerpt"][begin:end] for begin, end in hit["marks"]]
        assert marked[0] == "zebra"
        assert marked[1].startswith("number")
    other = await chambers.matter(custodians=[chambers.principals[ADA]])
    await chambers.comes_to(other, "zebra", 6)
    first = await chambers.found(other, "zebra", limit=4)
    rest = await chambers.found(other, "zebra", limit=4, after=first["next"])
    assert rest["next"] is None
    assert len({(hit["conversation"], hit["seq"]) for hit in first["hits"] + rest["hits"]}) == 6
    narrow = await chambers.matter(custodians=[], conversations=[chambers.rooms[1]])
    assert {hit["conversation"] for hit in await chambers.comes_to(narrow, "zebra", 3)} == {chambers.rooms[1]}
    gone = await chambers.matter(until="2020-01-01T00:00:00Z")
    assert (await chambers.found(gone, "zebra"))["hits"] == []
    with pytest.raises(Refused, match="cannot be read"):
        await chambers.found(matter, "zebra AND")


async def test_people_are_named_in_a_query_as_the_directory_names_them(chambers: Chambers):
    matter, (ada, ben) = await chambers.matter(), map(person_of, (ADA, BEN))
    await chambers.comes_to(matter, "zebra", 3)
    for name in (ada.user_name, ada.user_name.upper(), f'"{ada.display_name}"', chambers.principals[ADA]):
        assert len((await chambers.found(matter, f"from:{name} zebra"))["hits"]) == 3, name
    both = f'participant:{ben.user_name} NOT from:"{ben.display_name}" zebra'
    assert len((await chambers.found(matter, both))["hits"]) == 3
    assert (await chambers.found(matter, f"from:{ben.user_name}"))["hits"] == []
    for query, column in (("zebra from:nobody.9", 7), ("in:board", 1)):
        with pytest.raises(Refused, match=f"column {column}:") as refused:
            await chambers.found(matter, query)
        assert refused.value.problem.code == "name-unknown"
    wanted = {"format": "jsonl", "query": f"zebra from:{ada.user_name}", "reason": "asked for by a court"}
    with pytest.raises(Refused, match="column 7: the query of a production has an id"):
        await chambers.post(f"{MATTERS}/{matter}/productions", wanted)


async def test_a_whole_message_is_seen_within_the_scope_alone(chambers: Chambers):
    matter = await chambers.matter()
    hit, *_ = await chambers.comes_to(matter, "zebra", 3)
    place = f"{MATTERS}/{matter}/messages"
    shown = await chambers.get(f"{place}/{hit['conversation']}/{hit['seq']}")
    assert shown["text"].startswith("the zebra canary-51c8")
    assert sorted(shown["participants"]) == sorted(chambers.principals[each] for each in (ADA, BEN))
    for path in (f"{chambers.rooms[1]}/{hit['seq']}", f"{uuid4()}/1", f"{hit['conversation']}/999"):
        with pytest.raises(Refused, match="Not found"):
            await chambers.get(f"{place}/{path}")


async def test_who_is_no_member_does_not_learn_that_there_is_a_matter(chambers: Chambers):
    matter = await chambers.matter()
    for role in ROLES[1:]:
        with pytest.raises(Refused, match="Not found"):
            await chambers.get(f"{MATTERS}/{matter}", role)
        with pytest.raises(Refused, match="Not found"):
            await chambers.found(matter, "zebra", role)
    members = f"{MATTERS}/{matter}/members"
    await chambers.post(members, {"principal": chambers.principals[1]})
    await chambers.comes_to(matter, "zebra", 3)
    assert len((await chambers.found(matter, "zebra", "reviewer"))["hits"]) == 3
    assert [each["matter"] for each in (await chambers.get(MATTERS, "reviewer"))["matters"]] == [matter]
    with pytest.raises(Refused, match="Not found"):
        await chambers.post(members, {"principal": chambers.principals[2]}, "reviewer")
    # a member whose role does not let him sees nothing all the same
    await chambers.post(members, {"principal": chambers.principals[2]})
    with pytest.raises(Refused, match="Not found"):
        await chambers.found(matter, "zebra", "it_admin")


async def test_each_search_and_view_is_in_the_chain_of_custody_and_no_word_is_in_a_log(chambers: Chambers):
    matter = await chambers.matter()
    hit, *_ = await chambers.comes_to(matter, "zebra", 3)
    await chambers.get(f"{MATTERS}/{matter}/messages/{hit['conversation']}/{hit['seq']}")
    query = f"/audit/v1/entries?entity_kind=matter&entity={matter}&order="
    deadline = time.monotonic() + SECONDS
    while True:
        told = (await chambers.get(f"{query}newest", "auditor"))["entries"]
        if told and told[0]["action"] == "ediscovery.message.viewed":
            break
        assert time.monotonic() < deadline, told
    first = (await chambers.get(f"{query}oldest", "auditor"))["entries"][:3]
    assert [entry["action"] for entry in first] == [
        "ediscovery.matter.made",
        "ediscovery.member.added",
        "ediscovery.search.made",
    ]
    assert {entry["visibility"] for entry in told} == {"legal"}
    assert (await chambers.get(f"{query}oldest", "it_admin"))["entries"] == []
    with psycopg.connect(chambers.platform.facts["databases"]["keys"]) as keys:
        purposes = keys.execute(
            "SELECT DISTINCT purpose FROM keys.key_access WHERE service = 'ediscovery' AND tenant = %s",
            (chambers.tenant.tenant,),
        ).fetchall()
    assert {purpose for (purpose,) in purposes} == {"index", f"matter:{matter}"}
    counted = await ran("audit", "reconcile", "--data", chambers.platform.data, "--json")
    assert counted.returncode == 0, counted
    for log in (chambers.platform.data / "log").glob("*.log"):
        for canary in ("canary-51c8", "canary-3e7a", "zebra"):
            assert canary not in log.read_text(errors="replace"), log.name


async def test_a_matter_is_searched_by_the_command_line(chambers: Chambers, tmp_path: Path):
    who = ("--tenant", chambers.tenant.slug, "--user", person_of(0).user_name)
    place = ("--password-file", tmp_path / "password-0", "--data", chambers.platform.data)
    ask = ("matter", *who, *place)
    made = await ran(*ask, "make", "Zebra", "--custodian", chambers.principals[BEN])
    assert made.returncode == 0, made
    matter = made.stdout.strip()
    await chambers.comes_to(matter, "zebra", 3)
    added = await ran(*ask, "add", matter, chambers.principals[1])
    assert added.returncode == 0, added
    found = await ran(*ask, "search", matter, "zebra number1")
    assert (found.returncode, found.stderr) == (0, ""), found
    assert "the [zebra] canary-51c8 [number1] goes to" in found.stdout
    listed = await ran(*ask, "list", "--json")
    assert matter in {each["matter"] for each in json.loads(listed.stdout)}
    for wrong, sentence in ((("search", matter, "zebra AND"), "column"), (("make", "Open"), "everything")):
        refused = await ran(*ask, *wrong)
        assert refused.returncode == 1
        assert sentence in refused.stderr.splitlines()[-1], refused
        assert "Traceback" not in refused.stderr
