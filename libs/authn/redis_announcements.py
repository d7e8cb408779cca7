"""The channel of revocations on Redis Pub/Sub, through whatever client speaks like redis-py's."""

from collections.abc import AsyncIterator
from typing import Any, Protocol

from libs.authn.revocations import CHANNEL, Announcement, encode_announcement


class PubSubClient(Protocol):
    """The part of `redis.asyncio.Redis` that the channel needs; this lib itself knows no driver."""

    def pubsub(self, **options: Any) -> Any:
        """Return a subscription, used as an asynchronous context."""
        ...

    def publish(self, channel: str, message: bytes) -> Any:
        """Send one message to whoever listens now."""
        ...


async def announcements_of(redis: PubSubClient) -> AsyncIterator[bytes]:
    """Yield the raw announcements as they come; ends or raises when Redis goes."""
    async with redis.pubsub(ignore_subscribe_messages=True) as subscription:
        await subscription.subscribe(CHANNEL)
        async for message in subscription.listen():
            yield message["data"]


async def announce(redis: PubSubClient, announcement: Announcement) -> None:
    """Publish one announcement; raises the client's error when Redis is gone."""
    await redis.publish(CHANNEL, encode_announcement(announcement))
