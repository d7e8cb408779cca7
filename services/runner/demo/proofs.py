"""Evidence of what was just done, checked as a stranger would: it holds, and no tampered copy of it does."""

import asyncio
from collections.abc import Iterator
from typing import Final
from uuid import UUID

import httpx
import msgspec

from libs.client.client import Client
from libs.client.errors import ClientError
from libs.client.evidence import MOST_PROVED, Evidence
from libs.evidence.errors import EvidenceRefused
from libs.evidence.trust import Trust
from libs.evidence.verify import verify_bundle
from libs.kernel.clock import SystemClock
from libs.kernel.ids import SystemIds
from libs.kernel.randomness import SystemRandomness
from services.runner.demo.people import Tenant, sign_in_codes
from services.runner.errors import RunnerError
from services.runner.peers import Operator

COPIES: Final = 64
"""Tampered copies of each bundle."""
_AUDITOR: Final = "auditor"
_ACTION: Final = "identity.role.granted"
_ENTRIES: Final = "/audit/v1/entries"
_TRIES: Final = 60
_PAUSE_SECONDS: Final = 0.25


class Proofs(msgspec.Struct):
    """Bundles that held and tampered copies that were refused, of how many; what is wrong in words."""

    bundles: int = 0
    proved: int = 0
    tampered: int = 0
    refused: int = 0
    sentences: list[str] = []

    def judge(self, what: str, bundle: bytes, trust: Trust) -> None:
        """Verify a bundle, and tampered copies of it."""
        self.bundles += 1
        try:
            verify_bundle(bundle, trust)
            self.proved += 1
        except EvidenceRefused as refused:
            self.sentences.append(f"the evidence of {what} does not hold: {refused.reason}")
        for copy in tampered_copies(bundle):
            self.tampered += 1
            try:
                verify_bundle(copy, trust)
            except EvidenceRefused:
                self.refused += 1


class _Found(msgspec.Struct, frozen=True):
    """What a search tells of an entry, as far as it matters here."""

    fact: UUID


class _Page(msgspec.Struct, frozen=True):
    """A page of a search."""

    entries: tuple[_Found, ...]


async def take_proofs(
    http: httpx.AsyncClient,
    origin: str,
    operator: Operator,
    tenant: Tenant,
    principal: UUID,
    conversation: UUID,
    first: int,
    last: int,
) -> Proofs:
    """Let a participant, made auditor, take evidence of that very act and of a conversation; judge both.

    Of the conversation the entries from `first` to `last`, at most as many as are proved at a time. Raises
    RunnerError when the platform gives no evidence.
    """
    last = min(last, first + MOST_PROVED - 1)
    clock, randomness = SystemClock(), SystemRandomness()
    client = Client(origin, http, clock, SystemIds(clock, randomness), randomness)
    evidence = Evidence(client, clock)
    proofs = Proofs()
    operator.call(
        "POST",
        f"/internal/tenants/{tenant.tenant}/roles",
        {"principal": str(principal), "role": _AUDITOR},
    )
    (code,) = sign_in_codes(operator, tenant, [principal])
    try:
        await client.sign_in_with_code(code, device_name="auditor")
        trust = await evidence.trust()
        proofs.judge("a conversation", await evidence.conversation(conversation, first, last), trust)
        proofs.judge("an act", await evidence.act(await _act(client)), trust)
    except (ClientError, EvidenceRefused) as refused:
        raise RunnerError(f"no evidence can be taken: {refused}") from refused
    return proofs


async def _act(client: Client) -> UUID:
    """Return the fact of a role that was granted, once a checkpoint covers one. Raises RunnerError."""
    for _ in range(_TRIES):
        found = await client.get(_ENTRIES, _Page, {"action": _ACTION, "limit": 1})
        if found.entries:
            return found.entries[0].fact
        await asyncio.sleep(_PAUSE_SECONDS)
    raise RunnerError("the audit log tells of no role that was granted")


def tampered_copies(bundle: bytes) -> Iterator[bytes]:
    """Yield copies of a bundle, each with one bit changed, at places all over it."""
    for number in range(min(COPIES, len(bundle))):
        at = number * len(bundle) // COPIES if len(bundle) >= COPIES else number
        copy = bytearray(bundle)
        copy[at] ^= 1
        yield bytes(copy)
