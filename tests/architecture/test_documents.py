"""The documentation keeps up with the house."""

import re
from pathlib import Path

import pytest

from tests.architecture.rules.documented import explained_in_vain, unexplained_problems
from tests.architecture.rules.sources import ROOT, Source, shipped_sources

PAGE = (ROOT / "docs" / "problems" / "README.md").read_text("utf-8")
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
GENERIC = {"unsupported-media-type"}  # made from the status alone


def test_every_problem_is_explained():
    assert unexplained_problems(shipped_sources(), PAGE) == []


def test_no_problem_is_explained_that_nobody_meets():
    assert set(explained_in_vain(shipped_sources(), PAGE)) <= GENERIC


@pytest.mark.planted
def test_an_unexplained_problem_is_caught():
    planted = Source("services/messaging/edge/planted.py", 'TYPE = "urn:problem:planted-defect"')
    assert unexplained_problems([planted], PAGE) == ["planted-defect"]
    assert "planted-defect" in explained_in_vain([], "| `planted-defect` | 400 | … | … |")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path):
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_message_can_be_followed_through_the_functions_that_its_page_names():
    page = (ROOT / "docs" / "follow-a-message.md").read_text("utf-8")
    steps = re.findall(r"`(services/[\w/]+\.py)` `(\w+)`", page)
    assert len(steps) == 6
    assert len({path.split("/")[2] for path, _ in steps}) == 5  # two of the six are edges, of two gateways
    missing = [(path, name) for path, name in steps if f"def {name}(" not in (ROOT / path).read_text("utf-8")]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_path_that_a_page_names_exists(page: Path):
    named = re.findall(r"`((?:services|libs|infra|policies|tests|docs)/[\w./-]+)`", page.read_text("utf-8"))
    assert [path for path in named if not (ROOT / path).exists()] == []
