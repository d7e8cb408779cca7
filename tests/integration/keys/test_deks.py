"""Data keys over HTTP: got or made, unwrapped, and told apart by tenant."""

import asyncio
from uuid import UUID, uuid4

import pytest

from libs.contracts import internal as wire
from libs.contracts.events import DekCreated, DekUnwrapped, KekCreated
from services.keys.settings import Settings
from tests.integration.keys.service import Service, answer_of, named, problem_of, running, wanted
from tests.support.engines import ServiceDatabase


async def test_a_key_asked_for_twice_is_the_same_key(keys: Service, tenant: UUID, conversation: UUID) -> None:
    first = await keys.obtain_one(tenant, conversation)
    second = await keys.obtain_one(tenant, conversation)
    assert first.key is not None
    assert len(first.key) == 32
    assert (second.dek, second.key) == (first.dek, first.key)
    assert first.kek_version == 1


async def test_every_tenant_conversation_and_month_has_a_key_of_its_own(keys: Service) -> None:
    tenants, conversations = (uuid4(), uuid4()), (uuid4(), uuid4())
    wishes = [wanted(t, c, epoch) for t in tenants for c in conversations for epoch in ("2026-10", "2026-11")]
    obtained = await keys.obtain(*wishes)
    assert len({key.key for key in obtained}) == len({key.dek for key in obtained}) == len(wishes)


async def test_answers_stand_in_the_order_of_the_question_repeats_included(keys: Service) -> None:
    tenants = [uuid4() for _ in range(3)]
    wishes = [wanted(tenants[place % 3], UUID(int=1 + place // 3)) for place in range(9)]
    obtained = await keys.obtain(*wishes, *reversed(wishes))
    assert [key.dek for key in obtained[9:]] == [key.dek for key in reversed(obtained[:9])]
    for wish, key in zip(wishes, obtained, strict=False):
        (again,) = await keys.obtain(wish)
        assert again.dek == key.dek


async def test_an_empty_question_has_an_empty_answer(keys: Service) -> None:
    assert await keys.obtain() == ()
    assert await keys.unwrap() == ()
    assert keys.events() == []


async def test_an_exhausted_key_is_followed_by_the_next_generation(
    keys: Service, tenant: UUID, conversation: UUID
) -> None:
    first = await keys.obtain_one(tenant, conversation)
    exhausted = wire.DekWanted(tenant=tenant, conversation=conversation, epoch="2026-11", exhausted=first.dek)
    (second,) = await keys.obtain(exhausted)
    (same,) = await keys.obtain(exhausted)
    assert second.dek != first.dek
    assert second.dek == same.dek == (await keys.obtain_one(tenant, conversation)).dek
    (old,) = await keys.unwrap(named(tenant, first))
    assert old.key == first.key


async def test_a_wish_and_an_exhausted_wish_for_one_scope_are_both_served_by_the_successor(
    keys: Service, tenant: UUID, conversation: UUID
) -> None:
    first = await keys.obtain_one(tenant, conversation)
    exhausted = wire.DekWanted(tenant=tenant, conversation=conversation, epoch="2026-11", exhausted=first.dek)
    plain = wanted(tenant, conversation)
    answers = await keys.obtain(plain, exhausted, plain)
    assert len({answer.dek for answer in answers}) == 1
    assert answers[0].dek != first.dek


async def test_keys_are_unwrapped_by_name_in_order(keys: Service, tenant: UUID) -> None:
    obtained = await keys.obtain(*(wanted(tenant, uuid4()) for _ in range(5)))
    references = [named(tenant, key) for key in reversed(obtained)]
    unwrapped = await keys.unwrap(*references, references[0])
    assert [key.key for key in unwrapped] == [key.key for key in (*reversed(obtained), obtained[-1])]


async def test_another_tenants_key_is_not_found_just_as_one_that_never_was(
    keys: Service, tenant: UUID, conversation: UUID
) -> None:
    own = await keys.obtain_one(tenant, conversation)
    stranger = uuid4()
    await keys.obtain_one(stranger, conversation)
    unknown = wire.DekNamed(tenant=stranger, dek=uuid4())
    foreign, absent, mine = await keys.unwrap(named(stranger, own), unknown, named(tenant, own))
    assert (foreign.key, foreign.problem) == (None, "not-found") == (absent.key, absent.problem)
    assert mine.key == own.key
    accesses = [event for event in keys.events() if isinstance(event, DekUnwrapped)]
    assert [access.deks for access in accesses if access.purpose == "deliver"] == [(own.dek,)]


async def test_twenty_who_ask_at_once_in_two_processes_get_one_key(
    keys: Service, settings: Settings, database: ServiceDatabase, tenant: UUID, conversation: UUID
) -> None:
    async with running(settings, database) as other:
        obtained = await asyncio.gather(
            *(service.obtain_one(tenant, conversation) for service in (keys, other) for _ in range(10))
        )
    assert len({(key.dek, key.key) for key in obtained}) == 1
    assert keys.rows("SELECT count(*) FROM keys.dek") == [(1,)]
    kinds = [type(event) for event in keys.events()]
    assert kinds.count(DekCreated) == kinds.count(KekCreated) == 1
    assert kinds.count(DekUnwrapped) == 20


async def test_overlapping_batches_in_opposite_orders_do_not_block_each_other(
    keys: Service, tenant: UUID
) -> None:
    wishes = [wanted(tenant, uuid4()) for _ in range(60)]
    forward, backward, shifted = await asyncio.gather(
        keys.obtain(*wishes), keys.obtain(*reversed(wishes)), keys.obtain(*wishes[30:], *wishes[:30])
    )
    assert [key.dek for key in forward] == [key.dek for key in reversed(backward)]
    assert [key.dek for key in forward] == [key.dek for key in (*shifted[30:], *shifted[:30])]
    assert keys.rows("SELECT count(*) FROM keys.dek") == [(60,)]


def vault_calls(metrics: str) -> dict[str, int]:
    """Return the number of calls to the vault by operation."""
    counts: dict[str, int] = {}
    for line in metrics.splitlines():
        if line.startswith("muniment_vault_call_seconds_count{"):
            operation = line.split('operation="')[1].split('"')[0]
            counts[operation] = counts.get(operation, 0) + int(float(line.rsplit(" ", 1)[1]))
    return counts


async def test_a_thousand_cold_conversations_are_a_few_calls_to_the_vault(
    keys: Service, tenant: UUID
) -> None:
    wishes = [wanted(tenant, uuid4()) for _ in range(1000)]
    made = await keys.obtain(*wishes)
    calls = vault_calls((await keys.http.get("/metrics")).text)
    assert calls == {"keys": 1, "encrypt": 7}
    found = await keys.obtain(*wishes)
    unwrapped = await keys.unwrap(*(named(tenant, key) for key in made))
    calls = vault_calls((await keys.http.get("/metrics")).text)
    assert calls == {"keys": 1, "encrypt": 7, "decrypt": 14}
    assert [key.key for key in made] == [key.key for key in found] == [key.key for key in unwrapped]
    assert len({key.key for key in made}) == 1000


async def test_every_key_made_and_every_key_handed_out_is_a_fact_of_its_tenant(
    keys: Service, tenant: UUID, conversation: UUID
) -> None:
    key = await keys.obtain_one(tenant, conversation)
    await keys.unwrap(named(tenant, key))
    assert key.dek is not None
    assert keys.events() == [
        KekCreated(kek=f"tenant-{tenant}", kek_version=1),
        DekCreated(dek=key.dek, conversation=conversation, epoch="2026-11", kek_version=1),
        DekUnwrapped(deks=(key.dek,), purpose="seal", act="send", service="messaging"),
        DekUnwrapped(deks=(key.dek,), purpose="deliver", act="sync", service="messaging"),
    ]
    for envelope, _ in keys.outbox():
        assert envelope.tenant == tenant
        assert envelope.source == "/keys"
        assert envelope.time == keys.clock.now()


async def test_no_key_is_handed_out_or_kept_without_its_fact(
    keys: Service, tenant: UUID, conversation: UUID
) -> None:
    known = await keys.obtain_one(tenant, conversation)
    before = len(keys.outbox())
    keys.rows("""
        CREATE FUNCTION keys.refuse() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN RAISE EXCEPTION 'no fact today'; END $$""")
    keys.rows(
        "CREATE TRIGGER refuse BEFORE INSERT ON keys.outbox FOR EACH ROW EXECUTE FUNCTION keys.refuse()"
    )
    unwrap = wire.UnwrapDeks(items=(named(tenant, known),), purpose="deliver", act="sync")
    answers = [
        await keys.ask_for(wanted(tenant, uuid4())),
        await keys.ask_for(wanted(tenant, conversation)),
        await keys.post("/internal/deks/unwrap", unwrap),
    ]
    assert [problem_of(answer) for answer in answers] == [(500, "internal")] * 3
    assert keys.rows("SELECT count(*) FROM keys.dek") == [(1,)]
    assert len(keys.outbox()) == before
    assert keys.rows("SELECT count(*) FROM keys.key_access") == [(1,)]


async def test_a_tenant_has_one_fingerprint_key(keys: Service, tenant: UUID, conversation: UUID) -> None:
    message_key = await keys.obtain_one(tenant, conversation)
    request = wire.ObtainFingerprintKey(tenant=tenant)
    path = "/internal/fingerprint-keys/obtain"
    first, second = [answer_of(await keys.post(path, request), wire.FingerprintKey) for _ in range(2)]
    other = answer_of(await keys.post(path, wire.ObtainFingerprintKey(tenant=uuid4())), wire.FingerprintKey)
    assert (first.dek, first.key) == (second.dek, second.key)
    assert len({first.key, other.key, message_key.key}) == 3
    accesses = [event for event in keys.events() if isinstance(event, DekUnwrapped)]
    assert [access.purpose for access in accesses if first.dek in access.deks] == ["fingerprint"] * 2


@pytest.mark.parametrize(("purpose", "act"), [("", "send"), ("seal", ""), ("  ", "send"), ("seal", "a\nb")])
async def test_keys_without_a_purpose_and_an_act_are_refused(
    keys: Service, tenant: UUID, conversation: UUID, purpose: str, act: str
) -> None:
    key = await keys.obtain_one(tenant, conversation)
    before = keys.events()
    obtain = wire.ObtainDeks(items=(wanted(tenant, uuid4()),), purpose=purpose, act=act)
    unwrap = wire.UnwrapDeks(items=(named(tenant, key),), purpose=purpose, act=act)
    for path, request in (("obtain", obtain), ("unwrap", unwrap)):
        assert problem_of(await keys.post(f"/internal/deks/{path}", request)) == (422, "invalid")
    assert keys.events() == before


@pytest.mark.parametrize(
    "epoch", ["", "2026", "2026-13", "2026-1", "2026-11-01", "fingerprint", "\uff12\uff10\uff12\uff16-11"]
)
async def test_no_key_is_made_for_what_is_no_month(keys: Service, tenant: UUID, epoch: str) -> None:
    assert problem_of(await keys.ask_for(wanted(tenant, uuid4(), epoch))) == (422, "invalid")
    assert keys.rows("SELECT count(*) FROM keys.dek") == [(0,)]


async def test_the_fingerprint_key_cannot_be_had_as_a_conversations_key(keys: Service, tenant: UUID) -> None:
    assert problem_of(await keys.ask_for(wanted(tenant, UUID(int=0)))) == (422, "invalid")


async def test_more_keys_than_one_answer_holds_are_refused(keys: Service, tenant: UUID) -> None:
    wishes = [wanted(tenant, UUID(int=number)) for number in range(1, 2002)]
    assert problem_of(await keys.ask_for(*wishes)) == (422, "invalid")
