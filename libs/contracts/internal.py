"""The calls between services, under `/internal/…`: msgspec structs as MessagePack.

Ids travel as 16 bytes. Structs that carry keys, tokens or passwords print as stars.
"""

from datetime import datetime
from typing import Annotated, Final, TypeVar
from uuid import UUID

import msgspec

from libs.contracts.streams import PARTITIONS

MEDIA_TYPE: Final = "application/msgpack"
BATCH_LIMIT: Final = 2000
"""Items of one obtain or unwrap, at most."""

Instant = Annotated[datetime, msgspec.Meta(tz=True)]
Part = Annotated[int, msgspec.Meta(ge=0, lt=PARTITIONS)]
Position = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
T = TypeVar("T")


class MalformedMessage(ValueError):
    """A body is not the MessagePack of what was expected; the text names the place, no value."""


class Wire(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message between services."""


class SecretWire(Wire, frozen=True, kw_only=True, omit_defaults=True):
    """A message that must not be seen: it prints as stars."""

    def __repr__(self) -> str:
        """Return the name alone."""
        return f"{type(self).__name__}(***)"


class Done(Wire, frozen=True, kw_only=True):
    """The act is done; there is nothing more to say."""


# keys


class DekWanted(Wire, frozen=True, kw_only=True):
    """What a DEK is for: a conversation and the epoch (`2026-11`) of `sent_at`.

    `exhausted` names the DEK that has sealed all that it may: the answer is then its next generation.
    """

    tenant: UUID
    conversation: UUID
    epoch: str
    exhausted: UUID | None = None


class ObtainDeks(Wire, frozen=True, kw_only=True):
    """POST /internal/deks/obtain: get or make; `purpose` and `act` say what the keys serve."""

    items: tuple[DekWanted, ...]
    purpose: str
    act: str


class DekKey(SecretWire, frozen=True, kw_only=True):
    """A DEK in clear (32 bytes, for memory alone), or the problem that stands in its way, never both."""

    dek: UUID | None = None
    key: bytes | None = None
    kek_version: int = 0
    problem: str | None = None


class KeysOf(Wire, frozen=True, kw_only=True):
    """The answer to ObtainDeks and UnwrapDeks, item by item in the order of the question."""

    items: tuple[DekKey, ...]


class DekNamed(Wire, frozen=True, kw_only=True):
    """A DEK of a tenant."""

    tenant: UUID
    dek: UUID


class UnwrapDeks(Wire, frozen=True, kw_only=True):
    """POST /internal/deks/unwrap; `act` names the act that the keys serve, for the key-access log."""

    items: tuple[DekNamed, ...]
    purpose: str
    act: str


class FindRefusedKeks(Wire, frozen=True, kw_only=True):
    """POST /internal/keks/refused: asks of which of these tenants the vault refuses the key."""

    tenants: tuple[UUID, ...]


class RefusedKeks(Wire, frozen=True, kw_only=True):
    """The tenants whose key the vault, which answers, refuses; a tenant without keys is not among them."""

    tenants: tuple[UUID, ...]


class RetireDeks(Wire, frozen=True, kw_only=True):
    """POST /internal/deks/retire: what these DEKs are for is sealed under the next generation from now on.

    They still open what they sealed. `order` is the order of disposition for whose sake they are closed.
    """

    tenant: UUID
    order: UUID
    deks: Annotated[tuple[UUID, ...], msgspec.Meta(max_length=BATCH_LIMIT)]


class ObtainFingerprintKey(Wire, frozen=True, kw_only=True):
    """POST /internal/fingerprint-keys/obtain."""

    tenant: UUID
    purpose: str = "fingerprint"
    act: str = "fingerprint"


class FingerprintKey(SecretWire, frozen=True, kw_only=True):
    """The tenant's key for fingerprints of bodies, 32 bytes."""

    dek: UUID
    key: bytes


class LeaseSigningKey(Wire, frozen=True, kw_only=True):
    """POST /internal/signing-keys/{use}/lease: `tokens` for identity, `checkpoints` for audit and so on."""


class SigningKeyLease(SecretWire, frozen=True, kw_only=True):
    """An Ed25519 seed (32 bytes) that signs until `not_after`; from `renew_at` on its holder asks again."""

    kid: str
    private: bytes
    not_after: Instant
    renew_at: Instant | None = None


# every service with an outbox


class OutboxRow(Wire, frozen=True, kw_only=True):
    """One record of an outbox."""

    position: int
    tenant: UUID
    name: str
    body: bytes


class OutboxPage(Wire, frozen=True, kw_only=True):
    """GET /internal/outbox?part=P&after=N&limit=L: records in order, none when there is nothing after N."""

    part: int
    rows: tuple[OutboxRow, ...] = ()


class ReportCursors(Wire, frozen=True, kw_only=True):
    """POST /internal/cursors: a consumer's positions by partition."""

    consumer: str
    cursors: dict[Part, Position]


class ActCount(Wire, frozen=True, kw_only=True):
    """How many acts of one kind a tenant's domain rows tell of."""

    action: str
    tenant: UUID
    count: int


class ActsCounted(Wire, frozen=True, kw_only=True):
    """GET /internal/acts: the acts by domain rows, and the outbox heads of the same snapshot."""

    positions: dict[Part, Position]
    acts: tuple[ActCount, ...] = ()


class Positions(Wire, frozen=True, kw_only=True):
    """GET /internal/positions: the position of the last event of each partition of an outbox."""

    positions: dict[Part, Position]


# messaging

ENTRIES_LIMIT: Final = 200
"""Entries of one FetchEntries, at most."""
SALTS_BEFORE_BODY: Final = 32
"""Bytes of what is sealed for an entry that come before its body: its two salts."""


class EntryNamed(Wire, frozen=True, kw_only=True):
    """An entry of a conversation's log."""

    conversation: UUID
    seq: int


class FetchEntries(Wire, frozen=True, kw_only=True):
    """POST /internal/entries: entries of a tenant by reference.

    Who reads `audiences` asks for them: he is given those who took part once, and not with each entry.
    """

    tenant: UUID
    items: Annotated[tuple[EntryNamed, ...], msgspec.Meta(max_length=ENTRIES_LIMIT)]
    audiences: bool = False


class SealedEntry(Wire, frozen=True, kw_only=True):
    """An entry as it lies in the log.

    `participants` are those of the conversation at that `seq`; or else `audience` is their place among the
    audiences of the answer. `sealed` is the record (field `payload`) of two salts (`SALTS_BEFORE_BODY`) and
    the body as it was sent; None where there is no body any more. What is `hidden` is due, and no participant
    is shown it; a hold may keep it, and counsel read it.

    A version of a message that was revised is `superseded_by` the entry of the next one, and every version of
    one that was retracted is `retracted_by` that entry. A revision or retraction has the `message_seq` of the
    first entry, and in `versions` the first entry and all revisions.
    """

    conversation: UUID
    seq: int
    kind: str
    message: UUID
    revision: int
    actor: UUID
    sent_at: Instant
    participants: tuple[UUID, ...]
    sealed: bytes | None = None
    hidden: bool = False
    audience: int | None = None
    message_seq: int | None = None
    superseded_by: int | None = None
    retracted_by: int | None = None
    versions: tuple[int, ...] = ()


class EntriesOf(Wire, frozen=True, kw_only=True):
    """The answer to FetchEntries, in order of conversation and `seq`; what does not exist is left out.

    A conversation may have a thousand participants, who seldom change: each of the `audiences` is there once.
    """

    items: tuple[SealedEntry, ...]
    audiences: tuple[tuple[UUID, ...], ...] = ()


CONVERSATIONS_LIMIT: Final = 1000
"""Conversations of one FetchConversations, at most."""


class FetchConversations(Wire, frozen=True, kw_only=True):
    """POST /internal/conversations: a tenant's conversations by ascending id, `since` one of them on."""

    tenant: UUID
    since: UUID | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=CONVERSATIONS_LIMIT)] = CONVERSATIONS_LIMIT


class ConversationHead(Wire, frozen=True, kw_only=True):
    """How far the log of a conversation goes: its entries are 1 to `last_seq`."""

    conversation: UUID
    last_seq: int


class ConversationsOf(Wire, frozen=True, kw_only=True):
    """The answer to FetchConversations; `entries` are those of all the tenant's conversations together."""

    items: tuple[ConversationHead, ...]
    entries: int


PROVED_LIMIT: Final = 500
"""Entries of one FetchProvedEntries, conversations of one FetchHeads, commits of one FetchProofs, at most."""


class FetchMap(Wire, frozen=True, kw_only=True):
    """POST /internal/map: what was last committed about all conversations of a tenant.

    With `fresh` it is committed anew first, if anything moved since. Without any there is nothing (404).
    """

    tenant: UUID
    fresh: bool = False


class MapOf(Wire, frozen=True, kw_only=True):
    """The answer to FetchMap: the act whose fact carries the root, and how many conversations it covers."""

    act: UUID
    at: Instant
    root: bytes
    conversations: int


class FetchHeads(Wire, frozen=True, kw_only=True):
    """POST /internal/map/heads: conversations of the map `act` by ascending id, from behind `after` on.

    An act that committed no map is not found (404).
    """

    tenant: UUID
    act: UUID
    after: UUID | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=PROVED_LIMIT)] = PROVED_LIMIT


class Span(Wire, frozen=True, kw_only=True):
    """From which `seq` on, and up to which (None: still), somebody takes part in a conversation."""

    principal: UUID
    from_seq: int
    until_seq: int | None = None


class MappedConversation(Wire, frozen=True, kw_only=True):
    """A conversation as the map has it: its last `seq`, and the commitment to its `principals`.

    `principals` are all who were there or sent anything up to that `seq`; `salt` is that of their tags.
    """

    conversation: UUID
    kind: str
    last_seq: int
    participants: bytes
    salt: bytes
    principals: tuple[UUID, ...]
    spans: tuple[Span, ...]


class HeadsOf(Wire, frozen=True, kw_only=True):
    """The answer to FetchHeads; none where nothing follows."""

    items: tuple[MappedConversation, ...]


class FetchProvedEntries(Wire, frozen=True, kw_only=True):
    """POST /internal/entries/proved: the entries `first` to `last` (both included) of a conversation."""

    tenant: UUID
    conversation: UUID
    first: int
    last: int


class ProvedEntry(Wire, frozen=True, kw_only=True):
    """An entry as it lies in the log, with its path in the tree of its commit.

    `metadata` are its canonical bytes. Where `sealed` is None, `metadata_salt` is that of an entry that
    never had a body, None where the body was destroyed (by the run `destroyed_by`). `place` of `size` and
    `hashes` lead to the commit's root; of an entry from before the audit log, whose `commit` is nil, the
    `size` is 0, and nothing leads anywhere. A conversation's first entry may have a body: its name.
    """

    seq: int
    kind: str
    message: UUID
    revision: int
    actor: UUID
    sent_at: Instant
    commit: UUID
    place: int
    size: int
    hashes: tuple[bytes, ...]
    metadata: bytes
    metadata_commitment: bytes
    subjects: tuple[UUID, ...] = ()
    metadata_salt: bytes | None = None
    body_commitment: bytes | None = None
    sealed: bytes | None = None
    hidden: bool = False
    destroyed_by: UUID | None = None
    message_seq: int | None = None
    superseded_by: int | None = None
    retracted_by: int | None = None


class ProvedEntriesOf(Wire, frozen=True, kw_only=True):
    """The answer to FetchProvedEntries, in order of `seq`."""

    items: tuple[ProvedEntry, ...]


class FetchDestroyed(Wire, frozen=True, kw_only=True):
    """POST /internal/dispositions/destroyed: what a run destroyed, in order, from behind `after` on."""

    tenant: UUID
    order: UUID
    after: EntryNamed | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=2000)] = 2000


class DestroyedEntry(Wire, frozen=True, kw_only=True):
    """An entry whose body was destroyed: its commitments, which stay, and by what it was decided."""

    conversation: UUID
    seq: int
    conversation_type: str
    sent_at: Instant
    commit: UUID
    metadata_commitment: bytes
    body_commitment: bytes
    dek: UUID
    bytes: int
    destroyed_at: Instant
    due_at: Instant
    destroy_at: Instant
    voice: str
    source: UUID | None = None
    version: int | None = None


class DestroyedOf(Wire, frozen=True, kw_only=True):
    """The answer to FetchDestroyed; none where nothing follows."""

    items: tuple[DestroyedEntry, ...]


# identity

PEOPLE_LIMIT: Final = 1000
"""People of one FetchPeople, and of one answer to FindPeople, at most."""


class FetchPeople(Wire, frozen=True, kw_only=True):
    """POST /internal/people: people of a tenant's directory by their ids."""

    tenant: UUID
    principals: Annotated[tuple[UUID, ...], msgspec.Meta(max_length=PEOPLE_LIMIT)]


class FindPeople(Wire, frozen=True, kw_only=True):
    """POST /internal/people/find: whoever has this user name, address or display name, whatever its case."""

    tenant: UUID
    text: str


class DirectoryPerson(SecretWire, frozen=True, kw_only=True):
    """Somebody as the directory names him; whoever is deactivated or has left it is there, too."""

    principal: UUID
    name: str
    email: str | None = None


class PeopleOf(SecretWire, frozen=True, kw_only=True):
    """The answer to FetchPeople and FindPeople; who does not exist is left out."""

    items: tuple[DirectoryPerson, ...]


# audit


class FetchProofs(Wire, frozen=True, kw_only=True):
    """POST /internal/proofs: the leaves of messaging's `acts` in a tenant's log, under one checkpoint.

    `size` is that of a published checkpoint, None for the newest.
    """

    tenant: UUID
    acts: Annotated[tuple[UUID, ...], msgspec.Meta(max_length=PROVED_LIMIT)]
    size: int | None = None


class ProvedAct(Wire, frozen=True, kw_only=True):
    """The leaf of an act, its inclusion, and its detail (canonical JSON) with the salt of its commitment."""

    act: UUID
    index: int
    leaf: bytes
    proof: tuple[bytes, ...]
    detail: bytes
    salt: bytes


class ProofsOf(Wire, frozen=True, kw_only=True):
    """The answer to FetchProofs: the signed checkpoint; acts that it does not cover yet are left out."""

    checkpoint: bytes
    size: int
    items: tuple[ProvedAct, ...]


class FetchActEvidence(Wire, frozen=True, kw_only=True):
    """POST /internal/evidence: of the caller's own first act in a tenant's log that names this entity."""

    tenant: UUID
    kind: str
    entity: str


class ActEvidence(Wire, frozen=True, kw_only=True):
    """The answer to FetchActEvidence: a bundle of JSON, which leads to the newest checkpoint."""

    bundle: bytes


_ENCODER = msgspec.msgpack.Encoder(uuid_format="bytes")


def pack(message: Wire) -> bytes:
    """Return the message as MessagePack."""
    return _ENCODER.encode(message)


def unpack(body: bytes, kind: type[T]) -> T:
    """Return the message of `kind` that the bytes hold. Raises MalformedMessage."""
    try:
        return msgspec.msgpack.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as defect:
        _, found, place = str(defect).rpartition(" - at ")
        msg = f"{kind.__name__} is unreadable at {place}" if found else f"{kind.__name__} is unreadable"
        raise MalformedMessage(msg) from None
