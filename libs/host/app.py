"""The app factory: every process of every service is made here, so that all behave alike."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Final

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from structlog.typing import FilteringBoundLogger

from libs.contracts.problems import Problem
from libs.host.docs import Describe, DocumentedApp, add_docs
from libs.host.errors import Unready
from libs.host.health import Check, add_health
from libs.host.layers import BodyLimit, Shield, shape_by_path
from libs.host.problems import (
    ErrorShape,
    ProblemTable,
    merged,
    plain_shape,
    problem_of,
    request_id_of,
    retry_after_of,
    status_problem,
    validation_problem,
)
from libs.kernel.clock import Clock, SystemClock
from libs.kernel.errors import DomainError
from libs.kernel.ids import Ids, SystemIds
from libs.kernel.randomness import SystemRandomness
from libs.telemetry.logs import exception_facts, get_logger
from libs.telemetry.metrics import Metrics
from libs.telemetry.tracing import Tracing

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

MAX_BODY_BYTES: Final = 1024 * 1024
MAX_CONCURRENT_REQUESTS: Final = 512
"""Requests that one process serves at a time; more get 503 instead of a queue that grows."""
_SERVER_ERROR: Final = 500
_UNAVAILABLE: Final = 503
_UNAUTHORIZED: Final = 401


def create_app(  # noqa: PLR0913 - the one place where a process is put together; all but four have defaults
    service: str,
    *,
    title: str,
    prefix: str,
    routers: Sequence[APIRouter],
    problems: ProblemTable,
    lifespan: Lifespan | None = None,
    readiness: Mapping[str, Check] | None = None,
    error_shapes: Mapping[str, ErrorShape] | None = None,
    metrics: Metrics | None = None,
    tracing: Tracing | None = None,
    ids: Ids | None = None,
    clock: Clock | None = None,
    max_concurrent_requests: int = MAX_CONCURRENT_REQUESTS,
    max_body_bytes: int = MAX_BODY_BYTES,
    version: str = "1",
    description: str = "",
    describe_socket: Describe | None = None,
) -> FastAPI:
    """Return the app of one process.

    `routers` carry their whole paths; `prefix` (`/identity/v1`) is where `/docs`, `/openapi.json`,
    `/healthz` and `/readyz` stand for the one origin, beside the process's own `/healthz`, `/readyz` and
    `/metrics`. `error_shapes` gives paths below a prefix another form of error (SCIM). `describe_socket`
    makes the AsyncAPI document of a service that has a socket, for `/asyncapi.json` and the page.
    `app.state.draining` is False until the server drains.
    """
    clock = clock or SystemClock()
    metrics = metrics or Metrics(service)
    tracing = tracing or Tracing(service)
    app = DocumentedApp(
        title=title,
        version=version,
        description=description,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_guarded(lifespan),
        telemetry={"auto_configure": False, "tracing": False, "metrics": False, "logs": False},
    )
    app.state.draining = False
    for router in routers:
        app.include_router(router)
    shape = shape_by_path(dict(error_shapes or {}), plain_shape)
    _answer_errors(app, merged(problems), error_shapes or {})
    add_health(app, prefix, readiness or {}, metrics)
    add_docs(app, prefix, describe_socket)
    # The last one added is the outermost.
    app.add_middleware(BodyLimit, max_bytes=max_body_bytes)
    app.add_middleware(
        Shield,
        ids=ids or SystemIds(clock, SystemRandomness()),
        clock=clock,
        max_concurrent=max_concurrent_requests,
        metrics=metrics,
        tracing=tracing,
        shape=shape,
    )
    return app


def _answer_errors(app: FastAPI, table: ProblemTable, shapes: Mapping[str, ErrorShape]) -> None:
    """Turn each kind of refusal into its document."""
    shape = shape_by_path(dict(shapes), plain_shape)
    log = get_logger()

    async def refuse(request: Request, error: Exception) -> Response:
        if not isinstance(error, DomainError):  # pragma: no cover - registered for DomainError alone
            raise error
        problem = problem_of(error, table, request_id_of(request))
        _tell_of(log, problem, error)
        response = shape(request.scope, problem)
        response.headers.update(retry_after_of(error))
        if problem.status == _UNAUTHORIZED:
            response.headers["www-authenticate"] = "Bearer"
        return response

    async def refuse_fields(request: Request, error: Exception) -> Response:
        if not isinstance(error, RequestValidationError):  # pragma: no cover
            raise error
        return shape(request.scope, validation_problem(error, request_id_of(request)))

    async def refuse_status(request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):  # pragma: no cover
            raise error
        response = shape(request.scope, status_problem(error, request_id_of(request)))
        response.headers.update(error.headers or {})
        return response

    app.add_exception_handler(DomainError, refuse)
    app.add_exception_handler(RequestValidationError, refuse_fields)
    app.add_exception_handler(HTTPException, refuse_status)


def _tell_of(log: FilteringBoundLogger, problem: Problem, error: DomainError) -> None:
    """Log what is no user's mistake: what passes by itself in a word, a defect with its frames."""
    if isinstance(error, Unready):
        return  # told once per change by the readiness itself
    if problem.status == _UNAVAILABLE:
        log.warning("refused for now", problem=problem.type, error=type(error).__name__)
    elif problem.status >= _SERVER_ERROR:
        log.error("refused", problem=problem.type, exc_info=error)


def _guarded(lifespan: Lifespan | None) -> Lifespan:
    """Return the lifespan with a log line that says why a start failed, without any content."""

    @asynccontextmanager
    async def guarded(app: FastAPI) -> AsyncIterator[None]:
        if lifespan is None:
            yield
            return
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(lifespan(app))
            except Exception as error:  # noqa: BLE001 - told here, and ends the process by StartFailed
                get_logger().error("start failed", said=_said_by(error), exception=exception_facts(error))
                raise StartFailed from None
            yield

    return guarded


def _said_by(error: Exception) -> str | None:
    """Return the facts of an error whose text holds no values of settings or rows."""
    if isinstance(error, DomainError):
        return str(error)
    return error.strerror if isinstance(error, OSError) else None


class StartFailed(RuntimeError):
    """A process could not start; the log says where."""
