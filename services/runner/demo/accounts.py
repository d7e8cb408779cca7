"""Whether every act of the deployment has its entry in the audit log, as the audit service counts both."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from services.runner.errors import RunnerError

PATIENCE_SECONDS: Final = 60.0
"""How long the last facts may take to their checkpoints."""
_PAUSE_SECONDS: Final = 0.5
_MOST_SENTENCES: Final = 5

Ask = Callable[[], Mapping[str, Any]]
"""Has acts and entries counted; raises RunnerError when that cannot be done."""


class Accounts(msgspec.Struct, frozen=True):
    """Acts by SQL over the services' own rows, entries by walking the logs, and what is wrong in words."""

    acts: int
    audited: int
    sentences: list[str]


async def settled_accounts(ask: Ask, *, patience: float = PATIENCE_SECONDS) -> Accounts:
    """Have acts and entries counted until nothing is under way any more, or `patience` seconds are over.

    Raises RunnerError.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + patience
    while True:
        counted = await asyncio.to_thread(ask)
        if counted["settled"] or clock() >= deadline:
            return accounts_of(counted)
        await asyncio.sleep(_PAUSE_SECONDS)


def accounts_of(counted: Mapping[str, Any]) -> Accounts:
    """Return what the audit service counted. Raises RunnerError for an answer that tells of no count."""
    try:
        return Accounts(
            int(counted["acts"]),
            int(counted["walked"]),
            [
                *(_disagreement(found) for found in counted["disagreements"][:_MOST_SENTENCES]),
                *(
                    f"the acts of {source} could not be compared with their entries: it is {reason}"
                    for source, reason in sorted(counted["unsettled"].items())
                ),
                *(
                    f"the log of tenant {tenant} could not be compared with any acts: it is {reason}"
                    for tenant, reason in sorted(counted["left_out"].items())
                ),
            ],
        )
    except (AttributeError, KeyError, TypeError, ValueError) as defect:
        raise RunnerError("the audit service's count of acts cannot be read") from defect


def _disagreement(found: Mapping[str, Any]) -> str:
    what = found["action"] or f"all acts of {found['source']}"
    return f"tenant {found['tenant']}: {found['acts']} of {what} were done, {found['entries']} are in the log"
