"""The problem document: the one shape of every error, over HTTP and on the socket.

Source: RFC 9457.
"""

import msgspec

MEDIA_TYPE = "application/problem+json"


class FieldError(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One defect of a request: where it lies and what it is; never the value that was sent."""

    detail: str
    pointer: str | None = None
    """A JSON pointer into the body as a URI fragment (`#/items/0/name`)."""
    parameter: str | None = None
    """The parameter outside the body (`query/limit`, `header/if-match`)."""


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A problem document.

    `type` is `urn:problem:<slug>` and `code` the slug alone, for programs that switch on it.
    """

    type: str
    title: str
    status: int
    code: str
    detail: str | None = None
    request_id: str | None = None
    errors: tuple[FieldError, ...] = ()
