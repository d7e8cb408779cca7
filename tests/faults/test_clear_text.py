"""No body stands anywhere in clear: no table, file or stream has it, nor what gateways tell each other."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.faults.canary import overheard, places_of
from tests.faults.harm import valkey_of
from tests.faults.load import Load, loaded
from tests.support.town import Town

pytestmark = pytest.mark.xdist_group("faults")
CANARY = "canary-77ab10-of-a-quiet-day"
PLANTED = "canary-0c55e2-planted"


async def test_a_body_is_nowhere_in_clear(town: Town) -> None:
    with overheard(town.platform) as heard:
        async with loaded(town, people=3, senders=2) as load:
            for number in range(4):
                await load.send(number % 2, f"{CANARY}-{number}")
            await load.repeat(0, load.history.acks[0])
            history = await load.settled()
    assert {sight.text for sight in history.shown["person 2"]} >= {f"{CANARY}-{n}" for n in range(4)}
    assert any(load.conversation.bytes in said for said in heard), "the gateways told each other nothing"
    assert not any(CANARY.encode() in said for said in heard)
    assert await asyncio.to_thread(places_of, CANARY, town.platform) == []


@contextmanager
def planted(load: Load) -> Iterator[None]:
    """Leave the text in a log, a table and a stream, and take it away again."""
    log = load.platform.data / "log" / "planted.log"
    log.write_text(PLANTED)
    load.rows("CREATE TABLE messaging.planted (body bytea)")
    with valkey_of(load.platform) as valkey:
        try:
            load.rows("INSERT INTO messaging.planted VALUES (%s)", PLANTED.encode())
            valkey.xadd("planted", {"body": PLANTED})
            yield
        finally:
            valkey.delete("planted")
            load.rows("DROP TABLE messaging.planted")
            log.unlink()


@pytest.mark.planted
async def test_a_planted_text_is_found_wherever_it_is(town: Town) -> None:
    async with loaded(town, people=2, senders=1) as load:
        with planted(load), overheard(load.platform) as heard:
            with valkey_of(load.platform) as valkey:
                valkey.publish("planted", PLANTED)
            found = await asyncio.to_thread(places_of, PLANTED, load.platform)
    assert PLANTED.encode() in heard
    assert {"identity: messaging.planted", "valkey: planted", "log/planted.log"} <= set(found)
    for folder in ("postgres/cluster/pg_wal/", "postgres/cluster/base/", "valkey/"):
        assert any(place.startswith(folder) for place in found), folder
