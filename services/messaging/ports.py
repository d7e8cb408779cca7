"""What messaging's use cases need of the world, each as the smallest contract that serves them."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID

from libs.approvals.request import Request
from libs.disposition.claims import Hold, Item
from libs.disposition.classes import DispositionClass
from libs.disposition.voices import Voices
from libs.kernel.denials import Denial
from libs.kernel.ids import ConversationId, DekId, DeviceId, MessageId, PrincipalId, TenantId
from services.messaging.domain.amendments import Amended, AmendmentRules, Message, MessageKey
from services.messaging.domain.commits import CommitTree
from services.messaging.domain.dispositions import Disposals, Place, Planned, RunCounts, Sampled, Tally
from services.messaging.domain.entries import (
    ClientKey,
    ConversationKey,
    ConversationKind,
    Entry,
    EntryKind,
    Provenance,
)
from services.messaging.domain.epochs import Month
from services.messaging.domain.imports import Batch, Part, Person, RefusedLine, Wanted
from services.messaging.domain.log import Head, KnownSend
from services.messaging.domain.maps import CommittedMap, Mapped, MappedConversation, Moved
from services.messaging.domain.membership import Members, Standing
from services.messaging.domain.receipts import Advance, MarkKey


class Actor(Protocol):
    """Who acts, as a verified token tells it."""

    @property
    def tenant(self) -> TenantId:
        """The tenant that he belongs to."""
        ...

    @property
    def principal(self) -> PrincipalId:
        """The principal that he is."""
        ...

    @property
    def device(self) -> DeviceId:
        """The device on which he acts."""
        ...

    @property
    def roles(self) -> frozenset[str]:
        """His roles in the tenant."""
        ...


class Facts(Protocol):
    """What an act is done to, as the policies know it."""

    @property
    def kind(self) -> str:
        """The kind of thing."""
        ...

    @property
    def tenant(self) -> TenantId:
        """The tenant that it belongs to."""
        ...

    @property
    def holding(self) -> frozenset[str]:
        """The facts that hold for it."""
        ...


class Authorization(Protocol):
    """Decides what an actor may do."""

    def allows(self, actor: Actor, action: str, resource: Facts) -> bool:
        """Return whether `actor` may do `action` to `resource`."""
        ...


class LogTransaction(Protocol):
    """One group commit: everything or nothing, and final when the context ends without an error."""

    async def lock(
        self,
        keys: Sequence[ConversationKey],
        created: Mapping[ConversationKey, ConversationKind],
        clients: Sequence[ClientKey],
    ) -> tuple[dict[ConversationKey, Head], dict[ClientKey, KnownSend]]:
        """Lock the heads of `keys`, in their order; those of `created` that are missing are made.

        Return the locked heads, and the sends that were committed under `clients` before.
        """
        ...

    async def amended(self, messages: Sequence[MessageKey]) -> dict[MessageKey, Amended]:
        """Return how those of `messages` stand that were amended; call it behind the locks."""
        ...

    async def append(self, entries: Sequence[Entry]) -> None:
        """Write the entries, their payloads, the heads where the last of them stand, and last the outbox."""
        ...


class LogWriter(Protocol):
    """Writes the conversation log, for all tenants; it can read no body."""

    async def append_where(self, entries: Sequence[Entry], heads: Mapping[ConversationKey, Head]) -> bool:
        """Commit messages at once if the heads of their conversations stand as said.

        Return False, and write nothing, if one stands elsewhere or one of the client ids is known. Raises
        LogUnavailable when the database is gone.
        """
        ...

    def begin(self) -> AbstractAsyncContextManager[LogTransaction]:
        """Begin a group commit that locks first. Raises LogUnavailable when the database is gone."""
        ...


class StoredVersion(NamedTuple):
    """The version of a message that is in force; `sealed` is None where it was disposed of."""

    seq: int
    revision: int
    sent_at: datetime
    sealed: bytes | None


class StoredEntry(NamedTuple):
    """An entry as it lies in the log; `sealed` is None where nothing was sealed or it is not to be shown.

    `gone` says that it had a body that is due to be destroyed, or was. An amendment has the `message_seq` of
    what it amends. What is `superseded` or `retracted` is not shown to participants; the first entry of a
    revised message has the `version` that is in force.
    """

    seq: int
    kind: EntryKind
    message: MessageId
    revision: int
    actor: PrincipalId
    sent_at: datetime
    members_version: int
    subjects: tuple[PrincipalId, ...]
    sealed: bytes | None
    had_body: bool
    provenance: Provenance | None = None
    gone: bool = False
    message_seq: int | None = None
    superseded: bool = False
    retracted: bool = False
    version: StoredVersion | None = None


class AmendedBy(NamedTuple):
    """What the log says of a version of a message: where its next version is, and where its retraction.

    `message_seq` is the message's first entry, where this is not it.
    """

    message_seq: int | None = None
    superseded_by: int | None = None
    retracted_by: int | None = None


class ReferencedEntry(NamedTuple):
    """An entry that somebody knew by reference; `audience` is the place of those who took part in it.

    What is `hidden` is due to be destroyed, and shown to nobody. An amendment has all `versions` of its
    message.
    """

    conversation: ConversationId
    stored: StoredEntry
    audience: int
    hidden: bool
    amended: AmendedBy = AmendedBy()
    versions: tuple[int, ...] = ()


class Referenced(NamedTuple):
    """Entries in order, and the participants whom they name by their place: the same ones are there once."""

    entries: Sequence[ReferencedEntry]
    audiences: Sequence[tuple[PrincipalId, ...]]


class ReferenceReader(Protocol):
    """Reads entries by reference, for whoever indexes them."""

    async def referenced(self, tenant: TenantId, places: Sequence[tuple[ConversationId, int]]) -> Referenced:
        """Return the entries at these (conversation, seq), in order; raises LogUnavailable."""
        ...

    async def heads(
        self, tenant: TenantId, since: ConversationId | None, limit: int
    ) -> list[tuple[ConversationId, int]]:
        """Return conversations by ascending id from `since` on, each with its last `seq`.

        Raises LogUnavailable.
        """
        ...

    async def entries_of_all(self, tenant: TenantId) -> int:
        """Return how many entries the tenant's conversations have; raises LogUnavailable."""
        ...


class ConversationState(NamedTuple):
    """A principal's conversation: how he stands to it."""

    conversation: ConversationId
    standing: Standing


class AmendmentReader(Protocol):
    """Reads what decides about amendments, one tenant at a time. Every method may raise LogUnavailable."""

    async def find_message(self, message: MessageKey) -> Message | None:
        """Return the message whose first entry is there, or None where there is another entry, or none."""
        ...

    async def find_send(self, client: ClientKey) -> KnownSend | None:
        """Return what was committed under a client's id, or None."""
        ...

    async def rules(self, tenant: TenantId) -> AmendmentRules:
        """Return the tenant's rules that are in force."""
        ...


class AmendmentRuleBook(Protocol):
    """Keeps the rules for amendments, each version for good. Every method may raise LogUnavailable."""

    async def rules(self, tenant: TenantId) -> AmendmentRules:
        """Return the tenant's rules that are in force."""
        ...

    async def change(self, tenant: TenantId, rules: AmendmentRules, by: PrincipalId) -> None:
        """Keep a further version, and tell the audit log, in one transaction.

        Raises RulesPassed where that version exists.
        """
        ...


class StoredBody(NamedTuple):
    """What is sealed for an entry, and what opens it for its place."""

    conversation: ConversationId
    seq: int
    message: MessageId
    revision: int
    sealed: bytes


class MarkState(NamedTuple):
    """How far one device has come in a conversation."""

    principal: PrincipalId
    device: DeviceId
    delivered: int
    read: int
    at: datetime


class LogReader(Protocol):
    """Reads the conversation log of one tenant at a time. Every method may raise LogUnavailable."""

    async def find_standing(self, key: ConversationKey, principal: PrincipalId) -> Standing | None:
        """Return how a principal stands to a conversation, or None if he never took part in it."""
        ...

    async def standings(self, tenant: TenantId, principal: PrincipalId) -> list[ConversationState]:
        """Return every conversation that a principal takes or took part in, in the order of their ids."""
        ...

    async def members(self, key: ConversationKey) -> Members:
        """Return who takes part in a conversation now, and who administers it."""
        ...

    async def bodies(
        self, tenant: TenantId, places: Sequence[tuple[ConversationId, int]]
    ) -> list[StoredBody]:
        """Return what is sealed at those of these (conversation, seq) where there is something to show."""
        ...

    async def entries(self, key: ConversationKey, after: int, until: int, limit: int) -> list[StoredEntry]:
        """Return at most `limit` entries with `after` < seq ≤ `until`, in order."""
        ...

    async def unknown_principals(
        self, tenant: TenantId, principals: Sequence[PrincipalId]
    ) -> list[PrincipalId]:
        """Return those of `principals` that are not active principals of the tenant."""
        ...

    async def marks(self, key: ConversationKey) -> list[MarkState]:
        """Return the marks of every device in a conversation."""
        ...


class CommittedEntry(NamedTuple):
    """An entry as its commit brought it: what is stored of it, and its commitments (32 bytes each).

    `metadata_salt` is None where it lies inside the seal, with which it dies.
    """

    stored: StoredEntry
    commit: UUID
    metadata_salt: bytes | None
    metadata_commitment: bytes
    body_commitment: bytes | None


class KeptEntry(NamedTuple):
    """An entry with all that is still there of it, also where it is `hidden` from those who took part."""

    entry: CommittedEntry
    hidden: bool
    destroyed_by: UUID | None
    amended: AmendedBy = AmendedBy()


class Taking(NamedTuple):
    """Somebody took evidence of the entries from `first` to `last`: an act, told to the audit log."""

    key: ConversationKey
    principal: PrincipalId
    first: int
    last: int


class Evidence(Protocol):
    """Reads what proves entries, and keeps who took it. Every method may raise LogUnavailable."""

    async def committed(self, key: ConversationKey, first: int, last: int) -> list[CommittedEntry]:
        """Return the entries from `first` to `last`, in order."""
        ...

    async def trees(self, tenant: TenantId, commits: Sequence[UUID]) -> dict[UUID, CommitTree]:
        """Return the tree of each of these commits in a tenant."""
        ...

    async def record(self, taking: Taking) -> None:
        """Keep that evidence was taken, and tell the audit log, in one transaction."""
        ...


class KeptEntries(Protocol):
    """Reads entries for those who produce them, with what proves them. Each may raise LogUnavailable."""

    async def kept(self, key: ConversationKey, first: int, last: int) -> list[KeptEntry]:
        """Return the entries from `first` to `last`, in order."""
        ...

    async def trees(self, tenant: TenantId, commits: Sequence[UUID]) -> dict[UUID, CommitTree]:
        """Return the tree of each of these commits in a tenant."""
        ...


class MapUnderWay(Protocol):
    """The next map of a tenant, in the transaction that commits it: nobody else makes one meanwhile."""

    async def moved(self) -> list[Moved]:
        """Return what moved since the last map, as it all stands at one moment."""
        ...

    async def keep(self, heads: Sequence[Mapped]) -> tuple[int, bytes]:
        """Keep where conversations stand; return how many there are, and the leaf hashes of all, in order."""
        ...

    async def commit(self, at: datetime, root: bytes, conversations: int) -> None:
        """Keep the map, and tell the audit log: the last act of the transaction."""
        ...


class Maps(Protocol):
    """The maps of all tenants. Every method may raise LogUnavailable."""

    async def moved(self) -> list[TenantId]:
        """Return the tenants whose conversations do not stand as in their last map."""
        ...

    def begin(self, tenant: TenantId) -> AbstractAsyncContextManager[MapUnderWay]:
        """Begin the next map of a tenant; who begins another one waits for it."""
        ...

    async def find(self, tenant: TenantId, act: UUID | None = None) -> CommittedMap | None:
        """Return the map that `act` committed, or the newest; None if there is none."""
        ...

    async def heads(
        self, tenant: TenantId, number: int, after: UUID | None, limit: int
    ) -> list[MappedConversation]:
        """Return at most `limit` conversations of the map `number`, from behind `after` on."""
        ...


class HeadReader(Protocol):
    """Tells, across tenants, where logs stand; sees ids and positions only."""

    async def positions(self, keys: Sequence[ConversationKey]) -> dict[ConversationKey, int]:
        """Return the last `seq` of each conversation."""
        ...

    async def joined(
        self, principals: Sequence[tuple[TenantId, PrincipalId]]
    ) -> list[tuple[ConversationKey, PrincipalId]]:
        """Return what these principals take part in now."""
        ...


class MarkWriter(Protocol):
    """Keeps receipts."""

    async def advance(self, advances: Mapping[MarkKey, Advance]) -> None:
        """Write the advances in one transaction; marks never go back."""
        ...


class DenialWriter(Protocol):
    """Keeps denials, and tells the audit log of them."""

    async def write(self, denials: Sequence[Denial]) -> None:
        """Write the denials in one transaction. Raises LogUnavailable."""
        ...


class BodyKey(Protocol):
    """One data key, ready to seal and to open for one place."""

    @property
    def dek(self) -> DekId:
        """The key's id."""
        ...

    def seal(self, plaintext: bytes, key: ConversationKey, message: MessageId, revision: int) -> bytes:
        """Return the sealed record of a body."""
        ...

    def open(self, record: bytes, key: ConversationKey, message: MessageId, revision: int) -> bytes:
        """Return the clear bytes of a record; raises an error for a record that belongs elsewhere."""
        ...


class Keys(Protocol):
    """Data keys by the key service, held for a published time. Raises KeysUnavailable when it is gone."""

    def find_sealing_key(self, key: ConversationKey, sent_at: datetime) -> BodyKey | None:
        """Return the key of a conversation's epoch if it is at hand."""
        ...

    async def sealing_key(self, key: ConversationKey, sent_at: datetime) -> BodyKey:
        """Return the key of a conversation's epoch, obtaining it when it is not at hand."""
        ...

    def find_opening_key(self, sealed: bytes) -> BodyKey | None:
        """Return the key that a record names if it is at hand."""
        ...

    async def fetch_opening_keys(self, tenant: TenantId, sealed: Sequence[bytes]) -> None:
        """Obtain the keys that these records name, in one request, so that they are at hand."""
        ...

    def find_fingerprint_key(self, tenant: TenantId) -> bytes | None:
        """Return the tenant's key for fingerprints of bodies if it is at hand."""
        ...

    async def fingerprint_key(self, tenant: TenantId) -> bytes:
        """Return the tenant's key for fingerprints of bodies."""
        ...


class LiveEntry(NamedTuple):
    """A committed entry on its way to other gateways: sealed, never clear."""

    seq: int
    kind: int
    message: UUID
    revision: int
    actor: UUID
    sent_at: datetime
    members_version: int
    subjects: tuple[UUID, ...]
    sealed: bytes | None
    message_seq: int | None = None


class LiveBatch(NamedTuple):
    """What one commit added to one conversation."""

    tenant: UUID
    conversation: UUID
    entries: list[LiveEntry]


class Live(Protocol):
    """Hurries committed entries to the other gateways; what it drops, sync repairs."""

    def publish(self, batches: Sequence[LiveBatch]) -> None:
        """Send these batches as soon as may be; never waits and never fails."""
        ...


class ImportRun(NamedTuple):
    """An import as it stands: `digest` (32 bytes) is the hash of what it does."""

    run: UUID
    tenant: TenantId
    source: bytes
    name: str
    lines: int
    batches: int
    digest: bytes
    requested_at: datetime
    begun_at: datetime | None
    finished_at: datetime | None


class ImportCounts(NamedTuple):
    """What an import has brought so far; `first_at` and `last_at` are the earliest and latest `sent_at`.

    `done` are the batches that came, always the first ones; `refused` are the first refusals, in order.
    """

    done: int
    imported: int
    conversations: int
    first_at: datetime | None
    last_at: datetime | None
    refusals: int
    refused: tuple[RefusedLine, ...]


class BatchState(NamedTuple):
    """A batch as it was approved, and whether it came (`imported` counts its messages then)."""

    batch: Batch
    imported: int | None


class BatchDone(NamedTuple):
    """What became of a batch; it is `repeated` when it had come before, and nothing new was made."""

    imported: int
    refused: int
    repeated: bool


class ArrivedBatch(NamedTuple):
    """A batch that came: its parts, and the lines that were refused already."""

    run: ImportRun
    number: int
    parts: Sequence[Part]
    refused: Sequence[RefusedLine]


class Imports(Protocol):
    """Keeps imports, within one tenant at a time. Every method may raise LogUnavailable."""

    async def ask(self, run: ImportRun, wanted: Wanted, request: Request) -> tuple[ImportRun, Request]:
        """Keep an import and its request, and tell the audit log, in one transaction.

        One that is pending, approved or used already stays as it is, and is returned. Raises ImportDiffers
        when the same source was asked for in another way.
        """
        ...

    async def get(self, tenant: TenantId, run: UUID) -> tuple[ImportRun, Request]:
        """Return an import and its newest request. Raises ImportNotFound."""
        ...

    async def listed(self, tenant: TenantId) -> list[tuple[ImportRun, Request]]:
        """Return the newest imports of a tenant, the newest first."""
        ...

    async def counts(self, run: ImportRun) -> ImportCounts:
        """Return what an import has brought so far."""
        ...

    async def people(self, run: ImportRun) -> list[Person]:
        """Return the authors of an import who are somebody in the directory."""
        ...

    async def unknown(self, tenant: TenantId, principals: Sequence[PrincipalId]) -> list[PrincipalId]:
        """Return those who never were in the tenant's directory; who has left still is."""
        ...

    async def begin(self, run: ImportRun, request: Request, by: PrincipalId) -> ImportRun:
        """Use the approval and begin, in one transaction; what has begun stays as it is.

        Raises NotApproved or DigestDiffers.
        """
        ...

    async def batch(self, run: ImportRun, number: int) -> BatchState | None:
        """Return a batch, or None if the import has no such number."""
        ...

    async def finish(self, run: ImportRun, by: PrincipalId) -> ImportRun:
        """End an import of which every batch came, and tell the audit log; what has ended stays."""
        ...


class ImportWriter(Protocol):
    """Writes what an import brings, by the role that writes the log."""

    async def write(self, arrived: ArrivedBatch) -> BatchDone:
        """Commit a batch in one transaction: entries, provenance, refusals and the batch's own row.

        A batch that came before makes nothing new. Raises BatchOutOfOrder, or LogUnavailable.
        """
        ...


class Closing(NamedTuple):
    """A data key to be closed, with the conversation and month whose bodies it seals."""

    dek: DekId
    conversation: ConversationId
    month: Month


class Retired(NamedTuple):
    """A closing whose key hands out its successor, since when, and whether what is brought there is whole.

    `brought` is True where an import brought it and is finished, False where one is not, None elsewhere.
    """

    closing: Closing
    at: datetime
    brought: bool | None


class Survivor(NamedTuple):
    """A body that is still sealed under a key that is being closed."""

    seq: int
    sent_at: datetime
    message: MessageId
    revision: int
    sealed: bytes


class Closings(Protocol):
    """The keys to be closed for one order after another. Everything raises LogUnavailable."""

    async def waiting(self) -> list[tuple[TenantId, UUID]]:
        """Return the orders that are over, and of which a key is to be closed and not stated empty."""
        ...

    async def unretired(self, tenant: TenantId, order: UUID, most: int) -> list[DekId]:
        """Return keys of an order that the key service was not asked to retire yet."""
        ...

    async def note_retired(self, tenant: TenantId, order: UUID, deks: Sequence[DekId]) -> None:
        """Keep that the key service hands them out no more."""
        ...

    async def unfenced(self, tenant: TenantId, order: UUID, most: int) -> list[Retired]:
        """Return retired keys, the oldest first, under which the database still takes payloads."""
        ...

    async def fence(self, tenant: TenantId, order: UUID, deks: Sequence[DekId]) -> None:
        """From the commit on, let the database refuse payloads that come under these keys."""
        ...

    async def filled(self, tenant: TenantId, order: UUID, most: int) -> list[Closing]:
        """Return fenced keys under which there are survivors."""
        ...

    async def survivors(self, tenant: TenantId, closing: Closing, after: int, most: int) -> list[Survivor]:
        """Return what is still sealed under a key, behind the `seq` `after`, in order."""
        ...

    async def replace(self, tenant: TenantId, closing: Closing, dek: DekId, anew: Sequence[Survivor]) -> int:
        """Put records of the key `dek` in the places of the old ones, where these still are; count them.

        Raises KeyClosed, when that key was closed meanwhile, and DispositionsStopped, while an event of the
        tenant is parked.
        """
        ...

    async def state_empty(self, tenant: TenantId, order: UUID, most: int) -> int:
        """State behind the holds that stand here which fenced keys have nothing left; return how many.

        Raises DispositionsStopped, while an event of the tenant is parked.
        """
        ...


class StatedClosings(Protocol):
    """What becomes of keys that were stated empty, within the transaction of a projector."""

    async def note_shredded(self, tenant: TenantId, order: UUID, deks: Sequence[DekId], at: datetime) -> None:
        """Keep that the keys are gone: nothing is left to do for them."""
        ...

    async def state_again(
        self,
        tenant: TenantId,
        order: UUID,
        deks: Sequence[DekId],
        generation: int,
        now: datetime,
        later: datetime,
    ) -> None:
        """Let them be stated empty again behind `generation`; at `later` if that was known when stated."""
        ...


class ClosingKeys(Protocol):
    """The keys of closings, by the key service. Everything raises KeysUnavailable."""

    async def retire(self, tenant: TenantId, order: UUID, deks: Sequence[DekId]) -> None:
        """Let what these keys are for be sealed under their successors; they open on."""
        ...

    async def pair(self, tenant: TenantId, order: UUID, closing: Closing) -> tuple[BodyKey, BodyKey]:
        """Return a key that is being closed, to open by, and its successor, to seal by."""
        ...


class RequestsDesk(Protocol):
    """Keeps the requests of messaging's acts that need four eyes. Each method may raise LogUnavailable."""

    async def listed(self, tenant: TenantId) -> list[Request]:
        """Return the newest requests of a tenant."""
        ...

    async def get(self, tenant: TenantId, request: UUID) -> Request:
        """Return a request. Raises RequestNotFound."""
        ...

    async def decide(
        self, tenant: TenantId, request: UUID, approver: PrincipalId, digest: bytes, *, approves: bool
    ) -> Request:
        """Approve or refuse a request and tell the audit log, in one transaction."""
        ...


class OrderedDisposition(Protocol):
    """An order as it came; `libs.contracts.retention` has its event."""

    @property
    def name(self) -> str:
        """The event's name."""
        ...


class OpenOrder(Protocol):
    """One order that is being answered, in a transaction of its tenant that commits with the answer."""

    @property
    def order(self) -> OrderedDisposition:
        """The order."""
        ...

    async def generation(self) -> int:
        """Return the generation of the tenant's holds, which stays until the commit: call it first."""
        ...

    async def holds(self) -> list[Hold]:
        """Return the holds of that generation."""
        ...

    async def types_of(self, conversations: Collection[UUID]) -> dict[UUID, str]:
        """Return the type of each of these conversations that exists."""
        ...

    async def tally(self, classes: Sequence[DispositionClass]) -> list[Tally]:
        """Return what the classes hold, by their places in the sequence."""
        ...

    async def sampled(self, places: Sequence[Place]) -> list[Sampled]:
        """Return these items as their own decision needs them."""
        ...

    async def answer(self, event: OrderedDisposition) -> None:
        """Keep that the order is answered, and publish the answer: the last act of the transaction."""
        ...


class DispositionOrders(Protocol):
    """The orders that wait for messaging's answer."""

    async def waiting(self) -> list[tuple[TenantId, UUID]]:
        """Return them, each tenant's oldest first. Raises LogUnavailable."""
        ...

    def open(self, tenant: TenantId, order: UUID) -> AbstractAsyncContextManager[OpenOrder | None]:
        """Open one; None if somebody else answers it, or has. Raises LogUnavailable."""
        ...


class ReceivedOrders(Protocol):
    """Takes orders in, within the transaction of a projector."""

    async def add(self, tenant: TenantId, order: UUID, event: OrderedDisposition, at: datetime) -> None:
        """Keep an order; a repeat changes nothing."""
        ...


class RunUnderWay(Protocol):
    """One run of a disposition, in one of its transactions: the order is locked to the commit."""

    @property
    def order(self) -> OrderedDisposition:
        """The order."""
        ...

    @property
    def begun(self) -> bool:
        """Whether it is known what it is to dispose of."""
        ...

    @property
    def counts(self) -> RunCounts:
        """What it has done up to now."""
        ...

    async def share(self, generation: int) -> bool:
        """Pass the barrier, to the commit; False if the holds changed since: then nothing is destroyed.

        Raises GenerationUnknown, while holds of the order have not arrived here yet, and DispositionsStopped,
        while an event of the tenant is parked. Call it first.
        """
        ...

    async def holds(self) -> list[Hold]:
        """Return the holds of that generation."""
        ...

    async def types_of(self, conversations: Collection[UUID]) -> dict[UUID, str]:
        """Return the type of each of these conversations that exists."""
        ...

    async def plan(self, classes: Sequence[DispositionClass], voices: Voices) -> list[Tally]:
        """Keep what is due, and return what the classes hold, by their places in the sequence.

        Nothing of it is done before the run has begun.
        """
        ...

    async def begin(self) -> None:
        """Keep that it is to dispose of what was planned: that is gone through, batch by batch."""
        ...

    async def next(self, most: int, voices: Voices) -> list[Planned]:
        """Return what is next, up to about so many items; none at the end.

        The audience is told as far as it is of the custodians.
        """
        ...

    async def dispose(self, batch: Disposals, reached: int, voices: Voices) -> None:
        """Hide and destroy, and tell of it; what is next lies behind the number `reached` of the plan."""
        ...

    async def complete(self, event: OrderedDisposition) -> None:
        """Keep that the run is over, and tell of it: the last act of the transaction."""
        ...


class DispositionRuns(Protocol):
    """The runs that wait to be carried out, or are under way."""

    async def waiting(self) -> list[tuple[TenantId, UUID]]:
        """Return them, each tenant's oldest first. Raises LogUnavailable."""
        ...

    def open(self, tenant: TenantId, order: UUID) -> AbstractAsyncContextManager[RunUnderWay | None]:
        """Open one; None if somebody else has it, or it is over. Raises LogUnavailable."""
        ...


class DestroyedItem(NamedTuple):
    """An item that a run destroyed: its commitments, what had sealed it, and by whose word it was done."""

    place: Place
    conversation_type: str
    sent_at: datetime
    commit: UUID
    metadata_commitment: bytes
    body_commitment: bytes
    dek: UUID
    bytes: int
    destroyed_at: datetime
    due_at: datetime
    destroy_at: datetime
    voice: str
    source: UUID | None
    version: int | None


class DestroyedRow(NamedTuple):
    """An item that a run destroyed, as it is kept; `item` is what a decision needs to know without holds."""

    place: Place
    item: Item
    commit: UUID
    metadata_commitment: bytes
    body_commitment: bytes
    dek: UUID
    bytes: int
    destroyed_at: datetime


class DestroyedReader(Protocol):
    """What runs destroyed."""

    async def find_order(self, tenant: TenantId, order: UUID) -> OrderedDisposition | None:
        """Return a run as it was ordered. Raises LogUnavailable."""
        ...

    async def page(
        self, tenant: TenantId, order: UUID, after: Place | None, limit: int
    ) -> list[DestroyedRow]:
        """Return at most `limit` items of a run in order, from behind `after` on. Raises LogUnavailable."""
        ...
