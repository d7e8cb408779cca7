"""`muniment index …`: what the operator does about the indexes of a running deployment."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from services.runner.deployment import read_facts
from services.runner.errors import RunnerError
from services.runner.peers import Operator
from services.runner.tenants import list_tenants

_ROUTE: Final = "/internal/index/rebuilds"
_LOOK_SECONDS: Final = 0.5
_AT_A_TIME: Final = 100


def rebuild(data: Path, slug: str | None, *, quiet: bool) -> list[dict[str, Any]]:
    """Make the index of a tenant (None: of all) anew, show progress unless `quiet`, and wait for the end.

    Return for each its tenant, slug, act, lost, begun_at, done, entries and ended_at. Raises RunnerError.
    """
    operator, tenants = Operator(read_facts(data)), _chosen(data, slug)
    for some in _batches(list(tenants)):
        operator.call("POST", _ROUTE, {"tenants": some}, service="ediscovery")
    while True:
        found = _asked(operator, tenants)
        if all(each["ended_at"] is not None for each in found):
            return found
        if not quiet:
            done, entries = (sum(each[name] for each in found) for name in ("done", "entries"))
            print(f"{done} of {entries} entries", file=sys.stderr, flush=True)
        time.sleep(_LOOK_SECONDS)


def progress(data: Path, slug: str | None) -> list[dict[str, Any]]:
    """Return how far the newest rebuild of a tenant's index (None: of all) is. Raises RunnerError."""
    return _asked(Operator(read_facts(data)), _chosen(data, slug))


def _chosen(data: Path, slug: str | None) -> dict[str, str]:
    """Return the tenants: id → slug."""
    named = {str(each["tenant"]): str(each["slug"]) for each in list_tenants(data)}
    chosen = {tenant: name for tenant, name in named.items() if slug in (None, name)}
    if slug is not None and not chosen:
        raise RunnerError(f"There is no tenant {slug}.")
    return chosen


def _asked(operator: Operator, tenants: dict[str, str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for some in _batches(list(tenants)):
        query = urlencode([("tenant", tenant) for tenant in some])
        answer = operator.call("GET", f"{_ROUTE}?{query}", service="ediscovery")
        found += [{**each, "slug": tenants[each["tenant"]]} for each in answer["rebuilds"]]
    return found


def _batches(tenants: Sequence[str]) -> list[list[str]]:
    return [list(tenants[start : start + _AT_A_TIME]) for start in range(0, len(tenants), _AT_A_TIME)]
