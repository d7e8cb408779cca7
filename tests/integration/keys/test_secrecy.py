"""No key in clear leaves the memory of those who may have it: not to a row, a stream, a log or a metric."""

import asyncio
import io
from base64 import b64encode, urlsafe_b64encode
from uuid import UUID, uuid4

import pytest
from redis.asyncio import Redis

from infra.engines import daemon
from infra.engines.openbao import OpenBaoServer
from infra.engines.valkey import ValkeyServer
from libs.contracts import internal as wire
from libs.kernel.ids import DekId
from services.keys.domain.deks import ClearDek
from services.keys.domain.signing import ClearSigningKey
from services.keys.ports.vault import Clear
from tests.integration.keys.service import NOON, Service, answer_of, named, wanted


def forms_of(key: bytes) -> set[bytes]:
    """Return the key as it might be written: raw, in hex, in base64, as Python or JSON shows it."""
    texts = {
        key.hex(),
        key.hex().upper(),
        b64encode(key).decode().rstrip("="),
        urlsafe_b64encode(key).decode().rstrip("="),
        repr(key)[2:-1],
        str(list(key))[1:-1],
    }
    return {key, *(text.encode() for text in texts)}


def leaked(keys: list[bytes], haystack: bytes) -> list[bytes]:
    return [form for key in keys for form in forms_of(key) if form in haystack]


async def everything_that_can_happen(keys: Service, bao: OpenBaoServer, tenant: UUID) -> list[bytes]:
    """Obtain, unwrap, lease, fail in every way, and return all keys that were handed out."""
    conversation = uuid4()
    made = [*await keys.obtain(*(wanted(tenant, uuid4()) for _ in range(5)), wanted(tenant, conversation))]
    made += await keys.unwrap(*(named(tenant, key) for key in made), named(uuid4(), made[0]))
    fingerprint = answer_of(
        await keys.post("/internal/fingerprint-keys/obtain", wire.ObtainFingerprintKey(tenant=tenant)),
        wire.FingerprintKey,
    )
    lease = await keys.lease()
    keys.rows(
        "UPDATE keys.dek SET wrapped = (SELECT wrapped FROM keys.dek WHERE dek = %s) WHERE dek = %s",
        made[0].dek,
        made[1].dek,
    )
    await keys.unwrap(*(named(tenant, key) for key in made[:3]))
    await keys.http.post("/internal/deks/obtain", content=b"\xc1", headers=keys.headers())
    bao.stop()
    await keys.ask_for(wanted(tenant, conversation))
    daemon.start(bao)
    keys.rows("ALTER TABLE keys.outbox RENAME TO away")
    await keys.ask_for(wanted(tenant, conversation))
    keys.rows("ALTER TABLE keys.away RENAME TO outbox")
    return [key.key for key in made if key.key is not None] + [fingerprint.key, lease.private]


def whole_database(keys: Service) -> bytes:
    """Return every row of every table of the database, as text and with its bytes."""
    tables = keys.rows(
        "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables "
        "WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    )
    parts: list[bytes] = []
    for (table,) in tables:
        for row in keys.rows(f"SELECT * FROM {table}"):
            parts += [value if isinstance(value, bytes) else str(value).encode() for value in row]
    return b"\n".join(parts)


async def whole_valkey(valkey: ValkeyServer) -> bytes:
    redis = Redis.from_url(valkey.url().reveal())
    try:
        names = await redis.keys("*")
        return b"\n".join([repr(await redis.xrange(name)).encode() for name in names])
    finally:
        await redis.aclose()


async def streams_that_name(tenant: UUID, valkey: ValkeyServer) -> bytes:
    """Return what all streams hold, once the facts of the tenant have arrived there."""
    for _ in range(200):
        streams = await whole_valkey(valkey)
        if str(tenant).encode() in streams:
            return streams
        await asyncio.sleep(0.05)
    pytest.fail("the facts did not arrive in their stream")


async def test_no_key_in_clear_is_in_the_database_the_streams_the_logs_or_the_metrics(
    keys_on_own_vault: Service,
    fresh_openbao: OpenBaoServer,
    fresh_valkey: ValkeyServer,
    log: io.StringIO,
    tenant: UUID,
) -> None:
    keys = keys_on_own_vault
    handed_out = await everything_that_can_happen(keys, fresh_openbao, tenant)
    streams = await streams_that_name(tenant, fresh_valkey)
    database = whole_database(keys)
    assert len(handed_out) == 14
    assert str(tenant).encode() in database
    assert "/internal/deks/obtain" in log.getvalue()
    assert "the vault is unavailable" in log.getvalue()
    assert leaked(handed_out, database) == []
    assert leaked(handed_out, streams) == []
    assert leaked(handed_out, log.getvalue().encode()) == []
    assert leaked(handed_out, (await keys.http.get("/metrics")).content) == []


@pytest.mark.parametrize("place", range(7))
def test_a_planted_key_would_be_found_in_any_form(place: int) -> None:
    key = bytes(range(60, 92))
    form = sorted(forms_of(key))[place % len(forms_of(key))]
    assert leaked([key], b"before " + form + b" after")


def test_keys_in_clear_print_as_names_or_stars() -> None:
    key = bytes(range(60, 92))
    shown = (
        repr(ClearDek(DekId(uuid4()), key, 1)),
        repr(ClearSigningKey("kid", key, NOON, NOON)),
        repr(Clear(key, b"", b"")),
        repr(wire.DekKey(key=key)),
        repr(wire.FingerprintKey(dek=uuid4(), key=key)),
        str([Clear(key, b"", b"")]),
    )
    assert leaked([key], "\n".join(shown).encode()) == []
