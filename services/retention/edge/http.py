"""The HTTP door of retention: rules, locks, requests for erasure, and orders."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, BaseModel, Field

from libs.authn.actor import Actor
from libs.contracts.retention import ClassFound, OrderAnswered, Sample
from libs.disposition.claims import RuleKind
from libs.disposition.period import Period
from libs.disposition.presets import Preset
from libs.host.approvals import RequestView, view_of
from libs.host.auth import ActorVerifier, RevocationCheck, require_actor
from services.retention.domain.orders import Answer, Completion, Standing
from services.retention.domain.rules import ErasureRequest, LockVersion, RuleVersion, Wanted
from services.retention.edge.certificates import (
    CertificateStandingView,
    certificate_standing_view,
)
from services.retention.usecases.orders import Orders, Supposition
from services.retention.usecases.rules import Erasures, Locks, Rules
from services.retention.usecases.runs import Runs

MOST_LISTED: Final = 100
_MOST: Final = 1_000_000

Count = Annotated[int, Field(ge=0, le=_MOST)]
ConversationType = Literal["direct", "group", "import"]
Types = Annotated[list[ConversationType] | None, Field(description="Null: of every type.")]


class PeriodBody(BaseModel):
    """Years and months by the calendar of UTC, then days of 24 hours."""

    years: Count = 0
    months: Count = 0
    days: Count = 0


class RuleBody(BaseModel):
    """A rule: from a preset, or of its own kind and period."""

    preset: Annotated[str | None, Field(max_length=100)] = None
    kind: Literal["floor", "deletion"] | None = None
    period: PeriodBody | None = None
    conversation_types: Types = None
    conversations: Annotated[list[UUID] | None, Field(description="Null: none by name.")] = None
    grace_days: Annotated[int, Field(ge=0, le=_MOST)] = 0


class RuleChange(RuleBody):
    """The rule as it is to be from now on; `version` is the newest that was seen."""

    version: Annotated[int, Field(ge=1)]


class Ending(BaseModel):
    """The newest version that was seen."""

    version: Annotated[int, Field(ge=1)]


class LockBody(BaseModel):
    """A preservation lock."""

    period: PeriodBody
    conversation_types: Types = None


class Extension(LockBody):
    """The lock with a longer period or more types; `version` is the newest that was seen."""

    version: Annotated[int, Field(ge=1)]


class ErasureBody(BaseModel):
    """Whose messages are to be erased."""

    subject: UUID


Some = Annotated[list[UUID], Field(max_length=1000)]


class WhatIfBody(BaseModel):
    """What is supposed: rules made, rules ended, requests for erasure by people, holds released."""

    rules: Annotated[list[RuleBody], Field(max_length=100)] = []
    without_rules: Some = []
    erasures_of: Some = []
    without_holds: Some = []


class OrderBody(BaseModel):
    """A dry run: what is due at `as_of` (now, if left out) is counted, and nothing is changed.

    With `what_if` it supposes something, and its result can never be carried out.
    """

    as_of: AwareDatetime | None = None
    what_if: WhatIfBody | None = None


class RunBody(BaseModel):
    """Why the result of a dry run is to be carried out."""

    reason: str


class PresetView(BaseModel):
    """What a regulation asks for; without a period the tenant has to say how long."""

    name: str
    title: str
    source: str
    kind: str
    period: PeriodBody | None
    on_request: PeriodBody | None


class PresetsView(BaseModel):
    """Presets by name."""

    presets: list[PresetView]


class RuleView(BaseModel):
    """A version of a rule."""

    rule: UUID
    version: int
    ended: bool
    kind: str
    period: PeriodBody
    conversation_types: list[str] | None
    conversations: list[UUID] | None
    grace_seconds: int
    preset: str | None
    made_by: UUID
    made_at: datetime


class RulesView(BaseModel):
    """Versions of rules."""

    rules: list[RuleView]


class LockView(BaseModel):
    """A preservation lock as it stands."""

    lock: UUID
    version: int
    period: PeriodBody
    conversation_types: list[str] | None
    made_by: UUID
    made_at: datetime


class LocksView(BaseModel):
    """Preservation locks."""

    locks: list[LockView]


class ErasureView(BaseModel):
    """A request for erasure: of what its subject had sent by then."""

    erasure: UUID
    subject: UUID
    requested_at: datetime
    taken_by: UUID


class ErasuresView(BaseModel):
    """Requests for erasure."""

    erasures: list[ErasureView]


class FoundView(BaseModel):
    """Items and bytes of a standing."""

    items: int
    bytes: int


class ClassView(BaseModel):
    """What was found of a class; `conversations` null: all of the type that no rule and no hold names."""

    conversation_type: str
    conversations: list[UUID] | None
    retained: FoundView
    preserved: FoundView
    hidden: FoundView
    ripe: FoundView
    first_at: datetime | None
    last_at: datetime | None


class StepView(BaseModel):
    """One voice in the trace of a decision."""

    voice: str
    source: UUID | None
    version: int | None
    at: datetime | None
    grace_seconds: int
    won: bool


class SampleView(BaseModel):
    """An item that was decided by itself: it is named, not shown."""

    conversation: UUID
    seq: int
    sent_at: datetime
    standing: str
    due_at: datetime | None
    destroy_at: datetime | None
    trace: list[StepView]


class AnswerView(BaseModel):
    """What an executor found behind the holds of a generation; `digest` (hex) is what an approval names."""

    executor: str
    at: datetime
    generation: int
    digest: str
    refused: str | None
    classes: list[ClassView]
    samples: list[SampleView]


class CompletionView(BaseModel):
    """What an executor did: items hidden, destroyed and spared; `refused` says why it ended early."""

    executor: str
    at: datetime
    hidden: int
    destroyed: int
    spared: int
    bytes: int
    deks: int = Field(description="The data keys that had sealed what was destroyed.")
    refused: str | None


class OrderView(BaseModel):
    """An order and its answers; `missing` are the executors that have not answered.

    A run has the `dry_run` whose result was approved, and `completions` instead of answers.
    """

    order: UUID
    kind: str
    state: str
    as_of: datetime
    issued_by: UUID
    issued_at: datetime
    rules: int
    locks: int
    erasures: int
    missing: list[str]
    answers: list[AnswerView]
    dry_run: UUID | None
    completions: list[CompletionView]
    certificate: CertificateStandingView | None = Field(description="Null: not a run that is over.")


class OrdersView(BaseModel):
    """Orders, the newest first; `next` is the `after` of the next page, null on the last."""

    orders: list[OrderView]
    next: UUID | None


def retention_routes(
    prefix: str,
    *,
    verifier: ActorVerifier,
    revocations: RevocationCheck,
    rules: Rules,
    locks: Locks,
    erasures: Erasures,
    orders: Orders,
    runs: Runs,
) -> APIRouter:
    """Return the routes of retention, below `prefix`."""
    router = APIRouter(prefix=prefix)
    signed_in = require_actor(verifier, revocations)
    router.include_router(_rule_routes(signed_in, rules))
    router.include_router(_lock_routes(signed_in, locks))
    router.include_router(_erasure_routes(signed_in, erasures))
    router.include_router(_order_routes(signed_in, orders, runs))
    return router


def _rule_routes(signed_in: Any, rules: Rules) -> APIRouter:
    router = APIRouter(tags=["rules"])

    @router.get("/presets", summary="List the presets")
    async def presets(actor: Annotated[Actor, Depends(signed_in)]) -> PresetsView:  # noqa: ARG001 - signed in
        """List what regulations ask for, with their sources."""
        return PresetsView(presets=[_preset_view(each) for each in rules.presets.values()])

    @router.get("/rules", summary="List the rules")
    async def listed(actor: Annotated[Actor, Depends(signed_in)]) -> RulesView:
        """List the newest version of every rule, the ended ones too."""
        return RulesView(rules=[_rule_view(each) for each in await rules.listed(actor)])

    @router.post("/rules", status_code=201, summary="Make a rule")
    async def make(actor: Annotated[Actor, Depends(signed_in)], wanted: RuleBody) -> RuleView:
        """Make a rule; it destroys nothing until a run is ordered and approved."""
        return _rule_view(await rules.make(actor, _wanted_of(wanted)))

    @router.get("/rules/{rule}", summary="Show every version of a rule")
    async def versions(actor: Annotated[Actor, Depends(signed_in)], rule: UUID) -> RulesView:
        """Show what a rule said when, and who made it say so."""
        return RulesView(rules=[_rule_view(each) for each in await rules.versions(actor, rule)])

    @router.post("/rules/{rule}/versions", status_code=201, summary="Change a rule")
    async def change(actor: Annotated[Actor, Depends(signed_in)], rule: UUID, wanted: RuleChange) -> RuleView:
        """Make the next version of a rule; the ones before stay."""
        return _rule_view(await rules.change(actor, rule, wanted.version, _wanted_of(wanted)))

    @router.post("/rules/{rule}/end", summary="End a rule")
    async def end(actor: Annotated[Actor, Depends(signed_in)], rule: UUID, ending: Ending) -> RuleView:
        """End a rule: from then on it says nothing."""
        return _rule_view(await rules.end(actor, rule, ending.version))

    return router


def _lock_routes(signed_in: Any, locks: Locks) -> APIRouter:
    router = APIRouter(prefix="/locks", tags=["locks"])

    @router.get("", summary="List the preservation locks")
    async def listed(actor: Annotated[Actor, Depends(signed_in)]) -> LocksView:
        """List the locks as they stand."""
        return LocksView(locks=[_lock_view(each) for each in await locks.listed(actor)])

    @router.post("", status_code=201, summary="Make a preservation lock")
    async def make(actor: Annotated[Actor, Depends(signed_in)], wanted: LockBody) -> LockView:
        """Make a lock. It can be extended, and nothing else."""
        made = await locks.make(actor, _period_of(wanted.period), _types_of(wanted.conversation_types))
        return _lock_view(made)

    @router.post("/{lock}/extensions", status_code=201, summary="Extend a preservation lock")
    async def extend(actor: Annotated[Actor, Depends(signed_in)], lock: UUID, wanted: Extension) -> LockView:
        """Let a lock keep longer, or keep more types."""
        period, types = _period_of(wanted.period), _types_of(wanted.conversation_types)
        return _lock_view(await locks.extend(actor, lock, wanted.version, period, types))

    return router


def _erasure_routes(signed_in: Any, erasures: Erasures) -> APIRouter:
    router = APIRouter(prefix="/erasures", tags=["erasures"])

    @router.get("", summary="List the requests for erasure")
    async def listed(actor: Annotated[Actor, Depends(signed_in)]) -> ErasuresView:
        """List whose messages are to be erased."""
        return ErasuresView(erasures=[_erasure_view(each) for each in await erasures.listed(actor)])

    @router.post("", status_code=201, summary="Take in a request for erasure")
    async def take_in(actor: Annotated[Actor, Depends(signed_in)], wanted: ErasureBody) -> ErasureView:
        """Take in a person's request to erase what he had sent up to now (GDPR, article 17)."""
        return _erasure_view(await erasures.take_in(actor, wanted.subject))

    return router


def _order_routes(signed_in: Any, orders: Orders, runs: Runs) -> APIRouter:
    router = APIRouter(prefix="/orders", tags=["orders"])

    @router.get("", summary="List the orders")
    async def listed(
        actor: Annotated[Actor, Depends(signed_in)],
        after: UUID | None = None,
        limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = 20,
    ) -> OrdersView:
        """List the newest orders, with what was found."""
        page = await orders.listed(actor, after, limit)
        return OrdersView(orders=[_order_view(each) for each in page.orders], next=page.after)

    @router.post("", status_code=202, summary="Order a dry run")
    async def order(actor: Annotated[Actor, Depends(signed_in)], wanted: OrderBody) -> OrderView:
        """Order what is due to be counted where the data lie; look at the order for the answer."""
        what_if = None if wanted.what_if is None else _supposition_of(wanted.what_if)
        return _order_view(await orders.try_out(actor, wanted.as_of, what_if))

    @router.get("/{order}", summary="Show an order")
    async def shown(actor: Annotated[Actor, Depends(signed_in)], order: UUID) -> OrderView:
        """Show an order, and what was found."""
        return _order_view(await orders.get(actor, order))

    @router.post("/{order}/run", status_code=202, summary="Ask for a dry run's result to be carried out")
    async def run(actor: Annotated[Actor, Depends(signed_in)], order: UUID, wanted: RunBody) -> RequestView:
        """Ask for it; it is ordered when another person has approved the hash of the result."""
        asked = await runs.request(actor, order, wanted.reason)
        return view_of(asked, asked.requested_at)

    return router


def _supposition_of(body: WhatIfBody) -> Supposition:
    return Supposition(
        tuple(_wanted_of(rule) for rule in body.rules),
        frozenset(body.without_rules),
        frozenset(body.erasures_of),
        frozenset(body.without_holds),
    )


def _wanted_of(body: RuleBody) -> Wanted:
    return Wanted(
        None if body.kind is None else RuleKind(body.kind),
        None if body.period is None else _period_of(body.period),
        _types_of(body.conversation_types),
        None if body.conversations is None else frozenset(body.conversations),
        timedelta(days=body.grace_days),
        body.preset,
    )


def _period_of(body: PeriodBody) -> Period:
    return Period(body.years, body.months, body.days)


def _types_of(types: list[ConversationType] | None) -> frozenset[str] | None:
    return None if types is None else frozenset(types)


def _period_view(period: Period) -> PeriodBody:
    return PeriodBody(years=period.years, months=period.months, days=period.days)


def _preset_view(preset: Preset) -> PresetView:
    return PresetView(
        name=preset.name,
        title=preset.title,
        source=preset.source,
        kind=preset.kind.value,
        period=None if preset.period is None else _period_view(preset.period),
        on_request=None if preset.on_request is None else _period_view(preset.on_request),
    )


def _rule_view(version: RuleVersion) -> RuleView:
    rule = version.rule
    return RuleView(
        rule=rule.rule,
        version=rule.version,
        ended=version.ended,
        kind=rule.kind.value,
        period=_period_view(rule.period),
        conversation_types=None if rule.conversation_types is None else sorted(rule.conversation_types),
        conversations=None if rule.conversations is None else sorted(rule.conversations),
        grace_seconds=int(rule.grace.total_seconds()),
        preset=version.preset,
        made_by=version.made_by,
        made_at=version.made_at,
    )


def _lock_view(version: LockVersion) -> LockView:
    lock = version.lock
    return LockView(
        lock=lock.lock,
        version=version.version,
        period=_period_view(lock.period),
        conversation_types=None if lock.conversation_types is None else sorted(lock.conversation_types),
        made_by=version.made_by,
        made_at=version.made_at,
    )


def _erasure_view(request: ErasureRequest) -> ErasureView:
    erasure = request.erasure
    return ErasureView(
        erasure=erasure.erasure,
        subject=erasure.subject,
        requested_at=erasure.requested_at,
        taken_by=request.taken_by,
    )


def _order_view(standing: Standing) -> OrderView:
    order, claims = standing.order, standing.order.claims
    return OrderView(
        order=order.order,
        kind=order.kind,
        state=standing.state.value,
        as_of=claims.as_of,
        issued_by=order.issued_by,
        issued_at=order.issued_at,
        rules=len(claims.rules),
        locks=len(claims.locks),
        erasures=len(claims.erasures),
        missing=list(standing.missing),
        answers=[_answer_view(answer) for _, answer in sorted(standing.answers.items())],
        dry_run=order.dry_run,
        completions=[_completion_view(each) for _, each in sorted(standing.completions.items())],
        certificate=certificate_standing_view(standing),
    )


def _completion_view(completion: Completion) -> CompletionView:
    done = completion.done
    return CompletionView(
        executor=completion.executor,
        at=completion.at,
        hidden=done.hidden,
        destroyed=done.destroyed,
        spared=done.spared,
        bytes=done.bytes,
        deks=done.deks,
        refused=completion.refused or None,
    )


def _answer_view(answer: Answer) -> AnswerView:
    found = answer.found
    if not isinstance(found, OrderAnswered):
        msg = "an answer is kept as the event that it came by"
        raise TypeError(msg)
    return AnswerView(
        executor=answer.executor,
        at=answer.at,
        generation=answer.generation,
        digest=answer.digest.hex(),
        refused=answer.refused or None,
        classes=[_class_view(each) for each in found.classes],
        samples=[_sample_view(each) for each in found.samples],
    )


def _class_view(found: ClassFound) -> ClassView:
    return ClassView(
        conversation_type=found.conversation_type,
        conversations=None if found.conversations is None else list(found.conversations),
        retained=FoundView(items=found.retained, bytes=found.retained_bytes),
        preserved=FoundView(items=found.preserved, bytes=found.preserved_bytes),
        hidden=FoundView(items=found.hidden, bytes=found.hidden_bytes),
        ripe=FoundView(items=found.ripe, bytes=found.ripe_bytes),
        first_at=found.first_at,
        last_at=found.last_at,
    )


def _sample_view(sample: Sample) -> SampleView:
    return SampleView(
        conversation=sample.conversation,
        seq=sample.seq,
        sent_at=sample.sent_at,
        standing=sample.standing,
        due_at=sample.due_at,
        destroy_at=sample.destroy_at,
        trace=[
            StepView(
                voice=step.voice,
                source=step.source,
                version=step.version,
                at=step.at,
                grace_seconds=step.grace_seconds,
                won=step.won,
            )
            for step in sample.trace
        ],
    )
