"""The internal routes of every service with an outbox: its records, and how far its consumers are."""

from collections.abc import Mapping
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from libs.contracts.internal import Done, OutboxPage, OutboxRow, Positions, ReportCursors
from libs.contracts.streams import CONSUMERS, PARTITIONS
from libs.db.pool import CrossingDatabase
from libs.events.acts import count_acts
from libs.events.internal import read_heads, read_outbox, record_cursors
from libs.host.auth import PeerVerifier, require_service
from libs.host.errors import ServiceNotAllowed
from libs.host.wire import wire_body, wire_response

LONGEST_PAGE: Final = 1000
COUNTS_ACTS: Final = ("audit",)
"""Who compares acts with entries."""


def outbox_routes(source: str, database: CrossingDatabase, verifier: PeerVerifier) -> APIRouter:
    """Return the routes of `source`, for the consumers that `CONSUMERS` names for it and no one else.

    `database` signs in as `<source>_publisher`; the schema is named as its service.
    """
    router = APIRouter(prefix="/internal", include_in_schema=False)
    consumer_of = require_service(verifier, CONSUMERS[source])

    @router.get("/outbox")
    async def read(
        _consumer: Annotated[str, Depends(consumer_of)],
        part: Annotated[int, Query(ge=0, lt=PARTITIONS)],
        after: Annotated[int, Query(ge=0)],
        limit: Annotated[int, Query(ge=1, le=LONGEST_PAGE)] = LONGEST_PAGE,
    ) -> Response:
        async with database.begin() as tx:
            records = await read_outbox(tx, source, part, after, limit)
        rows = tuple(
            OutboxRow(position=r.position, tenant=r.tenant, name=r.name, body=r.body) for r in records
        )
        return wire_response(OutboxPage(part=part, rows=rows))

    @router.get("/positions", dependencies=[Depends(consumer_of)])
    async def positions() -> Response:
        async with database.begin() as tx:
            return wire_response(Positions(positions=await read_heads(tx, source)))

    @router.post("/cursors")
    async def record(
        consumer: Annotated[str, Depends(consumer_of)],
        report: Annotated[ReportCursors, Depends(wire_body(ReportCursors))],
    ) -> Response:
        # A consumer has several readers (`messaging.directory`), all of them its own.
        if report.consumer.partition(".")[0] != consumer:
            raise ServiceNotAllowed(consumer)
        async with database.begin() as tx:
            await record_cursors(tx, source, report.consumer, report.cursors)
        return wire_response(Done())

    return router


def acts_routes(
    source: str, database: CrossingDatabase, verifier: PeerVerifier, acts: Mapping[str, str]
) -> APIRouter:
    """Return the route that counts the acts of `source` by `acts`, action → statement, for audit alone."""
    router = APIRouter(prefix="/internal", include_in_schema=False)

    @router.get("/acts", dependencies=[Depends(require_service(verifier, COUNTS_ACTS))])
    async def count() -> Response:
        return wire_response(await count_acts(database, source, acts))

    return router
