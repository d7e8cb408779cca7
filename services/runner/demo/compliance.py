"""How a demonstration goes on once everything is said.

A corpus is imported, held, disposed of under a certificate, searched and produced; what it leaves behind is
checked off line. Everything is done over HTTP, by people with their roles: a compliance officer and counsel.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from libs.client.errors import ClientError
from services.runner.demo.certifying import items_in, take_certificate
from services.runner.demo.holding import place_hold
from services.runner.demo.importing import bring_the_rest
from services.runner.demo.indexed import index_of, settled_index
from services.runner.demo.keepsakes import judged, take_trust
from services.runner.demo.officials import OFFICIALS, Officials, in_office
from services.runner.demo.people import Tenant
from services.runner.demo.producing import produce, statuses_in
from services.runner.demo.rest import Reach, busiest
from services.runner.demo.retaining import carry_out, try_rule
from services.runner.demo.rows import count_bodies, count_due, count_in_scope, count_stored
from services.runner.demo.script import Person, Script, person_of
from services.runner.demo.searching import reach_of, search_matter
from services.runner.demo.steps import Steps
from services.runner.errors import RunnerError
from services.runner.peers import Operator

Counted = dict[str, int]


class Place(msgspec.Struct, frozen=True):
    """Where it takes place, who times it, and in which folder is kept what it leaves behind."""

    facts: Mapping[str, Any]
    operator: Operator
    tenant: Tenant
    steps: Steps
    folder: Path


class Afterwards(msgspec.Struct):
    """What is counted after the live part, by the names of Counts, and the files that are left behind.

    `verified` says that all of them hold, `tampered_refused` that no tampered copy of one does.
    """

    counted: Counted
    production: Path | None = None
    certificates: Path | None = None
    verified: bool = False
    tampered_refused: bool = False
    sentences: list[str] = []


class Archive(msgspec.Struct, frozen=True):
    """A corpus to import, and its custodians: nick → number among all people of the demonstration.

    `others` are the people who do not speak live: custodians whom nobody has heard, and the officials.
    """

    path: Path
    custodians: Mapping[str, int]
    others: tuple[Person, ...]


def archive_of(path: Path, speakers: Mapping[str, int], people: int) -> Archive:
    """Return the archive of a corpus where `speakers` (of `people` in all) speak live, by their nicks."""
    custodians: dict[str, int] = {}
    others: list[Person] = []
    for nick in busiest(path):
        if nick in speakers:
            custodians[nick] = speakers[nick]
        else:
            custodians[nick] = people + len(others)
            others.append(person_of(people + len(others)))
    return Archive(path, custodians, (*others, *OFFICIALS))


async def go_on(
    place: Place, archive: Archive | None, script: Script, principals: Sequence[UUID]
) -> Afterwards:
    """Return what comes after the live part. Raises RunnerError.

    Without an archive that is a count of what was stored, and nothing else is done.
    """
    if archive is None:
        return Afterwards(await _stored(place))
    staff = principals[-len(OFFICIALS) :]
    try:
        async with in_office(place.operator, place.facts["origin"], place.tenant, staff) as officials:
            return await _with_archive(place, archive, script, principals, officials)
    except ClientError as refused:
        raise RunnerError(f"the demonstration cannot go on: {refused}") from refused


async def _with_archive(
    place: Place,
    archive: Archive,
    script: Script,
    principals: Sequence[UUID],
    officials: Officials,
) -> Afterwards:
    people = {nick: principals[number] for nick, number in archive.custodians.items()}
    custodians = list(people.values())
    counted = await _imported(place, archive, people, officials)
    counted |= await _stored(place)
    counted |= await _indexed(place, counted["stored"])
    counted |= await _held(place, custodians, officials)
    reach = await asyncio.to_thread(_reach, archive, script)
    place.folder.mkdir(parents=True)
    run, disposed = await _disposed(place, officials)
    certificate, certified = await _certified(place, run, officials)
    matter, searched = await _searched(place, custodians, reach, officials)
    counted |= disposed | certified | searched | await _left(place)
    officer = principals[-len(OFFICIALS)]
    production, produced = await _produced(place, custodians, officer, matter, officials)
    return await _checked(place, Afterwards(counted | produced, production, certificate), officials)


def _reach(archive: Archive, script: Script) -> Reach:
    live = [number for number in archive.custodians.values() if number < len(script.people)]
    return reach_of(script, live, archive.path, list(archive.custodians))


async def _imported(
    place: Place, archive: Archive, people: Mapping[str, UUID], officials: Officials
) -> Counted:
    with place.steps.step("import", 1):
        came = await bring_the_rest(officials, archive.path, people)
    return {"to_import": came.lines, "imported": came.imported, "unimported": came.refused}


async def _stored(place: Place) -> Counted:
    with place.steps.step("stored", 1):
        stored, sealed = await _rows(place, count_stored)
    return {"stored": stored, "sealed": sealed}


async def _indexed(place: Place, stored: int) -> Counted:
    with place.steps.step("index", 1):
        return {"indexed": await _in_index(place, stored)}


async def _left(place: Place) -> Counted:
    """Return how many messages still have a body, and how many are still in the index."""
    _, left = await _rows(place, count_stored)
    with place.steps.step("index after the run", 1):
        return {"left": left, "indexed_left": await _in_index(place, left)}


async def _in_index(place: Place, expected: int) -> int:
    return await settled_index(index_of(place.facts), place.tenant.tenant, expected)


async def _held(place: Place, custodians: Sequence[UUID], officials: Officials) -> Counted:
    with place.steps.step("hold", 1):
        held = await place_hold(officials.counsel, custodians)
    return {"custodians": held.custodians, "executors": held.executors, "confirmed": held.confirmed}


async def _disposed(place: Place, officials: Officials) -> tuple[str, Counted]:
    with place.steps.step("dry run", 1):
        tried = await try_rule(officials.officer)
    due = await _rows(place, count_due, datetime.fromisoformat(tried.as_of))
    before = await _rows(place, count_bodies)
    with place.steps.step("run", 1):
        run = await carry_out(officials, tried.order)
    left = await _rows(place, count_bodies)
    return run.order, {
        "due": due,
        "preserved": tried.preserved,
        "in_grace": tried.in_grace,
        "ripe": tried.ripe,
        "disposed": before - left,
    }


async def _certified(place: Place, run: str, officials: Officials) -> tuple[Path | None, Counted]:
    with place.steps.step("certificate", 1):
        kept = await take_certificate(officials.officer, run, place.folder)
    return kept, {"certified": 0 if kept is None else items_in(kept)}


async def _produced(
    place: Place, custodians: Sequence[UUID], officer: UUID, matter: str, officials: Officials
) -> tuple[Path, Counted]:
    with place.steps.step("production", 1):
        kept = await produce(officials, officer, matter, place.folder)
    statuses = await asyncio.to_thread(statuses_in, kept)
    return kept, {
        "in_scope": await _rows(place, count_in_scope, custodians),
        "produced": statuses.produced,
        "excluded": statuses.excluded,
        "in_error": statuses.in_error,
    }


async def _checked(place: Place, after: Afterwards, officials: Officials) -> Afterwards:
    """Return what is left behind with what becomes of it off line."""
    with place.steps.step("verification", 1):
        trust = await take_trust(officials.counsel, place.folder)
        kept = {"production": after.production, "certificate": after.certificates}
        verdicts = [await judged(what, path, trust) for what, path in kept.items() if path is not None]
    return msgspec.structs.replace(
        after,
        certificates=None if after.certificates is None else after.certificates.parent,
        verified=all(verdict.holds for verdict in verdicts),
        tampered_refused=all(verdict.tampered_refused for verdict in verdicts),
        sentences=[sentence for verdict in verdicts for sentence in verdict.sentences],
    )


async def _searched(
    place: Place, custodians: Sequence[UUID], reach: Reach, officials: Officials
) -> tuple[str, Counted]:
    with place.steps.step("search", 1):
        searched = await search_matter(officials.counsel, custodians, reach)
    return searched.matter, {"found": searched.found, "matching": searched.matching}


async def _rows(place: Place, count: Callable[..., Any], *more: object) -> Any:
    return await asyncio.to_thread(count, place.facts["count_database"], place.tenant.tenant, *more)
