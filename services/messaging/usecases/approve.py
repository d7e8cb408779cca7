"""Approve or refuse what others of the tenant have asked for: the second pair of eyes."""

from collections.abc import Sequence
from uuid import UUID

from libs.approvals.errors import RequestNotFound
from libs.approvals.request import Request
from services.messaging.domain.errors import NotPermitted
from services.messaging.ports import Actor, RequestsDesk
from services.messaging.usecases.access import DECIDE_IMPORT, SEE_IMPORTS, Access


class Approve:
    """Shows and decides requests; every act of messaging that needs four eyes is an import so far."""

    def __init__(self, access: Access, requests: RequestsDesk) -> None:
        """Decide who may by `access`; the requests are kept in `requests`."""
        self._access = access
        self._requests = requests

    async def listed(self, actor: Actor) -> Sequence[Request]:
        """Return the newest requests. Raises NotPermitted or LogUnavailable."""
        self._access.access_organisation(actor, SEE_IMPORTS)
        return await self._requests.listed(actor.tenant)

    async def shown(self, actor: Actor, request: UUID) -> Request:
        """Return a request. Raises RequestNotFound, also for those who may not see it, or LogUnavailable."""
        self._require(actor, SEE_IMPORTS, request)
        return await self._requests.get(actor.tenant, request)

    async def decide(self, actor: Actor, request: UUID, digest: bytes, *, approves: bool) -> Request:
        """Approve or refuse a request of which the actor saw `digest`.

        Raises RequestNotFound, ApproverRefused, RequestDecided, DigestDiffers or LogUnavailable.
        """
        self._require(actor, DECIDE_IMPORT, request)
        return await self._requests.decide(actor.tenant, request, actor.principal, digest, approves=approves)

    def _require(self, actor: Actor, action: str, request: UUID) -> None:
        try:
            self._access.access_organisation(actor, action)
        except NotPermitted as refused:
            raise RequestNotFound(request) from refused
