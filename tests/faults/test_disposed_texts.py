"""Of a text that a run destroyed nothing is left in clear, on any disk, in any row, stream, log or index.

A body is sealed wherever it lies but in the index, whose dictionary of terms is clear by nature: there the
text is found before the run. Files of the index are compressed, so it is asked for its terms.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID, uuid4

import psycopg
import pytest

from libs.kernel.ids import TenantId
from services.ediscovery.adapters.tantivy import TantivyIndex
from services.ediscovery.domain.documents import Cursor
from tests.contract.search.reference import Log
from tests.contract.search.town import puts, said
from tests.e2e.retention.test_dry_runs import Bureau, bureau, carried_out, done
from tests.faults.canary import places_of
from tests.faults.harm import valkey_of
from tests.support.platform import Platform
from tests.support.town import Town

__all__ = ["bureau"]

pytestmark = pytest.mark.xdist_group("faults")
WORD, PLANTED = "margaycanary41c7", "servalcanary90d2"
SECONDS = 60.0
ADA = 0


async def all_places_of(word: str, platform: Platform, tenant: TenantId) -> list[str]:
    """Return where a word stands, the dictionary of the index included."""
    terms = await TantivyIndex(platform.data / "search", Log()).terms(tenant)
    found = await asyncio.to_thread(places_of, word, platform)
    return [*(["index: terms"] if word in terms else []), *found]


def sealed_of(platform: Platform, tenant: UUID, room: UUID) -> set[bytes]:
    """Return the sealed bodies that a conversation has in the database."""
    with psycopg.connect(platform.facts["databases"]["messaging"]) as connection:
        rows = connection.execute(
            "SELECT sealed FROM messaging.payload WHERE tenant = %s AND conversation = %s", (tenant, room)
        )
        return {bytes(sealed) for (sealed,) in rows}


async def comes_to(places: list[str], word: str, platform: Platform, tenant: TenantId) -> None:
    """Wait until a word stands in these places and in no other."""
    deadline = time.monotonic() + SECONDS
    while (found := await all_places_of(word, platform, tenant)) != places:
        assert time.monotonic() < deadline, found


async def test_a_text_that_was_destroyed_is_nowhere(bureau: Bureau, town: Town) -> None:
    platform, tenant = bureau.platform, TenantId(town.tenant.tenant)
    before = sealed_of(platform, tenant, bureau.room)
    message = {"id": str(uuid4()), "body": {"text": f"{WORD} of a quiet day"}}
    await bureau.post(f"/messaging/v1/conversations/{bureau.room}/messages", message, "employee")
    (sealed,) = sealed_of(platform, tenant, bureau.room) - before
    await comes_to(["index: terms"], WORD, platform, tenant)
    await bureau.post("/retention/v1/erasures", {"subject": bureau.principals[ADA]})
    did = await done(bureau, await carried_out(bureau))
    assert did["refused"] is None
    assert sealed not in sealed_of(platform, tenant, bureau.room)
    await comes_to([], WORD, platform, tenant)


@contextmanager
def planted(platform: Platform) -> Iterator[set[str]]:
    """Leave a word in a table of each service, in Valkey, in a log and in a working folder; say where."""
    databases = platform.facts["databases"]
    files = [platform.data / "log" / "planted.log", platform.data / "run" / "planted.json"]
    try:
        for service, dsn in databases.items():
            with psycopg.connect(dsn) as connection:
                connection.execute(f"CREATE TABLE {service}.planted (body bytea)".encode())
                connection.execute(f"INSERT INTO {service}.planted VALUES (%s)".encode(), (PLANTED.encode(),))
        for file in files:
            file.write_text(PLANTED)
        with valkey_of(platform) as valkey:
            valkey.set("planted", PLANTED)
        yield {
            *(f"{service}: {service}.planted" for service in databases),
            *(str(file.relative_to(platform.data)) for file in files),
            "valkey: planted",
        }
    finally:
        for service, dsn in databases.items():
            with psycopg.connect(dsn) as connection:
                connection.execute(f"DROP TABLE IF EXISTS {service}.planted".encode())
        for file in files:
            file.unlink(missing_ok=True)
        with valkey_of(platform) as valkey:
            valkey.delete("planted")


@pytest.mark.planted
async def test_a_text_that_was_left_somewhere_is_found_there(platform: Platform) -> None:
    tenant = TenantId(uuid4())
    with planted(platform) as places:
        index = TantivyIndex(platform.data / "search", Log())
        await index.apply(tenant, puts([said(1, PLANTED)]), Cursor("messaging/7", 1))
        found = await all_places_of(PLANTED, platform, tenant)
        await index.drop(tenant)
    assert {*places, "index: terms"} <= set(found)
    for folder in ("postgres/cluster/base/", "postgres/cluster/pg_wal/"):
        assert any(place.startswith(folder) for place in found), folder
