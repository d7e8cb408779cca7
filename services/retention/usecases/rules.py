"""Make, change and end rules; make and extend locks; take in requests for erasure."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from libs.disposition.claims import Erasure
from libs.disposition.period import Period
from libs.disposition.presets import Preset
from libs.kernel.actors import Actor
from libs.kernel.clock import Clock
from libs.kernel.ids import Ids
from services.retention.domain.access import CHANGE, ERASE, READ
from services.retention.domain.errors import RetentionNotFound, VersionPassed
from services.retention.domain.rules import (
    ErasureRequest,
    LockVersion,
    RuleVersion,
    Wanted,
    decide_change,
    decide_end,
    decide_extension,
    decide_lock,
    decide_rule,
)
from services.retention.ports.books import Book, Books
from services.retention.usecases.access import Access
from services.retention.usecases.told import fact_of_erasure, fact_of_lock, fact_of_rule


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of a tenant; every one of these raises RetentionNotFound where the actor may not."""

    books: Books
    access: Access
    presets: Mapping[str, Preset]
    clock: Clock
    ids: Ids

    async def make(self, actor: Actor, wanted: Wanted) -> RuleVersion:
        """Make a rule. Raises RuleRefused and PeriodRefused."""
        self.access.access(actor, CHANGE)
        rule = decide_rule(self.ids.uuid7(), 1, wanted, self.presets)
        made = RuleVersion(
            actor.tenant, rule, wanted.preset, ended=False, made_by=actor.principal, made_at=self.clock.now()
        )
        async with self.books.begin(actor.tenant) as book:
            await self._keep(book, made)
        return made

    async def change(self, actor: Actor, rule: UUID, seen: int, wanted: Wanted) -> RuleVersion:
        """Make the version after `seen`. Raises VersionPassed, RuleEnded, RuleRefused and PeriodRefused."""
        self.access.access(actor, CHANGE)
        async with self.books.begin(actor.tenant) as book:
            latest = (await self._versions(book, rule))[-1]
            made = RuleVersion(
                actor.tenant,
                decide_change(latest, seen, wanted, self.presets),
                wanted.preset,
                ended=False,
                made_by=actor.principal,
                made_at=self.clock.now(),
            )
            await self._keep(book, made)
        return made

    async def end(self, actor: Actor, rule: UUID, seen: int) -> RuleVersion:
        """End a rule: from then on it says nothing. Raises VersionPassed and RuleEnded."""
        self.access.access(actor, CHANGE)
        async with self.books.begin(actor.tenant) as book:
            latest = (await self._versions(book, rule))[-1]
            made = RuleVersion(
                actor.tenant,
                decide_end(latest, seen),
                latest.preset,
                ended=True,
                made_by=actor.principal,
                made_at=self.clock.now(),
            )
            await self._keep(book, made)
        return made

    async def listed(self, actor: Actor) -> list[RuleVersion]:
        """Return the newest version of every rule."""
        self.access.access(actor, READ)
        async with self.books.begin(actor.tenant) as book:
            return await book.rules()

    async def versions(self, actor: Actor, rule: UUID) -> list[RuleVersion]:
        """Return every version of a rule, the newest last."""
        self.access.access(actor, READ)
        async with self.books.begin(actor.tenant) as book:
            return await self._versions(book, rule)

    async def _versions(self, book: Book, rule: UUID) -> list[RuleVersion]:
        found = await book.versions(rule)
        if not found:
            raise RetentionNotFound("rule")
        return found

    async def _keep(self, book: Book, made: RuleVersion) -> None:
        if not await book.add_rule(made):
            raise VersionPassed(made.rule.version)
        await book.publish([fact_of_rule(self.ids.uuid7(), made)])


@dataclass(frozen=True, slots=True)
class Locks:
    """The preservation locks of a tenant: made and extended, never shortened and never ended."""

    books: Books
    access: Access
    clock: Clock
    ids: Ids

    async def make(
        self, actor: Actor, period: Period, conversation_types: frozenset[str] | None
    ) -> LockVersion:
        """Make a lock. Raises RuleRefused."""
        self.access.access(actor, CHANGE)
        lock = decide_lock(self.ids.uuid7(), period, conversation_types)
        made = LockVersion(actor.tenant, lock, 1, actor.principal, self.clock.now())
        async with self.books.begin(actor.tenant) as book:
            await self._keep(book, made)
        return made

    async def extend(
        self, actor: Actor, lock: UUID, seen: int, period: Period, conversation_types: frozenset[str] | None
    ) -> LockVersion:
        """Extend a lock of version `seen`. Raises VersionPassed, RuleRefused and PeriodRefused."""
        self.access.access(actor, CHANGE)
        async with self.books.begin(actor.tenant) as book:
            latest = await book.find_lock(lock)
            if latest is None:
                raise RetentionNotFound("lock")
            extended = decide_extension(latest, seen, period, conversation_types)
            made = LockVersion(actor.tenant, extended, seen + 1, actor.principal, self.clock.now())
            await self._keep(book, made)
        return made

    async def listed(self, actor: Actor) -> list[LockVersion]:
        """Return the newest version of every lock."""
        self.access.access(actor, READ)
        async with self.books.begin(actor.tenant) as book:
            return await book.locks()

    async def _keep(self, book: Book, made: LockVersion) -> None:
        if not await book.add_lock(made):
            raise VersionPassed(made.version)
        await book.publish([fact_of_lock(self.ids.uuid7(), made)])


@dataclass(frozen=True, slots=True)
class Erasures:
    """The requests of people to erase what they had sent."""

    books: Books
    access: Access
    clock: Clock
    ids: Ids

    async def take_in(self, actor: Actor, subject: UUID) -> ErasureRequest:
        """Take in a request, as of now: what its subject sends later is not concerned."""
        self.access.access(actor, ERASE)
        request = ErasureRequest(
            actor.tenant, Erasure(self.ids.uuid7(), subject, self.clock.now()), actor.principal
        )
        async with self.books.begin(actor.tenant) as book:
            await book.add_erasure(request)
            await book.publish([fact_of_erasure(request)])
        return request

    async def listed(self, actor: Actor) -> list[ErasureRequest]:
        """Return the requests."""
        self.access.access(actor, READ)
        async with self.books.begin(actor.tenant) as book:
            return await book.erasures()
