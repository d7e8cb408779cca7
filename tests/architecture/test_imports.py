"""The import contracts hold, and each of them catches its planted breach."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.rules.imports import altered, broken_contracts, import_contracts, import_graph
from tests.architecture.rules.sources import ROOT

# Contract → an import that breaks it (importer, imported); None as the imported: a module without a place.
BREACHES = [
    ("libs-know-no-service", "libs.db.planted", "services.messaging.domain.entries"),
    ("libs-know-no-service", "libs.kernel.planted", "infra.engines"),
    ("libs-layers", "libs.kernel.planted", "libs.db"),
    ("libs-layers", "libs.merkle.planted", "libs.envelope"),
    ("libs-layers", "libs.authn.planted", "libs.authz"),
    ("libs-layers", "libs.common", None),
    ("client-stands-alone", "libs.client.planted", "libs.db"),
    ("client-stands-alone", "libs.client.planted", "psycopg"),
    ("libs-drivers", "libs.contracts.planted", "fastapi"),
    ("libs-drivers", "libs.authn.planted", "redis"),
    ("libs-drivers", "libs.disposition.planted", "psycopg"),
    ("disposition-decides-alone", "libs.disposition.planted", "libs.merkle"),
    ("services-apart", "services.identity.domain.planted", "services.messaging.domain"),
    ("services-apart", "services.keys.wiring", "services.identity.wiring"),
    ("services-apart", "services.billing", None),
    ("services-know-no-infra", "services.keys.adapters.planted", "infra.engines"),
    ("services-know-no-infra", "services.messaging.wiring", "services.runner"),
    ("infra-knows-no-service", "infra.engines.planted", "services.keys"),
    ("infra-knows-no-service", "infra.engines.planted", "tests.support"),
    ("runner-ships-without-tests", "services.runner.planted", "tests.support"),
    ("rooms", "services.messaging.domain.planted", "services.messaging.usecases"),
    ("rooms", "services.messaging.usecases.planted", "services.messaging.store"),
    ("rooms", "services.messaging.usecases.planted", "services.messaging.settings"),
    ("rooms", "services.messaging.edge.planted", "services.messaging.store"),
    ("rooms", "services.messaging.store.planted", "services.messaging.adapters"),
    ("rooms", "services.messaging.adapters.planted", "services.messaging.wiring"),
    ("rooms", "services.messaging.helpers", None),
    ("outside-rooms-know-no-use-case", "services.messaging.store.planted", "services.messaging.usecases"),
    ("outside-rooms-know-no-framework", "services.keys.adapters.planted", "fastapi"),
    ("stores-know-no-host", "services.keys.store.planted", "libs.host"),
    ("edge-knows-no-driver", "services.identity.edge.planted", "psycopg"),
    ("edge-knows-no-driver", "services.messaging.edge.planted", "libs.envelope.sealing"),
    ("inner-rooms-libs", "services.identity.domain.planted", "libs.db"),
    ("inner-rooms-libs", "services.identity.domain.planted", "libs.contracts"),
    ("use-cases-libs", "services.identity.usecases.planted", "libs.events"),
    ("inner-rooms-frameworks", "services.identity.usecases.planted", "fastapi"),
    ("inner-rooms-frameworks", "services.keys.domain.planted", "pydantic"),
    ("inner-rooms-wire-formats", "services.messaging.domain.planted", "msgspec"),
    ("inner-rooms-wire-formats", "services.messaging.usecases.planted", "json"),
    ("domain-is-pure", "services.messaging.domain.planted", "asyncio"),
    ("domain-is-pure", "services.messaging.domain.planted", "time"),
    ("settings-are-read-by-wiring", "services.messaging.edge.planted", "services.messaging.settings"),
]


@pytest.mark.parametrize("contract", import_contracts())
def test_the_house_keeps_its_import_contract(contract: str):
    assert broken_contracts(import_graph(), contract) == []


@pytest.mark.planted
@pytest.mark.parametrize(("contract", "importer", "imported"), BREACHES)
def test_a_planted_import_breaks_its_contract(contract: str, importer: str, imported: str | None):
    assert broken_contracts(altered(import_graph(), importer, imported), contract) == [contract]


def test_every_contract_has_its_planted_breach():
    assert {contract for contract, _, _ in BREACHES} == set(import_contracts())


@pytest.mark.planted
def test_a_planted_file_fails_the_command_that_make_check_runs(tmp_path: Path):
    for package in ("libs", "services", "infra", "tests"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "libs" / "kernel" / "planted.py").write_text("import services.messaging.domain\n")
    answer = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_logo=True))",
        ],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode != 0
    assert "libs.kernel.planted -> services.messaging.domain" in answer.stdout
