"""Live entries between gateways by Redis Pub/Sub: sealed, hurried, and never relied on."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from libs.events.records import partition_of
from libs.telemetry.logs import get_logger
from services.messaging.ports import LiveBatch

MOST_WAITING = 10_000
_PATIENCE_SECONDS = 0.5


_ENCODER = msgspec.msgpack.Encoder(uuid_format="bytes")
_DECODER = msgspec.msgpack.Decoder(list[LiveBatch])


class RedisLive:
    """The `Live` port: one PUBLISH for everything that waits, for each of the channels."""

    def __init__(self, redis: Redis, gateway: str, channels: int) -> None:
        """Speak for `gateway` on `channels` channels of `redis`."""
        self._redis = redis
        # Before each post: who hears himself need not read on.
        self._mark = gateway.encode() + b"\0"
        self._channels = channels
        self._waiting: deque[LiveBatch] = deque(maxlen=MOST_WAITING)
        self._wake = asyncio.Event()
        self._log = get_logger()
        self.listening = False

    def publish(self, batches: Sequence[LiveBatch]) -> None:
        """Queue these batches; while Redis is away the oldest are dropped, and sync repairs."""
        self._waiting.extend(batches)
        self._wake.set()

    async def speak(self) -> None:
        """Publish what is queued, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                batches = list(self._waiting)
                self._waiting.clear()
                await self._post(batches)

    async def _post(self, batches: Sequence[LiveBatch]) -> None:
        by_channel: dict[str, list[LiveBatch]] = {}
        for batch in batches:
            by_channel.setdefault(self._channel_of(batch), []).append(batch)
        try:
            pipeline = self._redis.pipeline(transaction=False)
            for channel, of_channel in by_channel.items():
                pipeline.publish(channel, self._mark + _ENCODER.encode(of_channel))
            await pipeline.execute()
        except (RedisError, OSError) as error:
            self._log.warning("live entries dropped", batches=len(batches), reason=type(error).__name__)
            await asyncio.sleep(_PATIENCE_SECONDS)

    async def listen(self, arrived: Callable[[LiveBatch], None]) -> None:
        """Hand on what other gateways publish, until cancelled; `listening` says whether it works."""
        names = [_channel_name(number) for number in range(self._channels)]
        while True:
            try:
                async with self._redis.pubsub(ignore_subscribe_messages=True) as subscription:
                    await subscription.subscribe(*names)
                    self.listening = True
                    async for message in subscription.listen():
                        self._hand_on(message["data"], arrived)
            except (RedisError, OSError) as error:
                self._log.warning("live entries unheard", reason=type(error).__name__)
            self.listening = False
            await asyncio.sleep(_PATIENCE_SECONDS)

    def _hand_on(self, data: bytes, arrived: Callable[[LiveBatch], None]) -> None:
        if data.startswith(self._mark):
            return
        try:
            batches = _DECODER.decode(data.partition(b"\0")[2])
        except msgspec.DecodeError:
            self._log.error("live entries unreadable")
            return
        for batch in batches:
            arrived(batch)

    def _channel_of(self, batch: LiveBatch) -> str:
        return _channel_name(partition_of(batch.tenant, batch.conversation) % self._channels)


def _channel_name(number: int) -> str:
    return f"messaging:live:{number}"
