"""`muniment keys …`: what the operator does about the keys of a running deployment."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from services.runner.deployment import read_facts
from services.runner.peers import Operator


def rotate_signing_key(data: Path, use: str) -> Mapping[str, Any]:
    """Put another key in the place of the one that signs `use` (as "checkpoints" or "tokens").

    Return use, kid, not_before and not_after of the new key, and `retired`: kid and not_after of each
    whose place it took. Raises RunnerError.
    """
    path = f"/internal/signing-keys/{use}/rotate"
    rotated: Mapping[str, Any] = Operator(read_facts(data)).call("POST", path, service="keys")
    return rotated
