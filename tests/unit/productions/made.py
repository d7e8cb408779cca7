"""A tenant's conversations, the log that proves them, and productions of them, for tests that then tamper."""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from libs.evidence.bundle import Commit
from libs.evidence.canonical import canonical
from libs.evidence.completeness import (
    CONVERSATIONS_COMMITTED,
    ConversationHead,
    OpenedHead,
    map_root,
    membership_of,
    participants_tree,
)
from libs.evidence.detail import Actor, Detail, Run
from libs.evidence.entry import body_commitment, entry_leaf, metadata_commitment
from libs.evidence.production.folder import ProductionFolder
from libs.evidence.production.manifest import (
    Bates,
    Completeness,
    Format,
    Manifest,
    Reason,
    Scope,
    instant_text,
    sign_manifest,
)
from libs.evidence.trust import Trust, TrustedKey
from libs.merkle.hashing import leaf_hash
from libs.merkle.tree import inclusion_proof, inclusion_proofs, root_of
from services.ediscovery.domain.productions.items import (
    Conversation,
    Evidence,
    Excluded,
    File,
    Item,
    Kind,
    Person,
    Produced,
)
from services.ediscovery.domain.productions.produce import Producer, State, map_files, ref_of, writer_of
from tests.unit.evidence.logs import INSTANCE, KEY, SALT, START, TENANT, TRUST, leaf_at, note_of

PRODUCTION = UUID("0190a1b2-0000-7000-8000-00000000000f")
DOMAIN = "acme.example"
SIGNED = Trust(
    INSTANCE,
    (
        *TRUST.keys,
        TrustedKey("p1", "productions", "ed25519", KEY.public_key().public_bytes_raw(), START, None),
    ),
)
PEOPLE = tuple(
    Person(UUID(int=number), f"Person {number}", f"p{number}@acme.example") for number in (1, 2, 3, 4)
)
KINDS = {Kind.CREATED: 1, Kind.JOINED: 2, Kind.LEFT: 3, Kind.MESSAGE: 4}
ODD = (
    "",
    "\0 nul",
    "a\r\nb\rc\n",
    "\u202eRTL\u202d",
    "þ\x14þ ®",
    "👩‍👩‍👧 é é",
    "=1+1",
    "--=_muniment\r\n\r\n.\r\nFrom here",
    "x" * 65_536,
    "größte 日本語 \u2028 \x7f \x85",
)


@dataclass
class Said:
    """An entry as its conversation's log has it."""

    conversation: Conversation
    seq: int
    kind: Kind
    body: bytes | None
    sent_at: datetime
    sender: UUID
    subjects: tuple[UUID, ...] = ()
    message: UUID = field(init=False)

    def __post_init__(self) -> None:
        self.message = UUID(int=self.conversation.id.int * 100_000 + self.seq)

    def metadata(self) -> bytes:
        """Return the canonical metadata, of which only some members matter here."""
        return canonical(
            {
                "actor": str(self.sender),
                "conversation": str(self.conversation.id),
                "kind": KINDS[self.kind],
                "sent_at": instant_text(self.sent_at),
                "seq": self.seq,
                "subjects": [str(each) for each in self.subjects],
                "tenant": str(TENANT),
            }
        )

    def hashed(self) -> bytes:
        """Return its leaf in the tree of the commit."""
        body = None if self.body is None else body_commitment(self.body, SALT)
        return entry_leaf(metadata_commitment(self.metadata(), SALT), body)

    def produced(self, evidence: Evidence | None) -> Produced:
        """Return the entry as an item."""
        return Produced(
            self.conversation,
            self.seq,
            self.kind,
            self.message,
            self.sent_at,
            self.sender,
            self.body,
            audience=tuple(person.id for person in self.conversation.people),
            subjects=self.subjects,
            evidence=evidence,
        )


def conversation(number: int, people: Sequence[Person] = PEOPLE[:2], kind: str = "group") -> Conversation:
    """Return a conversation."""
    return Conversation(UUID(int=0x100 + number), kind, f"Größe {number}", tuple(people))


def talk(about: Conversation, bodies: Iterable[bytes], begin: datetime = START, step: int = 3) -> list[Said]:
    """Return a conversation that begins with all its people, who then speak in turn, `step` hours apart."""
    ids = tuple(person.id for person in about.people)
    entries = [Said(about, 1, Kind.CREATED, None, begin, ids[0], ids)]
    for number, body in enumerate(bodies, 1):
        at = begin + timedelta(hours=step * number)
        entries.append(Said(about, number + 1, Kind.MESSAGE, body, at, ids[number % len(ids)]))
    return entries


@dataclass
class Log:
    """The log of a tenant: a commit for each conversation, and then the leaf with the map of all."""

    talks: Sequence[Sequence[Said]]

    def __post_init__(self) -> None:
        self.leaves: list[bytes] = []
        self.commits: dict[UUID, tuple[list[bytes], Detail]] = {}
        for entries in self.talks:
            about = entries[0].conversation
            hashes = [entry.hashed() for entry in entries]
            runs = (Run(str(about.id), 1, len(entries)),)
            detail = Detail(
                "messaging.entries.committed",
                Actor("service", name="messaging"),
                "done",
                "operations",
                runs=runs,
            )
            self.commits[about.id] = hashes, detail
            self.leaves.append(leaf_at(len(self.leaves), root=root_of(hashes), detail=detail))
        self.heads = [
            ConversationHead(
                entries[0].conversation.id,
                len(entries),
                participants_tree(self._ids(entries[0].conversation), SALT).commitment(),
            )
            for entries in self.talks
        ]
        self.detail = Detail(
            CONVERSATIONS_COMMITTED,
            Actor("service", name="messaging"),
            "done",
            "operations",
            count=len(self.heads),
        )
        self.leaves.append(leaf_at(len(self.leaves), root=map_root(self.heads), detail=self.detail))
        self.hashes = [leaf_hash(leaf) for leaf in self.leaves]
        self.checkpoint = note_of(self.leaves)

    def _ids(self, about: Conversation) -> list[UUID]:
        return [person.id for person in about.people]

    def evidence(self, entry: Said) -> Evidence:
        """Return what proves an entry."""
        at = [entries[0].conversation.id for entries in self.talks].index(entry.conversation.id)
        hashes, detail = self.commits[entry.conversation.id]
        return Evidence(
            Commit(self.leaves[at], inclusion_proof(self.hashes, at), detail, SALT),
            inclusion_proof(hashes, entry.seq - 1),
            metadata=entry.metadata(),
            metadata_salt=SALT,
            body_salt=None if entry.body is None else SALT,
        )

    def hidden(self, entry: Said) -> Evidence:
        """Return what proves an entry whose body is not shown."""
        body = None if entry.body is None else body_commitment(entry.body, SALT)
        return replace(self.evidence(entry), body_salt=None, body_commitment=body)

    def opened(self, scope: Scope) -> Iterator[OpenedHead]:
        """Give what a production of this scope shows of the map."""
        paths = inclusion_proofs([head.hashed() for head in self.heads], range(len(self.heads)))
        for at, (entries, head) in enumerate(zip(self.talks, self.heads, strict=True)):
            ids = self._ids(entries[0].conversation)
            if scope.conversations is not None and head.conversation not in scope.conversations:
                continue
            shown = OpenedHead(head)
            if scope.custodians is not None:
                members = tuple(membership_of(ids, SALT, each) for each in scope.custodians)
                shown = replace(shown, tree=participants_tree(ids, SALT), salt=SALT, custodians=members)
            if scope.conversations is not None:
                shown = replace(shown, index=at, proof=tuple(paths[at]))
            yield shown

    def items(self, scope: Scope, query: bytes | None = None) -> Iterator[Item]:
        """Give the items of a scope: what was sent outside of it is excluded, and what does not match."""
        for entries in self.talks:
            about = entries[0].conversation
            named = scope.conversations is None or about.id in scope.conversations
            custodian = scope.custodians is None or set(scope.custodians) & set(self._ids(about))
            if not named or not custodian:
                continue
            for entry in entries:
                if entry.body is not None and not scope.covers(entry.sent_at):
                    yield Excluded(about.id, entry.seq, Reason.OUTSIDE, evidence=self.hidden(entry))
                elif entry.body is not None and query is not None and query not in entry.body:
                    yield Excluded(about.id, entry.seq, Reason.QUERY, evidence=self.hidden(entry))
                else:
                    yield entry.produced(self.evidence(entry))


BATES = Bates("MUN", 8, 1)
TALKS = (
    talk(conversation(1), [b"one %d%s" % (number, b" budget" * (number % 2)) for number in range(9)]),
    talk(conversation(2, PEOPLE[2:]), [b"two, without the custodian"]),
    talk(conversation(3, PEOPLE[1:3], "direct"), [text.encode() for text in ODD]),
)
LOG = Log(TALKS)


@dataclass
class Made:
    """What makes a production, so that a forger can change any of it."""

    form: Format = Format.JSONL
    scope: Scope = field(default_factory=lambda: Scope(custodians=(PEOPLE[0].id, PEOPLE[1].id)))
    log: Log = field(default_factory=lambda: LOG)
    bates: Bates | None = BATES
    query: bytes | None = None
    part_entries: int = 4
    complete: bool = True

    def files(
        self, items: Iterable[Item] | None = None, state: State | None = None
    ) -> tuple[list[File], Producer]:
        """Return the files of the parts."""
        custodians = self.scope.custodians or ()
        producer = Producer(writer_of(self.form, DOMAIN, custodians), self.bates, state, self.part_entries)
        found = []
        for item in self.log.items(self.scope, self.query) if items is None else items:
            found += producer.feed(item)
        return found + producer.flush(), producer

    def write(
        self, folder: Path, items: Iterable[Item] | None = None, heads: Iterable[OpenedHead] | None = None
    ) -> Manifest:
        """Write a production into `folder`, signed as it is."""
        files, producer = self.files(items)
        shown = list(map_files(self.log.opened(self.scope) if heads is None else heads))
        at = len(self.log.leaves) - 1
        claim = Completeness(
            self.log.leaves[at],
            tuple(inclusion_proof(self.log.hashes, at)),
            self.log.detail,
            SALT,
            tuple(ref_of(file) for file in shown),
        )
        manifest = Manifest(
            PRODUCTION,
            TENANT,
            START,
            self.form,
            self.scope,
            producer.state.counts,
            producer.state.segments,
            query=None if self.query is None else self.query.decode(),
            bates=self.bates,
            checkpoint=self.log.checkpoint,
            completeness=claim if self.complete else None,
        )
        write(folder, [*files, *(shown if self.complete else [])], manifest)
        return manifest


def write(folder: Path, files: Iterable[File], manifest: Manifest) -> None:
    """Write files and a signed manifest into a folder that is made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    disk = ProductionFolder(folder)
    for file in files:
        disk.write(*file)
    data, note = sign_manifest(INSTANCE, manifest, KEY.public_key().public_bytes_raw(), KEY.sign)
    disk.write("manifest.json", data)
    disk.write("manifest.note", note)
