"""Makes drafts of entries: salts, commitments, the sealed payload, and the fingerprint of the body."""

import hmac
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from libs.evidence.entry import body_commitment
from libs.kernel.clock import Clock
from libs.kernel.framing import framed
from libs.kernel.ids import DeviceId, Ids, MessageId, PrincipalId
from libs.kernel.randomness import Randomness
from services.messaging.domain.bodies import Payload, decide_body, packed
from services.messaging.domain.commitments import SALT_BYTES
from services.messaging.domain.entries import (
    ConversationKey,
    ConversationKind,
    Draft,
    EntryKind,
    Provenance,
)
from services.messaging.ports import BodyKey, Keys

FIRST_REVISION = 0


class Amends(NamedTuple):
    """Which message an act amends, by its first entry, and the revision that it makes of it."""

    message: MessageId
    seq: int
    revision: int


class Act(NamedTuple):
    """What somebody does to a conversation, before it is sealed; `body` is clear and stays in memory.

    `sent_at` is now where it is None: only what is imported was sent before, and has a `provenance`. What
    `amends` a message bears its id.
    """

    key: ConversationKey
    kind: EntryKind
    actor: PrincipalId
    device: DeviceId | None
    members_version: int
    creates: ConversationKind | None = None
    body: bytes | None = None
    client_id: UUID | None = None
    subjects: Sequence[PrincipalId] = ()
    sent_at: datetime | None = None
    provenance: Provenance | None = None
    amends: Amends | None = None


class Seal:
    """Turns acts into drafts under the keys of their conversation and month."""

    def __init__(self, keys: Keys, ids: Ids, randomness: Randomness, clock: Clock) -> None:
        """Take keys from `keys`, message ids from `ids`, salts from `randomness`, `sent_at` from `clock`."""
        self._keys = keys
        self._ids = ids
        self._randomness = randomness
        self._clock = clock

    async def __call__(self, act: Act) -> Draft:
        """Return the act as a draft. Raises KeysUnavailable, and BodyRefused for a body too large."""
        sent_at = act.sent_at or self._clock.now()
        if act.body is None:
            return self._bare(act, sent_at, await self.fingerprint(act))
        decide_body(act.body)
        sealing = self._keys.find_sealing_key(act.key, sent_at) or await self._keys.sealing_key(
            act.key, sent_at
        )
        return self._sealed(act, act.body, sent_at, sealing, await self.fingerprint(act))

    async def fingerprint(self, act: Act) -> bytes:
        """Return by what a repetition of the act is known, empty without a client's id.

        Raises KeysUnavailable.
        """
        if act.client_id is None:
            return b""
        tenant = act.key.tenant
        key = self._keys.find_fingerprint_key(tenant) or await self._keys.fingerprint_key(tenant)
        return fingerprint_of(act, key)

    def _sealed(
        self, act: Act, body: bytes, sent_at: datetime, sealing: BodyKey, fingerprint: bytes
    ) -> Draft:
        salts = self._randomness.bytes(2 * SALT_BYTES)
        payload = Payload(salts[:SALT_BYTES], salts[SALT_BYTES:], body)
        message = MessageId(self._ids.uuid7()) if act.amends is None else act.amends.message
        revision = FIRST_REVISION if act.amends is None else act.amends.revision
        return Draft(
            key=act.key,
            kind=act.kind,
            creates=act.creates,
            message=message,
            actor=act.actor,
            device=act.device,
            sent_at=sent_at,
            members_version=act.members_version,
            metadata_salt=payload.metadata_salt,
            client_id=act.client_id,
            fingerprint=fingerprint,
            subjects=tuple(act.subjects),
            sealed=sealing.seal(packed(payload), act.key, message, revision),
            dek=sealing.dek,
            body_commitment=body_commitment(body, payload.body_salt),
            revision=revision,
            provenance=act.provenance,
            message_seq=None if act.amends is None else act.amends.seq,
        )

    def _bare(self, act: Act, sent_at: datetime, fingerprint: bytes) -> Draft:
        """Return an act without a body as a draft: there is no seal for its salt to lie in."""
        return Draft(
            key=act.key,
            kind=act.kind,
            creates=act.creates,
            message=MessageId(self._ids.uuid7()) if act.amends is None else act.amends.message,
            actor=act.actor,
            device=act.device,
            sent_at=sent_at,
            members_version=act.members_version,
            metadata_salt=self._randomness.bytes(SALT_BYTES),
            client_id=act.client_id,
            fingerprint=fingerprint,
            subjects=tuple(act.subjects),
            revision=FIRST_REVISION if act.amends is None else act.amends.revision,
            provenance=act.provenance,
            message_seq=None if act.amends is None else act.amends.seq,
        )


def fingerprint_of(act: Act, fingerprint_key: bytes) -> bytes:
    """Return the keyed hash (32 bytes) by which a repeated send is told from a conflict.

    Keyed, because bodies are short: without the tenant's key nobody can guess one from its hash.
    """
    body, amends = act.body or b"", act.amends
    about = () if amends is None else (bytes((act.kind,)), amends.message.bytes)
    return hmac.digest(fingerprint_key, framed(act.key.conversation.bytes, body, *about), "sha256")
