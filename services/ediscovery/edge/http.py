"""The HTTP door of eDiscovery."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends
from pydantic import AwareDatetime, BaseModel, Field

from libs.authn.actor import Actor
from libs.host.auth import ActorVerifier, RevocationCheck, require_actor
from services.ediscovery.usecases.lag import MeasureLag

PREFIX: Final = "/ediscovery/v1"


class LagAnswer(BaseModel):
    """How far the index is behind the log."""

    seconds: float = Field(
        description="For how long the oldest message that cannot be found yet has been committed; 0: none."
    )
    at: AwareDatetime = Field(description="When that was measured.")


def lag_routes(*, verifier: ActorVerifier, revocations: RevocationCheck, lag: MeasureLag) -> APIRouter:
    """Return the route that says how far the index is behind."""
    router = APIRouter(prefix=PREFIX, tags=["index"])
    signed_in: Any = Depends(require_actor(verifier, revocations))

    @router.get("/lag", summary="Show how far the index is behind")
    async def show_lag(actor: Annotated[Actor, signed_in]) -> LagAnswer:
        """Return for how long what was sent last has been waiting to be found."""
        measured = await lag.read(actor)
        return LagAnswer(seconds=round(measured.seconds, 3), at=measured.at)

    return router
