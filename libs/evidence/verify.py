"""Checks evidence off line: a bundle, log, production or certificate, or a folder of several of them."""

import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID

from libs.evidence.bundle import ACT, CONVERSATION_RANGE, LOG_RANGE
from libs.evidence.canonical import Fields, encoded, parse_json
from libs.evidence.certificate.statement import STATEMENT, parse_statement, paths_of
from libs.evidence.certificate.verify import is_certificate, sentences_of, verify_certificate
from libs.evidence.detail import SALT_BYTES, Detail
from libs.evidence.entry import body_commitment, entry_leaf, place_in
from libs.evidence.errors import EvidenceRefused, LogRefused
from libs.evidence.folder import CHECKPOINT, CHECKPOINTS, DETAILS, TILES, FolderSource
from libs.evidence.leaf import Leaf
from libs.evidence.log import refuse_forks, trusted_checkpoint, verify_log
from libs.evidence.production.manifest import MOST_FILE_BYTES
from libs.evidence.production.verify import is_production, verify_production
from libs.evidence.production.zipped import zip_pieces
from libs.evidence.proofs import (
    included_leaf,
    leaf_of_log,
    proven,
    shown_commit,
    shown_detail,
    shown_metadata,
)
from libs.evidence.runs import CommittedRuns
from libs.evidence.trust import Trust, log_of, origin_of
from libs.evidence.zipping import is_zipped, refuse_other_spelling, unzip, zip_of
from libs.merkle.checkpoint import Checkpoint
from libs.merkle.hashing import HASH_BYTES, leaf_hash
from libs.merkle.verify import verify_consistency, verify_inclusion, verify_range

MOST_BUNDLE_BYTES = 1 << 30
TRUST = "trust.json"
"""Not evidence, but what it is checked by; it may lie in the same folder."""


@dataclass(frozen=True, slots=True)
class Report:
    """What holds: `entries` of the log `origin`, up to its `size` and `root`; `says` in sentences.

    Of a production that no checkpoint is shown for, `size` is 0 and `root` empty. `proved` and `attested`
    count its entries: those that the log proves, and those of which its signature alone speaks.
    """

    kind: str
    origin: str
    size: int
    root: bytes
    entries: int
    says: tuple[str, ...]
    proved: Mapping[str, int] = field(default_factory=dict)
    attested: Mapping[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the report for a program."""
        counted = {"proved": dict(self.proved), "attested": dict(self.attested)}
        classes = counted if self.proved or self.attested else {}
        return {
            "kind": self.kind,
            "origin": self.origin,
            "size": self.size,
            "root": encoded(self.root),
            "entries": self.entries,
            "says": list(self.says),
            **classes,
        }


def verify_path(path: Path, trust: Trust) -> Report:
    """Return what the evidence at `path` shows. Raises EvidenceRefused for what does not hold."""
    if path.is_dir() and not (is_production(path) or is_certificate(path) or _is_log(path)):
        return _verify_several(path, trust)
    return _verify_one(path, trust)[0]


def verify_bundle(data: bytes, trust: Trust) -> Report:
    """Return what the bundle `data` shows. Raises EvidenceRefused for what does not hold."""
    return _verify_bundle(data, trust)[0]


def _verify_bundle(data: bytes, trust: Trust) -> tuple[Report, list[Checkpoint]]:
    fields = Fields(parse_json(data, "bundle"), "bundle")
    version, kind = fields.raw("v"), fields.text("kind")
    judge = _KINDS.get(kind)
    if version != 1 or judge is None:
        raise EvidenceRefused("this is no kind of evidence that is known", "bundle.kind")
    checkpoint = trusted_checkpoint(fields.text("checkpoint").encode(), trust)
    checkpoints = [checkpoint, *_others(fields, checkpoint, trust)]
    entries, sentence = judge(fields, checkpoint, log_of(trust.instance, checkpoint.origin))
    fields.end()
    others = f"It agrees with {len(checkpoints) - 1} further checkpoints."
    says = (sentence, others) if len(checkpoints) > 1 else (sentence,)
    return Report(kind, checkpoint.origin, checkpoint.size, checkpoint.root, entries, says), checkpoints


def _verify_folder(path: Path, trust: Trust, known: Iterable[Checkpoint] = ()) -> Report:
    details = path / DETAILS
    with details.open("rb") if details.is_file() else nullcontext(()) as lines:
        beside = _Details(lines)
        found = verify_log(FolderSource(path), trust, known=known, on_leaf=beside.compare)
        beside.end()
    counted = f"{found.size} entries, {found.tiles} tiles and {found.checkpoints} checkpoints"
    says = [f"All {counted} of {found.origin} hold."]
    if beside.compared:
        says.append(f"The details of {beside.compared} entries are those that were committed.")
    return Report("log", found.origin, found.size, found.root, found.size, tuple(says))


def _verify_production(path: Path, trust: Trust) -> tuple[Report, list[Checkpoint]]:
    found = verify_production(path, trust)
    manifest, checkpoint = found.manifest, found.checkpoint
    counts = manifest.counts
    became = f"{counts.produced} produced, {sum(counts.excluded.values())} excluded, {counts.errors} in error"
    signed = f"Production {manifest.production} is as it was signed"
    says = [f"{signed}: {counts.in_scope} entries in scope, {became}."]
    if found.complete_as_of is not None:
        says.append(
            "Proved: no conversation and no entry of the scope is left out, "
            f"as of {found.complete_as_of.isoformat()}."
        )
    else:
        says.append("Nothing shows whether anything was left out.")
    says.append(f"Proved by the log: {_counted(found.proved)}. Attested alone: {_counted(found.attested)}.")
    origin = origin_of(trust.instance, manifest.tenant) if checkpoint is None else checkpoint.origin
    size, root = (0, b"") if checkpoint is None else (checkpoint.size, checkpoint.root)
    report = Report(
        "production",
        origin,
        size,
        root,
        counts.in_scope,
        tuple(says),
        found.proved,
        found.attested,
    )
    return report, [] if checkpoint is None else [checkpoint]


def _verify_certificate(path: Path, trust: Trust) -> tuple[Report, list[Checkpoint]]:
    found = verify_certificate(path, trust)
    checkpoint, destroyed = found.checkpoint, found.statement.counts.destroyed
    report = Report(
        "certificate",
        checkpoint.origin,
        checkpoint.size,
        checkpoint.root,
        destroyed,
        sentences_of(found),
        {"due": destroyed},
        {"destroyed": destroyed},
    )
    return report, [checkpoint]


def _verify_zipped(path: Path, trust: Trust) -> tuple[Report, list[Checkpoint]]:
    """Check what is one file; it is unpacked for as long as this takes."""
    with tempfile.TemporaryDirectory(prefix="muniment-verify-") as name:
        folder = Path(name)
        unzip(path, folder, MOST_FILE_BYTES)
        if is_production(folder):
            produced = _verify_production(folder, trust)
            refuse_other_spelling(path, zip_pieces(folder))
            return produced
        if not is_certificate(folder):
            raise EvidenceRefused("this is no zipped evidence that is known", path.name)
        found = _verify_certificate(folder, trust)
        paths = paths_of(parse_statement((folder / STATEMENT).read_bytes()))
        refuse_other_spelling(path, zip_of(paths, lambda one: (folder / one).read_bytes()))
        return found


def _counted(classes: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in classes.items()) or "nothing"


class _Details:
    """The details that lie beside a log, compared with its leaves as these pass by."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        """Read `lines` one by one."""
        self._lines = enumerate(lines, 1)
        self._next: tuple[int, Fields] | None = None
        self.compared = 0
        self._runs = CommittedRuns()
        self._advance()

    def compare(self, leaf: Leaf) -> None:
        """Check the detail of a leaf, if it is there. Raises LogRefused when it is another."""
        if self._next is None or self._next[0] != leaf.index:
            return
        _, fields = self._next
        try:
            detail = shown_detail(fields, leaf, fields.where)
            fields.end()
        except EvidenceRefused as refused:
            raise LogRefused(f"entry {leaf.index}: {refused.reason}", fields.where, leaf.index) from None
        self._runs.take(leaf.index, detail)
        self.compared += 1
        self._advance()

    def end(self) -> None:
        """Refuse a detail that belongs to no leaf, or is out of order."""
        if self._next is not None:
            raise EvidenceRefused("the detail belongs to no leaf, or is out of order", self._next[1].where)

    def _advance(self) -> None:
        self._next = None
        for number, line in self._lines:
            fields = Fields(parse_json(line, f"{DETAILS}:{number}"), f"{DETAILS}:{number}")
            self._next = fields.number("index"), fields
            return


def _verify_several(path: Path, trust: Trust) -> Report:
    """Check all evidence of a folder, and that no two of its checkpoints are of a fork.

    Logs come last: each is compared with all checkpoints of it, whatever evidence in the folder has them.
    """
    logs = [
        one
        for one in sorted(path.iterdir())
        if _is_remnant(one) and not (is_production(one) or is_certificate(one))
    ]
    others = [
        one
        for one in sorted(path.iterdir())
        if is_production(one)
        or is_certificate(one)
        or is_zipped(one)
        or (one.suffix == ".json" and one.name != TRUST and one not in logs)
    ]
    reports: list[Report] = []
    checkpoints: list[tuple[str, Checkpoint]] = []
    newest_of_logs = [checkpoint for one in logs for checkpoint in _newest(one, trust)]
    for one in (*others, *logs):
        try:
            known = (*newest_of_logs, *(checkpoint for _, checkpoint in checkpoints))
            report, found = _verify_one(one, trust, known)
        except EvidenceRefused as refused:
            raise replace(refused, where=f"{one.name}: {refused.where}") from None
        reports.append(report)
        checkpoints += [(one.name, checkpoint) for checkpoint in found]
    if not reports:
        raise EvidenceRefused("there is no evidence in this folder", path.name)
    refuse_forks(checkpoints)
    newest = max(reports, key=lambda report: report.size)
    says = tuple(sentence for report in reports for sentence in report.says)
    entries = sum(report.entries for report in reports)
    return Report("folder", newest.origin, newest.size, newest.root, entries, says)


def _is_log(path: Path) -> bool:
    return (path / CHECKPOINT).is_file()


def _is_remnant(path: Path) -> bool:
    """Tell whether a folder has anything of a log: one whose checkpoint is gone is not read over."""
    return path.is_dir() and any((path / name).exists() for name in (CHECKPOINT, CHECKPOINTS, DETAILS, TILES))


def _newest(log: Path, trust: Trust) -> list[Checkpoint]:
    """Return the newest checkpoint of a log in a folder; none where that is refused, as it will be."""
    try:
        return [trusted_checkpoint(FolderSource(log).checkpoint(), trust)]
    except (LookupError, EvidenceRefused):
        return []


def _verify_one(
    path: Path, trust: Trust, known: Iterable[Checkpoint] = ()
) -> tuple[Report, list[Checkpoint]]:
    """Check a production or a log in a folder, or a bundle in a file."""
    if is_zipped(path):
        return _verify_zipped(path, trust)
    if is_production(path):
        return _verify_production(path, trust)
    if is_certificate(path):
        return _verify_certificate(path, trust)
    if not path.is_dir():
        return _verify_bundle(_read(path), trust)
    report = _verify_folder(path, trust, known)
    return report, [Checkpoint(report.origin, report.size, report.root)]


def _others(fields: Fields, checkpoint: Checkpoint, trust: Trust) -> list[Checkpoint]:
    """Check the further checkpoints against the bundle's own."""
    found = []
    for at, value in enumerate(fields.items("others")):
        where = f"others[{at}]"
        members = Fields(value, where)
        other = trusted_checkpoint(members.text("checkpoint").encode(), trust, where)
        proof = members.hashes("proof")
        members.end()
        if other.origin != checkpoint.origin:
            raise EvidenceRefused("the checkpoint is of another log", where)
        first, second = sorted((other, checkpoint), key=lambda each: each.size)
        refuse_forks([(where, first), ("checkpoint", second)])
        proven(
            lambda first=first, second=second, proof=proof: verify_consistency(  # type: ignore[misc]
                first=first.size,
                second=second.size,
                proof=proof,
                first_root=first.root,
                second_root=second.root,
            ),
            where,
        )
        found.append(other)
    return found


def _judge_act(fields: Fields, checkpoint: Checkpoint, log: UUID) -> tuple[int, str]:
    data = fields.text("leaf").encode()
    leaf = included_leaf(data, fields.hashes("proof"), checkpoint, log, "leaf")
    shown = "its detail is not shown"
    if fields.has("detail"):
        detail = shown_detail(fields, leaf, "detail")
        shown = f"{detail.action} ({detail.outcome})"
    return 1, f"Entry {leaf.index} of {checkpoint.origin}, told of by {leaf.source}, is in the log: {shown}."


def _judge_log_range(fields: Fields, checkpoint: Checkpoint, log: UUID) -> tuple[int, str]:
    texts = fields.items("leaves")
    if not texts:
        raise EvidenceRefused("there is no leaf", "leaves")
    datas = [str(text).encode(errors="replace") for text in texts]
    first = leaf_of_log(datas[0], log, "leaves[0]").index
    leaves = {}
    for at, data in enumerate(datas):
        leaf = leaf_of_log(data, log, f"leaves[{at}]")
        if leaf.index != first + at:
            raise EvidenceRefused(
                f"entry {first + at} is missing: entry {leaf.index} stands in its place", f"leaves[{at}]"
            )
        leaves[leaf.index] = leaf
    proof = fields.hashes("proof")
    proven(
        lambda: verify_range(
            leaves=[leaf_hash(data) for data in datas],
            first=first,
            size=checkpoint.size,
            proof=proof,
            root=checkpoint.root,
        ),
        f"entries {first} to {first + len(datas) - 1}",
    )
    _judge_details(fields.items("details"), leaves)
    return len(datas), (
        f"Entries {first} to {first + len(datas) - 1} of {checkpoint.origin} are in the log, none left out."
    )


def _judge_details(values: list[Any], leaves: Mapping[int, Leaf]) -> None:
    for at, value in enumerate(values):
        where = f"details[{at}]"
        members = Fields(value, where)
        index = members.number("index")
        if index not in leaves:
            raise EvidenceRefused("the detail belongs to no leaf that is shown", where)
        shown_detail(members, leaves[index], where)
        members.end()


def _judge_conversation(fields: Fields, checkpoint: Checkpoint, log: UUID) -> tuple[int, str]:
    conversation = fields.uuid("conversation")
    commits = [
        _commit(value, checkpoint, log, f"commits[{at}]") for at, value in enumerate(fields.items("commits"))
    ]
    seqs = [
        _entry(Fields(value, f"entries[{at}]"), commits, conversation, log)
        for at, value in enumerate(fields.items("entries"))
    ]
    if not seqs:
        raise EvidenceRefused("there is no entry", "entries")
    for at, seq in enumerate(seqs):
        if seq != seqs[0] + at:
            raise EvidenceRefused(
                f"entry {seqs[0] + at} of the conversation is missing: {seq} stands in its place",
                f"entries[{at}]",
            )
    row = f"Entries {seqs[0]} to {seqs[-1]} of conversation {conversation}"
    return len(seqs), f"{row} were committed as shown, none left out."


def _commit(value: object, checkpoint: Checkpoint, log: UUID, where: str) -> tuple[Leaf, Detail]:
    fields = Fields(value, where)
    commit = shown_commit(fields, checkpoint, log)
    fields.end()
    return commit


def _entry(fields: Fields, commits: list[tuple[Leaf, Detail]], conversation: UUID, log: UUID) -> int:
    """Check an entry of the conversation, and return its seq."""
    seq, number, path = fields.number("seq"), fields.number("commit"), fields.hashes("path")
    if number >= len(commits):
        raise EvidenceRefused("the commit of the entry is not shown", fields.where)
    leaf, detail = commits[number]
    hashed = entry_leaf(shown_metadata(fields, conversation, seq, log)[0], _body(fields))
    fields.end()
    place, size = place_in(detail.runs, conversation, seq)
    root = leaf.root or b""
    proven(lambda: verify_inclusion(leaf=hashed, index=place, size=size, proof=path, root=root), fields.where)
    return seq


def _body(fields: Fields) -> bytes | None:
    """Return the commitment to an entry's body, None where it has none."""
    if fields.has("body"):
        return body_commitment(fields.base64("body"), fields.hexed("body_salt", SALT_BYTES))
    return fields.hexed("body_commitment", HASH_BYTES) if fields.has("body_commitment") else None


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MOST_BUNDLE_BYTES:
            raise EvidenceRefused("the file is too long", path.name)
        return path.read_bytes()
    except OSError:
        raise EvidenceRefused("the file cannot be read", path.name) from None


_KINDS: Mapping[str, Callable[[Fields, Checkpoint, UUID], tuple[int, str]]] = {
    ACT: _judge_act,
    LOG_RANGE: _judge_log_range,
    CONVERSATION_RANGE: _judge_conversation,
}
