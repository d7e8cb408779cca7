"""The outbox's internal routes, over the tables of a real PostgreSQL."""

from collections.abc import AsyncIterator, Callable
from uuid import UUID

import httpx
import pytest

from libs.authn.errors import Unauthenticated
from libs.contracts.internal import Done, OutboxPage, ReportCursors, pack, unpack
from libs.db.pool import CrossingDatabase, TenantDatabase
from libs.events.outbox import OutboxRecord, append
from libs.host.app import create_app
from libs.host.outbox import outbox_routes
from libs.kernel.ids import TenantId
from tests.support.engines import ServiceDatabase
from tests.unit.host.apps import client_of

TENANT = TenantId(UUID("01a20bb1-1520-75e1-9e9b-1227c3deee85"))
PART = 7


class Peers:
    """Takes a token for the name of its service."""

    def verify(self, token: str) -> str:
        if token not in ("messaging", "keys"):
            raise Unauthenticated
        return token


@pytest.fixture
async def database(
    database_of: Callable[[str], ServiceDatabase],
) -> AsyncIterator[tuple[CrossingDatabase, TenantDatabase]]:
    service = database_of("identity")
    publishing = CrossingDatabase(service.dsn("identity_publisher"), "publisher")
    writing = TenantDatabase(service.dsn("identity_app"), "app")
    await publishing.open()
    await writing.open()
    yield publishing, writing
    await writing.close()
    await publishing.close()


@pytest.fixture
async def client(database: tuple[CrossingDatabase, TenantDatabase]) -> AsyncIterator[httpx.AsyncClient]:
    publishing, writing = database
    async with writing.begin(TENANT) as tx:
        await append(
            tx,
            "identity",
            [OutboxRecord(PART, TENANT, "identity.role.granted.v1", b"%d" % n) for n in range(1, 6)],
        )
    routes = outbox_routes("identity", publishing, Peers())
    app = create_app("identity", title="Identity", prefix="/identity/v1", routers=[routes], problems={})
    async with client_of(app) as client:
        yield client


MESSAGING = {"authorization": "Bearer messaging", "content-type": "application/msgpack"}


async def read(client: httpx.AsyncClient, after: int, limit: int = 1000, part: int = PART) -> list[int]:
    response = await client.get(
        "/internal/outbox", params={"part": part, "after": after, "limit": limit}, headers=MESSAGING
    )
    page = unpack(response.content, OutboxPage)
    assert page.part == part
    for row in page.rows:
        assert (row.tenant, row.name) == (TENANT, "identity.role.granted.v1")
        assert row.body == b"%d" % row.position
    return [row.position for row in page.rows]


async def test_a_consumer_reads_what_lies_behind_its_cursor_in_order(client: httpx.AsyncClient):
    assert await read(client, 0) == [1, 2, 3, 4, 5]
    assert await read(client, 2, limit=2) == [3, 4]
    assert await read(client, 5) == []
    assert await read(client, 0, part=8) == []


@pytest.mark.parametrize(
    "params",
    [{}, {"part": 64, "after": 0}, {"part": -1, "after": 0}, {"part": 0, "after": -1}]
    + [{"part": 0, "after": 0, "limit": limit} for limit in (0, 1001, "x")],
)
async def test_a_question_that_makes_no_sense_is_refused(client: httpx.AsyncClient, params: dict[str, int]):
    response = await client.get("/internal/outbox", params=params, headers=MESSAGING)
    assert response.status_code == 422


@pytest.mark.parametrize(("token", "status"), [("keys", 403), ("eve", 401), ("", 401)])
async def test_nobody_but_a_consumer_reads_or_reports(client: httpx.AsyncClient, token: str, status: int):
    headers = {**MESSAGING, "authorization": f"Bearer {token}"}
    read = await client.get("/internal/outbox", params={"part": 0, "after": 0}, headers=headers)
    report = pack(ReportCursors(consumer="messaging", cursors={PART: 1}))
    reported = await client.post("/internal/cursors", content=report, headers=headers)
    assert (read.status_code, reported.status_code) == (status, status)


async def cursors_in(database: CrossingDatabase) -> dict[tuple[str, int], int]:
    async with database.begin() as tx:
        rows = await tx.fetch_all("SELECT consumer, part, position FROM identity.outbox_consumer")
    return {(row.consumer, row.part): row.position for row in rows}


async def test_a_consumers_cursors_are_noted(
    client: httpx.AsyncClient, database: tuple[CrossingDatabase, TenantDatabase]
):
    for consumer in ("messaging", "messaging.directory"):
        report = pack(ReportCursors(consumer=consumer, cursors={PART: 4, 8: 0}))
        response = await client.post("/internal/cursors", content=report, headers=MESSAGING)
        assert unpack(response.content, Done) == Done()
    noted = await cursors_in(database[0])
    assert noted["messaging", PART] == noted["messaging.directory", PART] == 4


@pytest.mark.parametrize(
    ("report", "status", "code"),
    [
        (ReportCursors(consumer="keys", cursors={PART: 1}), 403, "service-not-allowed"),
        (ReportCursors(consumer="messagingx", cursors={PART: 1}), 403, "service-not-allowed"),
        (ReportCursors(consumer="messaging", cursors={PART: 6}), 409, "cursor-ahead"),
        (ReportCursors(consumer="messaging", cursors={64: 1}), 400, "malformed"),
        (ReportCursors(consumer="messaging", cursors={PART: -1}), 400, "malformed"),
        (ReportCursors(consumer="messaging", cursors={PART: 1 << 63}), 400, "malformed"),
        (Done(), 400, "malformed"),
    ],
)
async def test_a_report_that_cannot_be_is_refused(
    client: httpx.AsyncClient,
    database: tuple[CrossingDatabase, TenantDatabase],
    report: ReportCursors | Done,
    status: int,
    code: str,
):
    response = await client.post("/internal/cursors", content=pack(report), headers=MESSAGING)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert await cursors_in(database[0]) == {}
