"""`muniment certificate …`: which dispositions were certified, and one certificate as a file."""

import asyncio
import json
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from services.runner.account import Account, signed_in
from services.runner.errors import RunnerError

CERTIFICATES: Final = "/retention/v1/certificates"
PAGE: Final = 100


def list_certificates(account: Account, *, as_json: bool) -> None:
    """Print every certificate, the newest first. Raises RunnerError."""

    async def asked() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        query: dict[str, Any] = {"limit": PAGE}
        async with signed_in(account) as door:
            while True:
                page = await door.call("GET", CERTIFICATES, dict[str, Any], query=query)
                found += page["certificates"]
                if page["next"] is None:
                    return found
                query["after"] = page["next"]

    certificates = asyncio.run(asked())
    if as_json:
        print(json.dumps(certificates))
        return
    for each in certificates:
        print(f"{each['certificate']}  {each['issued_at']}  {each['items']} items, {each['deks']} data keys")


def save(account: Account, certificate: UUID, to: Path, *, as_json: bool) -> None:
    """Keep a certificate in the file `to`, which is not there yet. Raises RunnerError."""
    if to.exists():
        raise RunnerError(f"{to} is there already, and no certificate is written over anything.")

    async def asked() -> None:
        async with signed_in(account) as door:
            await door.save(f"{CERTIFICATES}/{certificate}/download", to)

    asyncio.run(asked())
    shown = {"certificate": str(certificate), "to": str(to)}
    print(
        json.dumps(shown)
        if as_json
        else f"Certificate {certificate} is in {to}: check it by muniment verify."
    )
