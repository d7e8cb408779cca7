"""The steps that every kind of evidence is checked by: a leaf in its log, a commit, an entry of a commit."""

from collections.abc import Callable
from uuid import UUID

from libs.evidence.canonical import Fields, parse_canonical
from libs.evidence.detail import SALT_BYTES, Detail, opened
from libs.evidence.entry import metadata_commitment
from libs.evidence.errors import EvidenceRefused
from libs.evidence.leaf import Leaf, parse_leaf
from libs.merkle.checkpoint import Checkpoint
from libs.merkle.errors import ProofRefused
from libs.merkle.hashing import HASH_BYTES, leaf_hash
from libs.merkle.verify import verify_inclusion


def leaf_of_log(data: bytes, log: UUID, where: str) -> Leaf:
    """Return a leaf of the log `log`. Raises EvidenceRefused."""
    try:
        leaf = parse_leaf(data)
    except EvidenceRefused as refused:
        raise EvidenceRefused(refused.reason, where) from None
    if leaf.log != log:
        raise EvidenceRefused("the leaf is of another log", where)
    return leaf


def included_leaf(data: bytes, proof: list[bytes], checkpoint: Checkpoint, log: UUID, where: str) -> Leaf:
    """Return a leaf that stands in the log at its index. Raises EvidenceRefused."""
    leaf = leaf_of_log(data, log, where)
    proven(
        lambda: verify_inclusion(
            leaf=leaf_hash(data),
            index=leaf.index,
            size=checkpoint.size,
            proof=proof,
            root=checkpoint.root,
        ),
        where,
    )
    return leaf


def shown_detail(fields: Fields, leaf: Leaf, where: str) -> Detail:
    """Return the detail that is shown, when it is the one that the leaf commits to."""
    return opened(fields.raw("detail"), fields.hexed("salt", SALT_BYTES), leaf.detail, where)


def shown_commit(fields: Fields, checkpoint: Checkpoint, log: UUID) -> tuple[Leaf, Detail]:
    """Return the leaf of messaging with a root, and its detail, that stand in `fields`."""
    where = fields.where
    leaf = included_leaf(fields.text("leaf").encode(), fields.hashes("proof"), checkpoint, log, where)
    detail = shown_detail(fields, leaf, where)
    if leaf.root is None or leaf.source != "messaging":
        raise EvidenceRefused("the leaf is of no commit of messages", where)
    return leaf, detail


def shown_metadata(fields: Fields, conversation: UUID, seq: int, log: UUID) -> tuple[bytes, bytes | None]:
    """Return the commitment to an entry's metadata, and the metadata where they are shown.

    Raises EvidenceRefused for metadata of another entry.
    """
    if not fields.has("metadata"):
        return fields.hexed("metadata_commitment", HASH_BYTES), None
    data = fields.text("metadata").encode()
    value = parse_canonical(data, f"{fields.where}.metadata")
    named = {"conversation": str(conversation), "seq": seq, "tenant": str(log)}
    if not isinstance(value, dict) or any(value.get(name) != each for name, each in named.items()):
        raise EvidenceRefused("the metadata are of another entry", f"{fields.where}.metadata")
    return metadata_commitment(data, fields.hexed("metadata_salt", SALT_BYTES)), data


def proven(proof: Callable[[], None], where: str) -> None:
    """Return when a proof holds. Raises EvidenceRefused for one that does not."""
    try:
        proof()
    except ProofRefused as refused:
        raise EvidenceRefused(f"the proof does not hold: {refused.reason}", where) from None
