"""Problem documents: each service's table turns its errors into them, and nothing else leaks out.

Source: RFC 9457.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from libs.authn.errors import RevocationsUnknown, Unauthenticated, VerificationUnavailable
from libs.contracts.problems import MEDIA_TYPE, FieldError, Problem
from libs.db.errors import DatabaseUnavailable, RoleTooPowerful, TransactionAborted
from libs.events.errors import CursorAhead, GapUnfilled, ReplayFailed, StreamIncomplete
from libs.host.clients import PeerNotFound, PeerRefused, PeerUnavailable
from libs.host.errors import BodyUnreadable, ServiceNotAllowed, Unready
from libs.kernel.errors import DomainError

_URN: Final = "urn:problem:"


@dataclass(frozen=True, slots=True)
class ProblemRow:
    """What the world learns of one kind of error.

    `detail` may name attributes of the error in braces (`"at most {limit} participants"`); an error's other
    facts stay inside. An error with the attribute `retry_after_seconds` sends it as Retry-After.
    """

    status: int
    type: str
    title: str
    detail: str | None = None

    def __post_init__(self) -> None:
        """Refuse a type that is not `urn:problem:<slug>`."""
        if not self.type.startswith(_URN):
            msg = f"a problem's type begins with {_URN}: {self.type}"
            raise ValueError(msg)


ProblemTable = Mapping[type[DomainError], ProblemRow]
ErrorShape = Callable[[Problem], Response]
"""Another form of the same facts, for a protocol with an error form of its own (SCIM)."""

LIBRARY_PROBLEMS: Final[ProblemTable] = {
    Unauthenticated: ProblemRow(401, "urn:problem:unauthenticated", "Sign in"),
    VerificationUnavailable: ProblemRow(503, "urn:problem:unavailable", "Try again later"),
    RevocationsUnknown: ProblemRow(503, "urn:problem:unavailable", "Try again later"),
    DatabaseUnavailable: ProblemRow(503, "urn:problem:unavailable", "Try again later"),
    TransactionAborted: ProblemRow(500, "urn:problem:internal", "Internal error"),
    RoleTooPowerful: ProblemRow(500, "urn:problem:internal", "Internal error"),
    CursorAhead: ProblemRow(409, "urn:problem:cursor-ahead", "The source never gave out that position"),
    GapUnfilled: ProblemRow(500, "urn:problem:internal", "Internal error"),
    StreamIncomplete: ProblemRow(500, "urn:problem:internal", "Internal error"),
    ReplayFailed: ProblemRow(409, "urn:problem:replay-failed", "The event failed again"),
    ServiceNotAllowed: ProblemRow(403, "urn:problem:service-not-allowed", "This service may not ask that"),
    BodyUnreadable: ProblemRow(400, "urn:problem:malformed", "The request cannot be read"),
    Unready: ProblemRow(503, "urn:problem:unready", "Not ready", "not ready: {names}"),
    PeerUnavailable: ProblemRow(503, "urn:problem:unavailable", "Try again later"),
    PeerNotFound: ProblemRow(404, "urn:problem:not-found", "Not found"),
    PeerRefused: ProblemRow(500, "urn:problem:internal", "Internal error"),
}
"""The errors of the libraries; a service's own row for one of them wins."""

INTERNAL: Final = ProblemRow(500, "urn:problem:internal", "Internal error")
NOT_FOUND: Final = ProblemRow(404, "urn:problem:not-found", "Not found")
BUSY: Final = ProblemRow(503, "urn:problem:busy", "Too many requests at once; try again later")
TOO_LARGE: Final = ProblemRow(413, "urn:problem:too-large", "The request is too large")
MALFORMED: Final = ProblemRow(400, "urn:problem:malformed", "The request cannot be read")
INVALID: Final = ProblemRow(422, "urn:problem:invalid", "The request is not valid")
_BY_STATUS: Final[Mapping[int, ProblemRow]] = {
    400: MALFORMED,
    404: NOT_FOUND,
    405: ProblemRow(405, "urn:problem:method-not-allowed", "Method not allowed"),
    406: ProblemRow(406, "urn:problem:not-acceptable", "Not acceptable"),
    413: TOO_LARGE,
    415: ProblemRow(415, "urn:problem:unsupported-media-type", "Unsupported media type"),
}


def merged(table: ProblemTable) -> ProblemTable:
    """Return the service's table over the libraries' one."""
    return {**LIBRARY_PROBLEMS, **table}


def row_of(error: DomainError, table: ProblemTable) -> ProblemRow:
    """Return the row of the error's class or of its nearest ancestor; INTERNAL when there is none."""
    return next((table[kind] for kind in type(error).__mro__ if kind in table), INTERNAL)


def problem_of(error: DomainError, table: ProblemTable, request_id: str | None = None) -> Problem:
    """Return the error's problem document; on a socket, too."""
    row = row_of(error, table)
    detail = None if row.detail is None else row.detail.format_map(_FactsOf(error))
    return document(row, detail=detail, request_id=request_id)


def document(
    row: ProblemRow,
    *,
    detail: str | None = None,
    request_id: str | None = None,
    errors: Iterable[FieldError] = (),
) -> Problem:
    """Return the row as a document; `code` is the slug of its type."""
    return Problem(
        type=row.type,
        title=row.title,
        status=row.status,
        code=row.type.removeprefix(_URN),
        detail=detail,
        request_id=request_id,
        errors=tuple(errors),
    )


def uncovered(table: ProblemTable, package: str) -> list[type[DomainError]]:
    """Return the loaded DomainErrors defined below `package` (`services.keys`) that the table does not name.

    For the test that says a service's table is complete; import the service's modules first.
    """
    return sorted(
        (
            error
            for error in _descendants(DomainError)
            if error.__module__.startswith(package) and error not in table
        ),
        key=lambda error: error.__qualname__,
    )


def retry_after_of(error: DomainError) -> dict[str, str]:
    """Return the Retry-After header of an error that has `retry_after_seconds`, else nothing."""
    seconds = getattr(error, "retry_after_seconds", None)
    return {} if seconds is None else {"retry-after": str(max(1, math.ceil(seconds)))}


def validation_problem(error: RequestValidationError, request_id: str | None = None) -> Problem:
    """Return where the request is defective and how; never what was sent."""
    defects = error.errors()
    row = MALFORMED if any(defect.get("type") == "json_invalid" for defect in defects) else INVALID
    return document(row, request_id=request_id, errors=[_field_error_of(d) for d in defects[:100]])


def status_problem(error: HTTPException, request_id: str | None = None) -> Problem:
    """Return the document of a status that the framework raised; its own text stays out."""
    row = _BY_STATUS.get(error.status_code)
    if row is None:
        row = ProblemRow(error.status_code, f"urn:problem:status-{error.status_code}", "The request failed")
    return document(row, request_id=request_id)


def plain_shape(problem: Problem) -> Response:
    """Return the problem document as RFC 9457 has it."""
    return Response(msgspec.json.encode(problem), problem.status, media_type=MEDIA_TYPE)


def request_id_of(request: Request) -> str | None:
    """Return the request's id, which the outermost layer of the app gave it."""
    state: Mapping[str, str] = request.scope.get("state", {})
    return state.get("request_id")


class _FactsOf(dict[str, object]):
    """The attributes of an error, for `str.format_map`."""

    def __init__(self, error: DomainError) -> None:
        super().__init__()
        self._error = error

    def __missing__(self, name: str) -> object:
        return getattr(self._error, name)


def _descendants(kind: type[DomainError]) -> set[type[DomainError]]:
    children = set(kind.__subclasses__())
    return children.union(*(_descendants(child) for child in children))


def _field_error_of(defect: Mapping[str, object]) -> FieldError:
    location = defect.get("loc", ())
    steps = [str(step) for step in location] if isinstance(location, (list, tuple)) else []
    detail = str(defect.get("msg", "not valid"))
    if defect.get("type") == "json_invalid" or steps[:1] == ["body"]:
        within = [] if defect.get("type") == "json_invalid" else steps[1:]
        return FieldError(detail=detail, pointer="#" + "".join(f"/{_escaped(step)}" for step in within))
    return FieldError(detail=detail, parameter="/".join(steps))


def _escaped(step: str) -> str:
    """Return one step of a JSON pointer (RFC 6901, section 3)."""
    return step.replace("~", "~0").replace("/", "~1")
