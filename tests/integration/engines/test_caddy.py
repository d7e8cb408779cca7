"""Caddy as the one origin."""

import http.client
import http.server
import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from infra.engines import daemon
from infra.engines.caddy import CaddyServer, Edge
from tests.support.keeper import free_port


class Echo(http.server.BaseHTTPRequestHandler):
    """Says which path reached it."""

    def do_GET(self) -> None:
        body = self.path.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def service() -> Iterator[str]:
    """Give the address of a service that echoes the path it was asked for."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def started(folder: Path, routes: Mapping[str, tuple[str, ...]], *, tls: bool = False) -> CaddyServer:
    pages = folder / "www"
    pages.mkdir()
    (pages / "index.html").write_text("<p>start")
    (pages / "secret.txt").write_text("not to be served")
    server = CaddyServer(folder / "caddy", Edge(free_port(), pages, routes, tls), folder / "record")
    daemon.start(server)
    return server


@pytest.fixture
def edge(tmp_path, service) -> Iterator[CaddyServer]:
    """Give an origin with one living and one dead service."""
    routes = {"/identity/v1": (service,), "/keys/v1": (f"127.0.0.1:{free_port()}",)}
    server = started(tmp_path, routes)
    yield server
    server.stop()


def get(server: CaddyServer, path: str) -> tuple[int, bytes, Mapping[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", server.edge.port)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read(), dict(answer.getheaders())
    finally:
        connection.close()


def get_by_tls(server: CaddyServer, path: str, trust: ssl.SSLContext) -> bytes:
    connection = http.client.HTTPSConnection("127.0.0.1", server.edge.port, context=trust)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    finally:
        connection.close()


def test_a_prefix_leads_to_its_service_with_the_path_unchanged(edge):
    assert get(edge, "/identity/v1/me?x=1")[:2] == (200, b"/identity/v1/me?x=1")


def test_health_is_asked_for_under_the_services_prefix(edge):
    assert get(edge, "/identity/v1/healthz")[:2] == (200, b"/healthz")
    assert get(edge, "/identity/v1/readyz")[:2] == (200, b"/readyz")


@pytest.mark.parametrize(
    "path",
    [
        "/internal/tenants",
        "/identity/internal/tenants",
        "/healthz",
        "/metrics",
        "/identity/v2/me",
        "/identity/v1",
        "/secret.txt",
        "/../run/deployment.json",
        "/%2e%2e/run/deployment.json",
        "/identity/v1/../../internal/tenants",
    ],
)
def test_what_is_not_named_does_not_exist(edge, path):
    status, body, headers = get(edge, path)
    if status == 200:
        assert body.startswith(b"/identity/v1/")  # it reached the service as a path of its own prefix
        assert b"internal" not in body.replace(b"/identity/v1/../../internal", b"")
    else:
        assert status in (400, 404)
        assert headers["Content-Type"] == "application/problem+json"


def test_a_service_that_is_away_is_a_503_that_says_when_to_come_back(edge):
    status, body, headers = get(edge, "/keys/v1/healthz")
    assert (status, json.loads(body)["status"], headers["Retry-After"]) == (503, 503, "1")


def test_the_start_page_has_a_strict_policy(edge):
    status, body, headers = get(edge, "/")
    assert (status, body) == (200, b"<p>start")
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_it_tells_nobody_what_it_is(edge):
    assert all("Server" not in get(edge, path)[2] for path in ("/", "/nothing", "/keys/v1/healthz"))


def test_with_tls_its_certificate_comes_from_its_own_authority(tmp_path, service):
    server = started(tmp_path, {"/identity/v1": (service,)}, tls=True)
    try:
        trust = ssl.create_default_context(cafile=server.root_certificate)
        assert get_by_tls(server, "/identity/v1/me", trust) == b"/identity/v1/me"
        with pytest.raises(ssl.SSLCertVerificationError):
            get_by_tls(server, "/", ssl.create_default_context())
    finally:
        server.stop()
