"""What is installed is decided here, file by file."""

import pytest

from hatch_build import dependencies_of
from tests.architecture.rules.locks import defects_of_lock, names_in_lock
from tests.architecture.rules.sources import ROOT

LOCKS = ["requirements.lock", "requirements-dev.lock", "requirements-bootstrap.lock"]


def text_of(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def required_in(name: str) -> set[str]:
    """Return the names of the distributions that a `.in` file asks for, without extras."""
    return {one.partition("[")[0].lower() for one in dependencies_of(text_of(name))}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_pins_every_file_and_names_no_registry(lock: str):
    assert defects_of_lock(text_of(lock)) == []
    assert "://" not in text_of(lock)


@pytest.mark.planted
@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://example.org/simple",
        "planted>=1.0 \\",
        "planted==1.0",
        "planted @ https://example.org/planted.whl \\",
        "    --hash=md5:00",
        "# via something",
        "planted==1.0 \\",
    ],
)
def test_a_line_that_pins_nothing_is_caught(line: str):
    assert defects_of_lock(f"{line}\n") == [line]


@pytest.mark.parametrize("name", ["requirements", "requirements-dev", "requirements-bootstrap"])
def test_a_lock_has_everything_that_is_asked_for(name: str):
    assert required_in(f"{name}.in") - names_in_lock(text_of(f"{name}.lock")) == set()


def test_what_runs_is_what_was_tested():
    runs, tested = text_of("requirements.lock"), text_of("requirements-dev.lock")
    pins = [line for line in runs.splitlines() if "==" in line]
    assert [pin for pin in pins if pin.split(" ;")[0].rstrip(" \\") not in tested] == []
