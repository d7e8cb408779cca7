"""Valkey as the launcher starts it."""

import os
import signal

import pytest
import redis

from infra.engines import daemon
from tests.support.platform import wait_until


def test_it_keeps_what_it_was_told_over_a_stop(fresh_valkey):
    redis.Redis.from_url(fresh_valkey.url().reveal()).xadd("stream", {"n": 1}, id="7-0")
    fresh_valkey.stop()
    daemon.start(fresh_valkey)
    assert redis.Redis.from_url(fresh_valkey.url().reveal()).xrange("stream") == [(b"7-0", {b"n": b"1"})]


def test_it_starts_again_after_a_kill(fresh_valkey):
    pid = fresh_valkey.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: fresh_valkey.pid is None, "it was not reaped")
    daemon.start(fresh_valkey)
    assert redis.Redis.from_url(fresh_valkey.url().reveal()).ping()


def test_nobody_without_the_password_gets_in(fresh_valkey):
    with pytest.raises(redis.exceptions.AuthenticationError):
        redis.Redis(unix_socket_path=str(fresh_valkey.socket)).ping()


def test_it_listens_on_no_port(fresh_valkey):
    client = redis.Redis.from_url(fresh_valkey.url().reveal())
    assert client.config_get("port") == {"port": "0"}
    assert client.config_get("appendonly") == {"appendonly": "yes"}
