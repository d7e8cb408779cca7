"""Requests in PostgreSQL: one decision and one use win, whatever is tried at the same time or by SQL."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.errors import CheckViolation, InsufficientPrivilege

from libs.approvals.errors import NotApproved, RequestDecided, RequestNotFound
from libs.approvals.request import Request, State, decide_request
from libs.approvals.store import Approvals
from libs.approvals.tables import create_approvals
from libs.db.pool import TenantDatabase, Transaction
from libs.kernel.ids import PrincipalId, TenantId
from tests.integration.db.conftest import sample
from tests.integration.db.sample import SampleDatabase

__all__ = ["sample"]

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
DIGEST = b"d" * 32
ACT = "sample.act"
APPROVALS = Approvals("sample")


class Owner:
    """Runs a migration's statements."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection

    def execute(self, sqltext: str) -> None:
        self._connection.execute(sqltext.encode())


@pytest.fixture
async def database(sample: SampleDatabase) -> AsyncIterator[TenantDatabase]:
    with psycopg.connect(sample.admin.reveal(), autocommit=True) as admin:
        create_approvals(Owner(admin), "sample")
    pool = TenantDatabase(sample.dsn("sample_app"), "approvals")
    await pool.open()
    yield pool
    await pool.close()


def asked(tenant: TenantId, **changes: object) -> Request:
    request = decide_request(uuid4(), tenant, ACT, uuid4(), DIGEST, PrincipalId(uuid4()), "a reason", NOON)
    return replace(request, **changes)  # type: ignore[arg-type]


async def kept(database: TenantDatabase, request: Request) -> Request:
    async with database.begin(request.tenant) as tx:
        await APPROVALS.insert(tx, request)
    return request


async def decided(
    database: TenantDatabase, request: Request, by: PrincipalId, *, approves: bool = True
) -> Request:
    async with database.begin(request.tenant) as tx:
        return await APPROVALS.decide(
            tx, request.tenant, request.request, by, DIGEST, NOON, approves=approves
        )


async def used(database: TenantDatabase, request: Request, now: datetime = NOON) -> Request:
    async with database.begin(request.tenant) as tx:
        return await APPROVALS.use(tx, request, ACT, request.subject, DIGEST, now)


@pytest.fixture
def tenant() -> TenantId:
    return TenantId(uuid4())


async def test_a_request_comes_back_as_it_was_kept(database: TenantDatabase, tenant: TenantId):
    request = await kept(database, asked(tenant, barred=frozenset({PrincipalId(uuid4())})))
    async with database.begin(tenant) as tx:
        assert await APPROVALS.get(tx, tenant, request.request) == request
        assert await APPROVALS.find_latest(tx, tenant, request.subject) == request
        assert await APPROVALS.listed(tx, tenant, 10) == [request]


async def test_an_approved_request_is_used_once(database: TenantDatabase, tenant: TenantId):
    request = await kept(database, asked(tenant))
    with pytest.raises(NotApproved):
        await used(database, request)
    assert (await decided(database, request, PrincipalId(uuid4()))).state(NOON) is State.APPROVED
    assert (await used(database, request)).state(NOON) is State.USED
    with pytest.raises(NotApproved):
        await used(database, request)


async def test_of_two_who_decide_at_once_one_is_told_that_it_is_decided(
    database: TenantDatabase, tenant: TenantId
):
    request = await kept(database, asked(tenant))
    outcomes = await asyncio.gather(
        *(decided(database, request, PrincipalId(uuid4()), approves=bool(number % 2)) for number in range(6)),
        return_exceptions=True,
    )
    assert sum(isinstance(each, Request) for each in outcomes) == 1
    assert sum(isinstance(each, RequestDecided) for each in outcomes) == 5


async def test_of_many_uses_at_once_one_counts(database: TenantDatabase, tenant: TenantId):
    request = await kept(database, asked(tenant))
    await decided(database, request, PrincipalId(uuid4()))
    outcomes = await asyncio.gather(*(used(database, request) for _ in range(6)), return_exceptions=True)
    assert sum(isinstance(each, Request) for each in outcomes) == 1
    assert sum(isinstance(each, NotApproved) for each in outcomes) == 5


@pytest.mark.planted
async def test_a_use_that_does_not_look_again_is_caught(
    database: TenantDatabase, tenant: TenantId, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(APPROVALS, "_use", APPROVALS._use.replace("used_at IS NULL AND", ""))
    request = await kept(database, asked(tenant))
    await decided(database, request, PrincipalId(uuid4()))
    together, read = asyncio.Barrier(2), APPROVALS.get

    async def read_together(tx: Transaction, tenant: TenantId, request: UUID) -> Request:
        found = await read(tx, tenant, request)
        await together.wait()
        return found

    monkeypatch.setattr(APPROVALS, "get", read_together)
    outcomes = await asyncio.gather(*(used(database, request) for _ in "ab"), return_exceptions=True)
    assert sum(isinstance(each, Request) for each in outcomes) == 2  # and one is what the store promises


async def test_a_use_that_rolls_back_leaves_the_approval(database: TenantDatabase, tenant: TenantId):
    request = await kept(database, asked(tenant))
    await decided(database, request, PrincipalId(uuid4()))

    async def fails_after_use() -> None:
        async with database.begin(tenant) as tx:
            await APPROVALS.use(tx, request, ACT, request.subject, DIGEST, NOON)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fails_after_use()
    await used(database, request)


async def test_another_tenant_finds_nothing(database: TenantDatabase, tenant: TenantId):
    request = await kept(database, asked(tenant))
    other = TenantId(uuid4())
    async with database.begin(other) as tx:
        assert await APPROVALS.listed(tx, other, 10) == []
        with pytest.raises(RequestNotFound):
            await APPROVALS.get(tx, tenant, request.request)


@pytest.mark.parametrize("by", ["requester", "barred"])
async def test_the_database_itself_refuses_who_asked_and_whom_it_concerns(
    database: TenantDatabase, tenant: TenantId, by: str
):
    barred = PrincipalId(uuid4())
    request = await kept(database, asked(tenant, barred=frozenset({barred})))
    who: UUID = request.requester if by == "requester" else barred
    with pytest.raises(CheckViolation):
        async with database.begin(tenant) as tx:
            await tx.execute(
                "UPDATE sample.approval SET decided_by = %s, decided_at = now(), approved = true"
                " WHERE tenant = %s AND request = %s",
                (who, tenant, request.request),
            )


async def test_the_database_itself_refuses_a_use_without_approval(database: TenantDatabase, tenant: TenantId):
    request = await kept(database, asked(tenant))
    with pytest.raises(CheckViolation):
        async with database.begin(tenant) as tx:
            await tx.execute(
                "UPDATE sample.approval SET used_at = %s WHERE tenant = %s AND request = %s",
                (NOON + timedelta(hours=1), tenant, request.request),
            )


@pytest.mark.parametrize("column", ["digest = ''", "reason = ''", "requester = NULL", "barred = NULL"])
async def test_the_service_cannot_change_what_was_asked(
    database: TenantDatabase, tenant: TenantId, column: str
):
    request = await kept(database, asked(tenant))
    with pytest.raises(InsufficientPrivilege):
        async with database.begin(tenant) as tx:
            await tx.execute(
                f"UPDATE sample.approval SET {column} WHERE tenant = %s AND request = %s".encode(),
                (tenant, request.request),
            )
