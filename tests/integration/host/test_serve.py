"""Serving on Unix sockets and TCP ports: taking an address, limits, and an end that loses nothing."""

import asyncio
import signal
import socket
import stat
import threading
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect, unix_connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from libs.contracts.socket import SUBPROTOCOL, CloseCode
from tests.integration.host.conftest import SECONDS, Program, Start, free_address, wait_for
from tests.unit.host.apps import CANARY


def dial(program: Program) -> AbstractAsyncContextManager[ClientConnection]:
    subprotocols = [Subprotocol(SUBPROTOCOL)]
    if program.listen.startswith("unix:"):
        path = program.listen.removeprefix("unix:")
        return unix_connect(path, "ws://trial/trial/v1/ws", subprotocols=subprotocols)
    return connect(f"ws://{program.listen}/trial/v1/ws", subprotocols=subprotocols)


async def closing_of(connection: ClientConnection) -> int | None:
    """Return the close code that the other end sent."""
    async with asyncio.timeout(SECONDS):
        with pytest.raises(ConnectionClosed) as closed:
            await connection.recv()
    return closed.value.rcvd.code if closed.value.rcvd else None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_serves_until_its_signal_and_ends_well(start: Start, listen: str, number: int):
    program = start(listen)
    with program.client() as client:
        assert client.get("/trial/v1/healthz").json() == {"status": "ok"}
    code, out, err = program.end(number)
    assert code == 0
    assert out.split() == ["open", "closed"]
    assert "Traceback" not in err


def test_a_unix_socket_is_its_owners_alone_and_gone_afterwards(start: Start, folder: Path):
    program = start(f"unix:{folder}/p.sock")
    assert stat.S_IMODE((folder / "p.sock").stat().st_mode) == 0o600
    program.end(signal.SIGTERM)
    assert not (folder / "p.sock").exists()


def test_the_socket_of_a_killed_process_is_taken_over(start: Start, listen: str):
    program = start(listen)
    program.end(signal.SIGKILL)
    again = start(listen)
    assert again.end(signal.SIGTERM)[0] == 0


def test_an_address_that_is_served_is_left_alone(start: Start, listen: str):
    program = start(listen)
    code, _, err = start(listen, ready=False).end()
    assert code == 2
    assert err.startswith("Cannot listen on")
    assert len(err.splitlines()) == 1
    with program.client() as client:
        assert client.get("/healthz").status_code == 200


def test_a_file_that_is_no_socket_is_left_alone(start: Start, folder: Path):
    (folder / "p.sock").write_text("precious")
    code, _, err = start(f"unix:{folder}/p.sock", ready=False).end()
    assert (code, err.count("\n")) == (2, 1)
    assert (folder / "p.sock").read_text() == "precious"


def test_a_start_that_fails_ends_with_its_code_and_no_secret(start: Start, folder: Path):
    code, out, err = start(f"unix:{folder}/p.sock", "fail", ready=False).end()
    assert code == 3
    assert "start failed" in err
    assert CANARY not in err + out
    assert not (folder / "p.sock").exists()


def test_a_running_request_is_answered_before_the_end(start: Start, listen: str):
    program = start(listen)
    answers: list[int] = []

    def ask() -> None:
        with program.client() as client:
            answers.append(client.get("/internal/wait", params={"seconds": 1.0}).status_code)

    asking = threading.Thread(target=ask)
    asking.start()
    wait_for(lambda: "waiting" in program.out)
    code, out, _ = program.end(signal.SIGTERM)
    asking.join(SECONDS)
    assert (answers, code) == ([200], 0)
    assert out.split() == ["open", "waiting", "closed"]


def test_a_request_that_does_not_end_is_cut_and_the_process_ends(start: Start, listen: str):
    program = start(listen, "short")
    failures: list[BaseException] = []

    def ask() -> None:
        with program.client() as client:
            try:
                client.get("/internal/wait", params={"seconds": 600.0}).raise_for_status()
            except httpx.HTTPError as error:
                failures.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    wait_for(lambda: "waiting" in program.out)
    code, out, _ = program.end(signal.SIGTERM)
    asking.join(SECONDS)
    assert code == 0
    assert out.split() == ["open", "waiting", "closed"]
    assert failures


async def test_sockets_are_told_that_the_gateway_restarts(start: Start, listen: str):
    program = start(listen)
    async with dial(program) as one:
        await one.send("a")
        assert await one.recv() == "a"
        assert one.subprotocol == SUBPROTOCOL
        program.send_signal(signal.SIGTERM)
        assert await closing_of(one) == CloseCode.RESTARTING
    assert program.end()[0] == 0


async def test_a_frame_that_is_too_large_ends_its_socket_and_no_other(start: Start, listen: str):
    program = start(listen)
    async with dial(program) as bad, dial(program) as good:
        await bad.send("x" * 1001)
        assert await closing_of(bad) == CloseCode.OVERSIZED
        await good.send("x" * 1000)
        assert await good.recv() == "x" * 1000


async def test_an_error_on_a_socket_ends_it_with_no_word_and_no_content_in_the_log(start: Start, listen: str):
    program = start(listen)
    async with dial(program) as bad, dial(program) as good:
        await bad.send("raise")
        assert await closing_of(bad) == 1011
        await good.send("a")
        assert await good.recv() == "a"
    _, _, err = program.end(signal.SIGTERM)
    assert '"unhandled"' in err
    assert CANARY not in err
    assert "Traceback" not in err


def exchange(listen: str, request: bytes) -> bytes:
    """Send raw bytes and return the answer up to its end or to the end of the connection."""
    host, _, port = listen.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=SECONDS) as connection:
        connection.sendall(request)
        answer = b""
        while b"}" not in answer and (piece := connection.recv(65536)):
            answer += piece
        return answer


CHUNK = b"64\r\n" + b"x" * 100 + b"\r\n"


@pytest.mark.parametrize("count", [11, 200])
def test_a_chunked_body_without_a_length_is_cut_off(start: Start, count: int):
    program = start(free_address())
    head = b"POST /trial/v1/people HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    answer = exchange(program.listen, head + b"transfer-encoding: chunked\r\n\r\n" + CHUNK * count)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"code":"too-large"' in answer


def test_a_request_that_is_none_hurts_nobody_else(start: Start):
    program = start(free_address())
    assert not exchange(program.listen, b"\x16\x03\x01 not http at all\r\n\r\n").startswith(b"HTTP/1.1 2")
    smuggled = b"POST /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n"
    assert b" 200 " not in exchange(program.listen, smuggled + b"0\r\n\r\n")
    with program.client() as client:
        assert client.get("/healthz").status_code == 200
