"""What an import is made of: names that follow from its source, the hash that is approved, and its entries.

Pure. An import brings lines of one source (a file, by its SHA-256) into conversations of their own: one for
each channel and day. Its ids are functions of tenant and source, so that importing it again is the same.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, NamedTuple
from uuid import UUID

from libs.evidence.entry import metadata_commitment
from libs.kernel.framing import framed
from libs.kernel.ids import ConversationId, PrincipalId, TenantId
from services.messaging.domain.commitments import metadata_of
from services.messaging.domain.entries import ConversationKey, Draft, Entry
from services.messaging.domain.errors import ImportRefused
from services.messaging.domain.log import Head
from services.messaging.domain.membership import MOST_PARTICIPANTS
from services.messaging.domain.names import named

ACT: Final = "messaging.import"
"""What a request for an import asks to do."""
MOST_LINES: Final = 1000
MOST_BATCHES: Final = 10_000
MOST_PEOPLE: Final = 2_000
MOST_NAME: Final = 200


class Line(NamedTuple):
    """A line of a source, by its number from 1, as it stands there; its time is in UTC."""

    number: int
    date: str
    time: str
    channel: str
    nick: str
    text: str


class Batch(NamedTuple):
    """What is approved of a batch: the hash of its lines, and how many they are."""

    digest: bytes
    lines: int


class Person(NamedTuple):
    """An author of the source who is somebody in the directory."""

    author: PrincipalId
    principal: PrincipalId


class Wanted(NamedTuple):
    """What somebody wants to import: a source by its SHA-256, under a name for people, in batches.

    `people` are the nicks of the source that the directory knows; every other is a name without a person.
    """

    source: bytes
    name: str
    lines: int
    batches: tuple[Batch, ...]
    people: tuple[tuple[str, PrincipalId], ...]


def run_of(tenant: TenantId, source: bytes) -> UUID:
    """Return the id of the import of a source: there is one."""
    return named(b"muniment/import/v1", tenant.bytes, source)


def conversation_of(tenant: TenantId, source: bytes, channel: str, date: str) -> ConversationId:
    """Return the conversation of a channel and day of a source."""
    label = b"muniment/imported-conversation/v1"
    return ConversationId(named(label, tenant.bytes, source, channel.encode(), date.encode()))


def author_of(tenant: TenantId, source: bytes, nick: str) -> PrincipalId:
    """Return the principal that a nick of a source stands for; he can never sign in."""
    return PrincipalId(named(b"muniment/imported-author/v1", tenant.bytes, source, nick.encode()))


def pseudonym_of(author: PrincipalId) -> str:
    """Return the name by which an imported author is shown: it tells two apart, and nobody's nick."""
    shown = author.hex[:8].upper()
    return f"Imported author {shown[:4]}-{shown[4:]}"


def batch_digest(lines: Iterable[Line]) -> bytes:
    """Return the hash (32 bytes) of the lines of a batch, each with its number."""
    hashed = hashlib.sha256(b"muniment/import-batch/v1")
    for line in lines:
        parts = (str(line.number), line.date, line.time, line.channel, line.nick, line.text)
        hashed.update(framed(*(part.encode() for part in parts)))
    return hashed.digest()


def import_digest(tenant: TenantId, wanted: Wanted) -> bytes:
    """Return the hash (32 bytes) of all that an import will do: what is asked for, seen and approved."""
    people = sorted(
        author_of(tenant, wanted.source, nick).bytes + principal.bytes for nick, principal in wanted.people
    )
    parts = (
        tenant.bytes,
        wanted.source,
        str(wanted.lines).encode(),
        framed(*(batch.digest for batch in wanted.batches)),
        framed(*people),
    )
    return hashlib.sha256(framed(b"muniment/import-plan/v1", *parts)).digest()


def decide_wanted(wanted: Wanted) -> Wanted:
    """Return what may be asked for. Raises ImportRefused."""
    if not 0 < len(wanted.batches) <= MOST_BATCHES:
        why = f"it has {len(wanted.batches)} batches; allowed are 1 to {MOST_BATCHES}"
        raise ImportRefused(why)
    if not all(0 < batch.lines <= MOST_LINES for batch in wanted.batches):
        why = f"a batch has 1 to {MOST_LINES} lines"
        raise ImportRefused(why)
    if sum(batch.lines for batch in wanted.batches) != wanted.lines:
        why = "its batches have not as many lines as it says"
        raise ImportRefused(why)
    if len({nick for nick, _ in wanted.people}) != len(wanted.people):
        why = "a name stands for two people"
        raise ImportRefused(why)
    return wanted


class Accepted(NamedTuple):
    """A line that becomes a message, sent at this time."""

    line: Line
    sent_at: datetime


class RefusedLine(NamedTuple):
    """A line that becomes nothing, and why: a sentence without content."""

    number: int
    why: str


def decide_line(line: Line, now: datetime) -> Accepted | RefusedLine:
    """Return what becomes of a line."""
    sent_at = _sent_at_of(line)
    if sent_at is None:
        return RefusedLine(line.number, "its date and time cannot be read")
    if sent_at > now:
        return RefusedLine(line.number, "it lies in the future")
    if not line.channel or not line.nick:
        return RefusedLine(line.number, "it names no channel or nobody who says it")
    if not line.text:
        return RefusedLine(line.number, "it says nothing")
    return Accepted(line, sent_at)


def _sent_at_of(line: Line) -> datetime | None:
    try:
        at = datetime.fromisoformat(f"{line.date}T{line.time or '00:00'}")
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


class Part(NamedTuple):
    """What a batch brings to one conversation, as drafts in their order.

    `opening` begins the conversation, `joining` brings those into it who had not spoken yet; each names
    all authors of this part, and becomes an entry only where it is needed.
    """

    key: ConversationKey
    opening: Draft
    joining: Draft
    messages: tuple[Draft, ...]


@dataclass(slots=True)
class ImportPlan:
    """The entries of a batch, in the order of each conversation, and the lines that found no room."""

    entries: list[Entry] = field(default_factory=list)
    refused: list[RefusedLine] = field(default_factory=list)
    opened: int = 0
    """How many conversations it begins."""


def plan_import(
    parts: Sequence[Part],
    heads: Mapping[ConversationKey, Head],
    present: Mapping[ConversationKey, frozenset[PrincipalId]],
) -> ImportPlan:
    """Decide the entries of a batch under the locked `heads`; `present` are the authors there already.

    A conversation has at most a thousand authors; lines of others are refused.
    """
    plan = ImportPlan()
    for part in parts:
        _plan_part(plan, part, heads[part.key], present.get(part.key, frozenset()))
    return plan


def _plan_part(plan: ImportPlan, part: Part, head: Head, present: frozenset[PrincipalId]) -> None:
    room = MOST_PARTICIPANTS - len(present)
    new = tuple(author for author in part.joining.subjects if author not in present)[:room]
    known = present | set(new)
    seq, version = head
    if seq == 0:
        seq = version = 1
        plan.opened += 1
        plan.entries.append(_entry(part.opening._replace(subjects=new), seq, version))
    elif new:
        seq = version = seq + 1
        plan.entries.append(_entry(part.joining._replace(subjects=new), seq, version))
    for draft in part.messages:
        if draft.actor not in known:
            why = f"its conversation has {MOST_PARTICIPANTS} authors already"
            plan.refused.append(RefusedLine(draft.provenance.line if draft.provenance else 0, why))
            continue
        seq += 1
        plan.entries.append(_entry(draft, seq, version))


def _entry(draft: Draft, seq: int, version: int) -> Entry:
    commitment = metadata_commitment(metadata_of(draft.key, draft, seq), draft.metadata_salt)
    return Entry(draft._replace(members_version=version), seq, version, commitment)
