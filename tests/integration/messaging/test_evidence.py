"""Evidence of a conversation proves what was committed, is for those who may read it, and is told of."""

import asyncio
import json
import re
from collections.abc import Sequence
from uuid import UUID, uuid4

import pytest

from libs.authn.actor import Actor
from libs.contracts.facts import Run
from libs.evidence.bundle import Commit, ShownEntry, conversation_bundle
from libs.evidence.errors import EvidenceRefused
from libs.evidence.leaf import parse_leaf
from libs.evidence.verify import verify_bundle
from libs.kernel.ids import ConversationId, TenantId
from libs.merkle.hashing import leaf_hash
from libs.merkle.tree import inclusion_proof
from services.audit.usecases.sequence import detail_of
from services.messaging.adapters.keys import KeyServiceKeys
from services.messaging.domain.errors import (
    ConversationNotFound,
    EntriesNotFound,
    EntryUnproved,
    KeysUnavailable,
    StretchRefused,
)
from services.messaging.store.evidence import _LEAVES
from services.messaging.usecases.evidence import ProvedEntry
from tests.integration.messaging.gateways import Gateway, person
from tests.integration.messaging.test_facts import counted, facts_of
from tests.unit.evidence.logs import SALT, TENANT, TRUST, leaf_at, note_of

Three = tuple[Actor, Actor, Actor]
SECRET = "canary-0d1f7a"


@pytest.fixture
def tenant() -> TenantId:
    """Give the tenant whose log the test's checkpoints are of."""
    return TenantId(TENANT)


def shown_of(proved: Sequence[ProvedEntry], commits: Sequence[UUID]) -> list[ShownEntry]:
    return [
        ShownEntry(
            entry.seq,
            commits.index(entry.commit),
            entry.path.hashes,
            metadata=entry.metadata,
            metadata_salt=entry.metadata_salt,
            metadata_commitment=None if entry.metadata else entry.metadata_commitment,
            body=entry.body,
            body_salt=entry.body_salt,
            body_commitment=None if entry.body is not None else entry.body_commitment,
        )
        for entry in proved
    ]


def bundle_of(gateway: Gateway, conversation: UUID, proved: Sequence[ProvedEntry]) -> bytes:
    """Return a bundle over a log that has every commit's fact as an entry, as the audit log would."""
    told = [fact for fact in facts_of(gateway) if fact.root is not None]
    details = [detail_of(fact) for fact in told]
    leaves = [
        leaf_at(index, root=fact.root, detail=detail)
        for index, (fact, detail) in enumerate(zip(told, details, strict=True))
    ]
    hashes = [leaf_hash(leaf) for leaf in leaves]
    named = list(dict.fromkeys(entry.commit for entry in proved))
    places = [[fact.act for fact in told].index(commit) for commit in named]
    commits = [Commit(leaves[at], inclusion_proof(hashes, at), details[at], SALT) for at in places]
    assert all(parse_leaf(commit.leaf).root for commit in commits)
    return conversation_bundle(conversation, shown_of(proved, named), commits, note_of(leaves))


async def busy(gateway: Gateway, ada: Actor, *places: ConversationId) -> None:
    """Send 14 messages to each of several conversations, most of them in one commit."""
    for where in places:  # the keys are at hand then, and nothing else waits for anything
        await gateway.send(ada, where, f"{SECRET} first")
    sent = [gateway.submit(ada, where, f"{SECRET} {number}") for number in range(13) for where in places]
    await asyncio.gather(*await asyncio.gather(*sent))


async def test_evidence_leads_from_every_entry_to_the_checkpoint(one: Gateway, people: Three) -> None:
    ada, bo, cy = people
    plans, games = await one.group(ada, bo, name="Plans"), await one.group(ada, cy)
    await one.core.converse.add(ada, plans, [cy.principal])
    await busy(one, ada, plans, games)
    last = 16
    proved = await one.core.take_evidence(bo, plans, 1, last)
    assert [entry.seq for entry in proved] == list(range(1, last + 1))
    assert max(entry.path.size for entry in proved) > 2
    report = verify_bundle(bundle_of(one, plans, proved), TRUST)
    assert report.entries == last
    assert [entry.body for entry in proved][1] is None
    assert all(SECRET.encode() in (entry.body or b"") for entry in proved[2:])


@pytest.mark.planted
async def test_a_changed_row_makes_evidence_that_is_refused(one: Gateway, people: Three) -> None:
    ada, bo, cy = people
    plans, games = await one.group(ada, bo), await one.group(ada, cy)
    await busy(one, ada, plans, games)
    proved = await one.core.take_evidence(ada, plans, 1, 15)
    verify_bundle(bundle_of(one, plans, proved), TRUST)
    large = max(proved, key=lambda entry: entry.path.size)
    assert large.path.size > 2, "the commit brought entries of both conversations"
    others = (games, large.commit)
    changes: list[tuple[str, *tuple[object, ...]]] = [
        ("UPDATE messaging.entry SET actor = %s WHERE conversation = %s AND seq = 5", bo.principal, plans),
        ("UPDATE messaging.entry SET kind = 2 WHERE conversation = %s AND seq = 1", plans),
        ("UPDATE messaging.entry SET subjects = '{}' WHERE conversation = %s AND seq = 1", plans),
        (
            "UPDATE messaging.entry SET body_commitment = NULL WHERE (conversation, commit) = (%s, %s)",
            *others,
        ),
        ("DELETE FROM messaging.entry WHERE (conversation, commit) = (%s, %s)", *others),
    ]
    for statement, *parameters in changes:
        kept = one.rows("SELECT * FROM messaging.entry")
        one.rows(statement, *parameters)
        with pytest.raises(EvidenceRefused):
            verify_bundle(bundle_of(one, plans, await one.core.take_evidence(ada, plans, 1, 15)), TRUST)
        one.rows("DELETE FROM messaging.entry")
        marks = ", ".join(["%s"] * len(kept[0]))
        for row in kept:
            one.rows(f"INSERT INTO messaging.entry VALUES ({marks})", *row)
    verify_bundle(bundle_of(one, plans, await one.core.take_evidence(ada, plans, 1, 15)), TRUST)


async def test_a_disposed_body_leaves_its_commitments_and_the_proof_holds(
    one: Gateway, people: Three
) -> None:
    ada, bo, _ = people
    plans = await one.group(ada, bo)
    await busy(one, ada, plans)
    one.rows("DELETE FROM messaging.payload WHERE conversation = %s AND seq = 3", plans)
    proved = await one.core.take_evidence(ada, plans, 1, 5)
    gone = proved[2]
    assert (gone.metadata, gone.metadata_salt, gone.body, gone.body_salt) == (None, None, None, None)
    assert gone.body_commitment is not None
    assert verify_bundle(bundle_of(one, plans, proved), TRUST).entries == 5


async def test_evidence_is_given_of_what_one_may_read_and_of_nothing_else(
    one: Gateway, people: Three
) -> None:
    ada, bo, cy = people
    plans = await one.group(ada, bo)
    await busy(one, ada, plans)  # 2 to 15
    await one.core.converse.add(ada, plans, [cy.principal])  # 16
    await one.send(ada, plans, "later")  # 17
    await one.core.converse.remove(ada, plans, [bo.principal])  # 18
    await one.send(ada, plans, "without bo")  # 19
    take = one.core.take_evidence
    assert len(await take(cy, plans, 16, 19)) == 4
    assert len(await take(bo, plans, 1, 18)) == 18
    for actor, first, last in [(cy, 15, 16), (cy, 1, 1), (bo, 18, 19), (ada, 19, 20), (ada, 21, 21)]:
        with pytest.raises(EntriesNotFound):
            await take(actor, plans, first, last)
    for stranger in (person(ada.tenant), person(TenantId(uuid4())), person(ada.tenant, ["auditor"])):
        with pytest.raises(ConversationNotFound):
            await take(stranger, plans, 1, 2)
    for first, last in [(3, 2), (1, 1001)]:
        with pytest.raises(StretchRefused):
            await take(ada, plans, first, last)


async def test_each_taking_is_an_act_with_its_fact_and_a_refused_one_is_not(
    one: Gateway, people: Three
) -> None:
    ada, bo, cy = people
    plans = await one.group(ada, bo)
    await busy(one, ada, plans)
    await one.core.take_evidence(bo, plans, 2, 4)
    await one.core.take_evidence(bo, plans, 2, 4)
    with pytest.raises(ConversationNotFound):
        await one.core.take_evidence(cy, plans, 2, 4)
    told = [fact for fact in facts_of(one) if fact.action == "messaging.evidence.taken"]
    assert len({fact.act for fact in told}) == 2
    for fact in told:
        assert fact.actor.id == bo.principal
        assert [(entity.kind, entity.id) for entity in fact.entities] == [("conversation", str(plans))]
        assert fact.runs == (Run(conversation=plans, first=2, last=4),)
        assert fact.root is None
    assert (await counted(one))["messaging.evidence.taken"] == 2


async def test_nothing_leaves_when_it_cannot_be_told_of(one: Gateway, people: Three) -> None:
    ada, bo, _ = people
    plans = await one.group(ada, bo)
    await busy(one, ada, plans)
    one.rows("ALTER TABLE messaging.outbox ADD CONSTRAINT planted CHECK (name = '') NOT VALID")
    with pytest.raises(Exception, match="planted"):
        await one.core.take_evidence(ada, plans, 1, 2)
    assert one.rows("SELECT * FROM messaging.evidence_taking") == []


async def test_entries_from_before_the_audit_log_are_said_to_be_without_proof(
    one: Gateway, people: Three
) -> None:
    ada, bo, _ = people
    plans = await one.group(ada, bo)
    await busy(one, ada, plans)
    one.rows("UPDATE messaging.entry SET commit = %s WHERE conversation = %s AND seq < 3", UUID(int=0), plans)
    with pytest.raises(EntryUnproved) as refused:
        await one.core.take_evidence(ada, plans, 2, 4)
    assert refused.value.seq == 2
    assert len(await one.core.take_evidence(ada, plans, 3, 4)) == 2


async def test_without_the_keys_nothing_is_given_and_nothing_told(
    two: Gateway, one: Gateway, people: Three, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, bo, _ = people
    plans = await one.group(ada, bo)
    await busy(one, ada, plans)

    async def away(*_: object) -> None:
        raise KeysUnavailable

    monkeypatch.setattr(KeyServiceKeys, "fetch_opening_keys", away)
    with pytest.raises(KeysUnavailable):
        await two.core.take_evidence(ada, plans, 1, 2)
    assert two.rows("SELECT * FROM messaging.evidence_taking") == []


async def test_a_commit_is_found_without_reading_the_log(one: Gateway, people: Three) -> None:
    ada, *_ = people
    one.rows(
        "INSERT INTO messaging.entry (tenant, conversation, seq, kind, revision, message, actor, sent_at,"
        " members_version, subjects, metadata_commitment, body_commitment, commit)"
        " SELECT %s, md5((n %% 200)::text)::uuid, n, 4, 0, gen_random_uuid(), gen_random_uuid(), now(), 1,"
        " '{}', sha256('metadata'), sha256('body'),"
        " (lpad(to_hex(1700000000000 + n / 20), 12, '0') || '70008000000000000000')::uuid"
        " FROM generate_series(1, 100000) n",
        ada.tenant,
    )
    one.rows("VACUUM ANALYZE messaging.entry")
    some = "SELECT DISTINCT commit FROM messaging.entry ORDER BY commit LIMIT 8 OFFSET 2000"
    commits = [commit for (commit,) in one.rows(some)]
    ((explained,),) = one.rows(f"EXPLAIN (ANALYZE, FORMAT JSON) {_LEAVES}", ada.tenant, commits)
    plan = json.dumps(explained)
    assert plan.count('"Bitmap Index Scan"') == 16
    assert '"Seq Scan"' not in plan
    skimmed = sum(int(number) for number in re.findall(r'"Rows Removed by Index Recheck": (\d+)', plan))
    assert skimmed < 20_000, "most of the log was read"


async def test_entries_of_many_commits_are_proved_together(one: Gateway, people: Three) -> None:
    ada, bo, _ = people
    plans = await one.group(ada, bo)
    for number in range(40):
        await one.send(ada, plans, f"{SECRET} {number}")
    proved = await one.core.take_evidence(ada, plans, 1, 41)
    assert len({entry.commit for entry in proved}) == 41
    assert verify_bundle(bundle_of(one, plans, proved), TRUST).entries == 41
