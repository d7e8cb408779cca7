"""The events of dispositions: what is ordered, and what an executor finds where the data lie.

An order carries everything by which it is decided, so that whoever reads it decides the same.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import ClassVar, Final
from uuid import UUID

import msgspec

from libs.contracts.cloudevents import Event, Instant

DRY_RUN: Final = "dry-run"
"""The kind of an order that only counts."""
RUN: Final = "run"
"""The kind of an order that is carried out: it names the result that somebody else approved."""

_RESULT: Final = "muniment/disposition-result/v1"


class OrderedPeriod(msgspec.Struct, frozen=True, kw_only=True):
    """Years and months by the calendar, then days."""

    years: int = 0
    months: int = 0
    days: int = 0


class OrderedRule(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a retention rule; `kind` is floor or deletion, None in the last two is everything."""

    rule: UUID
    version: int
    kind: str
    period: OrderedPeriod
    grace_seconds: int = 0
    conversation_types: tuple[str, ...] | None = None
    conversations: tuple[UUID, ...] | None = None


class OrderedLock(msgspec.Struct, frozen=True, kw_only=True):
    """A preservation lock as it stands."""

    lock: UUID
    period: OrderedPeriod
    conversation_types: tuple[str, ...] | None = None


class OrderedErasure(msgspec.Struct, frozen=True, kw_only=True):
    """A person's request to erase what he had sent."""

    erasure: UUID
    subject: UUID
    requested_at: Instant


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """By what an order is decided, beside the holds, which each executor knows itself.

    `without_holds` are taken for released: a what-if alone names any.
    """

    as_of: Instant
    rules: tuple[OrderedRule, ...] = ()
    locks: tuple[OrderedLock, ...] = ()
    erasures: tuple[OrderedErasure, ...] = ()
    without_holds: tuple[UUID, ...] = ()


class DispositionOrderIssued(Event, frozen=True, kw_only=True):
    """Executors are to find what is due at `terms.as_of`; a dry run counts it and changes nothing.

    A run hides it, and destroys what is ripe, behind the holds of `generation`, if `digest` is still the
    hash of what is found: that of the dry run `dry_run`, which was approved.
    """

    name: ClassVar[str] = "retention.order.issued.v1"
    order: UUID
    kind: str
    terms: Terms
    dry_run: UUID | None = None
    generation: int | None = None
    digest: bytes | None = None


class ClassFound(msgspec.Struct, frozen=True, kw_only=True):
    """Items of one class: `conversations` are those that a rule or hold names, None all others of the type.

    Each item counts once: it is retained, preserved (due, and kept by a hold), hidden (due, and within its
    time of grace) or ripe (to be destroyed). Bytes are those of the sealed bodies. `first_at` and `last_at`
    are of what is hidden or ripe.
    """

    conversation_type: str
    conversations: tuple[UUID, ...] | None = None
    retained: int = 0
    preserved: int = 0
    hidden: int = 0
    ripe: int = 0
    retained_bytes: int = 0
    preserved_bytes: int = 0
    hidden_bytes: int = 0
    ripe_bytes: int = 0
    first_at: Instant | None = None
    last_at: Instant | None = None


class SampledStep(msgspec.Struct, frozen=True, kw_only=True):
    """One voice in the trace of a sample; `at` is None for one that knows no end."""

    voice: str
    source: UUID | None = None
    version: int | None = None
    at: Instant | None = None
    grace_seconds: int = 0
    won: bool = False


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """An item that was decided by itself, as its class says; it is named, never shown."""

    conversation: UUID
    seq: int
    sent_at: Instant
    standing: str
    due_at: Instant | None = None
    destroy_at: Instant | None = None
    trace: tuple[SampledStep, ...] = ()


class OrderAnswered(Event, frozen=True, kw_only=True):
    """What an executor found, behind the holds of `generation`.

    `digest` is `digest_of_result`. `refused` says in one word why it found nothing; it found all, if empty.
    """

    order: UUID
    generation: int
    digest: bytes
    classes: tuple[ClassFound, ...] = ()
    samples: tuple[Sample, ...] = ()
    refused: str = ""


class MessagingOrderAnswered(OrderAnswered, frozen=True, kw_only=True):
    """What messaging found."""

    name: ClassVar[str] = "messaging.order.answered.v1"


class OrderCompleted(Event, frozen=True, kw_only=True):
    """An executor has carried out a run, or says in one word (`refused`) why it did not go on.

    It counts items: hidden by this order (those destroyed among them), destroyed, and spared: what was due
    when the run began, and not any more when its turn came. `bytes` are those of destroyed sealed bodies,
    `deks` the data keys that had sealed them: each is to be shredded (`KeysEmptied`, `DeksShredded`).
    """

    order: UUID
    hidden: int = 0
    destroyed: int = 0
    spared: int = 0
    bytes: int = 0
    deks: int = 0
    refused: str = ""


class MessagingOrderCompleted(OrderCompleted, frozen=True, kw_only=True):
    """Messaging has carried out a run."""

    name: ClassVar[str] = "messaging.order.completed.v1"


class PayloadsDestroyed(Event, frozen=True, kw_only=True):
    """The sealed bodies of these entries of a conversation, and the salts within, are gone; entries stay.

    That was done behind the holds of `generation`: no hold up to it covers them.
    """

    name: ClassVar[str] = "messaging.payloads.destroyed.v1"
    order: UUID
    conversation: UUID
    seqs: tuple[int, ...]
    generation: int = 0


class KeysEmptied(Event, frozen=True, kw_only=True):
    """Nothing is sealed under these data keys any more, nor can be: seen behind the holds of `generation`.

    Survivors were sealed anew under the next generation of their keys.
    """

    name: ClassVar[str] = "messaging.keys.emptied.v1"
    order: UUID
    generation: int
    deks: tuple[UUID, ...]


class DeksShredded(Event, frozen=True, kw_only=True):
    """The key service has destroyed these data keys; from `unrecoverable_after` on no backup holds them."""

    name: ClassVar[str] = "keys.deks.shredded.v1"
    order: UUID
    generation: int
    deks: tuple[UUID, ...]
    unrecoverable_after: Instant


class DeksKept(Event, frozen=True, kw_only=True):
    """The key service did not shred these: the holds changed. `generation` is the one to be seen behind."""

    name: ClassVar[str] = "keys.deks.kept.v1"
    order: UUID
    generation: int
    deks: tuple[UUID, ...]


class ItemsExpunged(Event, frozen=True, kw_only=True):
    """The words of so many more destroyed items of an order are gone from the files of the index."""

    name: ClassVar[str] = "ediscovery.items.expunged.v1"
    order: UUID
    items: int


ANSWERS: tuple[type[OrderAnswered], ...] = (MessagingOrderAnswered,)
COMPLETIONS: tuple[type[OrderCompleted], ...] = (MessagingOrderCompleted,)
DISPOSITION: tuple[type[Event], ...] = (
    DispositionOrderIssued,
    *ANSWERS,
    *COMPLETIONS,
    PayloadsDestroyed,
    KeysEmptied,
    DeksShredded,
    DeksKept,
    ItemsExpunged,
)


def digest_of_result(tenant: UUID, terms: Terms, generation: int, classes: Sequence[ClassFound]) -> bytes:
    """Return the hash (32 bytes) of what was found and of all by which it was decided.

    It is SHA-256 over canonical JSON (RFC 8785: names sorted, no spaces, all ASCII, whole numbers). Whoever
    approves it approves these counts, by these rules, behind the holds of this generation; the samples, an
    illustration, are no part of it.
    """
    said = result_object(tenant, terms, generation, classes)
    return sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).digest()


def result_object(
    tenant: UUID, terms: Terms, generation: int, classes: Sequence[ClassFound]
) -> dict[str, object]:
    """Return the object that `digest_of_result` hashes, as values of JSON."""
    return {
        "v": _RESULT,
        "tenant": str(tenant),
        "terms": _plain(terms),
        "generation": generation,
        "classes": [_plain(each) for each in classes],
    }


def _plain(value: object) -> object:
    """Return a struct as values of JSON, instants in one spelling whatever zone they came in."""
    return _in_utc(msgspec.to_builtins(value, builtin_types=(datetime,)))


def _in_utc(value: object) -> object:
    match value:
        case datetime():
            return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
        case dict():
            return {name: _in_utc(inner) for name, inner in value.items()}
        case list() | tuple():
            return [_in_utc(inner) for inner in value]
    return value
