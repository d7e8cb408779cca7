"""OpenSearch 2.19, a real one, for the suites: what `make engines` has put under `.engines/opensearch`.

It listens on the loopback interface without users and TLS, so it is for tests alone; production points the
settings at a cluster that has both.
"""

import http.client
import json
import signal
from collections.abc import Iterator
from pathlib import Path

from infra.engines.daemon import Command, Server
from infra.engines.errors import EngineFailed, EngineNotProvisioned
from infra.engines.folders import private_folder, write_private

_ANSWER_SECONDS = 2.0
_HEAP_MEGABYTES = 512
_LOGGING = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%c{1.}] %marker%m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
"""


def installation(engines: Path) -> Path:
    """Return the folder of the server under the folder that `make engines` fills."""
    folder = engines / "opensearch"
    if not (folder / "installed").is_file():
        raise EngineNotProvisioned("OpenSearch", folder)
    return folder


class OpenSearchServer(Server):
    """One node on the loopback interface: its folder and its server, a direct child of ours."""

    name = "opensearch"

    def __init__(self, folder: Path, port: int, transport_port: int, record: Path, *, program: Path) -> None:
        """Keep everything in `folder`, listen on 127.0.0.1:`port`, keep the pid in `record`.

        `program` is the `installation`. A node insists on a second port although it is alone.
        """
        self._folder = folder
        self._port = port
        self._transport_port = transport_port
        self._program = program
        super().__init__(record, folder / "log")

    @property
    def address(self) -> str:
        """Return the address of the API."""
        return f"http://127.0.0.1:{self._port}"

    def starting(self) -> Iterator[None]:
        """Start the node, yielding until its cluster of one is healthy."""
        private_folder(self._folder)
        configuration = private_folder(self._folder / "config")
        temporary = private_folder(self._folder / "tmp")
        yield from self._daemon.reclaim(signal.SIGTERM)
        write_private(configuration / "opensearch.yml", self._configuration().encode())
        write_private(configuration / "log4j2.properties", _LOGGING.encode())
        argv = [
            str(self._program / "java"),
            f"-Xms{_HEAP_MEGABYTES}m",
            f"-Xmx{_HEAP_MEGABYTES}m",
            "-XX:+UseSerialGC",
            f"-Djava.io.tmpdir={temporary}",
            f"-Dlog4j2.configurationFile={configuration / 'log4j2.properties'}",
            "-Dlog4j2.disable.jmx=true",
            "-Djava.awt.headless=true",
            "-Dfile.encoding=UTF-8",
            f"-Dopensearch.path.conf={configuration}",
            "-cp",
            f"{self._program / 'classes'}:{self._program / 'lib'}/*",
            "OpenSearchMain",
            str(self._folder),
            str(configuration),
            str(self._folder / "started"),
        ]
        self._daemon.spawn(Command(self.name, argv, self._log))
        while not self._is_healthy():
            if self.pid is None:
                raise EngineFailed(self.name, f"ended with code {self._daemon.exit_code}", self._log)
            yield

    def _configuration(self) -> str:
        return (
            "cluster.name: muniment\n"
            "node.name: node-1\n"
            f"path.data: {self._folder / 'data'}\n"
            f"path.logs: {self._folder / 'logs'}\n"
            "network.host: 127.0.0.1\n"
            f"http.port: {self._port}\n"
            f"transport.port: {self._transport_port}\n"
            "discovery.type: single-node\n"
            "cluster.routing.allocation.disk.threshold_enabled: false\n"
            "action.destructive_requires_name: true\n"
        )

    def _is_healthy(self) -> bool:
        """Say whether the cluster has what it needs to serve."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_ANSWER_SECONDS)
        try:
            connection.request("GET", "/_cluster/health")
            health = json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError):
            return False
        finally:
            connection.close()
        return health.get("status") in ("green", "yellow")
