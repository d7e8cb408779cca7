"""Where a record belongs: the facts that its seal binds, so that a moved record does not open."""

import struct
from functools import lru_cache
from typing import NamedTuple

from libs.kernel.framing import framed
from libs.kernel.ids import ConversationId, MessageId, TenantId

_UUID_SIZE = 16
_REVISION_SIZE = 4

_FIXED_PARTS = struct.Struct(">I16sI16sI16sII")
"""framed(tenant, conversation, message, revision) in one call: all four lengths are known."""


class Place(NamedTuple):
    """One field of one revision of one message; `revision` is unsigned, 32 bits."""

    tenant: TenantId
    conversation: ConversationId
    message: MessageId
    revision: int
    field: str


def binding_of(place: Place) -> bytes:
    """Return `framed(tenant, conversation, message, revision u32 big-endian, field utf-8)`.

    Raises ValueError for a revision that does not fit into 32 bits.
    """
    tenant, conversation, message, revision, field = place
    try:
        fixed = _FIXED_PARTS.pack(
            _UUID_SIZE,
            tenant.bytes,
            _UUID_SIZE,
            conversation.bytes,
            _UUID_SIZE,
            message.bytes,
            _REVISION_SIZE,
            revision,
        )
    except struct.error as error:
        msg = f"a revision is an unsigned number of 32 bits, not {revision}"
        raise ValueError(msg) from error
    return fixed + _framed_field(field)


@lru_cache(maxsize=64)
def _framed_field(field: str) -> bytes:
    """Return the field's name behind its length; a deployment knows a handful of names."""
    return framed(field.encode())
