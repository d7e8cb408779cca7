"""Evidence is taken out of a whole platform by a command, and holds where nothing of it runs."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from libs.client.client import Client
from services.runner.demo.people import sign_in_codes
from tests.support.engines import ROOT
from tests.support.town import Town, town

__all__ = ["town"]

pytestmark = pytest.mark.xdist_group("platform")


async def ran(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "services.runner", *map(str, arguments)]
    return await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )


async def auditor_of(town: Town) -> Client:
    """Return the second person of the town, who was made auditor and signed in anew."""
    principal = town.principals[1]
    place = f"/internal/tenants/{town.tenant.tenant}/roles"
    town.platform.operator.call("POST", place, {"principal": str(principal), "role": "auditor"})
    (code,) = sign_in_codes(town.platform.operator, town.tenant, [principal])
    client = town.client()
    await client.sign_in_with_code(code, device_name="auditor")
    return client


def kept(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


async def test_a_conversation_of_a_moment_ago_is_proved(town: Town, tmp_path: Path) -> None:
    ada, *_ = await town.settle(3)
    made = await ada.create_conversation("group", [town.principals[2]], name="Plans")
    for number in range(5):
        await ada.post(made.conversation, f"message {number}")
    control = await auditor_of(town)
    reader = kept(tmp_path / "reader", (await ada.session.access_token()).encode())
    auditor = kept(tmp_path / "auditor", (await control.session.access_token()).encode())
    origin = ("evidence", "--origin", town.platform.origin)
    who = (*origin, "--token-file", reader, "--log-token-file", auditor)
    out = tmp_path / "talk.json"
    taken = await ran(*who, "conversation", made.conversation, 1, 6, "--out", out)
    assert (taken.returncode, taken.stderr) == (0, ""), taken
    trust = kept(tmp_path / "trust.json", town.platform.get("/keys/v1/trust.json").body)
    checked = await ran("verify", out, "--trust", trust)
    assert "Entries 1 to 6" in checked.stdout, checked
    forged = kept(tmp_path / "forged.json", out.read_bytes().replace(b'"seq": "3"', b'"seq": "4"'))
    assert (await ran("verify", forged, "--trust", trust)).returncode == 1

    # the log for who may read it alone, and the conversation too
    stretch = tmp_path / "range.json"
    whole = await ran(*origin, "--token-file", auditor, "range", 0, 3, "--details", "--out", stretch)
    assert (whole.returncode, whole.stderr) == (0, ""), whole
    assert (await ran("verify", stretch, "--trust", trust)).returncode == 0
    for token, what in [(reader, ("range", 0, 3)), (auditor, ("conversation", made.conversation, 1, 6))]:
        refused = await ran(*origin, "--token-file", token, *what, "--out", tmp_path / "refused.json")
        assert refused.returncode == 1
        assert refused.stderr.startswith("muniment: Not found")
    assert not (tmp_path / "refused.json").exists()
