"""Carry out runs of dispositions: in batches behind the barrier, as each item's own decision has it."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from libs.contracts.retention import DispositionOrderIssued, MessagingOrderCompleted, digest_of_result
from libs.disposition.classes import classes_of, named_by
from libs.disposition.voices import voices_of
from libs.kernel.ids import TenantId
from services.messaging.domain.dispositions import TYPES, decide_batch, in_order
from services.messaging.ports import DispositionRuns, RunUnderWay
from services.messaging.usecases.dispositions import claims_of, found_in, issued_of

RUN_SECONDS: Final = 0.5
"""How often it is looked for runs."""
MOST_AT_ONCE: Final = 20_000
"""Items after which a transaction takes up no more: for so long a hold that arrives may have to wait."""
GENERATION_PASSED: Final = "GenerationPassed"
"""Why a run ends early: the holds changed. What is still due has to be tried and approved anew."""
RESULT_DIFFERS: Final = "ResultDiffers"
"""Why a run does not begin: something else would be disposed of than was approved."""
NOT_APPROVED: Final = "NotApproved"
"""Why a run does not begin: it names no result that was approved."""


@dataclass(frozen=True, slots=True)
class CarryOut:
    """Carries out the runs that wait, and goes on with those that were cut off."""

    runs: DispositionRuns
    most: int = MOST_AT_ONCE

    async def __call__(self) -> None:
        """Carry out every run. Raises LogUnavailable, or the first failure when all had their turn."""
        failures: list[Exception] = []
        for tenant, order in await self.runs.waiting():
            try:
                while await self.step(tenant, order):
                    pass
            except Exception as error:  # noqa: BLE001 - raised again below
                failures.append(error)
        for failure in failures[:1]:
            raise failure

    async def step(self, tenant: TenantId, order: UUID) -> bool:
        """Do one transaction of a run; False when it is over, or another has it."""
        async with self.runs.open(tenant, order) as run:
            if run is None:
                return False
            issued = issued_of(run.order)
            if issued.generation is None or issued.digest is None or issued.terms.without_holds:
                return await _complete(run, issued, NOT_APPROVED)
            if not await run.share(issued.generation):
                return await _complete(run, issued, GENERATION_PASSED)
            if run.begun:
                return await _go_on(run, issued, self.most)
            return await _begin(tenant, run, issued, issued.generation)


async def _begin(tenant: TenantId, run: RunUnderWay, issued: DispositionOrderIssued, generation: int) -> bool:
    """Find what is due, and see that it is what was approved."""
    claims = claims_of(issued.terms, await run.holds())
    named = await run.types_of(named_by(claims.rules, claims.holds))
    classes = in_order(classes_of(TYPES.values(), named, *claims))
    voices = voices_of(claims.holds, claims.erasures)
    found = found_in(classes, await run.plan(classes, voices))
    if digest_of_result(tenant, issued.terms, generation, found) != issued.digest:
        return await _complete(run, issued, RESULT_DIFFERS)
    await run.begin()
    return True


async def _go_on(run: RunUnderWay, issued: DispositionOrderIssued, most: int) -> bool:
    """Dispose of what is next, as it is decided behind the holds that stand."""
    claims = claims_of(issued.terms, await run.holds())
    voices = voices_of(claims.holds, claims.erasures)
    planned = await run.next(most, voices)
    if not planned:
        return await _complete(run, issued, "")
    await run.dispose(decide_batch(planned, claims), planned[-1].number, voices)
    return True


async def _complete(run: RunUnderWay, issued: DispositionOrderIssued, refused: str) -> bool:
    counts = run.counts
    await run.complete(
        MessagingOrderCompleted(
            order=issued.order,
            hidden=counts.hidden,
            destroyed=counts.destroyed,
            spared=counts.spared,
            bytes=counts.bytes,
            deks=counts.deks,
            refused=refused,
        )
    )
    return False
