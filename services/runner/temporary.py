"""A deployment for a while: brought up in a folder, and stopped at the end."""

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from services.runner.deployment import facts_file
from services.runner.errors import RunnerError

START_SECONDS: Final = 120.0
STOP_SECONDS: Final = 60.0
_PAUSE_SECONDS: Final = 0.02


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """Give a folder that is gone at the end."""
    with tempfile.TemporaryDirectory(prefix="muniment-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@contextlib.contextmanager
def running(data: Path, options: Sequence[str] = ()) -> Iterator[Mapping[str, Any]]:
    """Bring a deployment up in `data`, give its facts once it is ready, and stop it at the end.

    `options` are more of those of `muniment up`. Raises RunnerError when it does not come up.
    """
    command = [sys.executable, "-m", "services.runner", "up", "--data", str(data), "--port", "0", "--json"]
    command += options
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said)
        try:
            yield _facts_once_ready(process, data, said)
        finally:
            _stop(process)


def _facts_once_ready(process: "subprocess.Popen[bytes]", data: Path, said: Any) -> Mapping[str, Any]:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        with contextlib.suppress(FileNotFoundError, ValueError):
            facts: Mapping[str, Any] = json.loads(facts_file(data).read_bytes())
            return facts
        if process.poll() is not None:
            said.seek(0)
            last = said.read().decode(errors="replace").strip().splitlines()[-1:]
            raise RunnerError(f"the temporary deployment did not come up: {' '.join(last)}")
        time.sleep(_PAUSE_SECONDS)
    raise RunnerError(f"the temporary deployment was not ready after {START_SECONDS:.0f} seconds")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
