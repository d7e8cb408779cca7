"""The HTTP door of the log: for auditors and their tools, and for those who search it."""

from base64 import b64encode
from collections.abc import Sequence
from enum import Enum
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query
from pydantic import AwareDatetime, BaseModel
from starlette.responses import Response

from libs.authn.actor import Actor
from libs.contracts.actions import ACTIONS
from libs.evidence.schemas import SCHEMAS
from libs.host.auth import ActorVerifier, RevocationCheck, require_actor
from libs.kernel.ids import TenantId
from services.audit.domain.reading import PLATFORM, Criteria, FoundEntry
from services.audit.usecases.read_log import ReadLog
from services.audit.usecases.search import SearchEntries
from services.audit.usecases.take_evidence import TakeEvidence

MOST_FOUND: Final = 500
_FOR_EVER: Final = {"cache-control": "private, max-age=31536000, immutable"}

Number = Annotated[int, Query(ge=0, lt=2**63)]
Size = Annotated[
    int | None,
    Query(ge=1, lt=2**63, description="The size of the tree; by default the largest that is published."),
]
Name = Annotated[str | None, Query(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]

PathName = Annotated[str, Path(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]


class CheckpointAnswer(BaseModel):
    """A signed note about the first `size` entries."""

    size: int
    note: str


class CheckpointsAnswer(BaseModel):
    """Checkpoints, smallest first; ask again with the last size as `after`."""

    checkpoints: list[CheckpointAnswer]


class InclusionAnswer(BaseModel):
    """What leads from the leaf at `index` to the root of the tree of `size`; hashes are base64."""

    index: int
    size: int
    proof: list[str]


class ConsistencyAnswer(BaseModel):
    """What shows that the tree of `second` entries only appended to that of `first`; hashes are base64."""

    first: int
    second: int
    proof: list[str]


class ActorAnswer(BaseModel):
    """Who acted."""

    kind: str
    id: UUID | None
    name: str | None


class EntityAnswer(BaseModel):
    """What was acted on."""

    kind: str
    id: str


class RunAnswer(BaseModel):
    """Entries of a conversation that a commit brought."""

    conversation: UUID
    first: int
    last: int


class EntryAnswer(BaseModel):
    """An entry; `index` is null for readers who may not see every class."""

    fact: UUID
    index: int | None
    at: AwareDatetime
    source: str
    action: str
    visibility: str
    actor: ActorAnswer
    outcome: str
    count: int
    matter: UUID | None
    approvals: list[UUID]
    entities: list[EntityAnswer]
    runs: list[RunAnswer]


class EntriesAnswer(BaseModel):
    """A page of entries; `next` is the `after` of the next page, null on the last."""

    entries: list[EntryAnswer]
    next: UUID | None


class ActionAnswer(BaseModel):
    """A kind of act, the class of readers that see it, and what it means."""

    name: str
    source: str
    visibility: str
    meaning: str


class ActionsAnswer(BaseModel):
    """Every kind of act that reaches the log."""

    actions: list[ActionAnswer]


def read_routes(
    prefix: str,
    *,
    verifier: ActorVerifier,
    revocations: RevocationCheck,
    read_log: ReadLog,
    search: SearchEntries,
    take_evidence: TakeEvidence,
) -> APIRouter:
    """Return every route of reading below `prefix`."""
    signed_in = Depends(require_actor(verifier, revocations))
    router = APIRouter(prefix=prefix)
    _add_catalogue(router)
    _add_log(router, "", signed_in, None, read_log)
    _add_log(router, "/platform", signed_in, PLATFORM, read_log)
    _add_entries(router, signed_in, search)
    _add_evidence(router, signed_in, take_evidence)
    return router


def _add_catalogue(router: APIRouter) -> None:
    tags: list[str | Enum] = ["catalogue"]

    @router.get("/actions", summary="List the acts that reach the log", tags=tags)
    async def actions() -> ActionsAnswer:
        """List every kind of act, with its class and its meaning."""
        known = [ActionAnswer(**action._asdict(), source=action.source) for action in ACTIONS.values()]
        return ActionsAnswer(actions=known)

    @router.get("/schemas", summary="Show the schemas of leaves, details and bundles", tags=tags)
    async def schemas() -> dict[str, Any]:
        """Return JSON Schemas (2020-12) by name."""
        return dict(SCHEMAS)


def _add_log(
    router: APIRouter, below: str, signed_in: Any, shared: TenantId | None, read_log: ReadLog
) -> None:
    """Add the routes of a log itself: the one that all have in common, or the caller's own."""
    tags: list[str | Enum] = ["log" if shared is None else "platform's log"]

    def log_of(actor: Actor) -> TenantId:
        return actor.tenant if shared is None else shared

    @router.get(f"{below}/checkpoint", summary="Show the newest checkpoint", tags=tags)
    async def checkpoint(actor: Annotated[Actor, signed_in]) -> Response:
        """Return a signed note. Source: C2SP tlog-checkpoint."""
        newest = await read_log.checkpoint(actor, log_of(actor))
        return Response(newest.note, media_type="text/plain; charset=utf-8")

    @router.get(f"{below}/checkpoints", summary="List checkpoints", tags=tags)
    async def checkpoints(
        actor: Annotated[Actor, signed_in],
        after: Number = 0,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> CheckpointsAnswer:
        """Return every checkpoint that was ever signed, page by page."""
        found = await read_log.checkpoints(actor, log_of(actor), after, limit)
        return CheckpointsAnswer(
            checkpoints=[CheckpointAnswer(size=each.size, note=each.note) for each in found]
        )

    @router.get(f"{below}/tile/{{path:path}}", summary="Read a tile or a bundle of leaves", tags=tags)
    async def tile(actor: Annotated[Actor, signed_in], path: str) -> Response:
        """Return a resource as C2SP tlog-tiles names it: `0/x001/234`, `entries/000.p/17`."""
        found = await read_log.resource(actor, log_of(actor), f"tile/{path}")
        headers = _FOR_EVER if found.full else None
        return Response(found.content, media_type="application/octet-stream", headers=headers)

    @router.get(f"{below}/proofs/inclusion", summary="Prove that a leaf is in the log", tags=tags)
    async def inclusion(
        actor: Annotated[Actor, signed_in], index: Number, size: Size = None
    ) -> InclusionAnswer:
        """Return the path of a leaf in the tree of a size. Source: RFC 9162, section 2.1.3."""
        found = await read_log.inclusion(actor, log_of(actor), index, size)
        return InclusionAnswer(index=found.lower, size=found.size, proof=_hashes(found.hashes))

    @router.get(f"{below}/proofs/consistency", summary="Prove that the log only grew", tags=tags)
    async def consistency(
        actor: Annotated[Actor, signed_in],
        first: Annotated[int, Query(ge=1, lt=2**63)],
        second: Size = None,
    ) -> ConsistencyAnswer:
        """Return the proof between two sizes. Source: RFC 9162, section 2.1.4."""
        found = await read_log.consistency(actor, log_of(actor), first, second)
        return ConsistencyAnswer(first=found.lower, second=found.size, proof=_hashes(found.hashes))


def _add_entries(router: APIRouter, signed_in: Any, search: SearchEntries) -> None:
    @router.get("/entries", summary="Search the log", tags=["entries"])
    async def entries(  # noqa: PLR0913 - the parameters of a search
        *,
        actor: Annotated[Actor, signed_in],
        by: Annotated[UUID | None, Query(alias="actor")] = None,
        action: Name = None,
        entity_kind: Name = None,
        entity: Name = None,
        matter: UUID | None = None,
        since: AwareDatetime | None = None,
        until: AwareDatetime | None = None,
        after: Annotated[UUID | None, Query(description="The `next` of the page before.")] = None,
        limit: Annotated[int, Query(ge=1, le=MOST_FOUND)] = 100,
        order: Literal["newest", "oldest"] = "newest",
    ) -> EntriesAnswer:
        """Return the entries that match and that the caller may see; the search is told to the log."""
        wanted = Criteria(by, action, entity_kind, entity, matter, since, until)
        found = await search(actor, wanted, after=after, limit=limit, newest_first=order == "newest")
        return EntriesAnswer(
            entries=[_entry_of(entry, indices=found.indices) for entry in found.entries], next=found.next
        )


def _add_evidence(router: APIRouter, signed_in: Any, take_evidence: TakeEvidence) -> None:
    """Add the routes by which evidence is taken; each answers a bundle for `muniment verify`."""
    tags: list[str | Enum] = ["evidence"]

    @router.get("/evidence/acts/{fact}", summary="Take evidence of an act", tags=tags)
    async def act(
        actor: Annotated[Actor, signed_in], fact: UUID, *, size: Size = None, detail: bool = False
    ) -> Response:
        """Return the bundle of the act that a fact told of."""
        return _bundle(await take_evidence.of_act(actor, fact, detail=detail, size=size))

    @router.get(
        "/evidence/entities/{kind}/{entity}",
        summary="Take evidence of the first act that names an entity",
        tags=tags,
    )
    async def first_naming(
        actor: Annotated[Actor, signed_in],
        kind: PathName,
        entity: PathName,
        *,
        size: Size = None,
        detail: bool = False,
    ) -> Response:
        """Return the bundle of the first act that names an entity: a `commit`, for instance."""
        return _bundle(await take_evidence.of_entity(actor, kind, entity, detail=detail, size=size))

    @router.get("/evidence/range", summary="Take evidence of entries in a row", tags=tags)
    async def stretch(
        actor: Annotated[Actor, signed_in],
        first: Number,
        last: Number,
        *,
        size: Size = None,
        details: bool = False,
    ) -> Response:
        """Return the bundle of the entries `first` to `last`, both included, at most 10,000 at once."""
        return _bundle(await take_evidence.of_range(actor, first, last, details=details, size=size))


def _bundle(data: bytes) -> Response:
    return Response(data, media_type="application/json")


def _hashes(proof: Sequence[bytes]) -> list[str]:
    return [b64encode(value).decode() for value in proof]


def _entry_of(entry: FoundEntry, *, indices: bool) -> EntryAnswer:
    return EntryAnswer(
        fact=entry.fact,
        index=entry.index if indices else None,
        at=entry.at,
        source=entry.source,
        action=entry.action,
        visibility=entry.visibility,
        actor=ActorAnswer(kind=entry.actor_kind, id=entry.actor_id, name=entry.actor_name),
        outcome=entry.outcome,
        count=entry.count,
        matter=entry.matter,
        approvals=list(entry.approvals),
        entities=[EntityAnswer(kind=kind, id=identifier) for kind, identifier in entry.entities],
        runs=[
            RunAnswer(conversation=conversation, first=first, last=last)
            for conversation, first, last in entry.runs
        ],
    )
