"""What two people agreed on and every store confirmed is certified, once, whoever is killed meanwhile."""

from pathlib import Path
from typing import Any

import pytest

from services.runner.demo.script import person_of
from tests.e2e.retention.test_dry_runs import (
    ADA,
    PASSWORD,
    ROLES,
    SENT,
    Bureau,
    bureau,
    carried_out,
    done,
    eventually,
)
from tests.e2e.runner.test_evidence import kept, ran
from tests.support.town import town

__all__ = ["bureau", "town"]

pytestmark = [pytest.mark.xdist_group("platform"), pytest.mark.prove]
# The key of the current month is shredded when no sender can hold it any more, which takes minutes: here
# alone. The demonstration's test sees the certificate of an archive, whose months are over.
PATIENCE_SECONDS = 600.0


async def certified(bureau: Bureau, run: str) -> dict[str, Any]:
    """Wait until a run is certified, and return the certificate."""
    shown = await eventually(
        lambda: bureau.get(f"/retention/v1/certificates/{run}", "auditor"),
        lambda shown: shown["standing"]["state"] == "issued",
        PATIENCE_SECONDS,
    )
    certificate: dict[str, Any] = shown["certificate"]
    return certificate


@pytest.mark.parametrize("victim", [None, "retention", "ediscovery", "keys"])
async def test_a_run_is_certified_by_every_store_and_holds_off_line(
    bureau: Bureau, victim: str | None, tmp_path: Path
) -> None:
    await bureau.post("/retention/v1/erasures", {"subject": bureau.principals[ADA]})
    order = await carried_out(bureau)
    run = order["order"]
    if victim is not None:
        bureau.platform.wait_for_restart(victim, bureau.platform.kill(victim))
        bureau.platform.wait_until_ready()
    did = await done(bureau, order)
    assert (did["destroyed"], did["deks"]) == (SENT, 1)
    certificate = await certified(bureau, run)
    assert (certificate["items"], certificate["deks"]) == (SENT, 1)

    number = ROLES.index("auditor")
    password = kept(tmp_path / "password", PASSWORD.encode())
    slug = bureau.town.tenant.slug
    who = ("--tenant", slug, "--user", person_of(number).user_name, "--password-file", password)
    where = ("--data", bureau.platform.data)
    listed = await ran("certificate", *who, *where, "list")
    assert (listed.returncode, run in listed.stdout) == (0, True), listed
    file = tmp_path / "certificate.zip"

    async def saved() -> Any:
        return await ran("certificate", *who, *where, "save", run, "--to", file)

    await eventually(saved, lambda answer: answer.returncode == 0)
    trust = kept(tmp_path / "trust.json", bureau.platform.get("/keys/v1/trust.json").body)
    checked = await ran("verify", file, "--trust", trust)
    assert checked.returncode == 0, checked
    assert f"{SENT} items" in checked.stdout

    query = f"/audit/v1/entries?entity_kind=disposition-certificate&entity={run}"
    told = await bureau.get(query, "auditor")
    assert [entry["action"] for entry in told["entries"]] == ["retention.certificate.issued"]
    counted = await ran("audit", "reconcile", *where, "--json")
    assert counted.returncode == 0, counted

    data = bytearray(file.read_bytes())
    data[data.index(b'"destroyed":"4"') + 13] ^= 1
    forged = kept(tmp_path / "forged.zip", bytes(data))
    refused = await ran("verify", forged, "--trust", trust)
    assert refused.returncode == 1, refused
