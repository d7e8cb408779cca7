"""Requests as use cases see them: within a transaction of one tenant that the use case owns."""

from datetime import datetime
from typing import Protocol
from uuid import UUID

from libs.approvals.request import Request
from libs.kernel.ids import PrincipalId


class Requests(Protocol):
    """A tenant's requests within one transaction; each decision and each use is one guarded statement."""

    async def insert(self, request: Request) -> None:
        """Keep a new request."""
        ...

    async def get(self, request: UUID) -> Request:
        """Return a request. Raises RequestNotFound."""
        ...

    async def find_latest(self, subject: UUID) -> Request | None:
        """Return the newest request about a subject."""
        ...

    async def listed(self, limit: int) -> list[Request]:
        """Return the newest requests, the newest first."""
        ...

    async def decide(
        self, request: UUID, approver: PrincipalId, digest: bytes, now: datetime, *, approves: bool
    ) -> Request:
        """Approve or refuse. Raises what `libs.approvals.request.decide_decision` raises."""
        ...

    async def use(self, request: Request, act: str, subject: UUID, digest: bytes, now: datetime) -> Request:
        """Use an approval. Raises what `libs.approvals.request.decide_use` raises."""
        ...
