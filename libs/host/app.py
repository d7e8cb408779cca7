"""The app factory: every process of every service is made here, so that all behave alike."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Final

import anyio
from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from libs.host.docs import Describe, DocumentedApp, add_docs
from libs.host.errors import Unready
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
from libs.telemetry.metrics import CONTENT_TYPE, Metrics
from libs.telemetry.tracing import Tracing

Check = Callable[[], Awaitable[bool]]
"""Answers whether something that the process needs is there; raising is a no."""
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

MAX_BODY_BYTES: Final = 1024 * 1024
MAX_CONCURRENT_REQUESTS: Final = 512
"""Requests that one process serves at a time; more get 503 instead of a queue that grows."""
_CHECK_SECONDS: Final = 2.0
_SERVER_ERROR: Final = 500


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
    _add_health(app, prefix, readiness or {}, metrics)
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
        if problem.status >= _SERVER_ERROR:
            log.error("refused", problem=problem.type, exc_info=error)
        response = shape(request.scope, problem)
        response.headers.update(retry_after_of(error))
        if problem.status == 401:  # noqa: PLR2004
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


def _add_health(app: FastAPI, prefix: str, checks: Mapping[str, Check], metrics: Metrics) -> None:
    """Serve liveness, readiness and metrics."""

    async def healthy() -> Response:
        return Response(b'{"status":"ok"}', media_type="application/json")

    async def ready() -> Response:
        missing = ["draining"] if app.state.draining else await missing_of(checks)
        if missing:
            raise Unready(", ".join(missing))
        return Response(b'{"status":"ready"}', media_type="application/json")

    async def exposed() -> Response:
        return Response(metrics.exposition(), headers={"content-type": CONTENT_TYPE})

    for path in dict.fromkeys(("", prefix)):
        app.add_api_route(f"{path}/healthz", healthy, include_in_schema=False)
        app.add_api_route(f"{path}/readyz", ready, include_in_schema=False)
    app.add_api_route("/metrics", exposed, include_in_schema=False)


async def missing_of(checks: Mapping[str, Check]) -> list[str]:
    """Return the names of the checks that do not say yes within two seconds, asked side by side."""
    missing: list[str] = []

    async def ask(name: str, check: Check) -> None:
        answer = False
        with anyio.move_on_after(_CHECK_SECONDS):
            try:
                answer = await check()
            except Exception:  # noqa: BLE001 - whatever is wrong, the answer is no
                answer = False
        if not answer:
            missing.append(name)

    async with anyio.create_task_group() as tasks:
        for name, check in checks.items():
            tasks.start_soon(ask, name, check)
    return sorted(missing)


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
