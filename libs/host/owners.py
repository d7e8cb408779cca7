"""What the consumer of a stream asks its owner: what the stream lost, and to keep what is not taken in."""

from collections.abc import Awaitable, Callable

from libs.contracts.internal import Done, OutboxPage, ReportCursors
from libs.events.records import Cursors, StreamRecord
from libs.host.clients import ServiceClient
from libs.kernel.ids import TenantId


def gaps_of(owner: ServiceClient) -> Callable[[int, int, int], Awaitable[list[StreamRecord]]]:
    """Return how to read an outbox where its stream has a gap."""

    async def fetch(part: int, after: int, limit: int) -> list[StreamRecord]:
        params = {"part": part, "after": after, "limit": limit}
        page = await owner.fetch("/internal/outbox", OutboxPage, params)
        return [
            StreamRecord(part, row.position, TenantId(row.tenant), row.name, row.body) for row in page.rows
        ]

    return fetch


def reports_to(owner: ServiceClient) -> Callable[[str, Cursors], Awaitable[None]]:
    """Return how to tell an owner how far a consumer has come."""

    async def report(consumer: str, cursors: Cursors) -> None:
        await owner.call("/internal/cursors", ReportCursors(consumer=consumer, cursors=cursors), Done)

    return report
