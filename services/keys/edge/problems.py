"""What callers learn of each refusal."""

from typing import Final

from libs.db.errors import DatabaseUnavailable, RoleTooPowerful, TransactionAborted
from libs.host.problems import ProblemRow, ProblemTable
from services.keys.domain.errors import (
    BatchTooLarge,
    DeksUnknown,
    InvalidAccess,
    InvalidScope,
    KekUnavailable,
    KeysContended,
    SigningKeyRefused,
    VaultUnavailable,
    WipingPutOff,
)

_UNAVAILABLE: Final = ProblemRow(
    503, "urn:problem:key-service-unavailable", "Keys cannot be had right now", "nothing was done; try again"
)
_KEY_UNAVAILABLE: Final = ProblemRow(
    503,
    "urn:problem:key-unavailable",
    "This key cannot be had",
    "the vault refuses it; asking again is no remedy",
)
_INTERNAL: Final = ProblemRow(500, "urn:problem:internal", "Internal error")
_INVALID: Final = ProblemRow(422, "urn:problem:invalid", "The request is not valid", "{reason}")

PROBLEMS: Final[ProblemTable] = {
    VaultUnavailable: _UNAVAILABLE,
    KeysContended: _UNAVAILABLE,
    DatabaseUnavailable: _UNAVAILABLE,
    KekUnavailable: _KEY_UNAVAILABLE,
    SigningKeyRefused: _KEY_UNAVAILABLE,
    DeksUnknown: _INTERNAL,
    WipingPutOff: _UNAVAILABLE,
    InvalidScope: _INVALID,
    InvalidAccess: _INVALID,
    BatchTooLarge: ProblemRow(422, _INVALID.type, _INVALID.title, "at most {limit} keys at once"),
    TransactionAborted: _INTERNAL,
    RoleTooPowerful: _INTERNAL,
}
