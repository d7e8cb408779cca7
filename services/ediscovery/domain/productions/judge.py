"""What becomes of each entry of a conversation in scope: it is produced, excluded with its reason, or failed.

The reasons are tried in one order: sent outside of the time, no custodian there, destroyed, no match. What
the log can prove comes first. Where there is a query, nothing but messages that match it is produced.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from libs.evidence.bundle import Commit
from libs.evidence.entry import find_member
from libs.evidence.production.manifest import Reason, Scope
from libs.kernel.ids import ConversationId, MessageId, PrincipalId
from services.ediscovery.domain.documents import DocumentKey, document_of, marks_of
from services.ediscovery.domain.oracle import matches
from services.ediscovery.domain.productions.items import (
    Conversation,
    Evidence,
    Excluded,
    Failed,
    Item,
    Kind,
    Produced,
)
from services.ediscovery.domain.productions.sources import BodyState, LoggedEntry, Presence, There
from services.ediscovery.domain.query import Query

MISSING: Final = "missing"
"""The log has no such entry, though it committed to one."""
_KINDS: Final[Mapping[str, Kind]] = {
    "message_created": Kind.MESSAGE,
    "message_revised": Kind.REVISION,
    "message_retracted": Kind.RETRACTION,
    "conversation_created": Kind.CREATED,
    "participants_added": Kind.JOINED,
    "participants_removed": Kind.LEFT,
    "name_changed": Kind.NAMED,
    "topic_changed": Kind.TOPIC,
    "administrators_added": Kind.APPOINTED,
    "administrators_removed": Kind.DISMISSED,
    "history_opened": Kind.HISTORY_OPENED,
    "history_closed": Kind.HISTORY_CLOSED,
    "announcements_begun": Kind.ANNOUNCEMENTS_BEGUN,
    "announcements_ended": Kind.ANNOUNCEMENTS_ENDED,
    "conversation_archived": Kind.ARCHIVED,
    "conversation_reopened": Kind.REOPENED,
}
_BEGINS: Final = "conversation_created"


@dataclass(frozen=True, slots=True)
class Judge:
    """Decides for each entry by the scope and the query (resolved; None asks for everything)."""

    scope: Scope
    query: Query | None

    def items(
        self,
        about: Conversation,
        presence: Presence,
        entries: Sequence[LoggedEntry],
        commits: Mapping[UUID, Commit],
        first: int,
        last: int,
        until: int,
    ) -> Iterator[Item]:
        """Give what becomes of the entries `first` to `last`, of which `entries` are there, in order.

        What entries behind `until` say of them is not said yet: the production does not reach so far.
        """
        found = {entry.seq: entry for entry in entries}
        for seq in range(first, last + 1):
            entry = found.get(seq)
            if entry is None:
                yield Failed(about.id, seq, MISSING)
            else:
                commit = None if entry.commit is None else commits[entry.commit]
                yield self._item(about, presence.at(seq), _as_of(entry, until), commit)

    def _item(self, about: Conversation, there: There, entry: LoggedEntry, commit: Commit | None) -> Item:
        audience = there.with_author(entry.actor)
        if not self.scope.covers(entry.sent_at):
            return Excluded(about.id, entry.seq, Reason.OUTSIDE, evidence=_withheld(entry, commit))
        if self._is_absent(entry, audience):
            return Excluded(about.id, entry.seq, Reason.ABSENT, evidence=_withheld(entry, commit))
        if entry.state is BodyState.DESTROYED:
            evidence = _withheld(entry, commit)
            return Excluded(about.id, entry.seq, Reason.DISPOSED, entry.destroyed_by, evidence)
        if entry.state in (BodyState.NO_KEY, BodyState.UNREADABLE):
            return Failed(about.id, entry.seq, str(entry.state), _withheld(entry, commit))
        member, text = _shown(entry)
        if not self._matches(about, entry, audience, text):
            evidence = _withheld(entry, commit, metadata=not _kind_of(entry).is_said)
            return Excluded(about.id, entry.seq, Reason.QUERY, evidence=evidence)
        return Produced(
            about,
            entry.seq,
            _kind_of(entry),
            entry.message,
            entry.sent_at,
            entry.actor,
            text,
            revision=entry.revision,
            audience=audience.order,
            subjects=entry.subjects,
            evidence=_evidence(entry, commit, member),
            superseded_by=entry.superseded_by,
            retracted_by=entry.retracted_by,
        )

    def _is_absent(self, entry: LoggedEntry, audience: There) -> bool:
        """Tell whether an entry is no custodian's: none was there, none sent it, and it is of none."""
        custodians = self.scope.custodians
        if custodians is None:
            return False
        return not any(each in audience.ids or each in entry.subjects for each in custodians)

    def _matches(self, about: Conversation, entry: LoggedEntry, audience: There, text: bytes | None) -> bool:
        if self.query is None:
            return True
        if not _kind_of(entry).is_said or text is None:
            return False
        document = document_of(
            DocumentKey(ConversationId(about.id), entry.seq),
            MessageId(entry.message),
            entry.sent_at,
            PrincipalId(entry.actor),
            audience.ids,
            text.decode(errors="replace"),
            marks_of(
                edited=entry.revision > 0 or entry.superseded_by is not None,
                deleted=entry.retracted_by is not None,
            ),
        )
        return matches(self.query, document)


def name_of(entries: Sequence[LoggedEntry]) -> str:
    """Return the name of a conversation, which its first entry holds; empty where it has none."""
    for entry in entries:
        if entry.seq == 1 and entry.kind == _BEGINS and entry.body is not None:
            found = find_member(entry.body)
            return found[1] if found is not None and found[0] == "name" else ""
    return ""


def _kind_of(entry: LoggedEntry) -> Kind:
    return _KINDS.get(entry.kind, Kind.OTHER)


def _as_of(entry: LoggedEntry, until: int) -> LoggedEntry:
    """Return an entry without what is said of it behind `until`: whenever it is read, it is the same."""

    def known(seq: int | None) -> int | None:
        return None if seq is None or seq > until else seq

    superseded_by, retracted_by = known(entry.superseded_by), known(entry.retracted_by)
    if (superseded_by, retracted_by) == (entry.superseded_by, entry.retracted_by):
        return entry
    return replace(entry, superseded_by=superseded_by, retracted_by=retracted_by)


def _shown(entry: LoggedEntry) -> tuple[str | None, bytes | None]:
    """Return what a file shows of a body: its one text, with that member's name, or the whole."""
    if entry.body is None:
        return None, None
    found = find_member(entry.body)
    return (None, entry.body) if found is None else (found[0], found[1].encode())


def _evidence(entry: LoggedEntry, commit: Commit | None, member: str | None) -> Evidence | None:
    """Return what proves an entry that is shown."""
    evidence = _withheld(entry, commit)
    if evidence is None or entry.body_salt is None:
        return evidence
    return replace(evidence, body_salt=entry.body_salt, body_commitment=None, body_member=member)


def _withheld(entry: LoggedEntry, commit: Commit | None, *, metadata: bool = True) -> Evidence | None:
    """Return what proves an entry whose body is not shown, with its metadata where they can be."""
    if commit is None:
        return None
    hidden = Evidence(
        commit,
        entry.path,
        metadata_commitment=entry.metadata_commitment,
        body_commitment=entry.body_commitment,
    )
    if not metadata or entry.metadata_salt is None:
        return hidden
    return replace(
        hidden, metadata=entry.metadata, metadata_salt=entry.metadata_salt, metadata_commitment=None
    )
