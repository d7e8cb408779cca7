"""Gateways beside the platform's own, that differ in what they tell the audit log."""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from services.runner.children import is_ready
from services.runner.errors import RunnerError

_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 30.0
_SERVE: Final = """
import sys
from pathlib import Path
from services.runner.serve import overrides_of, serve

listen, gateway, settings, audit_facts = sys.argv[1:]
environ = {**overrides_of("messaging", listen, gateway), "MUNIMENT_MESSAGING_AUDIT_FACTS": audit_facts}
sys.exit(serve("messaging", Path(settings), environ))
"""
"""The settings are given as an environment that is nobody's own."""


@contextmanager
def another_gateway(facts: Mapping[str, Any], name: str, *, audit_facts: bool) -> Iterator[str]:
    """Run a gateway on the engines of a running deployment, give its address, and stop it at the end.

    Raises RunnerError when it does not come up.
    """
    socket = Path(facts["services"]["messaging-relay"].removeprefix("unix:")).with_name(name)
    arguments = [f"unix:{socket}", name, facts["settings"], str(audit_facts).lower()]
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + _START_SECONDS
        while not is_ready(socket):
            if process.poll() is not None or time.monotonic() > until:
                raise RunnerError(f"the gateway {name} did not start")
            time.sleep(0.05)
        yield f"unix:{socket}"
    finally:
        process.terminate()
        process.wait(_STOP_SECONDS)
