"""Messaging's audit facts, as records of its outbox."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final
from uuid import UUID

from libs.contracts.facts import Actor, Entity, MessagingFact, Run
from libs.events.outbox import OutboxRecord, record_of
from libs.kernel.clock import Clock
from libs.kernel.ids import Ids, TenantId, instant_of
from services.messaging.domain.commits import CommitOfTenant, commits_of
from services.messaging.domain.entries import Entry, EntryKind

_MESSAGING: Final = Actor(kind="service", name="messaging")
_CHANGES: Final[Mapping[EntryKind, str]] = {
    EntryKind.CONVERSATION_CREATED: "messaging.conversation.created",
    EntryKind.PARTICIPANTS_ADDED: "messaging.participants.added",
    EntryKind.PARTICIPANTS_REMOVED: "messaging.participants.removed",
    EntryKind.NAME_CHANGED: "messaging.name.changed",
    EntryKind.TOPIC_CHANGED: "messaging.topic.changed",
    EntryKind.ADMINISTRATORS_ADDED: "messaging.administrators.added",
    EntryKind.ADMINISTRATORS_REMOVED: "messaging.administrators.removed",
    EntryKind.HISTORY_OPENED: "messaging.history.opened",
    EntryKind.HISTORY_CLOSED: "messaging.history.closed",
    EntryKind.ANNOUNCEMENTS_BEGUN: "messaging.announcements.begun",
    EntryKind.ANNOUNCEMENTS_ENDED: "messaging.announcements.ended",
    EntryKind.CONVERSATION_ARCHIVED: "messaging.conversation.archived",
    EntryKind.CONVERSATION_REOPENED: "messaging.conversation.reopened",
}

_AMENDMENTS: Final[Mapping[EntryKind, str]] = {
    EntryKind.MESSAGE_REVISED: "messaging.message.revised",
    EntryKind.MESSAGE_RETRACTED: "messaging.message.retracted",
}


def facts_of(
    entries: Sequence[Entry],
    commits: Mapping[TenantId, UUID],
    ids: Ids,
    clock: Clock,
) -> list[OutboxRecord]:
    """Return what the audit log is told of a commit.

    That is the commit itself, tenant by tenant, each change of a conversation and each amendment. `commits`
    names the commit of each tenant.
    """
    told = [
        (commit.tenant, _commit_fact(commit, commits[commit.tenant], clock)) for commit in commits_of(entries)
    ]
    told += ((entry.draft.key.tenant, fact) for entry, fact in _change_facts(entries))
    told += ((entry.draft.key.tenant, fact) for entry, fact in _amendment_facts(entries, ids))
    return [record_of(fact, tenant, ids, clock) for tenant, fact in told]


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


def _amendment_facts(entries: Iterable[Entry], ids: Ids) -> Iterator[tuple[Entry, MessagingFact]]:
    for entry in entries:
        draft = entry.draft
        if (action := _AMENDMENTS.get(draft.kind)) is None:
            continue
        key = draft.key.conversation
        yield (
            entry,
            MessagingFact(
                act=ids.uuid7(),
                action=action,
                actor=Actor(kind="principal", id=draft.actor),
                at=draft.sent_at,
                entities=(
                    Entity(kind="conversation", id=str(key)),
                    Entity(kind="message", id=str(draft.message)),
                ),
                runs=(Run(conversation=key, first=entry.seq, last=entry.seq),),
            ),
        )


def _change_facts(entries: Iterable[Entry]) -> Iterator[tuple[Entry, MessagingFact]]:
    for entry in entries:
        draft = entry.draft
        if (action := _CHANGES.get(draft.kind)) is None:
            continue
        conversation = Entity(kind="conversation", id=str(draft.key.conversation))
        people = (Entity(kind="principal", id=str(subject)) for subject in draft.subjects)
        yield (
            entry,
            MessagingFact(
                act=draft.message,
                action=action,
                actor=Actor(kind="principal", id=draft.actor),
                # what is imported was sent long before the act of importing it
                at=draft.sent_at if draft.provenance is None else instant_of(draft.message),
                entities=(conversation, *people),
            ),
        )
