"""An index that is lost on a whole platform says so, and is searched again when nothing is missing."""

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

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
SECONDS = 120.0


@pytest.fixture
async def counsel(town: Town, tmp_path: Path) -> AsyncIterator[tuple[Door, Client]]:
    ada, *_ = await town.settle(2)
    place = f"/internal/tenants/{town.tenant.tenant}"
    principal = {"principal": str(town.principals[0])}
    town.platform.operator.call("POST", f"{place}/passwords", {**principal, "password": PASSWORD})
    town.platform.operator.call("POST", f"{place}/roles", {**principal, "role": "legal_counsel"})
    password = kept(tmp_path / "counsel", PASSWORD.encode())
    account = Account(town.tenant.slug, person_of(0).user_name, password, town.platform.data)
    async with signed_in(account) as door:
        yield door, ada


async def test_a_lost_index_is_made_anew_and_the_operator_may_ask_for_it(
    town: Town, counsel: tuple[Door, Client], tmp_path: Path
):
    door, ada = counsel
    plans = (await ada.create_conversation("group", [town.principals[1]], name="Plans")).conversation
    for number in range(5):
        await ada.post(plans, f"pangolin number{number}")
    wanted = {"name": "Pangolins", "everything": True}
    matter = (await door.call("POST", "/ediscovery/v1/matters", dict[str, Any], body=wanted))["matter"]

    async def found() -> int | str:
        path, body = f"/ediscovery/v1/matters/{matter}/searches", {"query": "pangolin"}
        try:
            return len((await door.call("POST", path, dict[str, Any], body=body))["hits"])
        except Refused as refused:
            return str(refused)

    async def comes_to(count: int) -> set[int | str]:
        """Wait until so many are found, and return what was answered before."""
        deadline, before = time.monotonic() + SECONDS, set[int | str]()
        while (answer := await found()) != count:
            assert time.monotonic() < deadline, answer
            before.add(answer)
        return before

    await comes_to(5)
    index = town.platform.data / "search" / str(town.tenant.tenant)
    index.rename(tmp_path / "lost")  # at one moment, whatever is being written
    before = await comes_to(5)
    assert all(isinstance(answer, str) and "made anew" in answer for answer in before), before
    await ada.post(plans, "pangolin, once more")
    await comes_to(6)

    rebuilt = await ran("index", "rebuild", town.tenant.slug, "--data", town.platform.data, "--json")
    assert rebuilt.returncode == 0, rebuilt
    (done,) = json.loads(rebuilt.stdout)
    assert (done["slug"], done["lost"], done["done"]) == (town.tenant.slug, False, done["entries"])
    assert await found() == 6
    folder = town.platform.data / "search" / "g2" / str(town.tenant.tenant)
    assert all(path.stat().st_mode & 0o077 == 0 for path in (folder, folder.parent, *folder.iterdir()))
    counted = await ran("audit", "reconcile", "--data", town.platform.data, "--json")
    assert counted.returncode == 0, counted
