"""Who is signed in: access tokens by the keys that sign them, less the sessions that were revoked."""

from collections.abc import Callable

from redis.asyncio import Redis

from libs.authn.jwks import JwksKeySource
from libs.authn.redis_announcements import announcements_of
from libs.authn.revocations import (
    Announcement,
    Revocation,
    RevocationFeed,
    RevocationView,
    decode_announcement,
)
from libs.authn.tokens import TokenVerifier
from libs.host.clients import ServiceClient
from libs.kernel.clock import Clock


class SignedIn:
    """What a service needs to know its callers, kept current by `run`."""

    def __init__(
        self,
        keys: ServiceClient,
        identity: ServiceClient,
        redis: Redis,
        clock: Clock,
        *,
        on_revoked: Callable[[Revocation], None] = lambda _revocation: None,
        on_lost: Callable[[], None] = lambda: None,
    ) -> None:
        """Ask `keys` for public keys and `identity` for revocations, which Redis hurries.

        `on_revoked` and `on_lost` are for services that keep connections open.
        """
        self._identity = identity
        self.revocations = RevocationView(clock)
        self.verifier = TokenVerifier(
            JwksKeySource(lambda: keys.fetch_bytes("/keys/v1/jwks.json"), clock), clock
        )
        self._feed = RevocationFeed(
            self.revocations,
            clock,
            subscribe=lambda: announcements_of(redis),
            poll=self._poll,
            on_revoked=on_revoked,
            on_lost=on_lost,
        )

    async def run(self) -> None:
        """Follow revocations until cancelled."""
        await self._feed.run()

    async def is_fresh(self) -> bool:
        """Tell whether it is known which sessions were revoked: a check of readiness."""
        return self.revocations.is_fresh()

    async def _poll(self, after: int | None) -> Announcement:
        params = {} if after is None else {"after": after}
        return decode_announcement(await self._identity.fetch_bytes("/internal/revocations", params))
