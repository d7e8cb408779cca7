"""An imported archive on a running platform, of which a run destroys what no hold keeps, and looks at it."""

import asyncio
import json
import time
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID

import psycopg

from libs.client.errors import ClientError
from libs.evidence.certificate.items import parse_item
from libs.evidence.trust import parse_trust
from libs.evidence.verify import verify_path
from services.runner.demo.importing import bring_the_rest
from services.runner.demo.officials import Official, Officials, in_office
from tests.support.platform import Platform
from tests.support.town import Town

CHANNELS: Final = 4
EACH: Final = 650
"""Messages of a channel, whose every day is a conversation."""
AT_ONCE: Final = 500
"""Items after which a transaction takes up no more: a run takes several for all."""
SECONDS: Final = 120.0
PROCESSES: Final = {"messaging": "messaging-relay", "keys": "keys", "ediscovery": "ediscovery"}
"""Who takes in the holds of each executor."""
_RULE: Final = {"kind": "deletion", "period": {"years": 1}, "conversation_types": ["import"]}
_THERE: Final = """
    SELECT coalesce((SELECT g.generation FROM messaging.hold_generation g WHERE g.tenant = %(tenant)s), 0),
           ARRAY(SELECT p.conversation || '/' || p.seq FROM messaging.payload p
                  WHERE p.tenant = %(tenant)s AND p.conversation = ANY (%(rooms)s)
                    AND p.sent_at >= coalesce(%(since)s, '-infinity'::timestamptz))"""
_LOCKED: Final = """
    SELECT FROM messaging.payload p WHERE p.tenant = %s AND p.conversation = %s AND p.seq = %s FOR UPDATE"""
_RANKED: Final = """
    SELECT p.conversation, p.seq, p.sent_at FROM messaging.payload p WHERE p.tenant = %s
     ORDER BY p.conversation, p.seq OFFSET %s LIMIT 1"""
_WAITING: Final = """
    SELECT FROM pg_stat_activity w, pg_stat_activity b
     WHERE w.usename = %s AND b.usename = %s AND b.datname = w.datname
       AND b.pid = ANY (pg_blocking_pids(w.pid))"""


class Item(NamedTuple):
    """A message that lies there."""

    room: UUID
    seq: int
    sent_at: datetime


class Held(NamedTuple):
    """What a hold keeps: what was sent in some rooms, from a time on."""

    rooms: list[UUID]
    since: datetime | None


@dataclass
class Archive:
    """The archive of one tenant, and two people who answer for it."""

    town: Town
    officials: Officials
    folder: Path
    rooms: list[UUID] = field(default_factory=list)

    @property
    def platform(self) -> Platform:
        """Return where it lies."""
        return self.town.platform

    @property
    def tenant(self) -> UUID:
        """Return whose it is."""
        return self.town.tenant.tenant

    # What is asked for.

    async def due(self) -> dict[str, Any]:
        """Order a dry run, and ask for its result to be carried out; return that request, and the counts."""
        officer = self.officials.officer
        order = await officer.post("/retention/v1/orders", {})
        place = f"/retention/v1/orders/{order['order']}"
        shown = await until(officer, place, lambda shown: shown["state"] == "answered")
        found = {
            standing: sum(int(each[standing]["items"]) for each in shown["answers"][0]["classes"])
            for standing in ("preserved", "hidden", "ripe")
        }
        return {**await officer.post(f"{place}/run", {"reason": "it is due"}), **found}

    async def approve(self, request: dict[str, Any]) -> str:
        """Approve a run, and return its order."""
        await self.officials.counsel.approve("retention", request)
        listed = await self.officials.officer.get("/retention/v1/orders")
        (newest,) = [each for each in listed["orders"] if each["dry_run"] == request["subject"]]
        return str(newest["order"])

    async def ended(self, run: str) -> dict[str, Any]:
        """Wait until a run is over, and return what was done."""
        shown = await until(
            self.officials.officer, f"/retention/v1/orders/{run}", lambda shown: shown["state"] != "issued"
        )
        (completion,) = shown["completions"]
        done: dict[str, Any] = completion
        return done

    async def place_hold(self, held: Held) -> str:
        """Place a hold, and return its id."""
        terms = {
            "silent": True,
            "reason": "a claim",
            "conversations": list(map(str, held.rooms)),
            "since": None if held.since is None else held.since.isoformat(),
        }
        return str((await self.officials.counsel.post("/holds/v1/holds", terms))["hold"])

    async def certified(self, run: str) -> list[str]:
        """Wait for the certificate of a run, check it as a stranger does, and return the items' places."""
        place = f"/retention/v1/certificates/{run}"
        await until(
            self.officials.officer,
            place,
            lambda shown: shown["standing"]["state"] == "issued",
        )
        file = self.folder / f"{run}.zip"
        deadline = time.monotonic() + SECONDS
        while not file.exists():
            try:
                await self.officials.officer.door.save(f"{place}/download", file)
            except ClientError:  # until a checkpoint covers it
                assert time.monotonic() < deadline
                await asyncio.sleep(0.2)
        trust = parse_trust(self.platform.get("/keys/v1/trust.json").body)
        await asyncio.to_thread(verify_path, file, trust)
        with zipfile.ZipFile(file) as whole:
            names = sorted(name for name in whole.namelist() if name.startswith("items/"))
            lines = [line for name in names for line in whole.read(name).split(b"\n")[:-1]]
        return [f"{item.conversation}/{item.seq}" for item in (parse_item(line, "item") for line in lines)]

    # What lies there.

    def rows(self, service: str, statement: str, *parameters: object) -> list[Any]:
        """Read rows as the administrator of a service's database."""
        with psycopg.connect(self.platform.facts["databases"][service]) as connection:
            return connection.execute(statement.encode(), parameters).fetchall()

    def there(self, held: Held | None = None) -> tuple[int, frozenset[str]]:
        """Return which items are there, of what is held or of all, and the generation of that moment."""
        rooms, since = (self.rooms, None) if held is None else held
        with psycopg.connect(self.platform.facts["databases"]["messaging"]) as connection:
            row = connection.execute(
                _THERE, {"tenant": self.tenant, "rooms": rooms, "since": since}
            ).fetchone()
        assert row is not None
        return int(row[0]), frozenset(row[1])

    def generation(self, executor: str) -> int:
        """Return the generation of holds that an executor has confirmed, by its own database."""
        statement = f"SELECT generation FROM {executor}.hold_generation WHERE tenant = %s"
        return max((int(number) for (number,) in self.rows(executor, statement, self.tenant)), default=0)

    def stands_still(self) -> bool:
        """Say whether a run waits before the item that `standing_still` names."""
        ((administrator,),) = self.rows("messaging", "SELECT current_user")
        return bool(self.rows("messaging", _WAITING, "messaging_disposer", administrator))

    def waits_for_run(self) -> bool:
        """Say whether messaging waits with a change of holds until something is destroyed, or is not."""
        return bool(self.rows("messaging", _WAITING, "messaging_projector", "messaging_disposer"))

    def item(self, rank: int) -> Item:
        """Return the item of this rank, in the order of runs."""
        ((room, seq, sent_at),) = self.rows("messaging", _RANKED, self.tenant, rank)
        return Item(room, seq, sent_at)

    @contextmanager
    def standing_still(self, item: Item) -> Iterator[None]:
        """Have whoever destroys an item wait for the end of the context, uncommitted."""
        with psycopg.connect(self.platform.facts["databases"]["messaging"]) as connection:
            connection.execute(_LOCKED, (self.tenant, item.room, item.seq))
            yield


async def until(
    who: Official, path: str, is_so: Callable[[dict[str, Any]], bool], seconds: float = SECONDS
) -> dict[str, Any]:
    """Wait until what is shown at a path is so, whoever is killed meanwhile, and return it."""
    deadline = time.monotonic() + seconds
    while True:
        shown: dict[str, Any] = {}
        try:
            shown = await who.get(path)
            if is_so(shown):
                return shown
        except ClientError as error:
            shown = {"refused": str(error)}
        assert time.monotonic() < deadline, shown
        await asyncio.sleep(0.05)


async def comes_about(is_so: Callable[[], bool], complaint: str, seconds: float = SECONDS) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not await asyncio.to_thread(is_so):
        assert time.monotonic() < deadline, complaint
        await asyncio.sleep(0.05)


def write_corpus(path: Path, channels: int = CHANNELS, each: int = EACH) -> None:
    """Write what some people said years ago, in the channels by turns, over three months."""
    lines = []
    for number in range(each):
        month, day = 1 + 3 * number // each, 1 + number % 28
        for channel in range(channels):
            said = {
                "date": f"2019-{month:02}-{day:02}",
                "time": f"{number // 60 % 24:02}:{number % 60:02}",
                "channel": f"#room{channel}",
                "nick": ("ada", "ben")[number % 2],
                "text": f"what was said {number} times in {channel}",
            }
            lines.append(json.dumps(said) + "\n")
    path.write_text("".join(sorted(lines)), "utf-8")


@asynccontextmanager
async def archive_of(town: Town, folder: Path) -> AsyncIterator[Archive]:
    """Give an archive, all of it due by a rule, of which a run destroys little by one transaction."""
    await town.settle(4)
    operator, origin = town.platform.operator, town.platform.origin
    with town.platform.told(("messaging-relay",), "messaging", {"disposal_items": AT_ONCE}):
        async with in_office(operator, origin, town.tenant, town.principals[2:]) as officials:
            corpus = folder / "corpus.jsonl"
            write_corpus(corpus)
            people = dict(zip(("ada", "ben"), town.principals, strict=False))
            brought = await bring_the_rest(officials, corpus, people)
            assert (brought.imported, brought.refused) == (CHANNELS * EACH, 0)
            archive = Archive(town, officials, folder)
            rooms = "SELECT DISTINCT p.conversation FROM messaging.payload p WHERE p.tenant = %s ORDER BY 1"
            archive.rooms = [room for (room,) in archive.rows("messaging", rooms, archive.tenant)]
            await officials.officer.post("/retention/v1/rules", _RULE)
            yield archive


def duplicates_in(places: Sequence[str]) -> set[str]:
    """Return what stands in a list twice."""
    seen: set[str] = set()
    return {place for place in places if place in seen or seen.add(place)}  # type: ignore[func-returns-value]
