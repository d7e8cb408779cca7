"""What two people agreed on and every store confirmed is certified, once, whoever is killed meanwhile."""

from collections.abc import Iterator
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
from tests.support.platform import Platform
from tests.support.town import town

__all__ = ["bureau", "town"]

pytestmark = pytest.mark.xdist_group("platform")
PATIENCE_SECONDS = 120.0


@pytest.fixture(scope="module", autouse=True)
def soon(platform: Platform) -> Iterator[None]:
    """Have the key of the current month refused within seconds of its retirement instead of minutes.

    Whoever seals may not keep it for longer, then.
    """
    settings = {"dek_cache_seconds": 1.0, "dek_under_way_seconds": 1.0}
    with platform.told(("messaging-relay", "gw-1", "gw-2"), "messaging", settings):
        yield


async def certified(bureau: Bureau, run: str) -> dict[str, Any]:
    """Wait until a run is certified, and return the certificate."""
    shown = await eventually(
        lambda: bureau.get(f"/retention/v1/certificates/{run}", "auditor"),
        lambda shown: shown["standing"]["state"] == "issued",
        PATIENCE_SECONDS,
    )
    certificate: dict[str, Any] = shown["certificate"]
    return certificate


VICTIMS = ("retention", "ediscovery", "keys")


@pytest.mark.parametrize(
    "victims",
    [
        VICTIMS,
        *(pytest.param(victims, marks=pytest.mark.prove) for victims in ((), *zip(VICTIMS, strict=True))),
    ],
    ids=lambda victims: " and ".join(victims) or "nobody",
)
async def test_a_run_is_certified_by_every_store_and_holds_off_line(
    bureau: Bureau, victims: tuple[str, ...], tmp_path: Path
) -> None:
    await bureau.post("/retention/v1/erasures", {"subject": bureau.principals[ADA]})
    order = await carried_out(bureau)
    run = order["order"]
    bureau.platform.begin_anew(victims)
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
