"""Processor time and memory of a deployment's processes, from /proc: a busy machine falsifies them little."""

import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psutil

from services.runner.errors import RunnerError

SAMPLE_SECONDS: Final = 0.1
_KIB: Final = 1024
_GATEWAY_PREFIX: Final = "gw-"


def kind_of(name: str) -> str:
    """Return the kind of a named process: all gateways are one kind."""
    return "gateway" if name.startswith(_GATEWAY_PREFIX) else name


def processor_seconds(processes: Mapping[str, int]) -> dict[str, float]:
    """Return the processor seconds that each kind has used so far, its children included.

    Children of one named process that are named themselves count under their own name.
    """
    named = set(processes.values())
    spent: dict[str, float] = {}
    for name, pid in processes.items():
        kind = kind_of(name)
        spent[kind] = spent.get(kind, 0.0) + sum(_seconds_of(one) for one in _tree(pid, named - {pid}))
    return spent


def proportional_bytes(processes: Iterable[int]) -> int:
    """Return the proportional set size of the processes and all their children, each counted once.

    Raises RunnerError where the kernel does not let us look.
    """
    every = {one.pid for pid in processes for one in _tree(pid, set())}
    return sum(_proportional_bytes_of(pid) for pid in every)


class PeakMemory:
    """The most proportional memory that a process and its children have within the block, by samples."""

    def __init__(self, pid: int) -> None:
        """Look at the process `pid`."""
        self.most = 0
        self._pid = pid
        self._ended = threading.Event()
        self._looking = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        """Begin to look, ten times a second."""
        self._sample()
        self._looking.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Look once more, and no more then."""
        self._ended.set()
        self._looking.join()
        self._sample()

    def _look(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            self._sample()

    def _sample(self) -> None:
        self.most = max(self.most, proportional_bytes([self._pid]))


def _tree(pid: int, without: set[int]) -> list[psutil.Process]:
    """Return a process and its children, without the branches of others that are named."""
    try:
        top = psutil.Process(pid)
        children = [child for child in top.children() if child.pid not in without]
    except psutil.NoSuchProcess:
        return []
    return [top, *(one for child in children for one in _tree(child.pid, without))]


def _seconds_of(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)


def _proportional_bytes_of(pid: int) -> int:
    """Return the Pss of one process. Source: proc_pid_smaps(5)."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    except PermissionError as defect:
        raise RunnerError(f"the memory of process {pid} cannot be read: {defect}") from defect
    return sum(int(line.split()[1]) * _KIB for line in lines if line.startswith("Pss:"))
