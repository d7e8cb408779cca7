"""The whole platform as people start it: what it serves, what it hides, and how it comes back."""

import json
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from services.runner.children import is_ready
from tests.support.engines import ROOT
from tests.support.platform import ENGINES, SERVICE_PROCESSES, Platform, wait_until

pytestmark = pytest.mark.xdist_group("platform")


def ran(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "services.runner", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_the_origin_says_what_runs_and_every_link_of_it_leads_somewhere(platform):
    page = platform.get("/")
    assert page.status == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    links = [piece.split('"')[0] for piece in page.body.decode().split('href="')[1:]]
    assert len(links) > 9
    for link in links:
        assert platform.get(link).status == 200, link


@pytest.mark.parametrize("path", ["/internal/tenants", "/metrics", "/identity/v1/../../internal/tenants"])
def test_what_is_internal_does_not_exist_from_outside(platform, path):
    assert platform.get(path).status in (400, 404)


def test_a_second_up_on_the_same_folder_is_refused_in_one_sentence(platform):
    refused = ran("up", "--data", str(platform.data))
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert refused.stderr.count("\n") == 1
    assert "already runs" in refused.stderr
    assert platform.get("/identity/v1/readyz").status == 200


def test_doctor_finds_everything_well(platform):
    seen = ran("doctor", "--data", str(platform.data), "--json")
    assert seen.returncode == 0, seen.stdout
    assert '"ok": false' not in seen.stdout


def test_a_port_that_is_taken_is_one_sentence(platform, tmp_path):
    taken = platform.origin.rpartition(":")[2]
    refused = ran("up", "--data", str(tmp_path / "other"), "--port", taken)
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].startswith(f"muniment: Port {taken} cannot be used")


def test_a_tenant_is_made_and_listed_by_the_command_line(platform):
    made = ran("tenant", "create", "acme-cli", "Acme", "--data", str(platform.data))
    assert made.returncode == 0, made.stderr
    assert "acme-cli" in ran("tenant", "list", "--data", str(platform.data)).stdout
    token = ran("tenant", "scim-token", "acme-cli", "--data", str(platform.data))
    assert token.returncode == 0, token.stderr
    again = ran("tenant", "create", "acme-cli", "Acme", "--data", str(platform.data))
    assert again.returncode == 1
    assert again.stderr.count("\n") == 1


def test_everything_on_disk_is_its_owners_alone(platform):
    open_ones = [path for path in _below(platform.data) if stat.S_IMODE(path.lstat().st_mode) & 0o077]
    assert open_ones == []
    sockets = Path(platform.facts["services"]["identity"].removeprefix("unix:")).parent
    assert stat.S_IMODE(sockets.stat().st_mode) == 0o700


def _below(folder: Path) -> Iterator[Path]:
    yield folder
    for parent, _folders, files in os.walk(folder):
        yield from (Path(parent) / name for name in files)
        yield Path(parent)


def test_no_secret_stands_in_an_argument_or_in_a_log(platform):
    secrets = _secrets_of(platform)
    assert len(secrets) > 15
    assert _leaks(platform, secrets) == []


@pytest.mark.planted
def test_a_planted_leak_is_found(platform):
    secret = _secrets_of(platform)[0]
    with subprocess.Popen([sys.executable, "-c", "input()", secret], stdin=subprocess.PIPE) as leaking:
        assert _leaks(platform, [secret], [psutil.Process(leaking.pid)]) == [f"argument of {leaking.pid}"]
        leaking.kill()
    planted = platform.data / "log" / "planted.log"
    planted.write_text(f"connecting with {secret}")
    try:
        assert _leaks(platform, [secret]) == [str(planted)]
    finally:
        planted.unlink()


def _secrets_of(platform: Platform) -> list[str]:
    """Return every secret that the platform keeps: passwords, seeds, tokens, keys."""
    kept = json.loads((platform.data / "kept.json").read_bytes())
    secrets = [*kept["passwords"].values(), *kept["seeds"].values(), kept["vault_secret_id"]]
    vault = json.loads((platform.data / "openbao" / "init.json").read_bytes())
    secrets += [vault["root_token"], *vault["keys_base64"]]
    for file in ("postgres/superuser.password", "keys-postgres/superuser.password", "valkey/password"):
        secrets.append((platform.data / file).read_text())
    return secrets


def _leaks(platform: Platform, secrets: list[str], others: "list[psutil.Process] | None" = None) -> list[str]:
    """Return where one of the secrets can be read: in arguments or in any log."""
    found = [
        f"argument of {child.pid}"
        for child in [*platform.tree(), *(others or [])]
        if any(secret in " ".join(child.cmdline()) for secret in secrets)
    ]
    logs = [
        *platform.data.glob("log/*"),
        *platform.data.glob("*/log"),
        *platform.data.glob("openbao/audit.log*"),
    ]
    for log in logs:
        text = log.read_text(errors="replace")
        if any(secret in text for secret in secrets):
            found.append(str(log))
    return found


@pytest.mark.parametrize("name", [*SERVICE_PROCESSES, *ENGINES])
def test_what_is_killed_comes_back_by_itself(platform, name):
    pid = platform.wait_for_restart(name, platform.kill(name))
    wait_until(lambda: platform.facts["processes"][name] == pid, "deployment.json names the old pid")
    platform.wait_until_ready()
    wait_until(lambda: platform.answers("/identity/v1/readyz"), "the origin does not answer")


def test_keys_has_a_cluster_of_its_own_with_its_tables_alone(platform):
    def schemas(service: str) -> set[str]:
        with psycopg.connect(platform.facts["databases"][service]) as connection:
            rows = connection.execute(
                "SELECT DISTINCT table_schema FROM information_schema.tables"
            ).fetchall()
        return {row[0] for row in rows} - {"pg_catalog", "information_schema"}

    assert schemas("keys") == {"keys"}
    assert (
        schemas("messaging")
        == schemas("identity")
        == {"audit", "ediscovery", "holds", "identity", "messaging", "retention"}
    )


def test_steps_and_seconds_are_facts_for_a_program(platform):
    steps = {step["step"] for step in platform.shown["steps"]}
    assert {"PostgreSQL", "OpenBao", "Valkey", "Caddy", "identity", "gw-1", "gw-2"} <= steps
    assert platform.shown["seconds"] >= max(step["seconds"] for step in platform.shown["steps"])


def test_a_ctrl_c_at_the_terminal_reaches_the_runner_alone(platform):
    runner, *others = platform.tree()
    assert os.getsid(runner.pid) not in {os.getsid(process.pid) for process in others}


def test_one_more_gateway_is_served_by_hand_and_drains(platform):
    with tempfile.TemporaryDirectory(prefix="mt-", dir="/tmp") as folder:
        socket = Path(folder) / "gw-9"
        arguments = ["serve", "messaging", "--config", platform.facts["settings"]]
        served = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "services.runner",
                *arguments,
                "--listen",
                f"unix:{socket}",
                "--gateway",
                "gw-9",
            ],
            cwd=ROOT,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_until(lambda: is_ready(socket), "the gateway did not become ready")
        finally:
            served.terminate()
        assert served.wait(30) == 0
        assert not socket.exists()


def test_an_address_that_is_served_already_is_one_sentence(platform):
    taken = ran("serve", "keys", "--config", platform.facts["settings"])
    assert taken.returncode == 1
    assert taken.stderr.splitlines()[-1].startswith("muniment: Cannot listen on")


def test_migrating_what_runs_changes_nothing(platform):
    migrated = ran("migrate", "--data", str(platform.data), "--json")
    assert migrated.returncode == 0, migrated.stderr
    assert set(json.loads(migrated.stdout)) == {
        "audit",
        "ediscovery",
        "holds",
        "identity",
        "keys",
        "messaging",
        "retention",
    }
    platform.wait_until_ready()
