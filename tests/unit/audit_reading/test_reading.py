"""What is kept of a search, what is committed to, and how access and counts behave, without a database."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl
from uuid import UUID, uuid4

import pytest

from libs.contracts.facts import Actor as FactActor
from libs.contracts.facts import Entity, Run
from libs.contracts.facts import MessagingFact as Fact
from libs.evidence.detail import detail_commitment
from libs.kernel.actors import Actor, Facts
from libs.kernel.clock import SystemClock
from libs.kernel.denials import Denial, Denials, write_due
from libs.kernel.ids import PrincipalId, TenantId
from services.audit.domain.errors import EntryNotFound
from services.audit.domain.reading import PLATFORM, READ_LOG, Criteria, FoundEntry, StoredDetail
from services.audit.usecases.access import Access
from services.audit.usecases.sequence import detail_of

OURS, THEIRS = TenantId(UUID(int=1)), TenantId(UUID(int=2))
NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)


class Reader:
    tenant = OURS
    principal = PrincipalId(UUID(int=3))
    roles = frozenset({"auditor"})


class Asked:
    """Policies that permit what is named, and remember what they were asked."""

    def __init__(self, *permitted: str) -> None:
        self.permitted = permitted
        self.questions: list[Facts] = []

    def allows(self, _actor: Actor, action: str, resource: Facts) -> bool:
        self.questions.append(resource)
        return action in self.permitted


def test_what_was_asked_can_be_read_back_whatever_it_contains() -> None:
    wanted = Criteria(
        actor=UUID(int=9), action="a.b", entity="x & y=\n?é", since=NOW, until=NOW + timedelta(days=1)
    )
    assert dict(parse_qsl(wanted.said())) == {
        "actor": str(UUID(int=9)),
        "action": "a.b",
        "entity": "x & y=\n?é",
        "since": "2026-11-24T09:00:00+00:00",
        "until": "2026-11-25T09:00:00+00:00",
    }
    assert Criteria().said() == ""


def test_a_stored_detail_is_the_one_that_was_committed_to() -> None:
    fact = Fact(
        act=uuid4(),
        action="messaging.entries.committed",
        actor=FactActor(kind="principal", id=uuid4()),
        at=NOW,
        entities=(Entity(kind="commit", id="c"), Entity(kind="commit", id="c"), Entity(kind="a", id="b")),
        matter=uuid4(),
        approvals=(uuid4(), uuid4()),
        count=3,
        runs=(Run(conversation=uuid4(), first=1, last=9),),
    )
    entry = FoundEntry(
        index=0,
        fact=uuid4(),
        source="messaging",
        at=NOW,
        action=fact.action,
        visibility="operations",
        actor_kind="principal",
        actor_id=fact.actor.id,
        actor_name=None,
        outcome="done",
        count=3,
        matter=fact.matter,
        approvals=fact.approvals,
        entities=(("commit", "c"), ("a", "b")),
        runs=tuple((run.conversation, run.first, run.last) for run in fact.runs),
    )
    stored = StoredDetail(entry, bytes(16)).detail()
    assert stored == detail_of(fact)
    assert detail_commitment(stored, bytes(16)) == detail_commitment(detail_of(fact), bytes(16))


def test_the_platforms_log_is_asked_for_as_such_and_anothers_as_what_it_is() -> None:
    permissions = Asked(READ_LOG)
    access = Access(permissions, Denials(SystemClock()))
    for log in (OURS, THEIRS, PLATFORM):
        access.access_log(Reader(), log, READ_LOG)
    assert permissions.questions == [
        Facts("AuditLog", OURS),
        Facts("AuditLog", THEIRS),
        Facts("AuditLog", OURS, frozenset({"platform"})),
    ]


def test_what_is_denied_is_not_found_and_counted() -> None:
    denials = Denials(SystemClock())
    access = Access(Asked(), denials)
    with pytest.raises(EntryNotFound):
        access.access_log(Reader(), OURS, READ_LOG)
    with pytest.raises(EntryNotFound):
        access.access_details(Reader())
    assert not access.sees_indices(Reader())
    counted = {(denial.act, denial.count) for denial in denials.take_due(everything=True)}
    assert counted == {("ReadLog", 1), ("SeeDetail", 1)}


async def test_counts_of_tenants_that_were_not_reached_are_kept() -> None:
    counts = Denials(SystemClock())
    for tenant in (OURS, THEIRS):
        counts.note(tenant, None, READ_LOG)
    written: list[TenantId] = []

    async def write(tenant: TenantId, due: Sequence[Denial]) -> None:
        if written:
            raise ConnectionError
        written.append(tenant)
        assert [each.count for each in due] == [1]

    await write_due(counts, write, everything=False)
    assert written == []
    with pytest.raises(ConnectionError):
        await write_due(counts, write, everything=True)
    assert [kept.tenant for kept in counts.take_due(everything=True)] == [THEIRS]
