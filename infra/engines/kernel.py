"""What the Linux kernel offers to those who start servers: death signals, user namespaces, start times."""

import ctypes
import functools
import os
import signal
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # Source: prctl(2)
_CLONE_NEWUSER = 0x10000000  # Source: unshare(2)
_INNER_ID = 1000
_START_TIME_FIELD = 22  # Source: proc_pid_stat(5); counted from 1


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def prepare() -> None:
    """Load the C library now, so that a child between fork and exec only calls it."""
    _libc()


def die_with_parent(parent: int, by: signal.Signals) -> None:
    """Let the kernel send `by` to this child when `parent`, the thread that forked it, ends.

    A change of user or of user namespace clears the request, so it comes after these.
    """
    if _libc().prctl(_PR_SET_PDEATHSIG, int(by), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:  # it died before the request was made
        os._exit(1)


def leave_root() -> None:
    """Enter a user namespace of our own, in which the present user is an ordinary one.

    No account is made and nothing is chowned: files on disk stay the outer user's. OSError where the
    machine does not allow it. Source: user_namespaces(7).
    """
    user, group = os.geteuid(), os.getegid()
    if _libc().unshare(_CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWUSER) failed")
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"{_INNER_ID} {user} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"{_INNER_ID} {group} 1", encoding="ascii")


@functools.cache
def can_leave_root() -> bool:
    """Try `leave_root` in a child and say whether it is allowed here."""
    prepare()
    child = os.fork()
    if child == 0:
        try:
            leave_root()
        except OSError:
            os._exit(1)
        os._exit(0 if os.geteuid() != 0 else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def find_start_time(pid: int) -> int | None:
    """Return when `pid` started, in clock ticks since boot, or None when it does not run (or is a zombie)."""
    try:
        line = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = line[line.rindex(")") + 2 :].split()  # the name in parentheses may contain anything
    if fields[0] in "ZX":
        return None
    return int(fields[_START_TIME_FIELD - 3])


def find_command_line(pid: int) -> list[str] | None:
    """Return the arguments of `pid`, or None when it does not run."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace").split("\0")[:-1]
    except OSError:
        return None


def boot_id() -> str:
    """Return the name of this boot of the machine: pids and start times mean nothing across boots."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
