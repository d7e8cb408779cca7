"""Messaging's audit facts, as records of its outbox."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final
from uuid import UUID

from libs.contracts.events import encode
from libs.contracts.facts import Actor, Entity, MessagingFact, Run
from libs.events.records import OutboxRecord, partition_of
from libs.kernel.clock import Clock
from libs.kernel.ids import Ids, TenantId
from services.messaging.domain.commits import CommitOfTenant
from services.messaging.domain.entries import Entry, EntryKind

_MESSAGING: Final = Actor(kind="service", name="messaging")
_MEMBERSHIP: Final[Mapping[EntryKind, str]] = {
    EntryKind.CONVERSATION_CREATED: "messaging.conversation.created",
    EntryKind.PARTICIPANTS_ADDED: "messaging.participants.added",
    EntryKind.PARTICIPANTS_REMOVED: "messaging.participants.removed",
}


def facts_of(
    commits: Iterable[CommitOfTenant],
    ids_of: Mapping[TenantId, UUID],
    entries: Sequence[Entry],
    ids: Ids,
    clock: Clock,
) -> list[OutboxRecord]:
    """Return what the audit log is told of a commit: itself, tenant by tenant, and each change of members."""
    told = [(commit.tenant, _commit_fact(commit, ids_of[commit.tenant], clock)) for commit in commits]
    told += ((entry.draft.key.tenant, fact) for entry, fact in _membership_facts(entries))
    return [record_of(tenant, fact, ids, clock) for tenant, fact in told]


def record_of(tenant: TenantId, fact: MessagingFact, ids: Ids, clock: Clock) -> OutboxRecord:
    """Return a fact as a record of the outbox, in its tenant's partition."""
    body = encode(fact, id=ids.uuid7(), time=clock.now(), tenant=tenant)
    return OutboxRecord(partition_of(tenant), tenant, fact.name, body)


def _commit_fact(commit: CommitOfTenant, act: UUID, clock: Clock) -> MessagingFact:
    return MessagingFact(
        act=act,
        action="messaging.entries.committed",
        actor=_MESSAGING,
        at=clock.now(),
        entities=(Entity(kind="commit", id=str(act)),),
        root=commit.root,
        runs=tuple(Run(conversation=run.conversation, first=run.first, last=run.last) for run in commit.runs),
    )


def _membership_facts(entries: Iterable[Entry]) -> Iterator[tuple[Entry, MessagingFact]]:
    for entry in entries:
        draft = entry.draft
        if (action := _MEMBERSHIP.get(draft.kind)) is None:
            continue
        conversation = Entity(kind="conversation", id=str(draft.key.conversation))
        people = (Entity(kind="principal", id=str(subject)) for subject in draft.subjects)
        yield (
            entry,
            MessagingFact(
                act=draft.message,
                action=action,
                actor=Actor(kind="principal", id=draft.actor),
                at=draft.sent_at,
                entities=(conversation, *people),
            ),
        )
