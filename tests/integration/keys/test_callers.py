"""Who may ask the key service for what."""

from uuid import UUID

import pytest

from libs.contracts import internal as wire
from tests.integration.keys.service import Service, problem_of, wanted

DEKS = (
    "/internal/deks/obtain",
    "/internal/deks/unwrap",
    "/internal/fingerprint-keys/obtain",
)
LEASE = "/internal/signing-keys/tokens/lease"
LEASE_OF_PRODUCTIONS = "/internal/signing-keys/productions/lease"
LEASE_OF_CERTIFICATES = "/internal/signing-keys/certificates/lease"
LEASE_OF_CHECKPOINTS = "/internal/signing-keys/checkpoints/lease"
OUTBOX = ("/internal/outbox?part=0&after=0", "/internal/cursors")


@pytest.mark.parametrize("path", [*DEKS, LEASE, LEASE_OF_CHECKPOINTS, OUTBOX[1]])
async def test_nobody_gets_in_without_a_service_token(keys: Service, path: str) -> None:
    for headers in ({}, {"authorization": "Bearer nonsense"}, {"authorization": "Basic eDp5"}):
        answer = await keys.http.post(path, content=b"\x80", headers=headers)
        assert problem_of(answer) == (401, "unauthenticated")


async def test_a_token_for_another_service_is_refused(keys: Service) -> None:
    headers = keys.headers("messaging", target="identity")
    answer = await keys.http.post(DEKS[0], content=b"\x80", headers=headers)
    assert problem_of(answer) == (401, "unauthenticated")


async def test_an_expired_token_is_refused(keys: Service) -> None:
    headers = keys.headers("messaging")
    keys.clock.advance(61)
    answer = await keys.http.post(DEKS[0], content=b"\x80", headers=headers)
    assert problem_of(answer) == (401, "unauthenticated")


@pytest.mark.parametrize("caller", ["identity", "media"])
@pytest.mark.parametrize("path", DEKS)
async def test_no_service_but_messaging_gets_data_keys(keys: Service, caller: str, path: str) -> None:
    answer = await keys.http.post(path, content=b"\x80", headers=keys.headers(caller))
    assert problem_of(answer) == (403, "service-not-allowed")


async def test_ediscovery_opens_and_never_seals(keys: Service, tenant: UUID, conversation: UUID) -> None:
    (sealing,) = await keys.obtain(wanted(tenant, conversation))
    assert sealing.dek is not None
    unwrap = wire.UnwrapDeks(
        items=(wire.DekNamed(tenant=tenant, dek=sealing.dek),), purpose="index", act="index"
    )
    answer = await keys.post("/internal/deks/unwrap", unwrap, "ediscovery")
    assert wire.unpack(answer.content, wire.KeysOf).items[0].key == sealing.key
    told = keys.rows("SELECT purpose, act FROM keys.key_access WHERE service = 'ediscovery'")
    assert told == [("index", "index")]
    for path in (DEKS[0], DEKS[2]):
        refused = await keys.http.post(path, content=b"\x80", headers=keys.headers("ediscovery"))
        assert problem_of(refused) == (403, "service-not-allowed")


@pytest.mark.parametrize("caller", ["messaging", "media", "audit", "operator"])
async def test_no_service_but_identity_gets_the_key_of_tokens(keys: Service, caller: str) -> None:
    answer = await keys.post(LEASE, wire.LeaseSigningKey(), caller)
    assert problem_of(answer) == (403, "service-not-allowed")
    assert keys.rows("SELECT count(*) FROM keys.signing_key") == [(0,)]


@pytest.mark.parametrize("caller", ["identity", "messaging", "media", "operator"])
async def test_no_service_but_audit_gets_the_key_of_checkpoints(keys: Service, caller: str) -> None:
    answer = await keys.post(LEASE_OF_CHECKPOINTS, wire.LeaseSigningKey(), caller)
    assert problem_of(answer) == (403, "service-not-allowed")
    assert keys.rows("SELECT count(*) FROM keys.signing_key") == [(0,)]


@pytest.mark.parametrize("caller", ["identity", "audit", "messaging", "operator"])
async def test_no_service_but_ediscovery_gets_the_key_of_productions(keys: Service, caller: str) -> None:
    answer = await keys.post(LEASE_OF_PRODUCTIONS, wire.LeaseSigningKey(), caller)
    assert problem_of(answer) == (403, "service-not-allowed")
    assert keys.rows("SELECT count(*) FROM keys.signing_key") == [(0,)]
    lent = await keys.post(LEASE_OF_PRODUCTIONS, wire.LeaseSigningKey(), "ediscovery")
    assert lent.status_code == 200
    assert keys.rows("SELECT purpose FROM keys.signing_key") == [("productions",)]


async def test_a_use_that_does_not_exist_has_no_key(keys: Service) -> None:
    for caller in ("identity", "audit"):
        answer = await keys.post("/internal/signing-keys/greetings/lease", wire.LeaseSigningKey(), caller)
        assert problem_of(answer) == (404, "not-found")


async def test_nobody_but_its_consumers_reads_the_outbox_of_keys(keys: Service) -> None:
    for caller in ("identity", "ediscovery", "media"):
        assert problem_of(await keys.http.get(OUTBOX[0], headers=keys.headers(caller))) == (
            403,
            "service-not-allowed",
        )


@pytest.mark.parametrize("body", [b"", b"\xc1", b"\x80", b'{"items":[]}', b"\x93" * 50])
async def test_an_unreadable_body_is_refused(keys: Service, body: bytes) -> None:
    for path in DEKS:
        answer = await keys.http.post(path, content=body, headers=keys.headers())
        assert problem_of(answer) == (400, "malformed")


async def test_answers_with_keys_are_kept_by_nothing_on_their_way(
    keys: Service, tenant: UUID, conversation: UUID
) -> None:
    answer = await keys.ask_for(wanted(tenant, conversation))
    assert answer.headers["cache-control"] == "no-store"


async def test_the_public_description_names_no_internal_route(keys: Service) -> None:
    description = (await keys.http.get("/keys/v1/openapi.json")).json()
    assert set(description["paths"]) == {"/keys/v1/jwks.json", "/keys/v1/trust.json"}


@pytest.mark.parametrize("caller", ["identity", "audit", "messaging", "ediscovery"])
async def test_no_service_but_retention_gets_the_key_of_certificates(keys: Service, caller: str) -> None:
    answer = await keys.post(LEASE_OF_CERTIFICATES, wire.LeaseSigningKey(), caller)
    assert problem_of(answer) == (403, "service-not-allowed")
    assert keys.rows("SELECT count(*) FROM keys.signing_key") == [(0,)]
    lent = await keys.post(LEASE_OF_CERTIFICATES, wire.LeaseSigningKey(), "retention")
    assert lent.status_code == 200
    assert keys.rows("SELECT purpose FROM keys.signing_key") == [("certificates",)]
