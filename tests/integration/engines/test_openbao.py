"""OpenBao as the launcher starts it, and what the keys service's policy lets it do."""

import base64
import os
import signal
import time

import pytest

from infra.engines import daemon
from infra.engines.openbao import AppRole, OpenBaoServer, VaultRefused
from libs.kernel.secrets import Secret
from tests.support.engines import ROOT
from tests.support.keeper import free_port
from tests.support.platform import wait_until

POLICY = (ROOT / "policies" / "vault" / "keys.hcl").read_text()


def signed_in(vault: OpenBaoServer, role: AppRole) -> Secret:
    body = {"role_id": role.role_id, "secret_id": role.secret_id.reveal()}
    return Secret(vault.call("POST", "auth/approle/login", body=body)["auth"]["client_token"])


def make_key(vault: OpenBaoServer, token: Secret, name: str) -> None:
    vault.call("POST", f"transit/keys/{name}", token=token, body={"type": "aes256-gcm96", "derived": True})


def wrap(vault: OpenBaoServer, token: Secret, name: str) -> str:
    item = {"plaintext": base64.b64encode(b"key").decode(), "context": base64.b64encode(b"c").decode()}
    answer = vault.call("POST", f"transit/encrypt/{name}", token=token, body={"batch_input": [item]})
    return str(answer["data"]["batch_results"][0]["ciphertext"])


def test_it_is_unsealed_at_every_start_and_keeps_its_keys(fresh_openbao):
    token = fresh_openbao.root_token()
    role = fresh_openbao.provision(policy=POLICY)
    make_key(fresh_openbao, token, "tenant-a")
    pid = fresh_openbao.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: fresh_openbao.pid is None, "it was not reaped")
    daemon.start(fresh_openbao)
    assert not fresh_openbao.is_sealed()
    assert fresh_openbao.accepts(role)
    assert wrap(fresh_openbao, signed_in(fresh_openbao, role), "tenant-a").startswith("vault:v1:")


def test_sealed_it_refuses_and_unsealed_it_serves_again(fresh_openbao):
    role = fresh_openbao.provision(policy=POLICY)
    fresh_openbao.seal()
    refused_until = time.monotonic() + 6  # OpenBao looks every five seconds whether it may open itself
    while time.monotonic() < refused_until:
        assert fresh_openbao.is_sealed()
        assert not fresh_openbao.accepts(role)
        time.sleep(0.2)
    fresh_openbao.unseal()
    wait_until(lambda: fresh_openbao.accepts(role), "it did not serve again")


def test_the_services_role_can_use_keys_and_do_nothing_else(engines):
    vault = engines.openbao
    token = signed_in(vault, vault.provision(policy=POLICY))
    make_key(vault, token, "tenant-b")
    assert wrap(vault, token, "tenant-b").startswith("vault:v1:")
    for method, path in (
        ("GET", "transit/keys/tenant-b"),
        ("DELETE", "transit/keys/tenant-b"),
        ("POST", "transit/keys/tenant-b/rotate"),
        ("POST", "transit/keys/tenant-b/config"),
        ("GET", "transit/export/encryption-key/tenant-b"),
        ("GET", "sys/mounts"),
        ("PUT", "sys/seal"),
        ("GET", "sys/policies/acl/keys"),
    ):
        with pytest.raises(VaultRefused) as refused:
            vault.call(method, path, token=token, body={} if method != "GET" else None)
        assert refused.value.status in (403, 404), path


def test_a_guessed_secret_id_is_refused(engines):
    role = engines.openbao.provision(policy=POLICY)
    assert engines.openbao.accepts(role)
    assert not engines.openbao.accepts(AppRole(role.role_id, Secret("guessed")))


def test_killed_between_its_initialisation_and_the_note_of_it_it_starts_over(fresh_openbao, tmp_path):
    fresh_openbao.stop()
    (tmp_path / "openbao" / "init.json").unlink()
    daemon.start(fresh_openbao)
    assert not fresh_openbao.is_sealed()
    assert fresh_openbao.call("GET", "sys/mounts", token=fresh_openbao.root_token())


def test_it_starts_on_other_ports_when_its_own_are_taken(fresh_openbao, tmp_path):
    role = fresh_openbao.provision(policy=POLICY)
    fresh_openbao.stop()
    moved = OpenBaoServer(tmp_path / "openbao", free_port(), free_port(), tmp_path / "openbao.pid")
    daemon.start(moved)
    try:
        assert moved.accepts(role)
    finally:
        moved.stop()


def test_what_it_keeps_is_closed_to_others(fresh_openbao, tmp_path):
    fresh_openbao.provision(policy=POLICY)
    folder = tmp_path / "openbao"
    assert folder.stat().st_mode & 0o777 == 0o700
    for name in ("init.json", "bao.hcl", "log", "audit.log"):
        assert (folder / name).stat().st_mode & 0o077 == 0, name
