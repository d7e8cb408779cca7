"""What a service's process stands on: time and chance, its outbox, Redis, its peers and its callers."""

import base64
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Container, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final, Protocol

from redis.asyncio import Redis

from libs.authn.service_tokens import ServiceTokenSigner, ServiceTokenVerifier
from libs.contracts.internal import LeaseSigningKey, SigningKeyLease
from libs.contracts.streams import CONSUMERS, PARTITIONS, Lane
from libs.db.pool import CrossingDatabase, TenantDatabase
from libs.events.effects import ApplyMany
from libs.events.internal import own_gaps, own_reports, read_heads
from libs.events.projector import PROMPT, Pace, Projector
from libs.events.publisher import Publisher
from libs.host.background import Background
from libs.host.clients import ServiceClient
from libs.host.leases import LeasedKey
from libs.host.owners import gaps_of, reports_to
from libs.host.signed_in import SignedIn
from libs.kernel.clock import Clock
from libs.kernel.denials import Denials
from libs.kernel.errors import DomainError
from libs.kernel.ids import SystemIds
from libs.kernel.randomness import SystemRandomness
from libs.kernel.secrets import Secret
from libs.telemetry.logs import get_logger
from libs.telemetry.metrics import Metrics

PEER_SECONDS: Final = 5.0


class Grounds(Protocol):
    """The settings that every service has which publishes, and which people call."""

    @property
    def database_publisher(self) -> Secret:
        """The database as the role that publishes."""
        ...

    @property
    def redis(self) -> Secret:
        """Where the streams are."""
        ...

    @property
    def service_key(self) -> Secret:
        """Base64 of the service's raw Ed25519 seed."""
        ...

    @property
    def peer_keys(self) -> Mapping[str, str]:
        """Service → base64 of its raw Ed25519 public key."""
        ...


class Footing:
    """Made when the process is put together; it reaches for nothing before `standing`."""

    def __init__(self, service: str, settings: Grounds, clock: Clock, urls: Mapping[str, str]) -> None:
        """Stand as `service`, which calls the peers at `urls`: at least "keys" and "identity"."""
        self.service = service
        self.clock = clock
        self.randomness = SystemRandomness()
        self.ids = SystemIds(clock, self.randomness)
        self.metrics = Metrics(service)
        self.publishing = CrossingDatabase(settings.database_publisher, f"{service}-publisher", by_key=True)
        self.redis = Redis.from_url(settings.redis.reveal())
        self.peers = ServiceTokenVerifier(service, settings.peer_keys, clock)
        seed = base64.b64decode(settings.service_key.reveal(), validate=True)
        self._signer = ServiceTokenSigner(service, seed, clock, self.ids)
        self._urls = urls
        self._clients: list[ServiceClient] = []
        self.owners = self.clients()
        self.signed_in = SignedIn(self.owners["keys"], self.owners["identity"], self.redis, clock)
        self.denials = Denials(clock)
        self.publisher = Publisher(
            self.publishing,
            self.redis,
            service,
            consumers=CONSUMERS[service],
            clock=clock,
            metrics=self.metrics,
        )

    def clients(self, timeout_seconds: float = PEER_SECONDS) -> dict[str, ServiceClient]:
        """Return clients of all peers, which wait for so long; they are closed at the end."""
        made = {
            name: ServiceClient(url, name, self._signer, timeout_seconds=timeout_seconds)
            for name, url in self._urls.items()
        }
        self._clients += made.values()
        return made

    def leased_key(self, use: str) -> LeasedKey:
        """Return the key that the keys service lends for `use`, e.g. "certificates"."""

        async def lease() -> SigningKeyLease:
            path = f"/internal/signing-keys/{use}/lease"
            return await self.owners["keys"].call(path, LeaseSigningKey(), SigningKeyLease)

        return LeasedKey(lease, self.clock)

    def projector(
        self,
        source: str,
        database: CrossingDatabase,
        apply: ApplyMany,
        parts: range = range(PARTITIONS),
        lane: Lane = Lane.EVENTS,
        pace: Pace = PROMPT,
        names: Container[str] | None = None,
    ) -> Projector:
        """Return what takes in a lane of `source`, a peer or the service itself, in its own schema."""
        if source == self.service:
            gaps, reports = own_gaps(self.publishing, source), own_reports(self.publishing, source)
        else:
            gaps, reports = gaps_of(self.owners[source]), reports_to(self.owners[source])
        return Projector(
            self.service,
            source,
            schema=self.service,
            database=database,
            redis=self.redis,
            apply=apply,
            fetch_gap=gaps,
            report_cursors=reports,
            clock=self.clock,
            metrics=self.metrics,
            parts=parts,
            lane=lane,
            pace=pace,
            names=names,
        )

    async def database_answers(self) -> bool:
        """Say whether PostgreSQL answers: a check of readiness."""
        async with self.publishing.begin() as tx:
            return bool(await read_heads(tx, self.service))

    @asynccontextmanager
    async def standing(
        self,
        background: Background,
        pools: Collection[TenantDatabase | CrossingDatabase],
        last: Collection[Callable[[], Awaitable[None]]],
    ) -> AsyncIterator[None]:
        """Connect, publish, and follow who is signed in; let go of it all in the reverse order.

        What is `last` comes when nothing is served any more, before the databases are let go: it writes
        what was only counted until then. What cannot be written is lost, and said.
        """

        async def write_last() -> None:
            for write in last:
                try:
                    await write()
                except DomainError as error:
                    get_logger().warning("the last counts are not written", reason=type(error).__name__)

        async with AsyncExitStack() as stack:
            for pool in (*pools, self.publishing):
                await pool.open()
                stack.push_async_callback(pool.close)
            stack.push_async_callback(self.redis.aclose)
            for client in self._clients:
                stack.push_async_callback(client.close)
            stack.push_async_callback(write_last)
            await stack.enter_async_context(background)
            background.keep(self.publisher.run)
            background.keep(self.signed_in.run)
            yield
