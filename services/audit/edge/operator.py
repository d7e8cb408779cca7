"""The operator's route: compare acts and entries now, walking every leaf of every log."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from libs.host.auth import PeerVerifier, require_service
from libs.kernel.ids import TenantId
from services.audit.domain.reconciling import Reconciliation
from services.audit.usecases.reconcile import Reconcile

OPERATOR: Final = "operator"


class CountAnswer(BaseModel):
    """Acts by domain rows, entries by their details, entries by their leaves."""

    acts: int
    audited: int
    walked: int


class DisagreementAnswer(BaseModel):
    """Where acts and entries differ; `action` is null where leaves were counted."""

    source: str
    tenant: UUID
    action: str | None
    acts: int
    entries: int


class ReconciliationAnswer(CountAnswer):
    """The sums over what could be compared.

    `unsettled` says of sources why they could not, `left_out` of logs, by their tenant.
    """

    settled: bool
    sources: dict[str, CountAnswer]
    unsettled: dict[str, str]
    left_out: dict[TenantId, str]
    disagreements: list[DisagreementAnswer]


def operator_routes(verifier: PeerVerifier, reconcile: Reconcile) -> APIRouter:
    """Return the routes for the operator alone."""
    router = APIRouter(prefix="/internal", include_in_schema=False)

    @router.post("/reconciliations")
    async def compare(
        _operator: Annotated[str, Depends(require_service(verifier, [OPERATOR]))],
    ) -> ReconciliationAnswer:
        return _answer_of(await reconcile())

    return router


def _answer_of(found: Reconciliation) -> ReconciliationAnswer:
    return ReconciliationAnswer(
        **found.total._asdict(),
        settled=found.is_settled,
        sources={source: CountAnswer(**count._asdict()) for source, count in found.counts.items()},
        unsettled=dict(found.unsettled),
        left_out=dict(found.left_out),
        disagreements=[DisagreementAnswer(**one._asdict()) for one in found.disagreements],
    )
