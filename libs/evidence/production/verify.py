"""Checks a production off line: its signature, every file, every entry, and that nothing was left out.

What a proof shows and what is only said, under the signature, are counted apart. Files are read one by one,
and lines once: neither the number of entries nor that of conversations is held in memory.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from libs.evidence.canonical import Fields, parse_json
from libs.evidence.completeness import CONVERSATIONS_COMMITTED, OpenedHead, is_participant, parse_head
from libs.evidence.detail import SALT_BYTES, Detail, detail_commitment
from libs.evidence.entry import BODY_MEMBERS, body_commitment, body_holding, entry_leaf, place_in
from libs.evidence.errors import EvidenceRefused
from libs.evidence.leaf import Leaf
from libs.evidence.log import trusted_checkpoint
from libs.evidence.production.lines import CommitLine, EntryLine, Line, RunLine, Status, parse_line, reason_of
from libs.evidence.production.manifest import (
    MANIFEST,
    MOST_FILE_BYTES,
    NOTE,
    Bates,
    Completeness,
    Counts,
    FileRef,
    Manifest,
    Reason,
    note_text,
    parse_instant,
    parse_manifest,
    productions_origin,
)
from libs.evidence.production.readback import ReadBack, read_back
from libs.evidence.proofs import included_leaf, proven, shown_commit, shown_metadata
from libs.evidence.runs import ENTRIES_COMMITTED
from libs.evidence.trust import PRODUCTIONS, Trust, origin_of
from libs.merkle.checkpoint import Checkpoint
from libs.merkle.compact_range import CompactRange
from libs.merkle.errors import NoteRefused
from libs.merkle.hashing import HASH_BYTES
from libs.merkle.note import Note, key_id_of, parse_note, verify_note
from libs.merkle.verify import verify_inclusion

TRUST = "trust.json"
"""Not of the production, but what it is checked by; it may lie in the same folder."""

_BRINGS_IN = (1, 2)
"""Kinds of entries, whose numbers never change their meaning: created, participants were added."""
_TAKES_OUT = 3
"""Participants were removed."""

Commit = tuple[Leaf, Detail]
Key = tuple[UUID, int]


@dataclass(frozen=True, slots=True)
class ProductionFound:
    """What holds of a production.

    `proved` and `attested` count entries: those of which a proof leads to the log, and those of which the
    signature alone speaks. `complete_as_of` is the time of the leaf that shows that no conversation and no
    entry of the scope is left out, None where nothing shows it.
    """

    manifest: Manifest
    digest: bytes
    checkpoint: Checkpoint | None
    proved: Mapping[str, int]
    attested: Mapping[str, int]
    complete_as_of: datetime | None


class _Facts(NamedTuple):
    """What an entry's metadata say of it."""

    sent_at: datetime
    actor: UUID
    kind: int
    subjects: frozenset[UUID]


class _Proven(NamedTuple):
    """What is proved of an entry: whether it has a body, and its metadata where they are shown."""

    has_body: bool
    facts: _Facts | None


def is_production(path: Path) -> bool:
    """Tell whether a folder is, or claims to be, a production."""
    return path.is_dir() and ((path / NOTE).is_file() or (path / MANIFEST).is_file())


def verify_production(folder: Path, trust: Trust) -> ProductionFound:
    """Return what the production in `folder` shows. Raises EvidenceRefused for what does not hold."""
    data = _bounded(folder, MANIFEST)
    manifest = parse_manifest(data)
    _verify_note(_bounded(folder, NOTE), manifest, data, trust)
    checkpoint = None
    if manifest.checkpoint is not None:
        checkpoint = trusted_checkpoint(manifest.checkpoint, trust, f"{MANIFEST}.checkpoint")
        if checkpoint.origin != origin_of(trust.instance, manifest.tenant):
            raise EvidenceRefused("the checkpoint is of another log", f"{MANIFEST}.checkpoint")
    walk = _Walk(folder, manifest, checkpoint)
    walk.run()
    return ProductionFound(
        manifest,
        hashlib.sha256(data).digest(),
        checkpoint,
        dict(sorted(walk.proved.items())),
        dict(sorted(walk.attested.items())),
        walk.expected.as_of,
    )


class _Expected:
    """Which entries must be there: those of the conversations that the log committed to, where it is shown.

    Without that, entries must be in order, and nothing can be missed.
    """

    def __init__(self, folder: Path, manifest: Manifest, checkpoint: Checkpoint | None) -> None:
        """Read the claim of `manifest`."""
        self._folder, self._manifest, self._checkpoint = folder, manifest, checkpoint
        names = manifest.scope.conversations
        self._named = None if names is None else frozenset(names)
        self._heads = self._in_scope()
        self._head: OpenedHead | None = None
        self._last: Key | None = None
        self.as_of: datetime | None = None
        self.files = 0

    def take(self, conversation: UUID, first: int, last: int, where: str) -> None:
        """Check that entries `first` to `last` are the next ones."""
        if self._last is not None and (conversation, first) <= self._last:
            raise EvidenceRefused(f"entry {first} of conversation {conversation} is out of order", where)
        new = self._last is None or self._last[0] != conversation
        if self._manifest.completeness is not None:
            if new:
                self._begin(conversation, where)
            next_seq = 1 if new or self._last is None else self._last[1] + 1
            if first != next_seq:
                raise EvidenceRefused(
                    f"entry {next_seq} of conversation {conversation} is left out: {first} is in its place",
                    where,
                )
            if self._head is not None and last > self._head.head.last_seq:
                raise EvidenceRefused(
                    f"conversation {conversation} had {self._head.head.last_seq} entries, not {last}", where
                )
        self._last = conversation, last

    def end(self) -> None:
        """Check that nothing is left that must be there."""
        if self._manifest.completeness is not None:
            self._end_conversation()
            left = next(self._heads, None)
            if left is not None:
                raise _left_out(left.head.conversation)

    def _begin(self, conversation: UUID, where: str) -> None:
        self._end_conversation()
        self._head = next(self._heads, None)
        if self._head is not None and self._head.head.conversation < conversation:
            raise _left_out(self._head.head.conversation)
        if self._head is None or self._head.head.conversation != conversation:
            raise EvidenceRefused(f"conversation {conversation} is not in the scope", where)

    def _end_conversation(self) -> None:
        if self._head is None or self._last is None:
            return
        conversation, last_seq = self._head.head.conversation, self._head.head.last_seq
        if self._last != (conversation, last_seq):
            raise EvidenceRefused(
                f"entries {self._last[1] + 1} to {last_seq} of conversation {conversation} are left out",
                f"conversation {conversation}",
            )

    def _in_scope(self) -> Iterator[OpenedHead]:
        """Give the conversations in scope that have entries, and check all that are shown on the way."""
        claim, checkpoint = self._manifest.completeness, self._checkpoint
        if claim is None or checkpoint is None:
            return
        leaf = self._leaf_of(claim, checkpoint)
        root = leaf.root or b""
        named = None if self._named is None else set(self._named)
        grown, before = CompactRange(), None
        for where, opened in self._shown(claim):
            head = opened.head
            if before is not None and head.conversation <= before:
                raise EvidenceRefused("the conversations are not in order", where)
            before = head.conversation
            if named is None:
                grown.append(head.hashed())
            else:
                named.discard(head.conversation)
                _verify_named(opened, claim.detail.count, root, where)
            if self._covers(opened, where) and head.last_seq:
                yield opened
        if named:
            raise EvidenceRefused("a conversation of the scope is not shown", "map")
        if named is None and (grown.size, grown.root()) != (claim.detail.count, root):
            raise EvidenceRefused(
                "these are not the conversations that the log committed to: some are left out, or added",
                "map",
            )
        self.as_of = leaf.at

    def _leaf_of(self, claim: Completeness, checkpoint: Checkpoint) -> Leaf:
        where = f"{MANIFEST}.completeness"
        leaf = included_leaf(claim.leaf, list(claim.proof), checkpoint, self._manifest.tenant, where)
        if detail_commitment(claim.detail, claim.salt) != leaf.detail:
            raise EvidenceRefused("the detail is not the one that the leaf commits to", where)
        committed = claim.detail.action == CONVERSATIONS_COMMITTED and leaf.source == "messaging"
        if leaf.root is None or not committed:
            raise EvidenceRefused("the leaf commits to no conversations", where)
        return leaf

    def _shown(self, claim: Completeness) -> Iterator[tuple[str, OpenedHead]]:
        for number, ref in enumerate(claim.segments, 1):
            if ref.path != f"map/{number:06}.jsonl":
                raise EvidenceRefused("a segment of the map is missing", ref.path)
            self.files += 1
            for where, line in _lines(ref.path, _read(self._folder, ref)):
                yield where, parse_head(parse_json(line, where), where)

    def _covers(self, opened: OpenedHead, where: str) -> bool:
        """Tell whether a conversation is in scope, by its name and by who took part in it."""
        scope = self._manifest.scope
        if self._named is not None and opened.head.conversation not in self._named:
            return False
        if scope.custodians is None:
            return True
        tree, salt = opened.tree, opened.salt
        if tree is None or salt is None or len(opened.custodians) != len(scope.custodians):
            raise EvidenceRefused("whether the custodians took part is not shown", where)
        if tree.commitment() != opened.head.participants:
            raise EvidenceRefused("the participants are not those that the log committed to", where)
        members = [
            is_participant(each, salt, tree, shown, where)
            for each, shown in zip(scope.custodians, opened.custodians, strict=True)
        ]
        return any(members)


class _Presence:
    """Which custodians were there, entry by entry, as long as every change of the membership is proved."""

    def __init__(self, custodians: tuple[UUID, ...] | None) -> None:
        """Follow `custodians`, None where the scope names none."""
        self._custodians = frozenset(custodians or ())
        self._named = custodians is not None
        self._at: Key | None = None
        self._there: frozenset[UUID] | None = None

    def meet(
        self, conversation: UUID, first: int, last: int, proof: _Proven | None
    ) -> frozenset[UUID] | None:
        """Return who of them was there before entries `first` to `last`, None where that is not proved."""
        if first == 1:
            self._there = frozenset()
        elif self._at != (conversation, first - 1):
            self._there = None
        self._at, before = (conversation, last), self._there
        if before is not None:
            self._there = self._after(before, proof, first)
        return before if self._named else None

    def _after(self, before: frozenset[UUID], proof: _Proven | None, seq: int) -> frozenset[UUID] | None:
        """Return who is there after an entry.

        What has a body is a message, and changes no membership; but for the first, whose body may be the
        conversation's name.
        """
        if proof is None:
            return None
        if proof.facts is None:
            return before if proof.has_body and seq > 1 else None
        ours = proof.facts.subjects & self._custodians
        if proof.facts.kind in _BRINGS_IN:
            return before | ours
        return before - ours if proof.facts.kind == _TAKES_OUT else before


class _Walk:
    """One walk along the segments of a production."""

    def __init__(self, folder: Path, manifest: Manifest, checkpoint: Checkpoint | None) -> None:
        """Begin before the first entry."""
        self._folder, self._manifest, self._checkpoint = folder, manifest, checkpoint
        self.expected = _Expected(folder, manifest, checkpoint)
        self._presence = _Presence(manifest.scope.custodians)
        self.proved: Counter[str] = Counter()
        self.attested: Counter[str] = Counter()
        self._excluded: Counter[Reason] = Counter()
        self._statuses: Counter[Status] = Counter()
        self._redacted = self._pages = self._files = 0
        self._commits: dict[int, Commit] = {}
        self._shown: dict[str, dict[Key, ReadBack]] = {}
        self._paths: set[str] = set()
        self._errors: Iterator[tuple[UUID, int, str]] = iter(())

    def run(self) -> None:
        """Check everything."""
        for number, ref in enumerate(self._manifest.segments, 1):
            if ref.path != f"index/{number:06}.jsonl":
                raise EvidenceRefused("a segment is missing", ref.path)
            self._pass_segment(number, ref)
        self.expected.end()
        counts = Counts(
            self._statuses[Status.PRODUCED],
            {reason: self._excluded[reason] for reason in Reason},
            self._statuses[Status.ERROR],
            self._redacted,
            self._pages,
        )
        if counts != self._manifest.counts:
            raise EvidenceRefused("the counts are not those of the entries", f"{MANIFEST}.counts")
        self._refuse_more_files()

    def _pass_segment(self, number: int, ref: FileRef) -> None:
        self._commits, self._shown, self._errors = {}, {}, iter(())
        self._paths.clear()
        self._files += 1
        for where, data in _lines(ref.path, _read(self._folder, ref)):
            self._pass_line(parse_line(data, where), number, where)
        if next(self._errors, None) is not None:
            raise EvidenceRefused("the list of errors names more entries than the index", ref.path)
        for path, rest in self._shown.items():
            if rest:
                raise EvidenceRefused("the file shows an entry that the index does not name", path)

    def _pass_line(self, line: Line, number: int, where: str) -> None:
        match line:
            case FileRef():
                if not _is_of(line.path, number) or line.path in self._paths:
                    raise EvidenceRefused("the file is of another segment, or named twice", where)
                self._paths.add(line.path)
                self._pass_file(line)
            case CommitLine():
                self._pass_commit(line)
            case RunLine():
                self.expected.take(line.conversation, line.first, line.last, where)
                self._presence.meet(line.conversation, line.first, line.last, None)
                self._excluded[line.reason] += line.last - line.first + 1
                self.attested[line.reason] += line.last - line.first + 1
            case EntryLine():
                self.expected.take(line.conversation, line.seq, line.seq, where)
                self._pass_entry(line, where)

    def _pass_file(self, ref: FileRef) -> None:
        data = _read(self._folder, ref)
        self._files += 1
        if not ref.path.startswith("data/"):
            self._errors = _errors_in(ref.path, data)
            return
        shown: dict[Key, ReadBack] = {}
        before: Key | None = None
        for entry in read_back(self._manifest.format, data, ref.path):
            key = entry.conversation, entry.seq
            if before is not None and key <= before:
                raise EvidenceRefused(f"entry {entry.seq} is out of order in its file", ref.path)
            shown[key] = entry
            before = key
        self._shown[ref.path] = shown

    def _pass_commit(self, line: CommitLine) -> None:
        if self._checkpoint is None:
            raise EvidenceRefused("a commit is shown without a checkpoint", line.shown.where)
        commit = shown_commit(line.shown, self._checkpoint, self._manifest.tenant)
        line.shown.end()
        if commit[1].action != ENTRIES_COMMITTED or line.number in self._commits:
            raise EvidenceRefused("the leaf is of no commit of messages, or shown twice", line.shown.where)
        self._commits[line.number] = commit

    def _pass_entry(self, line: EntryLine, where: str) -> None:
        self._statuses[line.status] += 1
        shown = self._shown_of(line, where) if line.status is Status.PRODUCED else None
        proof = self._proof(line, shown, where)
        facts = None if proof is None else proof.facts
        there = self._presence.meet(line.conversation, line.seq, line.seq, proof)
        if shown is not None:
            self._judge_produced(line, shown, facts, where)
        elif line.status is Status.EXCLUDED:
            self._judge_excluded(line, facts, there, where)
        else:
            self._judge_error(line, where)

    def _shown_of(self, line: EntryLine, where: str) -> ReadBack:
        """Return what the file of a produced entry shows of it."""
        shown = self._shown.get(line.file or "", {}).pop((line.conversation, line.seq), None)
        if shown is None:
            raise EvidenceRefused("the entry is not in the file that is named", where)
        return shown

    def _judge_produced(self, line: EntryLine, shown: ReadBack, facts: _Facts | None, where: str) -> None:
        self._number(line, where)
        self._redacted += line.redacted
        if facts is not None:
            if (facts.sent_at, facts.actor) != (shown.sent_at, shown.sender):
                raise EvidenceRefused("the file shows another sender or time than was committed", where)
            if shown.body is not None and not self._manifest.scope.covers(facts.sent_at):
                raise EvidenceRefused("the entry is produced, and is outside of the scope", where)
        if line.redacted:
            self.attested["redacted"] += 1
        else:
            (self.attested if facts is None else self.proved)["produced"] += 1

    def _judge_excluded(
        self, line: EntryLine, facts: _Facts | None, there: frozenset[UUID] | None, where: str
    ) -> None:
        """Check the reasons that metadata prove: when an entry was sent, and who was there."""
        reason = reason_of(line.reason, where)
        self._excluded[reason] += 1
        proved = False
        if reason is Reason.OUTSIDE and facts is not None:
            proved = True
            if self._manifest.scope.covers(facts.sent_at):
                raise EvidenceRefused("the entry is excluded as outside of the scope, and is within", where)
        if reason is Reason.ABSENT and facts is not None and there is not None:
            proved = True
            if there or facts.actor in (self._manifest.scope.custodians or ()):
                raise EvidenceRefused("the entry is excluded as no custodian's, and one was there", where)
        (self.proved if proved else self.attested)[reason] += 1

    def _judge_error(self, line: EntryLine, where: str) -> None:
        """Check that the list of errors has the entry next."""
        if next(self._errors, None) != (line.conversation, line.seq, line.reason):
            raise EvidenceRefused("the list of errors does not name the entry", where)
        self.attested["error"] += 1

    def _number(self, line: EntryLine, where: str) -> None:
        """Check that page numbers go on without a gap."""
        bates: Bates | None = self._manifest.bates
        if (bates is None) != (line.bates is None):
            raise EvidenceRefused("the entry has no number, or one too many", where)
        if bates is not None and line.bates is not None:
            first, last = (bates.number(label) for label in line.bates)
            if first != bates.start + self._pages or last < first:
                raise EvidenceRefused("the numbers do not go on", where)
            self._pages += last - first + 1

    def _proof(self, line: EntryLine, shown: ReadBack | None, where: str) -> _Proven | None:
        """Return what is proved of an entry, when it has a proof that leads to the log."""
        fields = line.proof
        if fields is None:
            return None
        number, path = fields.number("commit"), fields.hashes("path")
        if number not in self._commits:
            raise EvidenceRefused("the commit of the entry is not shown", where)
        leaf, detail = self._commits[number]
        commitment, metadata = shown_metadata(fields, line.conversation, line.seq, self._manifest.tenant)
        body = _body(fields, line, shown)
        hashed = entry_leaf(commitment, body)
        fields.end()
        place, size = place_in(detail.runs, line.conversation, line.seq)
        root = leaf.root or b""
        proven(lambda: verify_inclusion(leaf=hashed, index=place, size=size, proof=path, root=root), where)
        return _Proven(body is not None, None if metadata is None else _facts_in(metadata, where))

    def _refuse_more_files(self) -> None:
        """Refuse files that nothing names: named ones were all there, each once."""
        aside = (MANIFEST, NOTE, TRUST)
        there = sum(
            1
            for path in self._folder.rglob("*")
            if not path.is_dir() and not (path.parent == self._folder and path.name in aside)
        )
        if there != self._files + self.expected.files:
            raise EvidenceRefused("there are files that the production does not name", self._folder.name)


def _is_of(path: str, number: int) -> bool:
    """Tell whether a file is of the segment with this number, so that no other one can name it too."""
    own = (f"data/{number:06}.jsonl", f"errors/{number:06}.jsonl")
    return path in own or path.startswith(f"data/{number:06}/")


def _body(fields: Fields, line: EntryLine, shown: ReadBack | None) -> bytes | None:
    """Return the commitment to an entry's body: of the one in its file, unless that is redacted."""
    if fields.has("body_salt"):
        if shown is None or shown.body is None:
            raise EvidenceRefused("the body is not shown", fields.where)
        return body_commitment(_committed(shown.body, fields), fields.hexed("body_salt", SALT_BYTES))
    commitment = fields.hexed("body_commitment", HASH_BYTES) if fields.has("body_commitment") else None
    if shown is not None and not line.redacted and (shown.body is not None or commitment is not None):
        raise EvidenceRefused("the body is shown and not proved, or proved and not shown", fields.where)
    return commitment


def _committed(shown: bytes, fields: Fields) -> bytes:
    """Return the body that was committed to, of which the file shows the text alone or the whole."""
    if not fields.has("body_member"):
        return shown
    member = fields.text("body_member")
    try:
        text = shown.decode()
    except UnicodeDecodeError:
        text = None
    if member not in BODY_MEMBERS or text is None:
        raise EvidenceRefused("the body has no such member, or its text is none", fields.where)
    return body_holding(member, text)


def _facts_in(metadata: bytes, where: str) -> _Facts:
    fields = Fields(parse_json(metadata, where), where)
    kind, subjects = fields.raw("kind"), fields.items("subjects")
    if not isinstance(kind, int):
        raise EvidenceRefused("the kind of the entry is missing", where)
    return _Facts(
        parse_instant(fields.text("sent_at"), where),
        fields.uuid("actor"),
        kind,
        frozenset(Fields({"subject": each}, where).uuid("subject") for each in subjects),
    )


def _errors_in(path: str, data: bytes) -> Iterator[tuple[UUID, int, str]]:
    """Give the entries that a list of errors names."""
    for where, line in _lines(path, data):
        fields = Fields(parse_json(line, where), where)
        yield fields.uuid("conversation"), fields.number("seq"), fields.text("reason")
        fields.end()


def _verify_named(opened: OpenedHead, count: int, root: bytes, where: str) -> None:
    """Check that a conversation that was named stands in the map."""
    index = opened.index
    if index is None:
        raise EvidenceRefused("the place of the conversation is not shown", where)
    proven(
        lambda: verify_inclusion(
            leaf=opened.head.hashed(), index=index, size=count, proof=opened.proof, root=root
        ),
        where,
    )


def _verify_note(data: bytes, manifest: Manifest, content: bytes, trust: Trust) -> None:
    """Check that a key for productions, in its time, signed exactly this manifest."""
    origin = productions_origin(trust.instance, manifest.tenant)
    note = _note(data)
    try:
        signed = verify_note(note, trust.verifiers(origin, PRODUCTIONS))
    except NoteRefused as refused:
        raise EvidenceRefused(refused.reason, NOTE) from None
    if note.text != note_text(trust.instance, manifest, content):
        raise EvidenceRefused("the signature is of another manifest", NOTE)
    ids = {signature.key_id for signature in signed}
    keys = [key for key in trust.keys if key.use == PRODUCTIONS and key_id_of(origin, key.public) in ids]
    if not any(
        key.not_before <= manifest.made_at and (key.not_after is None or manifest.made_at < key.not_after)
        for key in keys
    ):
        raise EvidenceRefused("the key that signed was not in use when the production was made", NOTE)


def _note(data: bytes) -> Note:
    try:
        return parse_note(data)
    except NoteRefused as refused:
        raise EvidenceRefused(refused.reason, NOTE) from None


def _lines(path: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    """Give each line of a segment, and where it stands."""
    *lines, rest = data.split(b"\n")
    if rest:
        raise EvidenceRefused("the last line is not whole", path)
    for number, line in enumerate(lines, 1):
        yield f"{path}:{number}", line


def _read(folder: Path, ref: FileRef) -> bytes:
    """Return the bytes of a file, when they are those that were signed."""
    path = folder / ref.path
    try:
        if path.is_symlink() or path.stat().st_size != ref.size:
            raise EvidenceRefused("the file does not have the size that was signed", ref.path)
        data = path.read_bytes()
    except OSError:
        raise EvidenceRefused("the file is missing", ref.path) from None
    if hashlib.sha256(data).digest() != ref.sha256:
        raise EvidenceRefused("the file is not the one that was signed", ref.path)
    return data


def _bounded(folder: Path, name: str) -> bytes:
    path = folder / name
    try:
        if path.stat().st_size > MOST_FILE_BYTES:
            raise EvidenceRefused("the file is too long", name)
        return path.read_bytes()
    except OSError:
        raise EvidenceRefused("the file is missing", name) from None


def _left_out(conversation: UUID) -> EvidenceRefused:
    return EvidenceRefused(
        f"conversation {conversation} is in the scope and left out", f"conversation {conversation}"
    )
