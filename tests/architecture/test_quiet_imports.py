"""Importing any module of the house does nothing but define names."""

from pathlib import Path

import pytest

from tests.architecture.rules.quiet import loud_imports
from tests.architecture.rules.sources import ROOT, module_name_of, shipped_sources


def importable_modules() -> list[str]:
    """Return every shipped module; migrations are scripts that Alembic loads, not modules."""
    names = (module_name_of(source) for source in shipped_sources())
    return [name for name in names if "migrations" not in name and not name.endswith("__main__")]


def test_importing_any_module_opens_nothing_and_reads_no_environment():
    assert loud_imports(ROOT, importable_modules()) == []


@pytest.mark.planted
@pytest.mark.parametrize(
    ("text", "breach"),
    [
        ("import os\nHOME = os.environ.get('HOME')", "reads the environment"),
        ("import os\nHOME = os.getenv('HOME')", "reads the environment"),
        ("from os import environ\nALL = dict(environ)", "reads the environment"),
        ("import socket\nS = socket.socket()", "raises socket.__new__"),
        ("import subprocess\nsubprocess.run(['true'])", "raises subprocess.Popen"),
        ("open('/dev/null', 'w').close()", "writes a file"),
        ("raise RuntimeError('no')", "RuntimeError: no"),
    ],
)
def test_a_module_that_does_something_at_import_is_caught(tmp_path: Path, text: str, breach: str):
    (tmp_path / "planted.py").write_text(text)
    breaches = loud_imports(tmp_path, ["planted"])
    assert breaches
    assert breach in breaches[0]


def test_a_module_that_only_defines_names_is_let_through(tmp_path: Path):
    (tmp_path / "quiet.py").write_text("import os\n\ndef home() -> str:\n    return os.environ['HOME']\n")
    assert loud_imports(tmp_path, ["quiet"]) == []
