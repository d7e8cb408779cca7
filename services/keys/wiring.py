"""How the key service is put together."""

import base64
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Final

from fastapi import FastAPI
from redis.asyncio import Redis

from libs.authn.service_tokens import ServiceTokenSigner, ServiceTokenVerifier, public_key_of
from libs.barrier.door import SOURCE, hold_door
from libs.contracts.events import names_of
from libs.contracts.holds import KeysGenerationConfirmed
from libs.contracts.retention import KeysEmptied
from libs.contracts.streams import CONSUMERS
from libs.db.pool import CrossingDatabase, TenantDatabase
from libs.events.projector import Projector
from libs.events.publisher import Publisher
from libs.host.app import Lifespan, create_app
from libs.host.background import Background, Run
from libs.host.clients import ServiceClient
from libs.host.outbox import acts_routes, outbox_routes
from libs.host.owners import gaps_of, reports_to
from libs.kernel.clock import Clock, SystemClock
from libs.kernel.ids import SystemIds
from libs.kernel.randomness import SystemRandomness
from libs.telemetry.metrics import Metrics
from libs.telemetry.tracing import Tracing
from services.keys.adapters.openbao import TransitVault, VaultAccess
from services.keys.edge.http import PREFIX, public_routes
from services.keys.edge.internal import dek_routes, kek_routes, signing_key_routes
from services.keys.edge.operator import operator_routes
from services.keys.edge.problems import PROBLEMS
from services.keys.edge.stream import shred_door
from services.keys.settings import Settings
from services.keys.store.acts import ACTS
from services.keys.store.keystore import PostgresKeystore
from services.keys.store.shredding import shredding_in
from services.keys.store.wiping import PostgresWiping
from services.keys.usecases.find_refused_keks import FindRefusedKeks
from services.keys.usecases.lease_signing_key import LeaseSigningKey
from services.keys.usecases.obtain_deks import ObtainDeks
from services.keys.usecases.obtain_fingerprint_key import ObtainFingerprintKey
from services.keys.usecases.publish_token_keys import PublishTokenKeys
from services.keys.usecases.publish_trust import PublishTrust
from services.keys.usecases.retire_deks import RetireDeks
from services.keys.usecases.rotate_signing_key import RotateSigningKey
from services.keys.usecases.sealing import SealedSigningKeys
from services.keys.usecases.shred import WipeShredded
from services.keys.usecases.unwrap_deks import UnwrapDeks

SERVICE: Final = "keys"
EMPTIES: Final = "messaging"
"""Who says under which keys nothing is left."""


def build(settings: Settings, clock: Clock | None = None) -> FastAPI:
    """Return the key service's process; it connects when it starts. `clock` stands for the machine's."""
    clock = clock or SystemClock()
    randomness = SystemRandomness()
    ids = SystemIds(clock, randomness)
    metrics, tracing = Metrics(SERVICE), Tracing(SERVICE)

    database = TenantDatabase(settings.database, SERVICE)
    publishing = CrossingDatabase(settings.database_publisher, f"{SERVICE}-publisher", by_key=True)
    projecting = CrossingDatabase(settings.database_projector, f"{SERVICE}-projector", 2, by_key=True)
    shredding = CrossingDatabase(settings.database_shredder, f"{SERVICE}-shredder", 3, by_key=True)
    redis = Redis.from_url(settings.redis.reveal())
    seed = base64.b64decode(settings.service_key.reveal(), validate=True)
    signer = ServiceTokenSigner(SERVICE, seed, clock, ids)
    holds = ServiceClient(settings.holds_url, SOURCE, signer)
    messaging = ServiceClient(settings.messaging_url, EMPTIES, signer)
    vault = TransitVault(_vault_access_of(settings), clock, metrics)
    keystore = PostgresKeystore(database, clock, ids, tracing)
    publisher = Publisher(
        publishing, redis, SERVICE, consumers=CONSUMERS[SERVICE], clock=clock, metrics=metrics
    )

    projector = Projector(
        SERVICE,
        SOURCE,
        schema=SERVICE,
        database=projecting,
        redis=redis,
        apply=hold_door(SERVICE, KeysGenerationConfirmed, clock, ids),
        fetch_gap=gaps_of(holds),
        report_cursors=reports_to(holds),
        clock=clock,
        metrics=metrics,
    )

    shredder = Projector(
        SERVICE,
        EMPTIES,
        schema=SERVICE,
        database=shredding,
        redis=redis,
        apply=shred_door(
            lambda tx: shredding_in(tx, clock, ids), clock, timedelta(days=settings.backup_days)
        ),
        fetch_gap=gaps_of(messaging),
        report_cursors=reports_to(messaging),
        clock=clock,
        metrics=metrics,
        names=names_of(KeysEmptied),
    )
    wipe = WipeShredded(PostgresWiping(shredding, clock))

    obtain_deks = ObtainDeks(keystore, vault, ids, randomness)
    lifetime = timedelta(days=settings.signing_key_days)
    sealed = SealedSigningKeys(vault, randomness, public_key_of, lifetime)
    lease = LeaseSigningKey(keystore, sealed, clock)
    verifier = ServiceTokenVerifier(SERVICE, settings.peer_keys, clock)
    background = Background()
    return create_app(
        SERVICE,
        title="Muniment keys",
        prefix=PREFIX,
        routers=[
            public_routes(PublishTokenKeys(keystore, clock), PublishTrust(keystore), settings.instance),
            dek_routes(
                verifier,
                obtain_deks,
                UnwrapDeks(keystore, vault),
                ObtainFingerprintKey(obtain_deks),
                RetireDeks(keystore),
            ),
            kek_routes(verifier, FindRefusedKeks(keystore, vault)),
            signing_key_routes(verifier, lease),
            operator_routes(verifier, RotateSigningKey(keystore, sealed, clock)),
            acts_routes(SERVICE, publishing, verifier, ACTS),
            outbox_routes(SERVICE, publishing, verifier),
        ],
        problems=PROBLEMS,
        lifespan=_lifespan(
            (database, publishing, projecting, shredding),
            (redis.aclose, holds.close, messaging.close, vault.close),
            (publisher.run, projector.run, shredder.run),
            lambda: background.every(lambda: settings.wipe_seconds, wipe),
            background,
        ),
        readiness={
            "database": keystore.answers,
            "vault": vault.answers,
            "publisher and projectors": background.runs,
        },
        metrics=metrics,
        tracing=tracing,
        ids=ids,
    )


PROCESSES: Final[Mapping[str, Callable[[Settings], FastAPI]]] = {SERVICE: build}


def _lifespan(
    pools: Sequence[TenantDatabase | CrossingDatabase],
    closing: Sequence[Callable[[], Awaitable[None]]],
    steady: Sequence[Run],
    begin_rounds: Callable[[], None],
    background: Background,
) -> Lifespan:
    """Return what happens around serving: connect, run what is `steady` and what comes round, let go."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for pool in pools:
                await pool.open()
                stack.push_async_callback(pool.close)
            for close in closing:
                stack.push_async_callback(close)
            await stack.enter_async_context(background)
            for run in steady:
                background.keep(run)
            begin_rounds()
            yield

    return lifespan


def _vault_access_of(settings: Settings) -> VaultAccess:
    return VaultAccess(
        settings.vault_url,
        settings.vault_role_id,
        settings.vault_secret_id,
        settings.kek_mount,
        settings.vault_ca,
    )
