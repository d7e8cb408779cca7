"""Whether a process lives, whether it has what it needs, and what it counts."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import anyio
from fastapi import FastAPI
from starlette.responses import Response

from libs.host.errors import Unready
from libs.telemetry.logs import get_logger
from libs.telemetry.metrics import CONTENT_TYPE, Metrics

Check = Callable[[], Awaitable[bool]]
"""Answers whether something that the process needs is there; raising is a no."""

_CHECK_SECONDS: Final = 2.0
_OK: Final = b'{"status":"ok"}'
_READY: Final = b'{"status":"ready"}'


class Readiness:
    """What this process misses; the log hears of it once per change, however often it is asked."""

    def __init__(self, app: FastAPI, checks: Mapping[str, Check]) -> None:
        """Ask `checks` by name, and `app.state.draining`."""
        self._app = app
        self._checks = checks
        self._told: list[str] | None = None
        self._log = get_logger()

    async def access(self) -> None:
        """Return when everything is there. Raises Unready."""
        missing = ["draining"] if self._app.state.draining else await missing_of(self._checks)
        self._tell(missing)
        if missing:
            raise Unready(", ".join(missing))

    def _tell(self, missing: list[str]) -> None:
        if missing == self._told:
            return
        self._told = missing
        if missing:
            self._log.warning("not ready", missing=missing)
        else:
            self._log.info("ready")


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


def add_health(app: FastAPI, prefix: str, checks: Mapping[str, Check], metrics: Metrics) -> None:
    """Serve `/healthz` and `/readyz`, also below `prefix` for the one origin, and `/metrics`."""
    readiness = Readiness(app, checks)

    async def healthy() -> Response:
        return Response(_OK, media_type="application/json")

    async def ready() -> Response:
        await readiness.access()
        return Response(_READY, media_type="application/json")

    async def exposed() -> Response:
        return Response(metrics.exposition(), headers={"content-type": CONTENT_TYPE})

    for path in dict.fromkeys(("", prefix)):
        app.add_api_route(f"{path}/healthz", healthy, include_in_schema=False)
        app.add_api_route(f"{path}/readyz", ready, include_in_schema=False)
    app.add_api_route("/metrics", exposed, include_in_schema=False)
