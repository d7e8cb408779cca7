"""What is done to a running platform: each returns when the platform serves again."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import psutil
import psycopg
import redis

from libs.contracts.streams import stream_name
from libs.events.records import partition_of
from tests.faults.load import Load
from tests.support.platform import Platform, wait_until

Harm = Callable[[Platform], None]

SERVICES: Final = (
    "gw-1",
    "gw-2",
    "messaging-relay",
    "identity",
    "keys",
    "audit",
    "holds",
    "retention",
    "ediscovery",
)
ENGINES: Final = ("valkey", "openbao", "postgres", "keys-postgres", "caddy")
BACKENDS: Final = ("messaging_writer", "messaging_app", "messaging_publisher")
"""Processes of the database that serve the pools of a gateway and of the relay."""
KEEPERS: Final = (
    "walwriter",
    "checkpointer",
    "background writer",
    "io worker",
    "autovacuum launcher",
    "logical replication launcher",
)
"""Processes of PostgreSQL itself, beside its postmaster."""
STOPPED_SECONDS: Final = 2.5


def killed(name: str) -> Harm:
    """Kill a process without notice, and wait until it is there again."""

    def harm(platform: Platform) -> None:
        platform.wait_for_restart(name, platform.kill(name))
        wait_until(lambda: is_serving(platform), "PostgreSQL did not come back")

    return harm


def child_killed(title: str, cluster: str = "postgres") -> Harm:
    """Kill one process below a postmaster, which then starts all of them anew."""

    def harm(platform: Platform) -> None:
        wait_until(lambda: _children_of(platform, cluster, title) != [], f"{cluster} has no {title}")
        before = _children_of(platform, cluster, "checkpointer")
        os.kill(_children_of(platform, cluster, title)[0], signal.SIGKILL)
        # the postmaster needs a moment to notice; then nothing of before is left
        wait_until(
            lambda: (
                _children_of(platform, cluster, "checkpointer") not in ([], before) and is_serving(platform)
            ),
            "PostgreSQL did not come back",
        )

    return harm


def _children_of(platform: Platform, cluster: str, title: str) -> list[int]:
    """Return the pids below a postmaster, by what they do."""
    found: list[int] = []
    for child in psutil.Process(platform.pid(cluster)).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if title in " ".join(child.cmdline()):
                found.append(child.pid)
    return found


def flushed(platform: Platform) -> None:
    """Empty Valkey: every stream, every queue."""
    with valkey_of(platform) as valkey:
        valkey.flushall()


def stopped(name: str, seconds: float = STOPPED_SECONDS) -> Harm:
    """Let a process hang for a while."""

    def harm(platform: Platform) -> None:
        pid = platform.kill(name, signal.SIGSTOP)
        try:
            time.sleep(seconds)
        finally:
            os.kill(pid, signal.SIGCONT)

    return harm


def is_serving(platform: Platform) -> bool:
    """Say whether the main database takes connections."""
    try:
        with psycopg.connect(platform.facts["count_database"], connect_timeout=2):
            return True
    except psycopg.OperationalError:
        return False


@contextmanager
def valkey_of(platform: Platform) -> Iterator["redis.Redis"]:
    """Give a connection to the platform's Valkey."""
    with redis.Redis.from_url(platform.facts["valkey"]) as valkey:
        yield valkey


def wait_for_relay(load: Load) -> None:
    """Wait until the streams have had everything that the load's conversations put into the outbox.

    The load has to have sent something since the last flush: a stream that does not exist has no last id.
    """
    tenant = load.town.tenant.tenant
    for part in {partition_of(tenant, conversation) for conversation in load.conversations}:
        wait_until(lambda part=part: relay_lag(load, part) == 0, f"partition {part} lags")  # type: ignore[misc]


def relay_lag(load: Load, part: int) -> int:
    """Return how many events of a partition are committed and were not yet in their stream.

    The newest id outlives its entry: what every consumer has taken in is trimmed, and may have been the last.
    """
    ((position,),) = load.rows("SELECT position FROM messaging.outbox_head WHERE part = %s", part)
    with valkey_of(load.platform) as valkey:
        try:
            stream: Any = valkey.xinfo_stream(stream_name("messaging", part))
        except redis.ResponseError:  # there is no such stream
            return int(position)
    return int(position) - int(stream["last-generated-id"].split(b"-")[0])


def wait_for_projection(load: Load) -> None:
    """Wait until messaging has projected everything of identity's outbox."""

    def lag() -> int:
        heads = dict(load.rows("SELECT part, position FROM identity.outbox_head"))
        cursors = dict(
            load.rows("SELECT part, position FROM messaging.projection_cursor WHERE source = 'identity'")
        )
        return sum(position - cursors.get(part, 0) for part, position in heads.items())

    wait_until(lambda: lag() == 0, "messaging lags behind identity")
