"""The whole platform as people start it: what it serves, what it hides, and how it comes back."""

import functools
import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from infra.engines import kernel
from services.runner.children import is_ready
from tests.support.engines import ROOT
from tests.support.platform import ENGINES, SERVICE_PROCESSES, Platform, is_gone, wait_until

_NOBODY = 65534

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
    secrets += [vault["root_token"], *vault["recovery_keys_base64"]]
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
    platform.wait_for_restart(name, platform.kill(name))
    platform.wait_until_ready()
    wait_until(lambda: platform.answers("/identity/v1/readyz"), "the origin does not answer")


def test_what_hangs_at_its_end_does_not_stop_the_end(tmp_path):
    hanging = Platform(tmp_path / "data").start()
    hanging.kill("gw-1", signal.SIGSTOP)
    assert hanging.stop() == 0


def _tenant(slug: str) -> dict[str, object]:
    return {"slug": slug, "name": slug.title(), "local_sign_in": True}


def test_after_ctrl_c_nothing_is_left_and_the_next_start_has_the_data(tmp_path):
    first = Platform(tmp_path / "data").start()
    tenant = first.operator.call("POST", "/internal/tenants", _tenant("kept"))["tenant"]
    pids = {name: first.pid(name) for name in (*SERVICE_PROCESSES, *ENGINES)}
    sockets = Path(first.facts["identity"].removeprefix("unix:")).parent
    assert first.stop() == 0
    assert not sockets.exists()
    assert [name for name, pid in pids.items() if not is_gone(pid)] == []
    assert not (tmp_path / "data" / "run" / "deployment.json").exists()
    assert list((tmp_path / "data" / "run").glob("*.pid")) == []
    second = first.start()
    try:
        assert second.operator.call("GET", "/internal/tenants/by-slug/kept")["tenant"] == tenant
    finally:
        second.stop()


def test_a_killed_runner_leaves_no_orphan_and_the_next_start_recovers(tmp_path):
    platform = Platform(tmp_path / "data").start()
    tenant = platform.operator.call("POST", "/internal/tenants", _tenant("kept"))["tenant"]
    pids = platform.kill_runner()
    wait_until(lambda: all(map(is_gone, pids.values())), f"somebody outlived the runner: {pids}")
    platform.start()
    try:
        assert platform.operator.call("GET", "/internal/tenants/by-slug/kept")["tenant"] == tenant
        platform.kill_runner()
        platform.start()  # at once: what is still ending is waited for
        assert platform.operator.call("GET", "/internal/tenants/by-slug/kept")["tenant"] == tenant
    finally:
        platform.stop()


def _has(folder: Path, pattern: str) -> bool:
    return any(folder.glob(pattern))


def test_killed_while_it_starts_for_the_first_time_it_starts_the_next_time(tmp_path):
    for moment in ("postgres/unfinished-*", "run/openbao.pid", "run/postgres.pid"):
        platform = Platform(tmp_path / "data")
        platform.runner = platform._popen(tmp_path / "out")
        wait_until(functools.partial(_has, tmp_path / "data", moment), "nothing started")
        platform.runner.kill()
        platform.runner.wait()
    assert Platform(tmp_path / "data").start().stop() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests run as an ordinary user then")
@pytest.mark.parametrize("ordinary", ["another account", "a user namespace"])
def test_an_ordinary_user_can_run_it(ordinary):
    if ordinary == "another account" and not _can_run_python(_NOBODY):
        pytest.skip(f"{sys.executable} cannot be reached by another account")
    if ordinary == "a user namespace" and not kernel.can_leave_root():
        pytest.skip("user namespaces are forbidden here")
    with tempfile.TemporaryDirectory(prefix="mt-", dir="/tmp") as folder:
        if ordinary == "another account":
            os.chown(folder, _NOBODY, _NOBODY)
        become = _become_nobody if ordinary == "another account" else kernel.leave_root
        mine = Platform(Path(folder) / "data", become=become).start()
        try:
            assert mine.answers("/identity/v1/readyz")
            seen = [Path(f"/proc/{process.pid}/uid_map").read_text().split() for process in mine.tree()]
            assert ordinary == "another account" or {tuple(ids) for ids in seen} == {("1000", "0", "1")}
        finally:
            assert mine.stop() == 0


def _become_nobody() -> None:
    os.setgroups([])
    os.setgid(_NOBODY)
    os.setuid(_NOBODY)


def _can_run_python(user: int) -> bool:
    try:
        return subprocess.run([sys.executable, "-c", ""], user=user, check=False).returncode == 0
    except PermissionError:
        return False


def test_with_tls_the_origin_is_trusted_by_its_root_certificate_alone(tmp_path):
    platform = Platform(tmp_path / "data", options=("--tls", "--gateways", "1")).start()
    try:
        assert platform.origin.startswith("https://")
        assert platform.get("/identity/v1/readyz").status == 200
        assert list(platform.facts["gateways"]) == ["gw-1"]
    finally:
        platform.stop()


def test_keys_has_a_cluster_of_its_own_with_its_tables_alone(platform):
    def schemas(service: str) -> set[str]:
        with psycopg.connect(platform.facts["databases"][service]) as connection:
            rows = connection.execute(
                "SELECT DISTINCT table_schema FROM information_schema.tables"
            ).fetchall()
        return {row[0] for row in rows} - {"pg_catalog", "information_schema"}

    assert schemas("keys") == {"keys"}
    assert schemas("messaging") == schemas("identity") == {"identity", "messaging"}


def test_it_says_how_much_memory_all_of_it_takes(platform, record_property):
    proportional = sum(process.memory_full_info().pss for process in platform.tree())
    record_property("pss_mib", proportional >> 20)
    assert proportional < 1.2 * 2**30


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
    assert set(json.loads(migrated.stdout)) == {"identity", "keys", "messaging"}
    platform.wait_until_ready()
