"""The platform over its starts and ends: stopped, killed, moved to another user, behind TLS."""

import contextlib
import functools
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest

from infra.engines import kernel
from tests.support.platform import ENGINES, SERVICE_PROCESSES, Platform, is_gone, wait_until

_NOBODY = 65534

pytestmark = pytest.mark.xdist_group("starts")


def test_the_demo_tenants_people_sign_in_and_keep_their_passwords(tmp_path):
    platform = Platform(tmp_path / "data", options=("--demo",)).start()
    sign_ins = platform.shown["sign_ins"]
    try:
        assert [sign_in["role"] for sign_in in sign_ins] == ["employee", "it_admin", "legal_counsel"]
        for sign_in in sign_ins:
            answer = platform.post("/identity/v1/sessions", {**_credentials(sign_in), "device_name": "test"})
            assert answer.status == 201, answer.body
            assert sign_in["role"] in answer.json["roles"]
        wrong = {**_credentials(sign_ins[0]), "password": "guessed", "device_name": "test"}
        assert platform.post("/identity/v1/sessions", wrong).status == 401
        for file in platform.data.rglob("*"):
            if file.is_file() and any(
                sign_in["password"].encode() in file.read_bytes() for sign_in in sign_ins
            ):
                assert (file.name, file.stat().st_mode & 0o777) == ("showcase.json", 0o600)
    finally:
        platform.stop()
    platform.start()
    try:
        assert platform.shown["sign_ins"] == sign_ins
    finally:
        platform.stop()


def _credentials(sign_in: dict[str, str]) -> dict[str, str]:
    return {name: sign_in[name] for name in ("tenant", "user_name", "password")}


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


def _memory_of(platform: Platform) -> int:
    """Return the bytes that all processes hold, what they share counted once; one may end meanwhile."""
    held = 0
    for process in platform.tree():
        with contextlib.suppress(psutil.NoSuchProcess):
            held += process.memory_full_info().pss
    return held


def test_all_of_it_that_waits_for_somebody_fits_into_a_small_machine(tmp_path, record_property):
    platform = Platform(tmp_path / "data").start()
    try:
        held = _memory_of(platform)
        record_property("pss_mib", held >> 20)
        assert held < 1.2 * 2**30
    finally:
        platform.stop()


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
