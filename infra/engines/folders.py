"""Private folders and files: nobody but the owner reads what the servers keep."""

import hashlib
import os
import stat
from pathlib import Path

from infra.engines.errors import FolderRefused

PRIVATE_FOLDER = 0o700
PASSABLE_FOLDER = 0o711
"""Closed too, but another account may pass through to what was given to it."""
PRIVATE_FILE = 0o600
_LARGEST_LOG = 32 * 1024 * 1024
_SOCKETS_ROOT = Path("/tmp")  # noqa: S108 - a socket's path has at most 107 bytes; the folder is made 0700 and its owner checked


def private_folder(path: Path) -> Path:
    """Make `path` (and its parents) if it is missing, see that it is ours and 0700, and return it."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=PRIVATE_FOLDER)
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode):
            raise FolderRefused(path, "it is not a folder")
        if found.st_uid != os.geteuid():
            raise FolderRefused(path, f"it belongs to user {found.st_uid}, not to user {os.geteuid()}")
        if stat.S_IMODE(found.st_mode) not in (PRIVATE_FOLDER, PASSABLE_FOLDER):
            path.chmod(PRIVATE_FOLDER)
    except OSError as error:
        raise FolderRefused(path, error.strerror or str(error)) from error
    return path


def write_private(path: Path, content: bytes) -> None:
    """Replace the file `path` by `content` in one step, readable by its owner alone, durable on return."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE_FILE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def open_log(path: Path) -> int:
    """Open the log `path` for appending, readable by its owner alone; the caller closes the descriptor.

    A log that has become large is set aside first, and replaces the one set aside before.
    """
    if path.exists() and path.stat().st_size > _LARGEST_LOG:
        path.replace(path.with_name(f"{path.name}.1"))
    return os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC, PRIVATE_FILE)


def sockets_folder(data: Path) -> Path:
    """Return the private folder for the sockets of the data folder `data`, with a path of 26 bytes."""
    digest = hashlib.sha256(os.fsencode(data.resolve())).hexdigest()[:12]
    return private_folder(_SOCKETS_ROOT / f"muniment-{digest}")
