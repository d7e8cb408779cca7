"""The log of the whole platform, looked at by the commands that its operator has."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.engines import ROOT
from tests.support.platform import Platform, wait_until

pytestmark = pytest.mark.xdist_group("platform")


def ran(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "services.runner", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)


def verified(platform: Platform, *arguments: object) -> dict[str, dict[str, Any]]:
    """Return what is found about each log, by its name."""
    seen = ran("audit", "verify", "--data", platform.data, "--json", *arguments)
    assert (seen.returncode, seen.stderr) == (0, ""), seen
    return {log["log"]: log for log in json.loads(seen.stdout)["logs"]}


@pytest.fixture
def tenant(platform: Platform) -> str:
    """Give a tenant whose making is in its log."""
    slug = f"audited-{len(platform.operator.call('GET', '/internal/tenants')['tenants'])}"
    assert ran("tenant", "create", slug, "Audited", "--data", platform.data).returncode == 0
    wait_until(lambda: verified(platform, "--tenant", slug)[slug]["size"] > 0, "its making is in no log")
    return slug


def test_all_logs_hold_and_are_copied_out_for_strangers(platform: Platform, tenant: str, tmp_path: Path):
    copy = tmp_path / "copy"
    logs = verified(platform, "--export", copy)
    assert {tenant, "_platform"} <= logs.keys()
    assert logs["_platform"]["size"] > 0  # its signing keys were made, and leased
    for name in (tenant, "_platform"):
        seen = ran("verify", copy / name, "--trust", copy / "trust.json")
        assert seen.returncode == 0, seen.stderr
        assert "are those that were committed" in seen.stdout
    assert verified(platform, "--kept", copy).keys() == logs.keys()


def test_a_signing_key_is_rotated_and_what_the_old_one_signed_holds(platform: Platform, tenant: str):
    done = ran("keys", "rotate-signing", "--use", "checkpoints", "--data", platform.data, "--json")
    assert done.returncode == 0, done.stderr
    rotated = json.loads(done.stdout)
    kids = {rotated["kid"], *(old["kid"] for old in rotated["retired"])}
    assert len(kids) > 1
    assert kids <= {key["kid"] for key in platform.get("/keys/v1/trust.json").json["keys"]}
    assert verified(platform)[tenant]["ok"]


def test_a_use_that_no_key_has_is_refused(platform: Platform):
    assert ran("keys", "rotate-signing", "--use", "doors", "--data", platform.data).returncode == 2


def test_every_act_has_its_entry(platform: Platform, tenant: str):
    def reconciled() -> "subprocess.CompletedProcess[str]":
        return ran("audit", "reconcile", "--data", platform.data, "--json")

    wait_until(lambda: json.loads(reconciled().stdout)["settled"], "acts and entries were not counted")
    seen = reconciled()
    counted = json.loads(seen.stdout)
    assert (seen.returncode, counted["disagreements"]) == (0, []), seen
    assert counted["acts"] == counted["audited"] > 0
    assert verified(platform)[tenant]["ok"]
