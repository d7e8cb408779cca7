"""Runs one process of one service: settings, wiring, server."""

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from services.runner.errors import RunnerError

SERVICE_OF: Mapping[str, str] = {
    "audit": "audit",
    "ediscovery": "ediscovery",
    "holds": "holds",
    "identity": "identity",
    "keys": "keys",
    "messaging": "messaging",
    "messaging-relay": "messaging",
    "retention": "retention",
}
"""The service to which each process belongs."""


def settings_of(name: str, config: Path | None, environ: Mapping[str, str]) -> tuple[str, Any]:
    """Return the service of the process `name`, and its settings."""
    from libs.host.settings import read_settings

    service = _service_of(name)
    settings_type = importlib.import_module(f"services.{service}.settings").Settings
    return service, read_settings(settings_type, service, config, environ)


def serve(name: str, config: Path | None, environ: Mapping[str, str]) -> int:
    """Serve until SIGTERM and return the exit code."""
    from libs.host.serve import AddressTaken
    from libs.host.serve import serve as serve_app
    from libs.telemetry.logs import configure_logging

    service, settings = settings_of(name, config, environ)
    configure_logging(name if name != "messaging" else getattr(settings, "gateway", name))
    processes: Mapping[str, Callable[[Any], Any]] = importlib.import_module(
        f"services.{service}.wiring"
    ).PROCESSES
    try:
        return serve_app(processes[name](settings), settings.listen)
    except AddressTaken as taken:
        raise RunnerError(str(taken)) from None


def overrides_of(name: str, listen: str | None, gateway: str | None) -> dict[str, str]:
    """Return the settings that differ between processes of one service, as environment variables."""
    service = _service_of(name).upper()
    given = {f"MUNIMENT_{service}_LISTEN": listen, f"MUNIMENT_{service}_GATEWAY": gateway}
    return {variable: value for variable, value in given.items() if value is not None}


def _service_of(name: str) -> str:
    if name not in SERVICE_OF:
        raise RunnerError(f"There is no process {name!r}; there are: {', '.join(SERVICE_OF)}.")
    return SERVICE_OF[name]
