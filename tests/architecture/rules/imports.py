"""The import contracts of pyproject.toml, checked over a graph of imports that a test may alter."""

import tomllib
from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from typing import Any

import grimp
from importlinter.configuration import configure
from importlinter.contracts.forbidden import ForbiddenContract
from importlinter.contracts.layers import LayersContract
from importlinter.contracts.protected import ProtectedContract
from importlinter.domain.contract import Contract

from tests.architecture.rules.sources import ROOT

_KINDS: Mapping[str, type[Contract]] = {
    "forbidden": ForbiddenContract,
    "layers": LayersContract,
    "protected": ProtectedContract,
}


@cache
def import_contracts() -> Mapping[str, Contract]:
    """Return the contracts of pyproject.toml by their id, in their order."""
    configure()
    options = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    session = {name: _as_text(value) for name, value in options.items() if name != "contracts"}
    return {
        contract["id"]: _KINDS[contract["type"]](
            name=contract["name"],
            session_options=session,
            contract_options={name: _as_text(value) for name, value in contract.items()},
        )
        for contract in options["contracts"]
    }


@cache
def import_graph() -> grimp.ImportGraph:
    """Return who imports whom in the house as it stands; alter a copy only."""
    return grimp.build_graph(
        "libs", "services", "infra", "tests", include_external_packages=True, cache_dir=None
    )


def altered(graph: grimp.ImportGraph, importer: str, imported: str | None) -> grimp.ImportGraph:
    """Return a copy of `graph` in which `importer` exists and imports `imported` (None: nothing)."""
    copy = deepcopy(graph)
    copy.add_module(importer)
    if imported is not None:
        if imported not in copy.modules:
            inside = imported.split(".")[0] in {"libs", "services", "infra", "tests"}
            copy.add_module(imported, is_squashed=not inside)
        copy.add_import(
            importer=importer, imported=imported, line_number=1, line_contents=f"import {imported}"
        )
    return copy


def broken_contracts(graph: grimp.ImportGraph, *only: str) -> list[str]:
    """Return the ids of the contracts that `graph` breaks, of all or of those named."""
    return [
        name
        for name, contract in import_contracts().items()
        if (not only or name in only) and not contract.check(deepcopy(graph), verbose=False).kept
    ]


def _as_text(value: Any) -> Any:
    """Return an option as import-linter reads it: a boolean is a word there."""
    return str(value) if isinstance(value, bool) else value
