"""`muniment evidence …`: take evidence out of a deployment, as a file that holds without it."""

import asyncio
import json
import os
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import httpx

from libs.client.api import Api
from libs.client.errors import ClientError
from libs.client.evidence import Bearer, Evidence
from libs.evidence.errors import EvidenceRefused
from libs.evidence.trust import Trust, parse_trust
from libs.evidence.verify import verify_bundle
from libs.kernel.clock import SystemClock
from services.runner.errors import RunnerError, printable


class EvidenceNotTaken(RunnerError):
    """The platform gave no evidence, or such that does not hold; nothing was written."""


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks where.

    `token` is a file with the access token of who reads the conversation, `log_token` one of who reads the
    log, by default the same. `trust` is a trust.json from elsewhere, `ca` a PEM file of the certificates
    that https is trusted by.
    """

    origin: str
    token: Path
    log_token: Path | None = None
    trust: Path | None = None
    ca: Path | None = None
    as_json: bool = False


def take_act(asking: Asking, fact: UUID, out: Path) -> None:
    """Write the evidence of one act. Raises EvidenceNotTaken."""
    _take(asking, out, lambda evidence: evidence.act(fact))


def take_range(asking: Asking, first: int, last: int, out: Path, *, details: bool) -> None:
    """Write the evidence of the log's entries from `first` to `last`. Raises EvidenceNotTaken."""
    _take(asking, out, lambda evidence: evidence.log_range(first, last, details=details))


def take_conversation(asking: Asking, conversation: UUID, first: int, last: int, out: Path) -> None:
    """Write the evidence of a conversation's entries from `first` to `last`. Raises EvidenceNotTaken."""
    _take(asking, out, lambda evidence: evidence.conversation(conversation, first, last))


def _take(asking: Asking, out: Path, ask: Callable[[Evidence], Awaitable[bytes]]) -> None:
    if out.exists():  # before anybody is asked: taking evidence is an act
        msg = f"{out} is there already, and no evidence is written over"
        raise EvidenceNotTaken(msg)
    try:
        bundle, trust = asyncio.run(_asked(asking, ask))
        report = verify_bundle(bundle, trust)
        _write(out, bundle)
    except ClientError as refused:
        raise EvidenceNotTaken(str(refused)) from refused
    except EvidenceRefused as refused:
        msg = f"What {asking.origin} shows does not hold: {refused.reason} ({refused.where})"
        raise EvidenceNotTaken(printable(msg)) from refused
    except OSError as error:
        msg = f"{error.filename or out}: {error.strerror or error}"
        raise EvidenceNotTaken(msg) from error
    facts = {"ok": True, "out": str(out), **report.as_json()}
    print(json.dumps(facts) if asking.as_json else printable(f"{out}: {' '.join(report.says)}"))


async def _asked(asking: Asking, ask: Callable[[Evidence], Awaitable[bytes]]) -> tuple[bytes, Trust]:
    trust = None if asking.trust is None else parse_trust(asking.trust.read_bytes())
    verify = True if asking.ca is None else ssl.create_default_context(cafile=asking.ca)
    async with httpx.AsyncClient(verify=verify) as http:
        api = Api(asking.origin, http)
        reader = Bearer(api, asking.token.read_text().strip())
        auditor = reader if asking.log_token is None else Bearer(api, asking.log_token.read_text().strip())
        evidence = Evidence(auditor, SystemClock(), reader=reader, trust=trust)
        return await ask(evidence), await evidence.trust()


def _write(out: Path, bundle: bytes) -> None:
    """Write a file that its owner alone can read: it may hold what people said."""
    with os.fdopen(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(bundle)
