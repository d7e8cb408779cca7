"""The whole platform on OpenSearch: everything agrees, nothing is lost with the engine, a loss is noticed."""

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from opensearchpy import OpenSearch

from infra.engines import daemon
from infra.engines.opensearch import OpenSearchServer
from libs.client.client import Client
from libs.client.errors import Refused
from services.runner.account import Account, Door, signed_in
from services.runner.corpus import rows_of
from services.runner.demo.command import Wanted, run_demo
from services.runner.demo.indexed import index_of, settled_index
from services.runner.demo.script import person_of
from services.runner.errors import RunnerError
from services.runner.search import SearchWish
from tests.e2e.demo.test_demo import CORPUS
from tests.e2e.runner.test_evidence import kept, ran
from tests.support.engines import ROOT, opensearch_program
from tests.support.keeper import free_port
from tests.support.platform import Platform
from tests.support.town import Town, town

__all__ = ["town"]

pytestmark = [pytest.mark.xdist_group("opensearch"), pytest.mark.engine("opensearch")]

PASSWORD = "a password of some length"
ENGINE_PASSWORD = "5ecret-of-the-engine"
SECONDS = 120.0
DEMO_SECONDS = 500.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSearchServer]:
    """Give an OpenSearch of these tests' own, to kill; it asks nobody for the password that it is told."""
    program, folder = opensearch_program(), tmp_path_factory.mktemp("opensearch")
    server = OpenSearchServer(folder / "data", free_port(), free_port(), folder / "record", program=program)
    daemon.start(server)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def platform(cluster: OpenSearchServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Give a platform that searches by that one."""
    folder = tmp_path_factory.mktemp("on-opensearch")
    password = kept(folder / "password", ENGINE_PASSWORD.encode())
    password.chmod(0o600)
    who = ("--search-user", "muniment", "--search-password-file", str(password))
    running = Platform(folder / "data", ("--search", f"opensearch={cluster.address}", *who)).start()
    yield running
    running.stop()


@pytest.fixture
def client(cluster: OpenSearchServer) -> Iterator[OpenSearch]:
    with OpenSearch(cluster.address, timeout=60) as client:
        yield client


class Counsel:
    """Somebody who may search everything, and somebody who speaks."""

    def __init__(self, town: Town, door: Door, ada: Client, matter: str) -> None:
        self.town = town
        self.tenant = town.tenant.tenant
        self.ada = ada
        self._door = door
        self._matter = matter
        self._count = index_of(town.platform.facts)

    async def found(self, query: str) -> list[dict[str, Any]] | str:
        """Return the hits, or what the search was refused with."""
        path, body = f"/ediscovery/v1/matters/{self._matter}/searches", {"query": query, "limit": 100}
        try:
            answer = await self._door.call("POST", path, dict[str, Any], body=body)
        except Refused as refused:
            return str(refused)
        hits: list[dict[str, Any]] = answer["hits"]
        return hits

    async def comes_to(self, query: str, count: int) -> list[str]:
        """Wait until exactly so many are found, each once; return the refusals until then."""
        deadline, refusals = time.monotonic() + SECONDS, list[str]()
        while isinstance(hits := await self.found(query), str) or len(hits) < count:
            assert time.monotonic() < deadline, hits
            refusals += [hits] if isinstance(hits, str) else []
            await asyncio.sleep(0.1)
        assert len(hits) == count
        assert len({(hit["conversation"], hit["seq"]) for hit in hits}) == count
        return refusals

    async def indexed(self, count: int) -> int:
        """Return how many messages OpenSearch itself counts, once they are so many."""
        return await settled_index(self._count, self.tenant, count, patience=SECONDS)


@pytest.fixture
async def counsel(town: Town, tmp_path: Path) -> AsyncIterator[Counsel]:
    ada, *_ = await town.settle(2)
    place = f"/internal/tenants/{town.tenant.tenant}"
    principal = {"principal": str(town.principals[0])}
    town.platform.operator.call("POST", f"{place}/passwords", {**principal, "password": PASSWORD})
    town.platform.operator.call("POST", f"{place}/roles", {**principal, "role": "legal_counsel"})
    password = kept(tmp_path / "counsel", PASSWORD.encode())
    account = Account(town.tenant.slug, person_of(0).user_name, password, town.platform.data)
    async with signed_in(account) as door:
        wanted = {"name": "All", "everything": True}
        made = await door.call("POST", "/ediscovery/v1/matters", dict[str, Any], body=wanted)
        yield Counsel(town, door, ada, made["matter"])


async def plans_of(counsel: Counsel, word: str, numbers: range) -> UUID:
    people = [counsel.town.principals[1]]
    plans = (await counsel.ada.create_conversation("group", people, name="Plans")).conversation
    await said(counsel, plans, word, numbers)
    return plans


async def said(counsel: Counsel, plans: UUID, word: str, numbers: range) -> None:
    for number in numbers:
        await counsel.ada.post(plans, f"the {word} number{number}")


class Demonstration:
    """A demonstration that runs beside others: most of its time it waits for OpenSearch's merges."""

    def __init__(self, platform: Platform, keep: Path, *options: object) -> None:
        given = ("--data", platform.data, "--keep", keep, "--json", *options)
        command = [sys.executable, "-m", "services.runner", "demo", *map(str, given)]
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def agrees(self) -> dict[str, Any]:
        """Return what was counted, once everything agrees."""
        try:
            out, err = self._process.communicate(timeout=DEMO_SECONDS)
        finally:
            self._process.kill()
        assert self._process.returncode == 0, err
        told = json.loads(out)
        assert told["complete"] is True
        assert (told["verified"], told["tampered_refused"]) == (True, True)
        counts: dict[str, Any] = told["counts"]
        assert counts["stored"] == counts["indexed"]
        assert counts["left"] == counts["indexed_left"]
        assert counts["certified"] == counts["disposed"] > 0
        assert counts["found"] == counts["matching"] > 0
        assert counts["in_scope"] == counts["produced"] + counts["excluded"] > 0
        return counts


def test_the_whole_story_agrees_on_opensearch(platform: Platform, client: OpenSearch, tmp_path: Path):
    own = Demonstration(platform, tmp_path / "own", "--search", "opensearch")
    real = real_messages(platform, tmp_path)
    counts = own.agrees()
    assert (counts["stored"], counts["disposed"], counts["left"]) == (64 + 49, 13 + 2, 64 + 49 - 13)
    if real is not None:
        assert real.agrees()["stored"] == 50 + 1000
    assert not any((platform.data / "search").glob("*")), "a word lies where tantivy keeps them"
    for each in client.search(index="muniment-*", body={"size": 1000})["hits"]["hits"]:
        assert "tokens" not in each["_source"]


def real_messages(platform: Platform, folder: Path) -> Demonstration | None:
    """Begin with some of a real corpus, where it is there."""
    if not CORPUS.is_file():
        return None
    archive = folder / "archive.jsonl"
    rows = itertools.islice(rows_of(CORPUS), 1000, 2000)
    archive.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for _, row in rows))
    return Demonstration(platform, folder / "real", "--corpus", CORPUS, "--limit", 50, "--import", archive)


def test_another_engine_than_the_running_one_is_refused(platform: Platform, tmp_path: Path):
    with pytest.raises(RunnerError, match="searches by opensearch"):
        run_demo(platform.data, Wanted(keep=tmp_path, search=SearchWish("tantivy")), as_json=True)


async def test_an_engine_that_is_killed_while_it_indexes_loses_nothing(
    cluster: OpenSearchServer, counsel: Counsel
):
    plans = await plans_of(counsel, "giraffe", range(20))
    assert cluster.pid is not None
    os.kill(cluster.pid, signal.SIGKILL)
    await until(lambda: cluster.pid is None)
    await said(counsel, plans, "giraffe", range(20, 30))
    assert "search engine does not answer" in str(await counsel.found("giraffe"))
    platform = counsel.town.platform
    told = await ran("doctor", "--data", platform.data, "--json")
    (engine,) = [each for each in json.loads(told.stdout) if each["check"] == "search engine"]
    assert (told.returncode, engine["ok"]) == (1, False)
    assert cluster.address in engine["detail"]
    assert platform.is_ready("ediscovery"), "whoever needs no search is served"

    daemon.start(cluster)  # in this thread, with which it dies
    await counsel.comes_to("giraffe", 30)
    assert await counsel.indexed(30) == 30
    hits = await counsel.found('"giraffe number7"')
    assert isinstance(hits, list)
    (hit,) = hits
    assert [hit["excerpt"][begin:end] for begin, end in hit["marks"]] == ["giraffe", "number7"]
    told = await ran("doctor", "--data", platform.data)
    assert told.returncode == 0, told.stdout
    assert "OpenSearch 2." in told.stdout


@pytest.mark.parametrize("what", ["month", "cursors", "everything"])
async def test_an_index_that_is_lost_in_opensearch_is_noticed_and_made_anew(
    client: OpenSearch, counsel: Counsel, what: str
):
    await plans_of(counsel, "pangolin", range(5))
    await counsel.comes_to("pangolin", 5)
    named = f"muniment-{counsel.tenant.hex}"
    patterns = {"month": f"{named}-v*", "cursors": f"{named}-cursors-*", "everything": f"{named}-*"}
    lost = list(client.indices.get(index=patterns[what]))
    assert lost
    for index in lost:
        client.indices.delete(index=index)
    refusals = await counsel.comes_to("pangolin", 5)
    assert all("made anew" in refusal for refusal in refusals), refusals
    assert await counsel.indexed(5) == 5
    assert client.indices.get(index=f"muniment-g1-{counsel.tenant.hex}-*")
    await until(lambda: not client.indices.get(index=f"{named}-*"))


@pytest.mark.planted
async def test_a_message_that_vanishes_from_opensearch_is_not_counted(client: OpenSearch, counsel: Counsel):
    await plans_of(counsel, "lemur", range(3))
    assert await counsel.indexed(3) == 3
    months = f"muniment-{counsel.tenant.hex}-v*"
    one = client.search(index=months)["hits"]["hits"][0]
    client.delete(index=one["_index"], id=one["_id"], params={"refresh": "true"})
    assert index_of(counsel.town.platform.facts)(counsel.tenant) == 2


async def test_the_engine_s_password_is_in_no_log_and_in_no_list_of_processes(platform: Platform):
    for log in (platform.data / "log").glob("*.log"):
        assert ENGINE_PASSWORD not in log.read_text(errors="replace"), log.name
    for process in platform.tree():
        assert ENGINE_PASSWORD not in " ".join(process.cmdline())
    told = await ran("doctor", "--data", platform.data)
    assert ENGINE_PASSWORD not in told.stdout + told.stderr
    for name in ("kept.json", "settings.toml", "run/deployment.json"):
        assert (platform.data / name).stat().st_mode & 0o077 == 0
        assert ENGINE_PASSWORD in (platform.data / name).read_text(), "planted: it would be found"


async def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
