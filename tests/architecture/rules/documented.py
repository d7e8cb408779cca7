"""Every problem that a caller may meet is explained to him."""

import re
from collections.abc import Iterable

from tests.architecture.rules.sources import Source

_CODE = re.compile(r"[\"']urn:problem:([a-z]+(?:-[a-z]+)*)[\"']")


def unexplained_problems(sources: Iterable[Source], page: str) -> list[str]:
    """Return the codes of problems in `sources` that have no row in the table of the page."""
    codes = {code for source in sources for code in _CODE.findall(source.text)}
    return sorted(code for code in codes if f"| `{code}` |" not in page)


def explained_in_vain(sources: Iterable[Source], page: str) -> list[str]:
    """Return the codes that the page explains and nothing raises any more."""
    texts = [source.text for source in sources]
    explained = re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE)
    return [code for code in explained if not any(f"urn:problem:{code}" in text for text in texts)]
