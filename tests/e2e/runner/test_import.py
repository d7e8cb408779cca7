"""A corpus comes into a whole platform by two people's commands, once, through kills of all who carry it."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from services.runner.demo.script import person_of
from tests.e2e.runner.test_evidence import kept, ran
from tests.support.engines import ROOT
from tests.support.platform import wait_until
from tests.support.town import Town, town

__all__ = ["town"]

pytestmark = pytest.mark.xdist_group("platform")

LINES = 40_000
PASSWORD = "a password of some length"


def corpus_of(folder: Path) -> Path:
    """Write two channels of three days in one month and the next; one line has no date."""
    lines = [
        {
            "date": f"2019-0{1 + number % 2}-1{number * 3 // LINES}",
            "time": f"{number * 24 // LINES:02}:{number % 60:02}",
            "channel": f"#channel-{number % 2}",
            "nick": f"nick-{number % 40}",
            "text": f"canary-e4c1 {number}",
        }
        for number in range(LINES)
    ]
    lines[77]["date"] = "yesterday"
    file = folder / "corpus.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


class Person:
    """Somebody of a town at the command line."""

    def __init__(self, town: Town, number: int, role: str, folder: Path) -> None:
        """Give the person with this number a password and a role."""
        principal = str(town.principals[number])
        place = f"/internal/tenants/{town.tenant.tenant}"
        operator = town.platform.operator
        operator.call("POST", f"{place}/passwords", {"principal": principal, "password": PASSWORD})
        operator.call("POST", f"{place}/roles", {"principal": principal, "role": role})
        self.options: tuple[object, ...] = (
            "--tenant",
            town.tenant.slug,
            "--user",
            person_of(number).user_name,
            "--password-file",
            kept(folder / f"password-{number}", PASSWORD.encode()),
            "--data",
            town.platform.data,
        )


async def said(*arguments: object) -> Any:
    done = await ran(*arguments, "--json")
    assert done.returncode == 0, done
    return json.loads(done.stdout)


def begun(arguments: list[str], folder: Path) -> "subprocess.Popen[bytes]":
    """Run the command beside the test; what it says of its progress goes into a file."""
    with (folder / "progress").open("wb") as progress:
        return subprocess.Popen(
            [sys.executable, "-m", "services.runner", *arguments],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=progress,
        )


async def test_a_corpus_comes_once_though_everybody_who_carries_it_is_killed(town: Town, tmp_path: Path):
    *_, ada = await town.settle(3)
    officer = Person(town, 0, "compliance_officer", tmp_path)
    counsel = Person(town, 1, "legal_counsel", tmp_path)
    known = person_of(2).user_name
    people = kept(tmp_path / "people.json", json.dumps({"nick-7": known}).encode())
    command = ("import", corpus_of(tmp_path), *officer.options, "--people", people, "--reason", "of 2019")

    def answer(statement: str, *parameters: object) -> int:
        with psycopg.connect(town.platform.facts["databases"]["messaging"]) as connection:
            row = connection.execute(statement.encode(), parameters).fetchone()
        return 0 if row is None else int(row[0])

    def came() -> int:
        return answer(
            "SELECT count(*) FROM messaging.imported_line WHERE kind = 4 AND tenant = %s", town.tenant.tenant
        )

    knows = "SELECT count(*) FROM messaging.principal WHERE tenant = %s"
    wait_until(lambda: answer(knows, town.tenant.tenant) == 3, "messaging never learned of the directory")
    asked = await said(*command)
    assert (asked["state"], asked["this_run"]) == ("pending", None)
    decision = (asked["request"]["request"], "--digest", asked["digest"])
    seen = await said(*(command[:2]), *counsel.options, "--people", people, "--check")
    assert (seen["digest"], seen["lines"]) == (asked["digest"], LINES)
    own = await ran("approval", *officer.options, "approve", *decision)
    assert own.returncode == 1
    assert "Somebody else" in own.stderr
    assert (await said("approval", *counsel.options, "approve", *decision))["state"] == "approved"

    carrier = begun([*map(str, command)], tmp_path)
    wait_until(lambda: came() > 0, "nothing came")
    carrier.kill()
    carrier.wait()
    before = came()
    assert before < LINES - 1

    carrier = begun([*map(str, command)], tmp_path)
    wait_until(lambda: came() > before, "it did not go on")
    killed = {victim: town.platform.kill(victim) for victim in ("gw-1", "gw-2", "postgres")}
    assert carrier.poll() is None
    for victim, old in killed.items():
        town.platform.wait_for_restart(victim, old)
    town.platform.wait_until_ready()
    assert await asyncio.to_thread(carrier.wait, 100) == 0, (tmp_path / "progress").read_text()

    done = await said(*command)
    report = done["report"]
    assert done["state"] == "finished"
    assert report["imported"] == came() == LINES - 1
    assert report["refused"] == [{"line": 78, "why": "its date and time cannot be read"}]
    assert report["conversations"] == 6
    assert (done["this_run"]["repeated"], done["this_run"]["brought"]) == (LINES, 0)
    again = await said(*command)
    assert again["report"] == report
    assert again["this_run"]["brought"] == 0
    assert came() == LINES - 1

    visible = [each for each in await ada.conversations() if each.kind == "import"]
    assert len(visible) == 3  # the person behind nick-7 speaks in one channel, on three days
    counted = await ran("audit", "reconcile", "--data", town.platform.data)
    assert counted.returncode == 0, counted
