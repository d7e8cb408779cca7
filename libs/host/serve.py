"""Serving one app in one process: uvicorn on uvloop, on a Unix socket or a TCP port, drained at the end."""

import ctypes
import gc
import os
import resource
import signal
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Final

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from libs.host.listen import Address, TcpAddress, UnixAddress, address_of

BACKLOG: Final = 2048
FAREWELL_SECONDS: Final = 5.0
"""How long a socket that has ended may take to read what was still written to it."""
_KEEP_ALIVE_SECONDS: Final = 75
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_M_ARENA_MAX: Final = -8
_ARENAS: Final = 2
_NEW_OBJECTS: Final = 20_000


class AddressTaken(OSError):
    """Another process listens there already; the text is one sentence."""


def serve(
    app: FastAPI,
    listen: str,
    *,
    drain_seconds: int = 10,
    max_frame_bytes: int = 64 * 1024,
    max_queued_frames: int = 32,
) -> int:
    """Serve until SIGTERM or SIGINT, drain, and return the exit code (0, or 3 when the start failed).

    On the signal `/readyz` turns to 503, the listener closes, sockets get 1012, running requests have
    `drain_seconds` to end, then the lifespan ends. Raises AddressTaken, ValueError for a bad address.
    """
    raise_file_limit()
    keep_few_arenas()
    collect_seldom()
    listener = listening(address_of(listen))
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        ws=EndingSockets,
        ws_max_size=max_frame_bytes,
        ws_max_queue=max_queued_frames,
        ws_ping_interval=20.0,
        ws_ping_timeout=20.0,
        ws_per_message_deflate=False,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        interface="asgi3",
        workers=1,
        # A Unix socket is reached by our own proxy alone; over TCP only the loopback proxy is believed.
        forwarded_allow_ips="*" if listener.family == socket.AF_UNIX else "127.0.0.1,::1",
        backlog=BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=drain_seconds,
        h11_max_incomplete_event_size=64 * 1024,
        reset_contextvars=True,
    )
    try:
        Draining(config, app).run(sockets=[listener])
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        _remove(address_of(listen), listener)
    return 0


class EndingSockets(WebSocketsSansIOProtocol):
    """uvicorn's WebSockets, with an end that waits for no peer.

    A transport that is closed first writes out what it holds. A peer that reads nothing would keep it, and
    its file descriptor, for as long as it likes.
    """

    async def run_asgi(self) -> None:
        """Run the app; drop what the peer has not read a while after its end."""
        try:
            await super().run_asgi()
        finally:
            self.loop.call_later(FAREWELL_SECONDS, self.transport.abort)


def raise_file_limit() -> None:
    """Let this process open as many files as the system allows it: each socket is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def collect_seldom() -> None:
    """Look for circles of garbage after every 20,000 new objects instead of 700.

    A batch of records is more than 700 objects, all of them alive: the collector walked over them time and
    again, for a tenth of what the audit service did under load, and found nothing.
    """
    gc.set_threshold(_NEW_OBJECTS)


def keep_few_arenas() -> None:
    """Let the threads of this process share two of the allocator's arenas, where that is glibc's.

    Each keeps what it once had: an engine that works in threads of its own would hold memory for every one
    of them. Measured: half of what the process of eDiscovery held. Source: mallopt(3), M_ARENA_MAX.
    """
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)


class Draining(uvicorn.Server):
    """uvicorn's server that says that it drains, and ends with a return instead of dying of its signal."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        """Serve `config`; tell `app.state.draining` when the end begins."""
        super().__init__(config)
        self._app = app

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take SIGINT and SIGTERM for the time of serving, and give them back unanswered."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain."""
        self._app.state.draining = True
        super().handle_exit(sig, frame)


def listening(address: Address) -> socket.socket:
    """Return a bound socket; a dead process's socket file is taken over. Raises AddressTaken."""
    if isinstance(address, UnixAddress):
        return _listening_unix(address)
    return _listening_tcp(address)


def _listening_unix(address: UnixAddress) -> socket.socket:
    _take_over(Path(address.path))
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)  # the file is our owner's from its first moment
    try:
        listener.bind(address.path)
    except OSError as error:
        listener.close()
        msg = f"Cannot listen on {address.path}: {error.strerror}."
        raise AddressTaken(msg) from None
    finally:
        os.umask(mask)
    return listener


def _take_over(path: Path) -> None:
    """Remove the socket file of a process that is gone."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            msg = f"Cannot listen on {path}: something else is there."
            raise AddressTaken(msg)
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except OSError:
            pass
    msg = f"Cannot listen on {path}: another process does."
    raise AddressTaken(msg)


def _listening_tcp(address: TcpAddress) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address.host, address.port))
    except OSError as error:
        listener.close()
        msg = f"Cannot listen on {address.host}:{address.port}: {error.strerror}."
        raise AddressTaken(msg) from None
    return listener


def _remove(address: Address, listener: socket.socket) -> None:
    """Close the listener and remove its file, so that the next start finds nothing."""
    listener.close()
    if isinstance(address, UnixAddress):
        with suppress(FileNotFoundError):
            Path(address.path).unlink()
