"""What a production is made of, asked on a whole platform as eDiscovery asks, leads to signed checkpoints."""

import asyncio
import base64
import json
import subprocess
import sys
import time
import tomllib
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from libs.authn.service_tokens import ServiceTokenSigner
from libs.contracts.internal import (
    FetchHeads,
    FetchMap,
    FetchPeople,
    FetchProofs,
    FetchProvedEntries,
    FindPeople,
    HeadsOf,
    MapOf,
    PeopleOf,
    ProofsOf,
    ProvedAct,
    ProvedEntriesOf,
)
from libs.evidence.canonical import parse_json
from libs.evidence.completeness import CONVERSATIONS_COMMITTED, ConversationHead, map_root
from libs.evidence.detail import Detail, opened
from libs.evidence.entry import entry_leaf, place_in
from libs.evidence.leaf import Leaf, parse_leaf
from libs.evidence.log import trusted_checkpoint
from libs.evidence.trust import Trust, parse_trust
from libs.host.clients import PeerNotFound, ServiceClient
from libs.merkle.hashing import leaf_hash
from libs.merkle.verify import verify_inclusion
from services.runner.peers import trusted_keys
from tests.support.engines import ROOT
from tests.support.town import Town, town

__all__ = ["town"]

pytestmark = pytest.mark.xdist_group("platform")

SECONDS = 60.0


class Ediscovery:
    """Calls other services as eDiscovery does."""

    def __init__(self, town: Town) -> None:
        settings = tomllib.loads((town.platform.data / "settings.toml").read_text())["ediscovery"]
        signer = ServiceTokenSigner(
            "ediscovery", base64.b64decode(settings["service_key"]), town.clock, town.ids
        )
        places = town.platform.facts["services"]
        self.messaging = ServiceClient(places["messaging-relay"], "messaging", signer)
        self.audit = ServiceClient(places["audit"], "audit", signer)
        self.identity = ServiceClient(places["identity"], "identity", signer)

    async def proofs(self, tenant: UUID, *acts: UUID) -> ProofsOf:
        """Return the proofs of acts as soon as a checkpoint covers all of them."""
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                found = await self.audit.call(
                    "/internal/proofs", FetchProofs(tenant=tenant, acts=acts), ProofsOf
                )
                if len(found.items) == len(set(acts)):
                    return found
            except PeerNotFound:
                pass
            assert time.monotonic() < deadline, "no checkpoint covers the acts"
            await asyncio.sleep(0.1)


@pytest.fixture
async def ediscovery(town: Town) -> AsyncIterator[Ediscovery]:
    calling = Ediscovery(town)
    yield calling
    for client in (calling.messaging, calling.audit, calling.identity):
        await client.close()


def shown(trust: Trust, proofs: ProofsOf, item: ProvedAct) -> tuple[Leaf, Detail]:
    """Return the leaf of an act, and its detail, that lead to a checkpoint that was signed."""
    checkpoint = trusted_checkpoint(proofs.checkpoint, trust)
    verify_inclusion(
        leaf=leaf_hash(item.leaf),
        index=item.index,
        size=checkpoint.size,
        proof=item.proof,
        root=checkpoint.root,
    )
    leaf = parse_leaf(item.leaf)
    return leaf, opened(parse_json(item.detail, "detail"), item.salt, leaf.detail, "detail")


async def ran(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "services.runner", *map(str, arguments)]
    return await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )


async def reconciled(town: Town) -> dict[str, Any]:
    deadline = time.monotonic() + SECONDS
    while True:
        seen = await ran("audit", "reconcile", "--data", town.platform.data, "--json")
        counted: dict[str, Any] = json.loads(seen.stdout)
        if counted["settled"]:
            return counted
        assert time.monotonic() < deadline, "acts and entries were not counted"


async def test_every_entry_and_every_conversation_leads_to_a_signed_checkpoint(
    town: Town, ediscovery: Ediscovery
) -> None:
    ada, ben, _ = await town.settle(3)
    tenant = town.tenant.tenant
    plans = (await ada.create_conversation("group", [town.principals[1]], name="Plans")).conversation
    games = (await ben.create_conversation("group", [town.principals[2]], name="Games")).conversation
    for number in range(5):
        await ada.post(plans, f"message {number}")
    committed = await ediscovery.messaging.call("/internal/map", FetchMap(tenant=tenant, fresh=True), MapOf)
    heads = await ediscovery.messaging.call(
        "/internal/map/heads", FetchHeads(tenant=tenant, act=committed.act), HeadsOf
    )
    assert {head.conversation: head.last_seq for head in heads.items} == {plans: 6, games: 1}
    entries = await ediscovery.messaging.call(
        "/internal/entries/proved",
        FetchProvedEntries(tenant=tenant, conversation=plans, first=1, last=6),
        ProvedEntriesOf,
    )
    assert [entry.seq for entry in entries.items] == [1, 2, 3, 4, 5, 6]
    proofs = await ediscovery.proofs(tenant, committed.act, *{entry.commit for entry in entries.items})
    trust = parse_trust(trusted_keys(town.platform.facts))
    found = {item.act: shown(trust, proofs, item) for item in proofs.items}
    leaf, detail = found[committed.act]
    assert (detail.action, detail.count, leaf.at) == (CONVERSATIONS_COMMITTED, 2, committed.at)
    assert leaf.root == map_root(
        [ConversationHead(head.conversation, head.last_seq, head.participants) for head in heads.items]
    )
    for entry in entries.items:
        leaf, detail = found[entry.commit]
        assert leaf.root is not None
        assert place_in(detail.runs, plans, entry.seq) == (entry.place, entry.size)
        verify_inclusion(
            leaf=entry_leaf(entry.metadata_commitment, entry.body_commitment),
            index=entry.place,
            size=entry.size,
            proof=entry.hashes,
            root=leaf.root,
        )


async def test_people_are_named_and_found(town: Town, ediscovery: Ediscovery) -> None:
    await town.settle(2)
    tenant = town.tenant.tenant
    named = await ediscovery.identity.call(
        "/internal/people", FetchPeople(tenant=tenant, principals=tuple(town.principals)), PeopleOf
    )
    assert {each.principal for each in named.items} == set(town.principals)
    for each in named.items:
        found = await ediscovery.identity.call(
            "/internal/people/find", FindPeople(tenant=tenant, text=each.name.upper()), PeopleOf
        )
        assert each.principal in {one.principal for one in found.items}


async def test_maps_and_the_log_agree_when_the_relay_was_killed(town: Town, ediscovery: Ediscovery) -> None:
    ada, *_ = await town.settle(2)
    tenant = town.tenant.tenant
    plans = (await ada.create_conversation("group", [town.principals[1]], name="Plans")).conversation
    for number in range(3):
        await ada.post(plans, f"message {number}")
        asked = asyncio.create_task(
            ediscovery.messaging.call("/internal/map", FetchMap(tenant=tenant, fresh=True), MapOf)
        )
        await asyncio.sleep(0.01 * number)
        town.platform.wait_for_restart("messaging-relay", town.platform.kill("messaging-relay"))
        await asyncio.gather(asked, return_exceptions=True)
    town.platform.wait_until_ready()
    committed = await ediscovery.messaging.call("/internal/map", FetchMap(tenant=tenant, fresh=True), MapOf)
    heads = await ediscovery.messaging.call(
        "/internal/map/heads", FetchHeads(tenant=tenant, act=committed.act), HeadsOf
    )
    assert [(head.conversation, head.last_seq) for head in heads.items] == [(plans, 4)]
    proofs = await ediscovery.proofs(tenant, committed.act)
    leaf, _ = shown(parse_trust(trusted_keys(town.platform.facts)), proofs, proofs.items[0])
    assert leaf.root == committed.root
    assert (await reconciled(town))["disagreements"] == []
    slug = town.tenant.slug
    verified = await ran("audit", "verify", "--data", town.platform.data, "--tenant", slug)
    assert verified.returncode == 0, verified.stderr
