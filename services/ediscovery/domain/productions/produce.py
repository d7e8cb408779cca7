"""Makes a production: items go in, in order; whole files come out, part by part.

A part is its data files, its list of errors and, last, its segment of the index. A part whose segment is
written is whole; one without is written anew. So a production that was cut off goes on from its segments
(`state_from`), and gives the files that it would have given.
"""

import hashlib
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from uuid import UUID

from libs.evidence.canonical import canonical_line
from libs.evidence.completeness import OpenedHead, head_object
from libs.evidence.entry import body_commitment, body_holding
from libs.evidence.errors import EvidenceRefused
from libs.evidence.production.lines import (
    EntryLine,
    EntryProof,
    RunLine,
    Status,
    commit_line,
    entry_line,
    file_line,
    parse_line,
    reason_of,
    run_line,
)
from libs.evidence.production.manifest import Bates, Counts, FileRef, Format, Reason
from services.ediscovery.domain.productions.eml import EmlDayWriter, EmlWriter
from services.ediscovery.domain.productions.errors import OutOfOrder
from services.ediscovery.domain.productions.items import (
    Evidence,
    Excluded,
    ExcludedRun,
    Failed,
    File,
    Item,
    Numbered,
    Produced,
    text_of,
)
from services.ediscovery.domain.productions.jsonl import JsonlWriter
from services.ediscovery.domain.productions.rsmf import RsmfWriter
from services.ediscovery.domain.productions.writers import Writer

PART_ENTRIES = 1_000
"""A part is closed at so many lines, or where the day of a conversation ends after them."""
PART_BYTES = 8 << 20
"""A part is closed at so many bytes of bodies and proofs."""
MAP_LINES = 2_000

_PATIENCE = 4
"""How many times as long a part may become, so that the day of a conversation stays in one file."""


@dataclass(frozen=True, slots=True)
class State:
    """How far a production is: its whole parts, their numbers, and the last entry in them."""

    segments: tuple[FileRef, ...] = ()
    counts: Counts = field(default_factory=lambda: Counts(0, dict.fromkeys(Reason, 0), 0))
    last: tuple[UUID, int] | None = None


@dataclass(slots=True)
class _Part:
    """The lines of a part so far: of commits and entries, and of errors."""

    commits: dict[bytes, int] = field(default_factory=dict)
    commit_lines: list[bytes] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)
    errors: list[bytes] = field(default_factory=list)
    size: int = 0
    slice: str | None = None


class Producer:
    """Makes a production's files. Its state after a part is `state`; what is not yet whole is not in it."""

    def __init__(
        self,
        writer: Writer,
        bates: Bates | None = None,
        state: State | None = None,
        part_entries: int = PART_ENTRIES,
        part_bytes: int = PART_BYTES,
    ) -> None:
        """Go on from `state`. The same items need the same bounds to give the same files."""
        self._writer = writer
        self._bates = bates
        self._bounds = part_entries, part_bytes
        self.state = state or State()
        self._counts, self._last = self.state.counts, self.state.last
        self._part = _Part()

    def feed(self, item: Item) -> list[File]:
        """Take the next item, and return the files of a part that it closed.

        Raises OutOfOrder for one that does not come after the last; EvidenceRefused where numbers end.
        """
        files = self.flush() if self._is_full(item) else []
        if isinstance(item, Produced) and (word := self._writer.refusal(item)) is not None:
            item = Failed(item.conversation.id, item.seq, word, _without_body(item.evidence, item.body))
        self._follow(item)
        match item:
            case Produced():
                self._produce(item)
            case Excluded(conversation, seq, reason, certificate):
                line = EntryLine(conversation, seq, Status.EXCLUDED, str(reason), certificate)
                self._exclude(reason, 1)
                self._append(line, item.evidence)
            case ExcludedRun(conversation, first, last, reason):
                self._exclude(reason, last - first + 1)
                self._part.lines.append(run_line(RunLine(conversation, first, last, reason)))
            case Failed(conversation, seq, reason):
                self._fail(conversation, seq, reason, item.evidence)
        return files

    def flush(self) -> list[File]:
        """Return the files of the part that is begun, its segment last; none where nothing is begun."""
        part, number = self._part, self._number
        if not part.lines:
            return []
        files = self._writer.close()
        if part.errors:
            files.append(File(f"errors/{number:06}.jsonl", b"".join(part.errors)))
        refs = [file_line(ref_of(file)) for file in files]
        segment = File(f"index/{number:06}.jsonl", b"".join([*refs, *part.commit_lines, *part.lines]))
        self.state = State((*self.state.segments, ref_of(segment)), self._counts, self._last)
        self._part = _Part()
        return [*files, segment]

    @property
    def _number(self) -> int:
        return len(self.state.segments) + 1

    def _is_full(self, item: Item) -> bool:
        part, (entries, size) = self._part, self._bounds
        if len(part.lines) < entries and part.size < size:
            return False
        patient = len(part.lines) < _PATIENCE * entries and part.size < _PATIENCE * size
        ours = self._writer.slice_of(item) if isinstance(item, Produced) else None
        return not (patient and ours is not None and ours == part.slice)

    def _follow(self, item: Item) -> None:
        """Refuse an item that does not come after the last one."""
        match item:
            case Produced():
                first = last = (item.conversation.id, item.seq)
            case ExcludedRun():
                first, last = (item.conversation, item.first), (item.conversation, item.last)
            case _:
                first = last = (item.conversation, item.seq)
        if last < first or (self._last is not None and first <= self._last):
            raise OutOfOrder(*first)
        self._last = last

    def _produce(self, item: Produced) -> None:
        bates = self._numbers(item)
        path = self._writer.add(Numbered(item, bates), self._number)
        line = EntryLine(
            item.conversation.id,
            item.seq,
            Status.PRODUCED,
            file=path,
            bates=bates,
            redacted=item.redacted,
        )
        counts = self._counts
        redacted = counts.redacted + item.redacted
        self._counts = replace(self._counts, produced=counts.produced + 1, redacted=redacted)
        self._part.size += len(item.body or b"")
        self._part.slice = self._writer.slice_of(item)
        self._append(line, item.evidence)

    def _exclude(self, reason: Reason, number: int) -> None:
        excluded = {**self._counts.excluded, reason: self._counts.excluded[reason] + number}
        self._counts = replace(self._counts, excluded=excluded)

    def _fail(self, conversation: UUID, seq: int, reason: str, evidence: Evidence | None) -> None:
        self._counts = replace(self._counts, errors=self._counts.errors + 1)
        members = {"conversation": str(conversation), "seq": str(seq), "reason": reason}
        self._part.errors.append(canonical_line(members) + b"\n")
        self._append(EntryLine(conversation, seq, Status.ERROR, reason), evidence)

    def _numbers(self, item: Produced) -> tuple[str, str] | None:
        """Return the first and the last page number of an entry, and count its pages."""
        if self._bates is None:
            return None
        first = self._bates.start + self._counts.pages
        pages = 1
        if self._bates.page_characters is not None:
            length = len(text_of(item.body) or item.body or b"")
            pages = max(1, -(-length // self._bates.page_characters))
        self._counts = replace(self._counts, pages=self._counts.pages + pages)
        return self._bates.label(first), self._bates.label(first + pages - 1)

    def _append(self, line: EntryLine, evidence: Evidence | None) -> None:
        data = entry_line(line, None if evidence is None else self._proof(evidence))
        self._part.lines.append(data)
        self._part.size += len(data)

    def _proof(self, evidence: Evidence) -> EntryProof:
        """Return the proof of an entry in this part, and the line of its commit if it is the first of it."""
        part, leaf = self._part, evidence.commit.leaf
        if leaf not in part.commits:
            part.commits[leaf] = len(part.commits)
            part.commit_lines.append(commit_line(part.commits[leaf], evidence.commit))
            part.size += len(part.commit_lines[-1])
        return EntryProof(
            part.commits[leaf],
            evidence.path,
            metadata=evidence.metadata,
            metadata_salt=evidence.metadata_salt,
            metadata_commitment=evidence.metadata_commitment,
            body_salt=evidence.body_salt,
            body_commitment=evidence.body_commitment,
            body_member=evidence.body_member,
        )


def writer_of(form: Format, domain: str, custodians: Iterable[UUID] = ()) -> Writer:
    """Return the writer of a format; `domain` is the host name of ids and missing addresses."""
    match form:
        case Format.JSONL:
            return JsonlWriter()
        case Format.EML:
            return EmlWriter(domain)
        case Format.EML_DAY:
            return EmlDayWriter(domain)
        case Format.RSMF:
            return RsmfWriter(domain, custodians)


def state_from(segments: Iterable[File], bates: Bates | None = None) -> State:
    """Return the state after the segments of whole parts, in their order. Raises EvidenceRefused."""
    state = State()
    for number, segment in enumerate(segments, 1):
        if segment.path != f"index/{number:06}.jsonl":
            raise EvidenceRefused("a segment is missing", segment.path)
        counts, last = state.counts, state.last
        for at, data in enumerate(segment.data.split(b"\n")[:-1], 1):
            line = parse_line(data, f"{segment.path}:{at}")
            match line:
                case EntryLine():
                    counts, last = _counted(counts, line, bates), (line.conversation, line.seq)
                case RunLine():
                    counts = _with(counts, line.reason, line.last - line.first + 1)
                    last = (line.conversation, line.last)
        state = State((*state.segments, ref_of(segment)), counts, last)
    return state


def map_files(heads: Iterable[OpenedHead]) -> Iterator[File]:
    """Give the files of the conversations that the log committed to, in the order of their ids."""
    rest = iter(heads)
    number = 1
    while of_file := list(itertools.islice(rest, MAP_LINES)):
        yield map_file(number, of_file)
        number += 1


def map_file(number: int, heads: Iterable[OpenedHead]) -> File:
    """Return the file `number`, from 1, of at most MAP_LINES conversations."""
    lines = b"".join(canonical_line(head_object(head)) + b"\n" for head in heads)
    return File(f"map/{number:06}.jsonl", lines)


def ref_of(file: File) -> FileRef:
    """Return a file by its path, its hash and its size."""
    return FileRef(file.path, hashlib.sha256(file.data).digest(), len(file.data))


def _counted(counts: Counts, line: EntryLine, bates: Bates | None) -> Counts:
    match line.status:
        case Status.EXCLUDED:
            return _with(counts, reason_of(line.reason, "reason"), 1)
        case Status.ERROR:
            return replace(counts, errors=counts.errors + 1)
        case Status.PRODUCED:
            pages = counts.pages
            if bates is not None and line.bates is not None:
                pages = bates.number(line.bates[1]) + 1 - bates.start
            redacted = counts.redacted + line.redacted
            return replace(counts, produced=counts.produced + 1, redacted=redacted, pages=pages)


def _with(counts: Counts, reason: Reason, number: int) -> Counts:
    return replace(counts, excluded={**counts.excluded, reason: counts.excluded[reason] + number})


def _without_body(evidence: Evidence | None, body: bytes | None) -> Evidence | None:
    """Return the evidence of an entry whose body is not shown: its commitment stands in its place."""
    if evidence is None or evidence.body_salt is None or body is None:
        return evidence
    whole = body if evidence.body_member is None else body_holding(evidence.body_member, body.decode())
    commitment = body_commitment(whole, evidence.body_salt)
    return replace(evidence, body_salt=None, body_member=None, body_commitment=commitment)
