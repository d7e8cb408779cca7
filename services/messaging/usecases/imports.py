"""Import correspondence: ask, have it approved, begin, bring it batch by batch, and end with a report."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from libs.approvals.request import Request, decide_request
from libs.contracts.socket import Body, body_bytes
from libs.kernel.clock import Clock
from libs.kernel.ids import Ids, PrincipalId
from services.messaging.domain.bodies import decide_body
from services.messaging.domain.entries import ConversationKey, ConversationKind, Draft, EntryKind, Provenance
from services.messaging.domain.errors import (
    BatchDiffers,
    BodyRefused,
    ImportNotBegun,
    ImportNotFound,
    ImportUnfinished,
    ParticipantUnknown,
)
from services.messaging.domain.imports import (
    ACT,
    MOST_NAME,
    Accepted,
    Line,
    Part,
    RefusedLine,
    Wanted,
    author_of,
    batch_digest,
    conversation_of,
    decide_line,
    decide_wanted,
    import_digest,
    run_of,
)
from services.messaging.ports import (
    Actor,
    ArrivedBatch,
    BatchDone,
    ImportCounts,
    ImportRun,
    Imports,
    ImportWriter,
    Keys,
)
from services.messaging.usecases.access import RUN_IMPORT, SEE_IMPORTS, Access
from services.messaging.usecases.seal import Act, Seal

_SEALED_AT_A_TIME = 100
"""Between two stretches of this length everybody else has a turn: a gateway is there for sockets first."""


class Standing(NamedTuple):
    """An import, the request that permits it, and what it has brought so far."""

    run: ImportRun
    request: Request
    counts: ImportCounts


class Import:
    """Brings what was said elsewhere into conversations of its own; what is brought is never live."""

    def __init__(
        self,
        access: Access,
        imports: Imports,
        writer: ImportWriter,
        keys: Keys,
        seal: Seal,
        ids: Ids,
        clock: Clock,
    ) -> None:
        """Decide by `access`, keep in `imports`, seal by `seal` under `keys`, and write by `writer`."""
        self._access = access
        self._imports = imports
        self._writer = writer
        self._keys = keys
        self._seal = seal
        self._ids = ids
        self._clock = clock

    async def ask(self, actor: Actor, wanted: Wanted, reason: str) -> Standing:
        """Ask for an import; asking for the same again returns the one that exists.

        Raises NotPermitted, ImportRefused, ImportDiffers, ParticipantUnknown, ReasonRefused or
        LogUnavailable.
        """
        self._access.access_organisation(actor, RUN_IMPORT)
        decide_wanted(wanted)
        tenant, now = actor.tenant, self._clock.now()
        people = [principal for _, principal in wanted.people]
        if people and (unknown := await self._imports.unknown(tenant, people)):
            raise ParticipantUnknown(unknown[0])
        digest = import_digest(tenant, wanted)
        run = ImportRun(
            run=run_of(tenant, wanted.source),
            tenant=tenant,
            source=wanted.source,
            name=wanted.name,
            lines=wanted.lines,
            batches=len(wanted.batches),
            digest=digest,
            requested_at=now,
            begun_at=None,
            finished_at=None,
        )
        request = decide_request(
            self._ids.uuid7(), tenant, ACT, run.run, digest, actor.principal, reason, now
        )
        kept, standing = await self._imports.ask(run, wanted, request)
        return Standing(kept, standing, await self._imports.counts(kept))

    async def listed(self, actor: Actor) -> list[tuple[ImportRun, Request]]:
        """Return the newest imports. Raises NotPermitted or LogUnavailable."""
        self._access.access_organisation(actor, SEE_IMPORTS)
        return await self._imports.listed(actor.tenant)

    async def shown(self, actor: Actor, run: UUID) -> Standing:
        """Return an import as it stands. Raises NotPermitted, ImportNotFound or LogUnavailable."""
        self._access.access_organisation(actor, SEE_IMPORTS)
        kept, request = await self._imports.get(actor.tenant, run)
        return Standing(kept, request, await self._imports.counts(kept))

    async def begin(self, actor: Actor, run: UUID) -> Standing:
        """Begin an approved import; what has begun goes on.

        Raises NotPermitted, ImportNotFound, NotApproved or LogUnavailable.
        """
        self._access.access_organisation(actor, RUN_IMPORT)
        kept, request = await self._imports.get(actor.tenant, run)
        if kept.begun_at is None:
            await self._imports.begin(kept, request, actor.principal)
            kept, request = await self._imports.get(actor.tenant, run)
        return Standing(kept, request, await self._imports.counts(kept))

    async def bring(self, actor: Actor, run: UUID, number: int, lines: Sequence[Line]) -> BatchDone:
        """Bring batch `number` (from 0); bringing it again makes nothing new.

        Raises NotPermitted, ImportNotFound, ImportNotBegun, BatchDiffers for other lines than were
        approved, BatchOutOfOrder, KeysUnavailable or LogUnavailable.
        """
        self._access.access_organisation(actor, RUN_IMPORT)
        kept, _ = await self._imports.get(actor.tenant, run)
        if kept.begun_at is None:
            raise ImportNotBegun(run)
        state = await self._imports.batch(kept, number)
        if state is None:
            raise ImportNotFound(run)
        if batch_digest(lines) != state.batch.digest:
            raise BatchDiffers(number)
        if state.imported is not None:
            return BatchDone(state.imported, state.batch.lines - state.imported, repeated=True)
        people = {person.author: person.principal for person in await self._imports.people(kept)}
        accepted, refused = self._decided(lines)
        parts = await self._sealed(actor, kept, accepted, people)
        return await self._writer.write(ArrivedBatch(kept, number, parts, refused))

    async def finish(self, actor: Actor, run: UUID) -> Standing:
        """End an import that has come completely; ending it again is the same.

        Raises NotPermitted, ImportNotFound, ImportNotBegun, ImportUnfinished or LogUnavailable.
        """
        self._access.access_organisation(actor, RUN_IMPORT)
        kept, request = await self._imports.get(actor.tenant, run)
        if kept.begun_at is None:
            raise ImportNotBegun(run)
        counts = await self._imports.counts(kept)
        if counts.done < kept.batches:
            raise ImportUnfinished(kept.batches - counts.done)
        if kept.finished_at is None:
            kept = await self._imports.finish(kept, actor.principal)
        return Standing(kept, request, counts)

    def _decided(self, lines: Iterable[Line]) -> tuple[list[tuple[Accepted, bytes]], list[RefusedLine]]:
        """Return the lines that become messages, each with its body, and those that do not."""
        now = self._clock.now()
        accepted: list[tuple[Accepted, bytes]] = []
        refused: list[RefusedLine] = []
        for line in lines:
            decided = decide_line(line, now)
            if isinstance(decided, RefusedLine):
                refused.append(decided)
                continue
            body = body_bytes(Body(text=line.text))
            try:
                accepted.append((decided, decide_body(body)))
            except BodyRefused as error:
                refused.append(RefusedLine(line.number, f"its text has more than {error.most} bytes"))
        return accepted, refused

    async def _sealed(
        self,
        actor: Actor,
        run: ImportRun,
        accepted: Sequence[tuple[Accepted, bytes]],
        people: Mapping[PrincipalId, PrincipalId],
    ) -> list[Part]:
        """Return the parts of a batch, sealed, with one request for all keys that are missing."""
        by_key: dict[ConversationKey, list[tuple[Accepted, bytes]]] = {}
        for each in accepted:
            line = each[0].line
            conversation = conversation_of(run.tenant, run.source, line.channel, line.date)
            by_key.setdefault(ConversationKey(run.tenant, conversation), []).append(each)
        months = {
            (key, one.sent_at.year, one.sent_at.month): one.sent_at
            for key, lines in by_key.items()
            for one, _ in lines
        }
        await asyncio.gather(
            *(
                self._keys.sealing_key(key, at)
                for (key, _, _), at in months.items()
                if self._keys.find_sealing_key(key, at) is None
            )
        )
        return [await self._part(actor, run, key, lines, people) for key, lines in by_key.items()]

    async def _part(
        self,
        actor: Actor,
        run: ImportRun,
        key: ConversationKey,
        lines: Sequence[tuple[Accepted, bytes]],
        people: Mapping[PrincipalId, PrincipalId],
    ) -> Part:
        actors = [people.get(author, author) for author in self._authors_of(run, lines)]
        first = lines[0][0]
        joining = Act(
            key=key,
            kind=EntryKind.PARTICIPANTS_ADDED,
            actor=actor.principal,
            device=actor.device,
            members_version=0,
            subjects=tuple(dict.fromkeys(actors)),
            sent_at=first.sent_at,
            provenance=Provenance(run.source, first.line.number),
        )
        opening = joining._replace(
            kind=EntryKind.CONVERSATION_CREATED,
            creates=ConversationKind.IMPORT,
            body=body_bytes(Body(name=f"{first.line.channel} {first.line.date}"[:MOST_NAME])),
        )
        # ids of messages grow in the order of the log: these come before the messages that they explain
        opened, joined = await self._seal(opening), await self._seal(joining)
        messages: list[Draft] = []
        for place, ((one, body), speaker) in enumerate(zip(lines, actors, strict=True), start=1):
            act = Act(
                key=key,
                kind=EntryKind.MESSAGE_CREATED,
                actor=speaker,
                device=None,
                members_version=0,
                body=body,
                sent_at=one.sent_at,
                provenance=Provenance(run.source, one.line.number),
            )
            messages.append(await self._seal(act))
            if place % _SEALED_AT_A_TIME == 0:
                await asyncio.sleep(0)
        return Part(key, opened, joined, tuple(messages))

    @staticmethod
    def _authors_of(run: ImportRun, lines: Sequence[tuple[Accepted, bytes]]) -> list[PrincipalId]:
        known: dict[str, PrincipalId] = {}
        for one, _ in lines:
            nick = one.line.nick
            if nick not in known:
                known[nick] = author_of(run.tenant, run.source, nick)
        return [known[one.line.nick] for one, _ in lines]
