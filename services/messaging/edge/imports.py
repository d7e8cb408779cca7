"""The HTTP door of imports: ask, see, begin, bring the lines, end with a report."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, Field

from libs.approvals.request import MOST_REASON, Request
from libs.authn.actor import Actor
from libs.host.approvals import RequestView, view_of
from libs.host.auth import ActorVerifier, RevocationCheck, require_actor
from libs.kernel.clock import Clock
from libs.kernel.ids import PrincipalId
from services.messaging.domain.errors import ImportRefused
from services.messaging.domain.imports import (
    MOST_BATCHES,
    MOST_LINES,
    MOST_NAME,
    MOST_PEOPLE,
    Batch,
    Line,
    Wanted,
    author_of,
    pseudonym_of,
)
from services.messaging.ports import ImportRun
from services.messaging.usecases.imports import Import, Standing

Hex32 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Name = Annotated[str, Field(min_length=1, max_length=MOST_NAME)]
Short = Annotated[str, Field(max_length=400)]


class NewImport(BaseModel):
    """An import to ask for: a source by its SHA-256 (hex), cut into batches, each by the hash of its lines.

    `batches` and `sizes` are as long as each other. `people` are the nicks that the directory knows.
    """

    source: Hex32
    name: Name
    lines: Annotated[int, Field(ge=1, le=MOST_BATCHES * MOST_LINES)]
    batches: Annotated[list[Hex32], Field(min_length=1, max_length=MOST_BATCHES)]
    sizes: Annotated[list[int], Field(min_length=1, max_length=MOST_BATCHES)]
    people: Annotated[dict[Name, UUID], Field(max_length=MOST_PEOPLE)] = {}
    reason: Annotated[str, Field(max_length=MOST_REASON)]


class SourceLine(BaseModel):
    """A line of the source, by its number from 1, as it stands there."""

    line: Annotated[int, Field(ge=1, lt=2**63)]
    date: Short
    time: Short = ""
    channel: Short
    nick: Short
    text: Annotated[str, Field(max_length=1_000_000)]


class Lines(BaseModel):
    """The lines of a batch, in their order."""

    lines: Annotated[list[SourceLine], Field(min_length=1, max_length=MOST_LINES)]


class Brought(BaseModel):
    """What became of a batch; one that is `repeated` had come before, and nothing new was made."""

    number: int
    imported: int
    refused: int
    repeated: bool


class Refusal(BaseModel):
    """A line that became nothing, and why."""

    line: int
    why: str


class Report(BaseModel):
    """What an import has brought: its messages, their conversations, the time that they span.

    `refusals` counts the lines that were refused; `refused` names the first thousand of them.
    """

    lines: int
    imported: int
    refusals: int
    refused: list[Refusal]
    conversations: int
    first_at: datetime | None
    last_at: datetime | None


class ImportView(BaseModel):
    """An import: what it is of, who asked and who approved, how far it has come.

    `state` is that of its request until it begins; then `begun`, and at last `finished`.
    """

    run: UUID
    source: str
    name: str
    state: str
    lines: int
    batches: int
    digest: str
    requested_at: datetime
    begun_at: datetime | None
    finished_at: datetime | None
    request: RequestView


class ImportDetail(ImportView):
    """The same, with the number of batches that came and the report so far."""

    done: int
    report: Report


class ImportList(BaseModel):
    """Imports, the newest first."""

    imports: list[ImportView]


class Pseudonym(BaseModel):
    """The name by which an imported author is shown, unless he is somebody in the directory."""

    principal: UUID
    shown_as: str


def import_routes(
    prefix: str, *, verifier: ActorVerifier, revocations: RevocationCheck, imports: Import, clock: Clock
) -> APIRouter:
    """Return the routes of imports, below `prefix`."""
    router = APIRouter(prefix=f"{prefix}/imports", tags=["imports"])
    signed_in = Depends(require_actor(verifier, revocations))

    @router.post("", summary="Ask for an import", status_code=201)
    async def ask(actor: Annotated[Actor, signed_in], wanted: NewImport) -> ImportDetail:
        """Ask for an import, which another person has to approve; asking for the same again is the same."""
        return _detail(await imports.ask(actor, _wanted(wanted), wanted.reason), clock.now())

    @router.get("", summary="List imports")
    async def listed(actor: Annotated[Actor, signed_in]) -> ImportList:
        """List the newest imports."""
        now = clock.now()
        found = await imports.listed(actor)
        return ImportList(imports=[ImportView(**_facts(run, request, now)) for run, request in found])

    @router.get("/{run}", summary="Show an import")
    async def shown(actor: Annotated[Actor, signed_in], run: UUID) -> ImportDetail:
        """Show an import with its request and its report so far."""
        return _detail(await imports.shown(actor, run), clock.now())

    @router.post("/{run}/begin", summary="Begin an approved import")
    async def begin(actor: Annotated[Actor, signed_in], run: UUID) -> ImportDetail:
        """Use the approval and begin; what has begun goes on."""
        return _detail(await imports.begin(actor, run), clock.now())

    @router.post("/{run}/batches/{number}", summary="Bring the lines of a batch")
    async def bring(
        actor: Annotated[Actor, signed_in],
        run: UUID,
        number: Annotated[int, Path(ge=0, lt=MOST_BATCHES)],
        brought: Lines,
    ) -> Brought:
        """Bring batch `number`, from 0, one after the other; bringing one again makes nothing new."""
        lines = [
            Line(each.line, each.date, each.time, each.channel, each.nick, each.text)
            for each in brought.lines
        ]
        return Brought(number=number, **(await imports.bring(actor, run, number, lines))._asdict())

    @router.post("/{run}/finish", summary="End an import")
    async def finish(actor: Annotated[Actor, signed_in], run: UUID) -> ImportDetail:
        """End an import whose batches have all come; ending it again gives the same report."""
        return _detail(await imports.finish(actor, run), clock.now())

    @router.get("/{run}/authors/{nick}", summary="Find an author")
    async def author(actor: Annotated[Actor, signed_in], run: UUID, nick: Name) -> Pseudonym:
        """Tell whom a nick of the source became, and how he is shown."""
        standing = await imports.shown(actor, run)
        principal = author_of(standing.run.tenant, standing.run.source, nick)
        return Pseudonym(principal=principal, shown_as=pseudonym_of(principal))

    return router


def _wanted(wanted: NewImport) -> Wanted:
    if len(wanted.batches) != len(wanted.sizes):
        why = "every batch has a size"
        raise ImportRefused(why)
    batches = zip(wanted.batches, wanted.sizes, strict=True)
    return Wanted(
        source=bytes.fromhex(wanted.source),
        name=wanted.name,
        lines=wanted.lines,
        batches=tuple(Batch(bytes.fromhex(digest), size) for digest, size in batches),
        people=tuple((nick, PrincipalId(principal)) for nick, principal in wanted.people.items()),
    )


def _detail(standing: Standing, now: datetime) -> ImportDetail:
    run, request, counts = standing
    report = Report(
        lines=run.lines,
        imported=counts.imported,
        refusals=counts.refusals,
        refused=[Refusal(line=line.number, why=line.why) for line in counts.refused],
        conversations=counts.conversations,
        first_at=counts.first_at,
        last_at=counts.last_at,
    )
    return ImportDetail(**_facts(run, request, now), done=counts.done, report=report)


def _facts(run: ImportRun, request: Request, now: datetime) -> dict[str, Any]:
    state = request.state(now).value
    if run.begun_at is not None:
        state = "begun" if run.finished_at is None else "finished"
    return {
        "run": run.run,
        "source": run.source.hex(),
        "name": run.name,
        "state": state,
        "lines": run.lines,
        "batches": run.batches,
        "digest": run.digest.hex(),
        "requested_at": run.requested_at,
        "begun_at": run.begun_at,
        "finished_at": run.finished_at,
        "request": view_of(request, now),
    }
