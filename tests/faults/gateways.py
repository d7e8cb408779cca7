"""Processes beside the platform's own: with other settings, or with a planted defect."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.runner.children import is_ready
from tests.support.engines import ROOT
from tests.support.platform import Platform, wait_until

PLAIN = ("-m", "services.runner")
DEFECTIVE = ("-m", "tests.faults.defective")


@contextmanager
def another_gateway(
    platform: Platform, folder: Path, *, program: tuple[str, ...] = PLAIN, dek_cache_seconds: float = 300.0
) -> Iterator[str]:
    """Run one more gateway on the platform's engines and give its address; stop it at the end."""
    socket = Path(platform.facts["gateways"]["gw-1"].removeprefix("unix:")).with_name("gw-test")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "MUNIMENT_MESSAGING_DEK_CACHE_SECONDS": str(dek_cache_seconds),
    }
    command = [sys.executable, *program, "serve", "messaging", "--config", platform.facts["settings"]]
    command += ["--listen", f"unix:{socket}", "--gateway", "gw-test"]
    with (folder / "gw-test.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        try:
            wait_until(
                lambda: is_ready(socket),
                f"the gateway did not start: {(folder / 'gw-test.log').read_text()[-500:]}",
            )
            yield f"unix:{socket}"
        finally:
            process.terminate()
            process.wait(30)


@contextmanager
def another_audit(
    platform: Platform, folder: Path, *, program: tuple[str, ...]
) -> "Iterator[subprocess.Popen[bytes]]":
    """Run one more audit process on the platform's engines, which may end by itself; end it at last."""
    socket = Path(platform.facts["services"]["audit"].removeprefix("unix:")).with_name("audit-test")
    command = [sys.executable, *program, "serve", "audit", "--config", platform.facts["settings"]]
    command += ["--listen", f"unix:{socket}"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    with (folder / "audit-test.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait(30)
