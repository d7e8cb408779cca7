"""Calls to peers over real sockets: answers, refusals, and a peer that goes and comes back."""

import signal
from uuid import UUID

import pytest

from libs.contracts.internal import DekWanted, Done, KeysOf, ObtainDeks
from libs.host.clients import PeerNotFound, PeerRefused, PeerUnavailable, ServiceClient
from tests.integration.host.conftest import Start

ONE = UUID("01a20bb1-1520-75e1-9e9b-1227c3deee85")
WANTED = ObtainDeks(
    items=(DekWanted(tenant=ONE, conversation=ONE, epoch="2026-11"),), purpose="seal", act="send"
)


class Signer:
    """A token that is the service's name."""

    def __init__(self, service: str = "messaging") -> None:
        self.service = service
        self.targets: list[str] = []

    def token_for(self, target: str) -> str:
        self.targets.append(target)
        return self.service


async def test_a_call_is_signed_for_its_target_and_answered(start: Start, listen: str):
    program, signer = start(listen), Signer()
    async with ServiceClient(program.url, "keys", signer) as keys:
        answer = await keys.call("/internal/deks/obtain", WANTED, KeysOf)
        assert await keys.fetch("/internal/done", Done, {"status": 201}) == Done()
        assert await keys.fetch_bytes("/healthz") == b'{"status":"ok"}'
    assert [(item.dek, item.key) for item in answer.items] == [(ONE, bytes(32))]
    assert set(signer.targets) == {"keys"}


async def test_refusals_become_errors_that_say_no_more_than_their_kind(start: Start, listen: str):
    async with ServiceClient(start(listen).url, "keys", Signer()) as keys:
        with pytest.raises(PeerNotFound):
            await keys.fetch("/internal/nowhere", Done)
        with pytest.raises(PeerUnavailable) as closed:
            await keys.fetch("/internal/closed", Done)
        assert closed.value.retry_after_seconds == 7
        with pytest.raises(PeerRefused) as unreadable:
            await keys.fetch("/internal/garbage", Done)
        assert unreadable.value.problem == "unreadable-answer"
        with pytest.raises(PeerRefused) as broken:
            await keys.fetch("/trial/v1/raise/value", Done)
        assert (broken.value.status, broken.value.problem) == (500, "internal")


async def test_a_service_that_may_not_ask_is_refused(start: Start, listen: str):
    async with ServiceClient(start(listen).url, "keys", Signer("identity")) as keys:
        with pytest.raises(PeerRefused) as refused:
            await keys.call("/internal/deks/obtain", WANTED, KeysOf)
    assert (refused.value.status, refused.value.problem) == (403, "service-not-allowed")


async def test_a_peer_that_is_silent_is_unavailable(start: Start, listen: str):
    async with ServiceClient(start(listen).url, "keys", Signer(), timeout_seconds=0.3) as keys:
        with pytest.raises(PeerUnavailable):
            await keys.fetch("/internal/wait", Done, {"seconds": 30})


async def test_a_peer_that_is_gone_is_unavailable_and_then_there_again(start: Start, listen: str):
    program = start(listen)
    async with ServiceClient(program.url, "keys", Signer()) as keys:
        await keys.call("/internal/deks/obtain", WANTED, KeysOf)
        program.end(signal.SIGKILL)
        for _ in range(2):
            with pytest.raises(PeerUnavailable):
                await keys.call("/internal/deks/obtain", WANTED, KeysOf)
        start(listen)
        assert len((await keys.call("/internal/deks/obtain", WANTED, KeysOf)).items) == 1
