"""Locks pin every file by its hash, and say nothing of where it was fetched from."""

import re

_PINNED = re.compile(r"^[a-z0-9][a-z0-9._-]*(\[[a-z0-9,._-]+\])?==[^\s;]+( ; .+)? \\$")
_HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$")


def defects_of_lock(text: str) -> list[str]:
    """Return the lines of a lock that are neither an exact requirement nor a hash, and what lacks a hash."""
    lines = text.splitlines()
    strange = [line for line in lines if line and not _PINNED.match(line) and not _HASH.match(line)]
    bare = [
        line
        for line, following in zip(lines, [*lines[1:], ""], strict=True)
        if _PINNED.match(line) and not _HASH.match(following)
    ]
    return strange + bare


def names_in_lock(text: str) -> set[str]:
    """Return the distributions that a lock installs."""
    return {re.split(r"[=\[]", line)[0] for line in text.splitlines() if _PINNED.match(line)}
