"""The operator's routes: make indexes anew, see how far they are, and whether the engine answers."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from libs.host.auth import PeerVerifier, require_service
from libs.kernel.ids import TenantId
from services.ediscovery.ports.rebuilds import Rebuild
from services.ediscovery.usecases.engine import WatchEngine
from services.ediscovery.usecases.rebuild import OrderRebuilds

OPERATOR: Final = "operator"
MOST_TENANTS: Final = 1000

Tenants = Annotated[list[UUID], Field(min_length=1, max_length=MOST_TENANTS)]


class WantedRebuilds(BaseModel):
    """Whose indexes are to be made anew."""

    model_config = ConfigDict(extra="forbid")

    tenants: Tenants


class RebuildAnswer(BaseModel):
    """The newest rebuild of a tenant's index: how many of how many entries of the log it has gone through."""

    tenant: UUID
    act: UUID
    lost: bool = Field(description="Whether there is no index to search in meanwhile.")
    begun_at: AwareDatetime
    done: int
    entries: int
    ended_at: AwareDatetime | None


class RebuildsAnswer(BaseModel):
    """The newest rebuild of each of the tenants that ever had one."""

    rebuilds: list[RebuildAnswer]


class EngineAnswer(BaseModel):
    """Whether the search engine answers, and what it says of itself or why it does not."""

    answers: bool
    said: str


def operator_routes(verifier: PeerVerifier, order: OrderRebuilds, watch: WatchEngine) -> APIRouter:
    """Return the routes for the operator alone."""
    operator = [Depends(require_service(verifier, [OPERATOR]))]
    router = APIRouter(prefix="/internal/index", include_in_schema=False, dependencies=operator)

    @router.get("/engine")
    async def engine() -> EngineAnswer:
        state = await watch()
        return EngineAnswer(answers=state.answers, said=state.said)

    @router.post("/rebuilds", status_code=202)
    async def rebuild(wanted: WantedRebuilds) -> RebuildsAnswer:
        return _answer_of(await order(list(map(TenantId, wanted.tenants))))

    @router.get("/rebuilds")
    async def progress(tenant: Annotated[Tenants, Query()]) -> RebuildsAnswer:
        return _answer_of(await order.progress(list(map(TenantId, tenant))))

    return router


def _answer_of(rebuilds: list[Rebuild]) -> RebuildsAnswer:
    return RebuildsAnswer(
        rebuilds=[
            RebuildAnswer(
                tenant=each.tenant,
                act=each.act,
                lost=each.lost,
                begun_at=each.begun_at,
                done=each.done,
                entries=each.entries,
                ended_at=each.ended_at,
            )
            for each in rebuilds
        ]
    )
