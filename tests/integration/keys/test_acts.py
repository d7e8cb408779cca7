"""Every act leaves one fact in its own transaction, and its rows can be counted against the facts."""

import random
from collections import Counter
from uuid import UUID, uuid4

import psycopg
import pytest

from libs.contracts import internal as wire
from libs.contracts.actions import ACTIONS, LEGAL
from libs.contracts.cloudevents import PLATFORM_TENANT
from libs.contracts.facts import Actor, Entity, KeysFact
from services.keys.store.acts import ACTS
from services.keys.store.facts import MOST_DEKS_NAMED
from tests.integration.keys.service import NOON, Service, answer_of, named, problem_of, wanted

FINGERPRINT = "/internal/fingerprint-keys/obtain"
LOGS = ("keys.key_access", "keys.signing_key", "keys.signing_key_lease", "keys.signing_key_retirement")


def told(keys: Service) -> Counter[tuple[str, UUID]]:
    """Return the number of facts by action and tenant."""
    return Counter(
        (fact.action, envelope.tenant) for envelope, fact in keys.outbox() if isinstance(fact, KeysFact)
    )


async def counted(keys: Service) -> Counter[tuple[str, UUID]]:
    """Return the number of acts by action and tenant, as the service counts its own rows."""
    acts = await keys.acts()
    return Counter({(act.action, act.tenant): act.count for act in acts.acts})


def parts_of(fact: KeysFact) -> dict[str, list[str]]:
    parts: dict[str, list[str]] = {}
    for entity in fact.entities:
        parts.setdefault(entity.kind, []).append(entity.id)
    return parts


async def fingerprint(keys: Service, tenant: UUID) -> wire.FingerprintKey:
    return answer_of(
        await keys.post(FINGERPRINT, wire.ObtainFingerprintKey(tenant=tenant)), wire.FingerprintKey
    )


async def test_each_act_on_a_tenants_keys_is_one_fact_that_says_who_and_what_for(
    keys: Service, tenant: UUID, conversation: UUID
) -> None:
    key = await keys.obtain_one(tenant, conversation)
    await keys.unwrap(named(tenant, key))
    facts = keys.facts()
    assert [fact.action for fact in facts] == [
        "keys.kek.created",
        "keys.dek.created",
        "keys.dek.unwrapped",
        "keys.dek.unwrapped",
    ]
    assert {fact.actor for fact in facts} == {Actor(kind="service", name="messaging")}
    assert {fact.at for fact in facts} == {NOON}
    assert facts[1].act == key.dek
    assert parts_of(facts[1])["conversation"] == [str(conversation)]
    given = [parts_of(fact) for fact in facts[2:]]
    assert [(part["purpose"], part["act"], part["dek"]) for part in given] == [
        (["seal"], ["send"], [str(key.dek)]),
        (["deliver"], ["sync"], [str(key.dek)]),
    ]
    assert len({fact.act for fact in facts}) == len(facts)


async def test_the_fingerprint_key_is_told_of_as_what_it_is_by_whatever_route_it_was_had(
    keys: Service, tenant: UUID
) -> None:
    key = await fingerprint(keys, tenant)
    await keys.unwrap(wire.DekNamed(tenant=tenant, dek=key.dek))
    actions = Counter(fact.action for fact in keys.facts())
    assert actions["keys.fingerprint-key.obtained"] == 2
    assert actions["keys.dek.unwrapped"] == 0


async def test_keys_for_a_legal_matter_are_an_act_that_shows_to_those_of_legal_acts_alone(
    keys: Service, tenant: UUID
) -> None:
    key = await keys.obtain_one(tenant, uuid4())
    matter = uuid4()
    for purpose in (f"matter:{matter}", "matter:unnamed"):
        await keys.unwrap(named(tenant, key), purpose=purpose)
    facts = [(fact.action, fact.matter) for fact in keys.facts()[-2:]]
    assert facts == [("keys.dek.unwrapped-for-matter", matter), ("keys.dek.unwrapped-for-matter", None)]
    assert ACTIONS["keys.dek.unwrapped-for-matter"].visibility == LEGAL
    assert await counted(keys) == told(keys)


async def test_a_batch_is_one_act_of_each_tenant_and_names_the_first_hundred_keys(keys: Service) -> None:
    large, small = uuid4(), uuid4()
    obtained = await keys.obtain(
        *(wanted(large, uuid4()) for _ in range(MOST_DEKS_NAMED + 5)), wanted(small, uuid4())
    )
    given = {
        parts_of(fact)["key-access"][0]: parts_of(fact)
        for fact in keys.facts()
        if fact.action == "keys.dek.unwrapped"
    }
    rows = keys.rows("SELECT access, tenant, deks, service, purpose, act FROM keys.key_access")
    assert len(given) == len(rows) == 2
    for access, tenant, deks, *reason in rows:
        assert isinstance(deks, list)
        assert reason == ["messaging", "seal", "send"]
        part = given[str(access)]
        assert part["dek"] == [str(dek) for dek in deks[:MOST_DEKS_NAMED]]
        assert part.get("dek-count") == ([str(MOST_DEKS_NAMED + 5)] if tenant == large else None)
    assert {dek for row in rows for dek in row[2]} == {key.dek for key in obtained}  # type: ignore[attr-defined]


async def test_what_is_not_given_is_no_act(keys: Service, tenant: UUID) -> None:
    await keys.unwrap(wire.DekNamed(tenant=tenant, dek=uuid4()))
    assert keys.facts() == []
    assert await counted(keys) == Counter()


async def test_no_act_leaves_rows_or_facts_when_its_transaction_fails(keys: Service, tenant: UUID) -> None:
    await keys.lease("checkpoints")
    before, rows = keys.facts(), await counted(keys)
    keys.rows("""
        CREATE FUNCTION keys.refuse() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN RAISE EXCEPTION 'no fact today'; END $$""")
    keys.rows(
        "CREATE TRIGGER refuse BEFORE INSERT ON keys.outbox FOR EACH ROW EXECUTE FUNCTION keys.refuse()"
    )
    answers = [
        await keys.ask_for(wanted(tenant, uuid4())),
        await keys.post(FINGERPRINT, wire.ObtainFingerprintKey(tenant=tenant)),
        await keys.post("/internal/signing-keys/tokens/lease", wire.LeaseSigningKey(), "identity"),
        await keys.rotate("checkpoints"),
    ]
    assert [problem_of(answer) for answer in answers] == [(500, "internal")] * 4
    assert keys.facts() == before
    assert await counted(keys) == rows


async def any_act(keys: Service, chance: random.Random, known: list[tuple[UUID, wire.DekKey]]) -> None:
    """Do something that the service can do."""
    tenant = UUID(int=1 + chance.randrange(3))
    kind = chance.randrange(6)
    if kind == 0:
        wishes = [wanted(tenant, UUID(int=1 + chance.randrange(6))) for _ in range(chance.randrange(4))]
        known += [(tenant, key) for key in await keys.obtain(*wishes)]
    elif kind == 1 and known:
        await keys.unwrap(
            *(named(*chance.choice(known)) for _ in range(3)),
            wire.DekNamed(tenant=tenant, dek=uuid4()),
            purpose=chance.choice(["deliver", f"matter:{UUID(int=5)}"]),
        )
    elif kind == 2:
        await fingerprint(keys, tenant)
    elif kind == 3 and known:
        owner, key = chance.choice(known)
        assert key.dek is not None
        await keys.retire(owner, key.dek)
        for _ in range(chance.randrange(3)):
            await keys.shred(owner, key.dek, order=uuid4())
    elif kind == 4:
        await keys.lease(chance.choice(["tokens", "checkpoints"]))
    else:
        assert (await keys.rotate(chance.choice(["tokens", "checkpoints"]))).status_code == 200


@pytest.mark.parametrize("seed", range(3))
async def test_after_any_run_of_acts_the_rows_and_the_facts_are_of_one_number(
    keys: Service, seed: int
) -> None:
    chance, known = random.Random(seed), list[tuple[UUID, wire.DekKey]]()
    for _ in range(40):
        await any_act(keys, chance, known)
        keys.clock.advance(chance.choice([1, 3_600, 86_400]))
    assert await counted(keys) == told(keys)
    assert {action for action, _ in told(keys)} == set(ACTS)


async def test_the_counts_stand_beside_the_heads_of_the_outbox(keys: Service, tenant: UUID) -> None:
    await keys.obtain_one(tenant, uuid4())
    acts = await keys.acts()
    heads = keys.rows("SELECT part, position FROM keys.outbox_head")
    assert acts.positions == dict(heads)  # type: ignore[arg-type]
    assert sum(acts.positions.values()) == len(keys.outbox())


PLANTED = {
    "keys.kek.created": "INSERT INTO keys.kek (tenant, kek, created_at) VALUES (%(tenant)s, 'other', now())",
    "keys.dek.created": (
        "INSERT INTO keys.dek"
        " (tenant, dek, conversation, epoch, generation, kek, kek_version, wrapped, created_at)"
        " SELECT tenant, gen_random_uuid(), conversation, '2031-01', 1, kek, 1, wrapped, now() FROM keys.dek"
    ),
    "keys.dek.retired": (
        "INSERT INTO keys.dek_retirement (tenant, dek, retirement, order_id, service, at)"
        " SELECT tenant, dek, gen_random_uuid(), gen_random_uuid(), 'messaging', now() FROM keys.dek"
    ),
    "keys.dek.shredded": "UPDATE keys.dek SET wrapped = NULL, shredded_at = now()",
    "keys.dek.unwrapped": (
        "INSERT INTO keys.key_access (tenant, access, action, service, purpose, act, deks, at)"
        " SELECT tenant, gen_random_uuid(), action, service, purpose, act, deks, now() FROM keys.key_access"
        " WHERE action = 'keys.dek.unwrapped'"
    ),
    "keys.dek.unwrapped-for-matter": (
        "INSERT INTO keys.key_access (tenant, access, action, service, purpose, act, deks, at)"
        " SELECT tenant, gen_random_uuid(), 'keys.dek.unwrapped-for-matter', service, purpose, act, deks,"
        " now() FROM keys.key_access WHERE action = 'keys.dek.unwrapped'"
    ),
    "keys.fingerprint-key.obtained": (
        "INSERT INTO keys.key_access (tenant, access, action, service, purpose, act, deks, at)"
        " SELECT tenant, gen_random_uuid(), 'keys.fingerprint-key.obtained', service, purpose, act, deks,"
        " now() FROM keys.key_access"
    ),
    "keys.signing-key.created": (
        "INSERT INTO keys.signing_key"
        " (kid, purpose, ordinal, public, sealed, not_before, not_after, published_until)"
        " SELECT 'other', purpose, 9, public, sealed, not_before, not_after, published_until"
        " FROM keys.signing_key"
    ),
    "keys.signing-key.leased": (
        "INSERT INTO keys.signing_key_lease (lease, kid, service, at, not_after)"
        " SELECT gen_random_uuid(), kid, service, at, not_after FROM keys.signing_key_lease"
    ),
    "keys.signing-key.retired": (
        "INSERT INTO keys.signing_key_retirement (kid, retirement, successor, at, not_after)"
        " VALUES ('other', gen_random_uuid(), 'other', now(), now())"
    ),
}


@pytest.mark.planted
@pytest.mark.parametrize("action", ACTS)
async def test_a_row_that_was_planted_without_its_fact_makes_the_numbers_differ(
    keys: Service, tenant: UUID, action: str
) -> None:
    await keys.obtain_one(tenant, uuid4())
    await keys.lease("checkpoints")
    assert await counted(keys) == told(keys)
    with psycopg.connect(keys.database.admin_dsn.reveal(), autocommit=True) as connection:
        connection.execute(PLANTED[action].encode(), {"tenant": tenant})
    of = PLATFORM_TENANT if "signing-key" in action else tenant
    assert (await counted(keys)) - told(keys) == Counter({(action, of): 1})


async def test_no_service_but_audit_counts_acts(keys: Service) -> None:
    for caller in ("identity", "messaging", "media", "operator"):
        answer = await keys.http.get("/internal/acts", headers=keys.headers(caller))
        assert problem_of(answer) == (403, "service-not-allowed")


@pytest.mark.parametrize("table", LOGS)
@pytest.mark.parametrize("change", ["UPDATE {} SET at = now()", "DELETE FROM {}", "TRUNCATE {}"])
async def test_what_was_written_once_is_changed_neither_by_the_service_nor_by_a_superuser(
    keys: Service, tenant: UUID, table: str, change: str
) -> None:
    await keys.obtain_one(tenant, uuid4())
    await keys.lease("checkpoints")
    assert (await keys.rotate("checkpoints")).status_code == 200
    statement = change.format(table)
    if table == "keys.signing_key":
        statement = statement.replace("at = now()", "not_after = 'infinity'")
    before = keys.rows(f"SELECT * FROM {table}")
    assert before
    with psycopg.connect(keys.database.dsn("keys_app").reveal(), autocommit=True) as connection:
        connection.execute("SELECT set_config('app.tenant', %s, false)", (str(tenant),))
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement.encode())
    with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="is written once"):
        keys.rows(statement)
    assert keys.rows(f"SELECT * FROM {table}") == before


async def test_nothing_new_can_be_passed_off_as_older_than_the_audit_log(keys: Service, tenant: UUID) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        keys.rows("INSERT INTO keys.kek VALUES (%s, 'other', now(), true)", tenant)


async def test_the_acts_on_signing_keys_are_facts_of_the_platform(keys: Service) -> None:
    lease = await keys.lease("checkpoints")
    successor = (await keys.rotate("checkpoints")).json()["kid"]
    assert {envelope.tenant for envelope, _ in keys.outbox()} == {PLATFORM_TENANT}
    use = Entity(kind="use", id="checkpoints")
    assert [(fact.action, fact.actor, fact.entities) for fact in keys.facts()] == [
        (
            "keys.signing-key.created",
            Actor(kind="service", name="keys"),
            (Entity(kind="key", id=lease.kid), use),
        ),
        (
            "keys.signing-key.leased",
            Actor(kind="service", name="audit"),
            (Entity(kind="key", id=lease.kid),),
        ),
        ("keys.signing-key.created", Actor(kind="operator"), (Entity(kind="key", id=successor), use)),
        (
            "keys.signing-key.retired",
            Actor(kind="operator"),
            (Entity(kind="key", id=lease.kid), Entity(kind="successor", id=successor), use),
        ),
    ]
