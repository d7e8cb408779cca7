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
from tests.support.platform import ENGINES, SERVICE_PROCESSES, Answer, Platform, is_gone, wait_until

_NOBODY = 65534

pytestmark = pytest.mark.xdist_group("starts")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the data folder of all who need no first start of their own: what one leaves, the next finds."""
    return tmp_path_factory.mktemp("starts") / "data"


def _credentials(sign_in: dict[str, str]) -> dict[str, str]:
    return {name: sign_in[name] for name in ("tenant", "user_name", "password")}


def _sign_in(platform: Platform, credentials: dict[str, str]) -> Answer:
    return platform.post("/identity/v1/sessions", {**credentials, "device_name": "test"})


def test_the_demo_tenants_people_sign_in_and_keep_their_passwords(data):
    platform = Platform(data, options=("--demo",)).start()
    sign_ins = platform.shown["sign_ins"]
    try:
        assert [sign_in["role"] for sign_in in sign_ins] == ["employee", "it_admin", "legal_counsel"]
        for sign_in in sign_ins:
            answer = _sign_in(platform, _credentials(sign_in))
            assert answer.status == 201, answer.body
            assert sign_in["role"] in answer.json["roles"]
        assert _sign_in(platform, {**_credentials(sign_ins[0]), "password": "guessed"}).status == 401
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
        platform.kill("gw-1", signal.SIGSTOP)
    finally:
        assert platform.stop() == 0  # what hangs at its end does not stop the end


def _tenant(slug: str) -> dict[str, object]:
    return {"slug": slug, "name": slug.title(), "local_sign_in": True}


def _knows(platform: Platform, tenant: str) -> bool:
    return bool(platform.operator.call("GET", "/internal/tenants/by-slug/kept")["tenant"] == tenant)


def _memory_of(platform: Platform) -> int:
    """Return the bytes that all processes hold, what they share counted once; one may end meanwhile."""
    held = 0
    for process in platform.tree():
        with contextlib.suppress(psutil.NoSuchProcess):
            held += process.memory_full_info().pss
    return held


def test_nothing_outlives_its_end_and_the_next_start_has_the_data(data, record_property):
    platform = Platform(data).start()
    tenant = platform.operator.call("POST", "/internal/tenants", _tenant("kept"))["tenant"]
    held = _memory_of(platform)  # of all that waits for somebody
    record_property("pss_mib", held >> 20)
    assert held < 1.2 * 2**30
    pids = platform.kill_runner()
    wait_until(lambda: all(map(is_gone, pids.values())), f"somebody outlived the runner: {pids}")
    platform.start()
    assert _knows(platform, tenant)
    platform.kill_runner()
    platform.start()  # at once: what is still ending is waited for
    assert _knows(platform, tenant)
    pids = {name: platform.pid(name) for name in (*SERVICE_PROCESSES, *ENGINES)}
    sockets = Path(platform.facts["identity"].removeprefix("unix:")).parent
    assert platform.stop() == 0
    assert not sockets.exists()
    assert [name for name, pid in pids.items() if not is_gone(pid)] == []
    assert not (data / "run" / "deployment.json").exists()
    assert list((data / "run").glob("*.pid")) == []


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


def test_with_tls_the_origin_is_trusted_by_its_root_certificate_alone(data):
    platform = Platform(data, options=("--tls", "--gateways", "1")).start()
    try:
        assert platform.origin.startswith("https://")
        assert platform.get("/identity/v1/readyz").status == 200
        assert list(platform.facts["gateways"]) == ["gw-1"]
    finally:
        platform.stop()
