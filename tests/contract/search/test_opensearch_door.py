"""OpenSearch behind TLS and a password: who has both is let in, and a refusal tells nobody's words."""

import base64
import logging
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.engines.caddy import binary
from infra.engines.daemon import Command, popen
from libs.kernel.ids import TenantId
from libs.kernel.secrets import Secret
from services.ediscovery.adapters.opensearch import OpenSearchIndex, connected
from services.ediscovery.domain.documents import Cursor
from services.ediscovery.domain.errors import IndexUnavailable
from tests.contract.search.town import puts, said
from tests.support.engines import Engines
from tests.support.keeper import free_port

pytestmark = pytest.mark.engine("opensearch")

WORD = Secret("5ecret-of-the-door")
_DOOR = """\
{{
    admin off
    auto_https disable_redirects
    skip_install_trust
    storage file_system {folder}/storage
}}
https://127.0.0.1:{port} {{
    tls internal
    basic_auth {{
        muniment {hashed}
    }}
    reverse_proxy {behind}
}}
"""


class Door:
    """An address that asks for a user, and the certificate by which it is known."""

    def __init__(self, url: str, ca: Path) -> None:
        self.url = url
        self.ca = ca


@pytest.fixture(scope="module")
def door(engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """Give the run's OpenSearch behind a door that our own proxy keeps."""
    folder, port = tmp_path_factory.mktemp("door"), free_port()
    hashed = subprocess.run(
        [str(binary()), "hash-password"],
        input=f"{WORD.reveal()}\n",
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    behind = engines.opensearch.address.removeprefix("http://")
    text = _DOOR.format(folder=folder, port=port, hashed=hashed, behind=behind)
    (folder / "Caddyfile").write_text(text)
    arguments = [str(binary()), "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]
    keeping = popen(Command("door", arguments, folder / "log", environment={"HOME": str(folder)}))
    ca = folder / "storage" / "pki" / "authorities" / "local" / "root.crt"
    deadline = time.monotonic() + 60
    try:
        while not answers(port, ca):
            assert keeping.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield Door(f"https://127.0.0.1:{port}", ca)
    finally:
        keeping.terminate()
        keeping.wait()


def answers(port: int, ca: Path) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            trust = ssl.create_default_context(cafile=ca)
            trust.wrap_socket(connection, server_hostname="127.0.0.1").close()
    except OSError:
        return False
    return True


async def test_who_has_the_password_and_the_certificate_is_let_in(door: Door, tenant: TenantId):
    with connected(door.url, "muniment", WORD, str(door.ca)) as client:
        index = OpenSearchIndex(client)
        assert (await index.state()).startswith("OpenSearch 2.")
        await index.apply(tenant, puts([said(1, "canaryword")]), Cursor("messaging/7", 1))
        assert await index.count(tenant) == 1
        await index.drop(tenant)


@pytest.mark.parametrize("lacks", ["user", "password", "certificate"])
async def test_a_refusal_is_the_port_s_error_and_repeats_nothing(
    door: Door, tenant: TenantId, lacks: str, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    user = "" if lacks == "user" else "muniment"
    word = Secret("wrong-5ecret") if lacks == "password" else WORD
    with connected(door.url, user, word, "" if lacks == "certificate" else str(door.ca)) as client:
        index = OpenSearchIndex(client)
        with pytest.raises(IndexUnavailable) as refused:
            await index.state()
        with pytest.raises(IndexUnavailable):
            await index.apply(tenant, puts([said(1, "canaryword")]), Cursor("messaging/7", 1))
    assert refused.value.reason in {"AuthenticationException 401", "SSLError"}
    credentials = base64.b64encode(f"muniment:{WORD.reveal()}".encode()).decode()
    for hidden in ("5ecret", credentials, "canaryword"):
        assert hidden not in caplog.text
