"""Addresses of two forms: `unix:/path` and `host:port` (to listen) or `http://host:port` (to call)."""

from dataclasses import dataclass
from typing import Final

_UNIX: Final = "unix:"
_LONGEST_PATH: Final = 107  # sockaddr_un on Linux, without the final zero


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A socket in the file system."""

    path: str


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A port of a host; an IPv6 host stands here without brackets."""

    host: str
    port: int


Address = UnixAddress | TcpAddress


def address_of(text: str) -> Address:
    """Return the address that `unix:/path`, `host:port` or `http://host:port` names. Raises ValueError."""
    if text.startswith(_UNIX):
        return UnixAddress(_usable(text.removeprefix(_UNIX)))
    host, separator, port = text.removeprefix("http://").rstrip("/").rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (separator and host and port.isascii() and port.isdigit() and int(port) < 1 << 16):
        msg = f"an address is unix:/path or host:port, not {text!r}"
        raise ValueError(msg)
    return TcpAddress(host, int(port))


def _usable(path: str) -> str:
    if not path.startswith("/") or len(path.encode()) > _LONGEST_PATH:
        msg = f"a socket's path is absolute and at most {_LONGEST_PATH} bytes long: {path!r}"
        raise ValueError(msg)
    return path
