"""That nothing was left out: what a log commits to about all conversations of a tenant, and openings of it.

At an interval a leaf of the tenant's log carries the root of a tree over the map conversation → last `seq`
and commitment to its participants, one leaf a conversation, in the order of their ids; the leaf's detail
counts them. So whoever is shown every leaf, or the leaves of conversations that were named, sees that no
conversation is missing, and how many entries each has.

The participants of a conversation (whoever was there or sent anything, up to that `seq`) are a tree of
their own, over salted tags in order. That somebody is, or is not, among them is shown by one or two tags,
and the others stay unknown. A tag out of order could hide somebody: the order is what the platform
committed to, when it did.
"""

import bisect
import hashlib
import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from libs.evidence.canonical import Fields, encoded
from libs.evidence.errors import EvidenceRefused
from libs.kernel.framing import framed
from libs.merkle.errors import ProofRefused
from libs.merkle.hashing import EMPTY_ROOT, HASH_BYTES, leaf_hash
from libs.merkle.tree import range_proof, root_of
from libs.merkle.verify import verify_range

CONVERSATIONS_COMMITTED = "messaging.conversations.committed"
"""The action whose leaf carries the root of the map."""
SALT_BYTES = 16

_TAG = b"muniment/participant/v1"
_PARTICIPANTS = b"muniment/participants/v1"
_CONVERSATION = b"muniment/conversation-head/v1"
_NUMBER_BYTES = 8
_NEIGHBOURS = 2


@dataclass(frozen=True, slots=True)
class ParticipantsTree:
    """How many participants a conversation has had, and the root of the tree over their tags."""

    count: int
    root: bytes

    def commitment(self) -> bytes:
        """Return the 32 bytes that stand in the conversation's place of the map."""
        return hashlib.sha256(framed(_PARTICIPANTS, self.count.to_bytes(_NUMBER_BYTES), self.root)).digest()


class Membership(NamedTuple):
    """Tags in a row from place `first` on, with the proof of the row: somebody is, or is not, among them.

    One tag that is his own; or the two between which his would stand; or the first or the last one, where
    his would stand before or after; or none of none.
    """

    first: int
    tags: tuple[bytes, ...]
    proof: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class ConversationHead:
    """The place of a conversation in the map: its last `seq`, and the commitment to its participants."""

    conversation: UUID
    last_seq: int
    participants: bytes

    def hashed(self) -> bytes:
        """Return its leaf hash."""
        number = self.last_seq.to_bytes(_NUMBER_BYTES)
        return leaf_hash(framed(_CONVERSATION, self.conversation.bytes, number, self.participants))


@dataclass(frozen=True, slots=True)
class OpenedHead:
    """A conversation of the map as a production shows it.

    `tree`, `salt` and `custodians` (one for each custodian of the scope, in its order) are shown where the
    scope names custodians; `index` and `proof` (inclusion in the map) where it names conversations.
    """

    head: ConversationHead
    tree: ParticipantsTree | None = None
    salt: bytes | None = None
    custodians: tuple[Membership, ...] = ()
    index: int | None = None
    proof: tuple[bytes, ...] = ()


def participant_tag(principal: UUID, salt: bytes) -> bytes:
    """Return the 32 bytes that stand for a participant of a conversation with this salt (16 bytes)."""
    if len(salt) != SALT_BYTES:
        raise EvidenceRefused("a salt has 16 bytes", "salt")
    return hashlib.sha256(framed(_TAG, salt, principal.bytes)).digest()


def participants_tree(principals: Collection[UUID], salt: bytes) -> ParticipantsTree:
    """Return the tree over the participants of a conversation, in whatever order they are given."""
    tags = _tags_of(principals, salt)
    return ParticipantsTree(len(tags), root_of([leaf_hash(tag) for tag in tags]))


def map_root(heads: Sequence[ConversationHead]) -> bytes:
    """Return the root over all conversations of a tenant, in the order of their ids."""
    if any(one.conversation >= other.conversation for one, other in itertools.pairwise(heads)):
        raise EvidenceRefused("the conversations are not in order", "conversations")
    return root_of([head.hashed() for head in heads])


def membership_of(principals: Collection[UUID], salt: bytes, principal: UUID) -> Membership:
    """Return what shows whether `principal` is among the participants."""
    tags, own = _tags_of(principals, salt), participant_tag(principal, salt)
    place = bisect.bisect_left(tags, own)
    if not tags:
        return Membership(0, (), ())
    if place < len(tags) and tags[place] == own:
        first = last = place
    else:
        first, last = max(place - 1, 0), min(place, len(tags) - 1)
    proof = range_proof([leaf_hash(tag) for tag in tags], first, last)
    return Membership(first, tuple(tags[first : last + 1]), tuple(proof))


def is_participant(
    principal: UUID, salt: bytes, tree: ParticipantsTree, shown: Membership, where: str
) -> bool:
    """Tell whether `shown` proves that `principal` is a participant, or that he is none.

    Raises EvidenceRefused when it proves neither.
    """
    _check_row(tree, shown, where)
    own, tags, last = participant_tag(principal, salt), shown.tags, shown.first + len(shown.tags) - 1
    if tags == (own,):
        return True
    between = len(tags) == _NEIGHBOURS and tags[0] < own < tags[1]
    before = len(tags) == 1 and shown.first == 0 and own < tags[0]
    after = len(tags) == 1 and last == tree.count - 1 and own > tags[0]
    if not (between or before or after or tree.count == 0):
        raise EvidenceRefused("whether a custodian was a participant is not shown", where)
    return False


def head_object(opened: OpenedHead) -> dict[str, Any]:
    """Return a conversation of the map as it stands in a production."""
    head = opened.head
    members: dict[str, Any] = {
        "conversation": str(head.conversation),
        "last_seq": str(head.last_seq),
        "participants": head.participants.hex(),
    }
    if opened.tree is not None and opened.salt is not None:
        members |= {
            "count": str(opened.tree.count),
            "root": opened.tree.root.hex(),
            "salt": opened.salt.hex(),
            "custodians": [_membership_object(each) for each in opened.custodians],
        }
    if opened.index is not None:
        members |= {"index": str(opened.index), "proof": [encoded(each) for each in opened.proof]}
    return members


def parse_head(value: object, where: str) -> OpenedHead:
    """Read what `head_object` writes, strictly. Raises EvidenceRefused."""
    fields = Fields(value, where)
    head = ConversationHead(
        fields.uuid("conversation"), fields.number("last_seq"), fields.hexed("participants", HASH_BYTES)
    )
    tree, salt = None, None
    custodians: tuple[Membership, ...] = ()
    index, proof = None, tuple[bytes, ...]()
    if fields.has("salt"):
        tree = ParticipantsTree(fields.number("count"), fields.hexed("root", HASH_BYTES))
        salt = fields.hexed("salt", SALT_BYTES)
        custodians = tuple(_membership(each, where) for each in fields.items("custodians"))
    if fields.has("index"):
        index, proof = fields.number("index"), tuple(fields.hashes("proof"))
    fields.end()
    return OpenedHead(head, tree, salt, custodians, index, proof)


def _tags_of(principals: Collection[UUID], salt: bytes) -> list[bytes]:
    return sorted({participant_tag(principal, salt) for principal in principals})


def _check_row(tree: ParticipantsTree, shown: Membership, where: str) -> None:
    if tree.count == 0:
        if tree.root != EMPTY_ROOT or shown != Membership(0, (), ()):
            raise EvidenceRefused("nobody is a participant, and yet somebody is shown", where)
        return
    try:
        verify_range(
            leaves=[leaf_hash(tag) for tag in shown.tags],
            first=shown.first,
            size=tree.count,
            proof=shown.proof,
            root=tree.root,
        )
    except ProofRefused as refused:
        raise EvidenceRefused(f"the proof does not hold: {refused.reason}", where) from None


def _membership_object(shown: Membership) -> dict[str, Any]:
    return {
        "first": str(shown.first),
        "tags": [encoded(tag) for tag in shown.tags],
        "proof": [encoded(each) for each in shown.proof],
    }


def _membership(value: object, where: str) -> Membership:
    fields = Fields(value, where)
    shown = Membership(fields.number("first"), tuple(fields.hashes("tags")), tuple(fields.hashes("proof")))
    fields.end()
    return shown
