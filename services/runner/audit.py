"""`muniment audit …`: is the log of a running deployment what it must be."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from services.runner.deployment import read_facts
from services.runner.peers import Operator

_COUNTING_SECONDS: Final = 600.0
"""Counting waits for facts under way, and then walks every entry of every log."""


def reconcile(data: Path, *, as_json: bool = False) -> int:
    """Have acts and entries counted; return 0 when they agree, or else 1. Raises RunnerError."""
    operator = Operator(read_facts(data))
    counted = operator.call("POST", "/internal/reconciliations", service="audit", timeout=_COUNTING_SECONDS)
    wrong = _refusal_of(counted)
    if as_json:
        print(json.dumps(counted))
    elif wrong is None:
        print(f"{counted['acts']} acts have {counted['audited']} entries, and no entry is without its act.")
    if wrong is not None:
        print(f"muniment: {wrong}", file=sys.stderr)
    return 0 if wrong is None else 1


def _refusal_of(counted: Mapping[str, Any]) -> str | None:
    """Return what is wrong, a sentence to each kind of it; None when every act has its entry."""
    wrong = []
    if counted["disagreements"]:
        wrong.append(f"Acts and entries disagree: {'; '.join(map(_disagreement, counted['disagreements']))}.")
    if not counted["settled"]:
        waits = [f"{source} is {why}" for source, why in sorted(counted["unsettled"].items())]
        waits += [f"the log of {tenant} is {why}" for tenant, why in sorted(counted["left_out"].items())]
        wrong.append(
            f"It cannot be said yet whether all acts and entries agree ({', '.join(waits)}); ask again."
        )
    return " ".join(wrong) or None


def _disagreement(found: Mapping[str, Any]) -> str:
    what = found["action"] or f"acts of {found['source']}"
    return f"{found['acts']} of {what} in tenant {found['tenant']}, but {found['entries']} entries"
