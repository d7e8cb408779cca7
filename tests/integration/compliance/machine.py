"""People and executors at random: whatever they do, nothing that is held is destroyed, and nothing undue."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar
from uuid import UUID

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from libs.approvals.errors import ApproverRefused
from libs.approvals.request import Request
from libs.authn.actor import Actor
from libs.contracts.events import decode
from libs.contracts.retention import MessagingOrderAnswered, MessagingOrderCompleted, PayloadsDestroyed
from libs.contracts.socket import Body
from libs.disposition.claims import RuleKind
from libs.disposition.period import Period
from libs.evidence.errors import EvidenceRefused
from libs.kernel.ids import ConversationId, TenantId
from services.ediscovery.domain.query import Scope, Term
from services.holds.domain.errors import HoldEnded, ReleasePending
from services.holds.domain.holds import EXECUTORS, Terms
from services.messaging.domain.entries import ConversationKind
from services.messaging.domain.errors import KeysUnavailable
from services.messaging.domain.membership import group_conversation_of
from services.messaging.store import dispositions
from services.messaging.usecases import dispose
from services.messaging.usecases.send import acknowledged
from services.retention.domain.errors import RunPending, RunRefused
from services.retention.domain.rules import Wanted
from tests.integration.compliance import model
from tests.integration.compliance.house import Crashed, House, person
from tests.integration.compliance.model import Hold, Ledger, Length, Place, Said

PEOPLE: Final = 4
MOST_LOCKS: Final = 2
BEGINNING: Final = datetime(2026, 12, 2, 12, tzinfo=UTC)
"""Early in a month: what is young and what is old then have a key in common."""
COUNSEL, OFFICER = 10, 11
ROOM_TYPES: Final = ("group", "direct", "group")
BOX_SEQS: Final = 3
"""Entries that one row of a plan covers: some of a run's items come together, and not all."""
UNTIL_FENCED: Final = timedelta(seconds=130)
"""How long after its retirement nobody can seal under a key any more."""
MOST_STEPS: Final = 100
"""More than any run takes here."""
ALL: Final = 1000
MOST_ROUNDS: Final = 3
"""After which all stores have let go, whatever each of them had to hear of another one."""

T = TypeVar("T")
TENANTS: Final = itertools.count(1)
CLIENT_IDS: Final = [UUID(int=number) for number in range(1, 20_000)]

people = st.integers(0, PEOPLE - 1)
rooms = st.integers(0, len(ROOM_TYPES) - 1)
lengths = st.builds(Length, st.sampled_from([0, 0, 1]), st.sampled_from([1, 10, 20]))
graces = st.sampled_from([timedelta(), timedelta(), timedelta(days=5), timedelta(days=40)])
types = st.sampled_from([None, None, frozenset({"group"}), frozenset({"direct"})])
mostly = st.sampled_from([True, True, True, False])
some_people = st.frozensets(people, max_size=2)
some_rooms = st.frozensets(rooms, max_size=1)
chosen = st.integers(0, 1_000_000)
"""Which of those that there are, by the remainder."""
sometimes = st.sampled_from([False, False, True]).flatmap(lambda it: chosen if it else st.none())


_LOOK: Final = """
    SELECT 'payload', p.conversation, p.seq, NULL::uuid, NULL::uuid
      FROM messaging.payload p WHERE p.tenant = %s
    UNION ALL
    SELECT 'hidden', h.conversation, generate_series(h.first_seq, h.last_seq), h.hidden_by, NULL
      FROM messaging.hidden h WHERE h.tenant = %s
    UNION ALL
    SELECT 'destroyed', d.conversation, generate_series(d.first_seq, d.last_seq), d.order_id, NULL
      FROM messaging.destroyed d WHERE d.tenant = %s
    UNION ALL
    SELECT 'generation', NULL, g.generation, NULL, NULL
      FROM messaging.hold_generation g WHERE g.tenant = %s"""


class Broken(AssertionError):
    """Something that was promised is not so."""


@dataclass
class Run:
    """A run as it was approved."""

    order: UUID
    dry_run: UUID
    generation: int


@dataclass
class Seen:
    """What the databases say at one moment."""

    payloads: frozenset[Place]
    hidden_by: dict[Place, UUID]
    destroyed_by: dict[Place, UUID]
    told: list[Place]
    ended: list[tuple[UUID, str]]
    generation: int
    in_force: frozenset[UUID]
    shredded: frozenset[UUID]
    expunged: dict[UUID, int]
    certificates: frozenset[UUID]


class ComplianceMachine(RuleBasedStateMachine):
    """One tenant's life; the house and its loop are shared by all of them."""

    house: House
    loop: "asyncio.Runner"
    met: "Counter[str]"
    """How often something came about that there is no proof without."""

    def __init__(self) -> None:
        super().__init__()
        self.tenant = TenantId(UUID(int=next(TENANTS)))
        self.ledger = Ledger()
        self.people = [person(self.tenant, number, "employee") for number in range(PEOPLE)]
        self.counsel = person(self.tenant, COUNSEL, "legal_counsel")
        self.officer = person(self.tenant, OFFICER, "compliance_officer")
        self.rooms: list[UUID] = []
        self.present: dict[UUID, frozenset[UUID]] = {}
        self.dead: set[str] = set()
        self.rule_versions: dict[UUID, int] = {}
        self.lock_versions: dict[UUID, int] = {}
        self.asked: dict[UUID, Request] = {}
        self.dry_runs: list[UUID] = []
        self.runs: list[Run] = []
        self.over: dict[UUID, str] = {}
        self.certified: dict[UUID, set[Place]] = {}
        self.standing_still: asyncio.Task[bool] | None = None
        self.taking_in: asyncio.Task[int] | None = None
        self.before: Seen | None = None
        self.is_broken = False
        # each life begins at the same time; the keys' own clock knows nothing of it
        self.house.clock.jump((BEGINNING - self.house.clock.now()).total_seconds())
        house = self.house
        for ours in (house.answering, house.carrying, house.closing, house.expunging, house.certifying):
            ours.tenant = self.tenant

    def go(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something on the loop of the house."""
        return self.loop.run(work)

    # People write to each other.

    @initialize(grace=graces, first=people)
    def settle(self, grace: timedelta, first: int) -> None:
        """Let people meet, write and get old, with a rule over all of it."""

        async def settled() -> None:
            await self.house.know(*self.people)
            zero, one, *others = self.people
            direct, _ = await self.house.converse.create(
                zero, ConversationKind.DIRECT, [one.principal], UUID(int=1), None
            )
            # Batches go by the ids of conversations: in every tenant a room lies where it lay in the others.
            creator = zero.principal
            named = ((group_conversation_of(self.tenant, creator, name), name) for name in CLIENT_IDS)
            below = next(name for group, name in named if group < direct)
            above = next(name for group, name in named if group > direct)
            groups = [
                (
                    await self.house.converse.create(
                        zero, ConversationKind.GROUP, [each.principal for each in members], client, None
                    )
                )[0]
                for client, members in ((below, [one, *others[:1]]), (above, others))
            ]
            self.rooms = [groups[0], direct, groups[1]]
            everybody = [each.principal for each in self.people]
            for conversation, members in zip(self.rooms, ((0, 1, 2), (0, 1), (0, 2, 3)), strict=True):
                self.present[conversation] = frozenset(everybody[number] for number in members)
            await self._talk(first)

        self.go(settled())
        self.make_rule(deletes=True, length=Length(0, 10), grace=grace, of=None, named=frozenset())
        self.tick(12)

    async def _talk(self, first: int) -> None:
        """Let three people speak everywhere where they take part; one commit takes what comes together."""
        under_way: list[tuple[asyncio.Future[Any], Callable[[int], Said]]] = []
        for room, number in itertools.product(range(len(self.rooms)), range(3)):
            sender = self.people[(first + number) % PEOPLE]
            if sender.principal in self.present[self.rooms[room]]:
                text = f"said{len(self.ledger.said)}in{room}by{number}"
                under_way.append(await self._sent(sender, room, text))
        for done, said in under_way:
            one = said(acknowledged(await done).seq)
            self.ledger.said[one.place] = one
            self.ledger.current[one.place] = one.place

    async def _sent(
        self, sender: Actor, where: int, text: str
    ) -> tuple["asyncio.Future[Any]", Callable[[int], Said]]:
        """Send a message, and return what it is once its seq is known; no two are of one instant."""
        self.house.clock.advance(1)
        room = self.rooms[where]
        name, at, audience = self.house.ids.uuid7(), self.house.clock.now(), self.present[room]
        done = await self.house.send(sender, ConversationId(room), name, Body(text=text))

        def said(seq: int) -> Said:
            return Said(Place(room, seq), ROOM_TYPES[where], at, sender.principal, audience, text)

        return done, said

    @rule(first=people, where=st.sampled_from([0, 2]), comes=st.booleans(), days=st.sampled_from([0, 12, 35]))
    def live(self, first: int, where: int, comes: bool, days: int) -> None:
        """Come into a group or leave it, send some messages everywhere, and let time pass."""
        room, other = self.rooms[where], self.people[first].principal
        if first > 0 and (other in self.present[room]) is not comes:  # somebody stays who may do this
            change = self.house.converse.add if comes else self.house.converse.remove
            self.go(change(self.people[0], ConversationId(room), [other]))
            self.present[room] = self.present[room] ^ {other}
        self.go(self._talk(first))
        self.tick(days)

    @rule(
        who=people,
        where=rooms,
        revisions=st.integers(0, 2),
        retracts=st.booleans(),
        days=st.sampled_from([0, 0, 12]),
    )
    def amend(self, who: int, where: int, revisions: int, retracts: bool, days: int) -> None:
        """Say something, give it other texts, perhaps take it back, and let time pass."""
        sender, room = self.people[who], self.rooms[where]
        if sender.principal in self.present[room]:
            self.go(self._amended(sender, where, revisions, retracts=retracts))
        self.tick(days)

    async def _amended(self, sender: Actor, where: int, revisions: int, *, retracts: bool) -> None:
        house, ledger, room = self.house, self.ledger, ConversationId(self.rooms[where])
        name = f"said{len(ledger.said)}in{where}amended"
        done, said = await self._sent(sender, where, f"{name}0")
        first = said(acknowledged(await done).seq)
        ledger.said[first.place] = first
        ledger.current[first.place] = first.place
        for number in range(1, revisions + 1):
            house.clock.advance(1)
            body, at = Body(text=f"{name}{number}"), house.clock.now()
            revised = await house.amend.revise(sender, room, first.place.seq, house.ids.uuid7(), body)
            place = Place(room, acknowledged(await revised).seq)
            ledger.said[place] = replace(first, place=place, sent_at=at, text=f"{name}{number}")
            ledger.current[first.place] = place
            self.met["a message was revised"] += 1
        if retracts:
            retracted = await house.amend.retract(sender, room, first.place.seq, house.ids.uuid7(), None)
            acknowledged(await retracted)
            ledger.retracted.add(first.place)
            self.met["a message was retracted"] += 1

    def tick(self, days: int) -> None:
        """Let time pass."""
        self.house.clock.advance(86_400 * days)

    # Compliance makes rules.

    @rule(
        act=st.sampled_from(["make", "make", "change", "end", "lock", "extend", "erase"]),
        which=chosen,
        deletes=st.sampled_from([True, True, False]),
        length=lengths,
        grace=graces,
        of=types,
        named=some_rooms,
    )
    def legislate(
        self,
        act: str,
        which: int,
        deletes: bool,
        length: Length,
        grace: timedelta,
        of: frozenset[str] | None,
        named: frozenset[int],
    ) -> None:
        """Make, change or end a rule, make or extend a lock, take in a request for erasure."""
        match act:
            case "make":
                self.make_rule(deletes=deletes, length=length, grace=grace, of=of, named=named)
            case "change" if self.ledger.rules:
                self.change_rule(which, length)
            case "end" if len(self.ledger.rules) > 1:
                self.end_rule(which)
            case "lock" if len(self.ledger.locks) < MOST_LOCKS:
                self.lock(length.days, of)
            case "extend" if self.ledger.locks:
                self.extend_lock(which)
            case "erase":
                self.ask_for_erasure(which % PEOPLE)

    def make_rule(
        self,
        deletes: bool,
        length: Length,
        grace: timedelta,
        of: frozenset[str] | None,
        named: frozenset[int],
    ) -> None:
        """Make a rule."""
        made = model.Rule(
            deletes,
            length,
            grace if deletes else timedelta(),
            of,
            frozenset(self.rooms[number] for number in named) if named else None,
        )
        version = self.go(self.house.rules.make(self.officer, _wanted(made)))
        self.ledger.rules[version.rule.rule] = made
        self.rule_versions[version.rule.rule] = version.rule.version

    def change_rule(self, which: int, length: Length) -> None:
        """Give a rule another period."""
        name = _one_of(self.ledger.rules, which)
        old = self.ledger.rules[name]
        made = model.Rule(old.deletes, length, old.grace, old.types, old.rooms)
        changed = self.house.rules.change(self.officer, name, self.rule_versions[name], _wanted(made))
        self.rule_versions[name] = self.go(changed).rule.version
        self.ledger.rules[name] = made

    def end_rule(self, which: int) -> None:
        """End a rule."""
        name = _one_of(self.ledger.rules, which)
        self.go(self.house.rules.end(self.officer, name, self.rule_versions[name]))
        del self.ledger.rules[name]

    def lock(self, days: int, of: frozenset[str] | None) -> None:
        """Make a preservation lock."""
        made = self.go(self.house.locks.make(self.officer, Period(days=days), of))
        self.ledger.locks[made.lock.lock] = model.Rule(deletes=False, length=Length(days=days), types=of)
        self.lock_versions[made.lock.lock] = made.version

    def extend_lock(self, which: int) -> None:
        """Make a lock last longer."""
        name = _one_of(self.ledger.locks, which)
        old = self.ledger.locks[name]
        length = Length(days=old.length.days + 10)
        extended = self.house.locks.extend(
            self.officer, name, self.lock_versions[name], Period(days=length.days), old.types
        )
        self.lock_versions[name] = self.go(extended).version
        self.ledger.locks[name] = model.Rule(deletes=False, length=length, types=old.types)

    def ask_for_erasure(self, who: int) -> None:
        """Take in somebody's request for erasure."""
        subject = self.people[who].principal
        self.go(self.house.erasures.take_in(self.officer, subject))
        self.ledger.erasures.append(model.Erasure(subject, self.house.clock.now()))

    # Counsel places holds, and two people end them.

    @rule(
        custodians=some_people,
        named=some_rooms,
        since=sometimes,
        until=sometimes,
        arrives=mostly,
    )
    def place_hold(
        self,
        custodians: frozenset[int],
        named: frozenset[int],
        since: int | None,
        until: int | None,
        arrives: bool,
    ) -> None:
        """Place a hold whose time begins and ends at messages, and see it on its way."""
        times = [each.sent_at for each in self.ledger.said.values()]
        begins = None if since is None else times[since % len(times)]
        ends = None if until is None else times[until % len(times)]
        if begins is not None and ends is not None and ends <= begins:
            ends = None
        held = Hold(
            frozenset(self.people[number].principal for number in custodians),
            frozenset(self.rooms[number] for number in named),
            begins,
            ends,
        )
        terms = Terms(
            frozenset(self.people[number].principal for number in custodians),
            held.rooms,
            begins,
            ends,
            silent=True,
            reason="a claim",
        )
        everything = not held.custodians and not held.rooms
        placed = self.go(self.house.place(self.counsel, terms, everything=everything))
        self.ledger.holds[placed.hold.hold] = held
        self.ledger.changes.append((placed.hold.hold, True))
        if arrives:
            self.deliver_everything()

    @precondition(lambda self: self.standing_still is not None)
    @rule(custodians=some_people, named=some_rooms)
    def place_hold_meanwhile(self, custodians: frozenset[int], named: frozenset[int]) -> None:
        """Place a hold without an end while something is being destroyed."""
        self.place_hold(custodians, named, None, None, arrives=True)

    @precondition(lambda self: bool(self.ledger.holds))
    @rule(which=chosen, decides=st.sampled_from([None, False, True, True, True]), arrives=mostly)
    def release(self, which: int, decides: bool | None, arrives: bool) -> None:
        """Ask for the end of a hold, which who asked cannot approve; somebody else does, or not, or later."""
        hold = _one_of(self.ledger.holds, which)
        release = self.house.release
        with suppress(HoldEnded, ReleasePending):
            self.asked[hold] = self.go(release.request(self.counsel, hold, "settled"))
        request = self.asked.get(hold)
        if request is None:
            return
        with pytest.raises(ApproverRefused):
            self.go(release.decide(self.counsel, request.request, request.digest, approves=True))
        if decides is None or self.house.clock.now() >= request.requested_at + timedelta(days=7):
            return
        self.go(release.decide(self.officer, request.request, request.digest, approves=decides))
        del self.asked[hold]
        if decides:
            self.ledger.changes.append((hold, False))
        if arrives:
            self.deliver_everything()

    # Orders are given, answered and carried out.

    @rule(
        act=st.sampled_from(["try", "answer", "approve"]),
        ago=st.sampled_from([0, 0, 0, 15]),
        which=chosen,
        crashing=st.booleans(),
    )
    def order(self, act: str, ago: int, which: int, crashing: bool) -> None:
        """Take one of the steps that lead to a run."""
        if act == "try":
            self.try_out(ago)
        elif act == "answer":
            self.answer(crashing=crashing)
        else:
            self.ask_and_approve(which)

    def try_out(self, ago: int) -> None:
        """Order a dry run, for now or for a moment that has passed."""
        as_of = self.house.clock.now() - timedelta(days=ago)
        order = self.go(self.house.orders.try_out(self.officer, as_of)).order
        self.ledger.orders[order.order] = self.ledger.claims(as_of)
        self.dry_runs.append(order.order)

    def answer(self, *, crashing: bool) -> None:
        """Let messaging answer what it has heard of, or crash over it; counts are those of the model."""
        if "messaging" in self.dead:
            return
        self.house.answering.crashing = crashing
        try:
            self.go(self.house.answer_orders())
        except Crashed:
            return
        finally:
            self.house.answering.crashing = False
        for answer in self._answers():
            if answer.order in self.dry_runs:
                self._compare(answer)
                self.dry_runs.remove(answer.order)

    def _answers(self) -> list[MessagingOrderAnswered]:
        events = self.go(self._events("messaging.order.answered.v1"))
        return [event for event in events if isinstance(event, MessagingOrderAnswered)]

    def _compare(self, answer: MessagingOrderAnswered) -> None:
        self.is_broken = True
        if answer.refused:
            raise Broken(f"a dry run found no result: {answer.refused}")
        found: dict[tuple[str, str], int] = {}
        for each in answer.classes:
            for standing in ("retained", "preserved", "hidden", "ripe"):
                if count := getattr(each, standing):
                    key = each.conversation_type, standing
                    found[key] = found.get(key, 0) + count
        there = self.go(self._look()).payloads
        expected = self.ledger.counts(there, answer.order, answer.generation)
        self.met.update(f"counted as {standing}" for _, standing in expected)
        if found != expected:
            raise Broken(f"a dry run counted {found}, and there are {expected}")
        self.is_broken = False

    def ask_and_approve(self, which: int) -> None:
        """Have two people order the run of a dry run that was answered."""
        answers = [each for each in self._answers() if each.order in self.ledger.orders]
        if answers:
            self._approve(answers[which % len(answers)])

    def _approve(self, answer: MessagingOrderAnswered) -> None:
        try:
            request = self.go(self.house.runs.request(self.officer, answer.order, "it is due"))
            with pytest.raises(ApproverRefused):
                self.go(self.house.runs.decide(self.officer, request.request, request.digest, approves=True))
            self.go(self.house.runs.decide(self.counsel, request.request, request.digest, approves=True))
        except (RunRefused, RunPending):
            return
        page = self.go(self.house.orders.listed(self.officer, None, 200))
        (run,) = [each.order for each in page.orders if each.order.dry_run == answer.order]
        self.ledger.orders[run.order] = self.ledger.orders[answer.order]
        self.runs.append(Run(run.order, answer.order, answer.generation))

    @precondition(lambda self: self._is_free())
    @rule(first=people, steps=st.sampled_from([1, 1, 2, 3, MOST_STEPS]), stands=mostly)
    def try_and_carry_out(self, first: int, steps: int, stands: bool) -> None:
        """Talk and get old; order a dry run, approve it, carry some out, and stand still over the next."""
        self.live(first, 0, comes=True, days=12)
        self.carry_out(steps, stands=stands)

    @precondition(lambda self: self._is_free())
    @rule(first=people)
    def destroy_and_close(self, first: int) -> None:
        """Destroy what is old beside what is young, and close the keys that both have in common."""
        self.live(first, 0, comes=True, days=12)
        self.live(first, 0, comes=True, days=0)
        self.carry_out(MOST_STEPS, stands=False)
        self.close_keys(arrives=True)

    def carry_out(self, steps: int, *, stands: bool) -> None:
        """Have what there is indexed, and a dry run approved; carry some of it out."""
        self.deliver("messaging", "ediscovery", ALL)
        self.try_out(0)
        self.deliver("retention", "messaging", ALL)
        self.answer(crashing=False)
        self.deliver("messaging", "retention", ALL)
        (answer,) = self._answers()[-1:]
        self._approve(answer)
        self.deliver("retention", "messaging", ALL)
        if self.runs:
            self.step(len(self.runs) - 1, steps, crashing=False)
            if stands:
                self.begin_step(len(self.runs) - 1)

    @precondition(lambda self: self._is_free() and bool(self.runs))
    @rule(which=chosen, act=st.sampled_from(["step", "crash", "stand", "all"]))
    def go_on(self, which: int, act: str) -> None:
        """Go on with a run: for a transaction or to its end, crash in it, or stand still in it."""
        if act == "stand":
            self.begin_step(which)
        else:
            self.step(which, MOST_STEPS if act == "all" else 1, crashing=act == "crash")

    def step(self, which: int, steps: int, *, crashing: bool) -> None:
        """Carry out some transactions of a run, and crash in the last."""
        run = self.runs[which % len(self.runs)]
        for number in range(steps):
            self.house.carrying.crashing = crashing and number == steps - 1
            try:
                if not self.go(self.house.carry_out.step(self.tenant, run.order)):
                    break
            except Crashed:
                break
            finally:
                self.house.carrying.crashing = False

    def begin_step(self, which: int) -> None:
        """Let a run stand still before it destroys what it has decided on, its transaction open."""
        run = self.runs[which % len(self.runs)]
        carrying = self.house.carrying

        async def begun() -> None:
            carrying.gate, carrying.at_gate = asyncio.Event(), asyncio.Event()
            step = asyncio.create_task(self.house.carry_out.step(self.tenant, run.order))
            stands = asyncio.create_task(carrying.at_gate.wait())
            await asyncio.wait({step, stands}, return_when=asyncio.FIRST_COMPLETED)
            stands.cancel()
            if step.done():
                carrying.gate = None
                await step
            else:
                self.standing_still = step
                self.met["a run stood still"] += 1

        self.go(begun())

    @precondition(lambda self: self.standing_still is not None)
    @rule(crashing=st.sampled_from([False, False, False, True]))
    def end_step(self, crashing: bool) -> None:
        """Let it go on and commit, or drop it as a crash does; then what waited for it is taken in."""
        step, self.standing_still = self.standing_still, None
        assert step is not None

        async def ended() -> None:
            gate = self.house.carrying.gate
            assert gate is not None
            if crashing:
                step.cancel()
            gate.set()
            with suppress(asyncio.CancelledError):
                await step
            self.house.carrying.gate = None
            if self.taking_in is not None:
                await self.taking_in
                self.taking_in = None

        self.go(ended())

    @precondition(lambda self: self._is_free() and bool(self.over))
    @rule(arrives=mostly)
    def close_keys(self, arrives: bool) -> None:
        """Close the keys of runs that are over, which takes some minutes, and see them on their way."""
        for _ in range(2):
            self.go(self.house.close_keys())
            self.house.clock.advance(UNTIL_FENCED.total_seconds())
        if arrives:
            self.deliver("messaging", "keys", ALL)
            self.deliver("keys", "messaging", ALL)

    # The index lets go of what is gone, and retention certifies it.

    @rule(act=st.sampled_from(["index", "expunge", "certify", "certify", "all"]), crashing=st.booleans())
    def let_go(self, act: str, crashing: bool) -> None:
        """Index what was said, let words vanish, certify what all stores confirmed, or crash over it."""
        if act in ("index", "all"):
            self.deliver("messaging", "ediscovery", ALL, crashing=crashing)
        if act in ("expunge", "all"):
            self.expunge(crashing=crashing)
        if act in ("certify", "all"):
            self.certify(crashing=crashing)

    def expunge(self, *, crashing: bool) -> None:
        """Let the words of what was destroyed vanish, or crash when they have, before it is noted."""
        if "ediscovery" in self.dead:
            return
        self.house.expunging.crashing = crashing
        try:
            self.go(self.house.expunge())
        except Crashed:
            self.met["words vanished in a crash"] += 1
        finally:
            self.house.expunging.crashing = False

    def certify(self, *, crashing: bool) -> None:
        """Bring what stores confirm, and certify it: all of it, or one transaction's worth."""
        for store in ("messaging", "ediscovery", "keys"):
            self.deliver(store, "retention", ALL)
        if not crashing:
            self.go(self.house.certify())
            return
        for tenant, order in self.go(self.house.certifying.waiting()):
            self.go(self.house.certify.step(tenant, order))

    def _is_free(self) -> bool:
        return self.standing_still is None and "messaging" not in self.dead

    # The streams move, lag, come again, and those who follow them die.

    @rule(
        act=st.sampled_from(["all", "all", "some", "crash", "again", "again", "die or rise"]),
        which=chosen,
        most=st.sampled_from([1, 3, ALL]),
    )
    def stream(self, act: str, which: int, most: int) -> None:
        """Deliver all of the barrier, or a part of one stream, crash over it, deliver it again; or die."""
        link = self.house.links[which % len(self.house.links)]
        match act:
            case "all":
                self.deliver_everything()
            case "some" | "crash":
                self.deliver(link.source, link.consumer, most, crashing=act == "crash")
            case "again" if link.consumer not in self.dead and self._is_free():
                self.go(link.replay(self.tenant, most))
                self.met["a stream came again"] += 1
            case "die or rise":
                self.die_or_rise(EXECUTORS[which % len(EXECUTORS)])

    def deliver(self, source: str, consumer: str, most: int, *, crashing: bool = False) -> None:
        """Deliver, and wait for it unless it waits for a run that stands still."""
        if consumer in self.dead or (consumer == "messaging" and self.taking_in is not None):
            return
        link = self.house.link(source, consumer)

        async def delivered() -> None:
            task = asyncio.create_task(link.deliver(self.tenant, most, crashing=crashing))
            while not task.done():
                await asyncio.wait({task}, timeout=0.02)
                if not task.done() and self.standing_still is not None and await self.house.somebody_waits():
                    self.taking_in = task
                    self.met["a change of holds waited for what was being destroyed"] += 1
                    return
            await task

        self.go(delivered())

    def deliver_everything(self) -> None:
        """Bring the changes of holds to all who live, and what they confirm back."""
        for name in EXECUTORS:
            self.deliver("holds", name, ALL)
        for name in EXECUTORS:
            self.deliver(name, "holds", ALL)

    def die_or_rise(self, name: str) -> None:
        """Let an executor be down for a while."""
        if name in self.dead:
            self.dead.remove(name)
        elif self.standing_still is None:
            self.dead.add(name)

    # What must be so, whatever was done.

    async def _events(self, *names: str) -> list[Any]:
        rows = await self.house.rows(
            "messaging",
            "SELECT body FROM messaging.outbox WHERE tenant = %s AND name = ANY (%s) ORDER BY part, position",
            self.tenant,
            list(names),
        )
        return [decode(bytes(body))[1] for (body,) in rows]

    async def _look(self) -> Seen:
        tenant, rows = self.tenant, self.house.rows
        found = await rows("messaging", _LOOK, tenant, tenant, tenant, tenant)
        in_force = await rows(
            "holds",
            "SELECT f.hold FROM holds.in_force f LEFT JOIN holds.release r USING (tenant, hold)"
            " WHERE f.tenant = %s AND r.hold IS NULL",
            tenant,
        )
        shredded = await rows(
            "keys", "SELECT dek FROM keys.dek WHERE tenant = %s AND shredded_at IS NOT NULL", tenant
        )
        expunged = await rows(
            "ediscovery",
            "SELECT order_id, sum(items) FROM ediscovery.expunged WHERE tenant = %s GROUP BY order_id",
            tenant,
        )
        issued = await rows(
            "retention", "SELECT certificate FROM retention.certificate WHERE tenant = %s", tenant
        )
        events = await self._events(PayloadsDestroyed.name, MessagingOrderCompleted.name)
        destroyed = [event for event in events if isinstance(event, PayloadsDestroyed)]
        ended = [event for event in events if isinstance(event, MessagingOrderCompleted)]
        hidden = [(Place(row[1], row[2]), row[3]) for row in found if row[0] == "hidden"]
        gone = [(Place(row[1], row[2]), row[3]) for row in found if row[0] == "destroyed"]
        if len(dict(hidden)) < len(hidden) or len(dict(gone)) < len(gone):
            raise Broken("an item stands in two stretches")
        return Seen(
            payloads=frozenset(Place(row[1], row[2]) for row in found if row[0] == "payload"),
            hidden_by=dict(gone) | dict(hidden),
            destroyed_by=dict(gone),
            told=[Place(event.conversation, seq) for event in destroyed for seq in event.seqs],
            ended=[(event.order, event.refused) for event in ended],
            generation=max((row[2] for row in found if row[0] == "generation"), default=0),
            in_force=frozenset(row[0] for row in in_force),
            shredded=frozenset(row[0] for row in shredded),
            expunged={order: int(items) for order, items in expunged},
            certificates=frozenset(row[0] for row in issued),
        )

    @invariant()
    def nothing_is_broken(self) -> None:
        """Look at everything, and hold it against what was promised a step before."""
        if self.rooms and not self.is_broken:
            self.is_broken = True
            self._look_and_compare()
            self.is_broken = False

    def _look_and_compare(self) -> None:
        now = self.go(self._look())
        before, self.before = self.before, now
        gone = self.ledger.said.keys() - now.payloads
        if len(now.told) != len(set(now.told)):
            raise Broken("something was destroyed twice")
        if set(now.told) != gone or now.destroyed_by.keys() != gone:
            raise Broken("what is gone is not what was told to be destroyed")
        self._see_due(now)
        if before is not None:
            self._see_held(before, before.payloads - now.payloads, now)
        self._see_ends(now)
        self._see_words(before, now)
        self._see_certificates(before, now)
        self.met["a key was shredded"] += len(now.shredded - (before.shredded if before else now.shredded))
        changed = before is None or (before.hidden_by, before.shredded) != (now.hidden_by, now.shredded)
        if changed or (before is not None and before.payloads - now.payloads):
            self._see_readable(now)

    def _see_due(self, now: Seen) -> None:
        """Whatever is hidden or gone was due by the order that it names, behind the holds of that order."""
        generations = {run.order: run.generation for run in self.runs}
        for place, order in now.hidden_by.items():
            if self.ledger.standing(place, order, generations[order]) == "retained":
                raise Broken(f"{place} is hidden, and was not due")
        for place, order in now.destroyed_by.items():
            standing = self.ledger.standing(place, order, generations[order])
            if standing != "ripe":
                raise Broken(f"{place} is destroyed, and was {standing} for its order")

    def _see_held(self, before: Seen, gone: Iterable[Place], now: Seen) -> None:
        """Nothing was destroyed that a hold in force covered, nor by an order that the holds had passed."""
        generations = {run.order: run.generation for run in self.runs}
        for place in gone:
            if holds := self.ledger.covered(place, sorted(before.in_force)):
                raise Broken(f"{place} is destroyed, and held by {holds}")
            self.met["destroyed"] += 1
            if generations[now.destroyed_by[place]] != before.generation:
                raise Broken(f"{place} is destroyed by an order of another generation")

    def _see_ends(self, now: Seen) -> None:
        """See that a run which ended as it was approved has left nothing that was ripe."""
        ends = dict(now.ended)
        if len(ends) != len(now.ended):
            raise Broken("a run has ended twice")
        for run in self.runs:
            if run.order in ends and run.order not in self.over:
                self.over[run.order] = ends[run.order]
                self.met[f"a run ended with {ends[run.order] or 'everything done'}"] += 1
                part = set(now.destroyed_by.values()) & {run.order}
                if ends[run.order] == dispose.GENERATION_PASSED and part:
                    self.met["a run ended in its midst"] += 1
                left = [
                    place
                    for place in now.payloads
                    if self.ledger.standing(place, run.order, run.generation) == "ripe"
                ]
                if not ends[run.order] and left:
                    raise Broken(f"a run ended, and left {left}")

    def _see_words(self, before: Seen | None, now: Seen) -> None:
        """See that the words of as many items are gone from the files as eDiscovery says."""
        if before is not None and before.expunged == now.expunged:
            return
        words = self.go(self.house.words(self.tenant))
        for order, items in now.expunged.items():
            gone = [place for place, by in now.destroyed_by.items() if by == order]
            stand = [place for place in gone if self.ledger.said[place].text in words]
            if items > len(gone):
                raise Broken(f"the words of {items} items are told to be gone, of {len(gone)}")
            if len(stand) > len(gone) - items:
                raise Broken(f"the words of {items} items are told to be gone, and {stand} stand")
            self.met["words are gone"] += items

    def _see_certificates(self, before: Seen | None, now: Seen) -> None:
        """See that a certificate holds, comes after all stores, and names what its run destroyed."""
        for certificate in now.certificates - (before.certificates if before is not None else set()):
            if certificate not in self.over:
                raise Broken("what is not over is certified")
            self.certified[certificate] = self.go(self._certified(certificate))
            self.met["a run was certified"] += 1
            gone = {place for place, by in now.destroyed_by.items() if by == certificate}
            if now.expunged.get(certificate, 0) != len(gone):
                raise Broken("a run is certified, and words of what it destroyed may stand")
            if not self.go(self._sealed_by(certificate)) <= now.shredded:
                raise Broken("a run is certified, and a key that had sealed what it destroyed is there")
        for certificate, named in self.certified.items():
            if named != {place for place, by in now.destroyed_by.items() if by == certificate}:
                raise Broken("a certificate names something else than what its run destroyed")

    async def _certified(self, certificate: UUID) -> set[Place]:
        try:
            named = await self.house.certified(self.officer, certificate)
        except EvidenceRefused as refused:
            raise Broken(f"a certificate does not hold: {refused}") from None
        return {Place(room, seq) for room, seqs in named.items() for seq in seqs}

    async def _sealed_by(self, order: UUID) -> frozenset[UUID]:
        """Return the keys that had sealed what a run destroyed."""
        rows = await self.house.rows(
            "messaging",
            "SELECT DISTINCT dek FROM messaging.destroyed WHERE tenant = %s AND order_id = %s",
            self.tenant,
            order,
        )
        return frozenset(dek for (dek,) in rows)

    def _see_readable(self, now: Seen) -> None:
        """See that what is there can be read: a key that is gone too early shows here."""
        try:
            self.go(self._read(now))
        except KeysUnavailable:
            raise Broken("a key cannot be had under which something is kept") from None

    async def _read(self, now: Seen) -> None:
        """Compare what readers are shown with all that is not due, and open what is hidden and not gone."""
        for room in self.rooms:
            own = {place.seq: said for place, said in self.ledger.said.items() if place.room == room}
            expected = self.ledger.shown(room, now.hidden_by.__contains__)
            if await self.house.shown(self.tenant, room) != expected:
                raise Broken(f"readers of {room} are shown something else than {expected}")
            there = {place.seq for place in now.payloads if place.room == room}
            opened = await self.house.opened(self.tenant, room)
            if opened != {seq: own[seq].text for seq in there}:
                raise Broken(f"what is kept in {room} cannot be opened, or says something else")

    def teardown(self) -> None:
        """Let all live and all arrive: then every hold is in force, and every run has ended."""
        if self.is_broken or not self.rooms:
            self._let_go()
            return
        self.dead.clear()
        if self.standing_still is not None:
            self.end_step(crashing=False)
            self.nothing_is_broken()
        for _ in range(2):
            for link in self.house.links:
                self.deliver(link.source, link.consumer, ALL)
            self.deliver_everything()
            self.answer(crashing=False)
            self.nothing_is_broken()
        for number in range(len(self.runs)):
            self.step(number, MOST_STEPS, crashing=False)
            self.nothing_is_broken()
        if self.dry_runs or len(self.over) != len(self.runs):
            raise Broken("an order was never answered, or a run has not ended")
        placed = {hold for hold, is_placed in self.ledger.changes if is_placed}
        released = {hold for hold, is_placed in self.ledger.changes if not is_placed}
        assert self.before is not None
        if self.before.in_force != placed - released:
            raise Broken("a hold never came into force")
        self._see_readable(self.before)
        self._see_all_certified()

    def _see_all_certified(self) -> None:
        """See all stores to their end: then each run has its certificate, and the index what is there."""
        for _ in range(MOST_ROUNDS):
            if self.over:
                self.close_keys(arrives=True)
            self.deliver("messaging", "ediscovery", ALL)
            self.expunge(crashing=False)
            self.certify(crashing=False)
            self.nothing_is_broken()
        now = self.before
        assert now is not None
        if missing := set(now.destroyed_by.values()) - now.certificates:
            gone = [place for place, by in now.destroyed_by.items() if by in missing]
            raise Broken(f"{gone} are destroyed without a certificate")
        there = {place: self.ledger.said[place].text for place in now.payloads}
        firsts = {there[place] for place in self.ledger.current.keys() & there.keys()}
        # an index may leave out what a revision says, and has no word that stands nowhere
        if not firsts <= self.go(self.house.words(self.tenant)) <= set(there.values()):
            raise Broken("the index has other words than there are")
        for said in self.ledger.said.values():
            found = self.go(self.house.index.search(self.tenant, Term(said.text), Scope(), 10))
            places = [Place(*hit.key) for hit in found]
            if places != [said.place] and (places or said.text in firsts):
                raise Broken(f"{said.place} is there, and is found as {places}")
            if places and said.place not in there:
                raise Broken(f"{said.place} is destroyed, and found")

    def _let_go(self) -> None:
        """Leave no transaction open for those who come after."""
        if self.standing_still is not None:
            self.end_step(crashing=True)


def _one_of(things: Iterable[UUID], which: int) -> UUID:
    listed = list(things)
    return listed[which % len(listed)]


def _wanted(made: model.Rule) -> Wanted:
    return Wanted(
        RuleKind.DELETION if made.deletes else RuleKind.FLOOR,
        Period(months=made.length.months, days=made.length.days),
        made.types,
        made.rooms,
        made.grace,
    )


def small_batches(patch: pytest.MonkeyPatch) -> None:
    """Let a run take several rows of a plan for a few messages."""
    patch.setattr(dispositions, "BOX_SEQS", BOX_SEQS)
