"""What the envelope refuses."""

from dataclasses import dataclass

from libs.kernel.errors import DomainError
from libs.kernel.ids import DekId


@dataclass(eq=False)
class RecordRefused(DomainError):
    """The record does not open here.

    One error without facts for every reason (malformed, moved, another key, altered): whoever sends
    crafted records learns nothing from the answer.
    """


@dataclass(eq=False)
class KeyExhausted(DomainError):
    """The data key has sealed as many records as it may; the caller obtains its next generation."""

    dek: DekId
