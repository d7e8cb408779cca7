"""Calls to peers: MessagePack over HTTP, over a Unix socket or TCP, signed with a service token."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Protocol, Self, TypeVar

import httpx

from libs.contracts.internal import MEDIA_TYPE, MalformedMessage, Wire, pack, unpack
from libs.host.listen import UnixAddress, address_of
from libs.kernel.errors import DomainError

T = TypeVar("T")
_KEEP_SECONDS: Final = 30.0  # shorter than the servers' keep-alive: a reused connection is never just closing


@dataclass(eq=False)
class PeerUnavailable(DomainError):
    """A peer did not answer in time, is not there, or said 503."""

    target: str
    retry_after_seconds: int = 1


@dataclass(eq=False)
class PeerNotFound(DomainError):
    """A peer said 404."""

    target: str


@dataclass(eq=False)
class PeerRefused(DomainError):
    """A peer refused what this service asked: a defect of one of both, never the user's."""

    target: str
    status: int
    problem: str


class TokenSource(Protocol):
    """Proves this service to its peers; `libs.authn.service_tokens.ServiceTokenSigner` does."""

    def token_for(self, target: str) -> str:
        """Return a short-lived token for `target`."""
        ...


class ServiceClient:
    """One peer, reached by one pool of connections.

    Usable from one event loop; open it in the lifespan (`async with`) or call `close`.
    """

    def __init__(
        self,
        url: str,
        target: str,
        signer: TokenSource,
        *,
        timeout_seconds: float = 5.0,
        max_connections: int = 20,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Call `target` (its name for tokens) at `url`: `unix:/path` or `http://host:port`.

        `timeout_seconds` bounds the wait for a connection and each silence of the peer.
        """
        self._target = target
        self._signer = signer
        limits = httpx.Limits(
            max_connections=max_connections,
            max_keepalive_connections=max_connections,
            keepalive_expiry=_KEEP_SECONDS,
        )
        socket_path, base_url = _reached(url)
        self._http = httpx.AsyncClient(
            base_url=base_url,
            timeout=httpx.Timeout(timeout_seconds, connect=min(timeout_seconds, 2.0)),
            transport=transport or httpx.AsyncHTTPTransport(uds=socket_path, limits=limits, retries=1),
            trust_env=False,
            follow_redirects=False,
        )

    async def __aenter__(self) -> Self:
        """Return the client itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def call(self, path: str, message: Wire, answer: type[T]) -> T:
        """POST `message` and return the peer's answer.

        Raises PeerUnavailable, PeerNotFound and PeerRefused. A call is sent once: the caller repeats what
        may be repeated.
        """
        request = self._http.build_request(
            "POST", path, content=pack(message), headers={"content-type": MEDIA_TYPE}
        )
        return unpack_answer(await self._sent(request), answer, self._target)

    async def fetch(self, path: str, answer: type[T], params: Mapping[str, str | int] | None = None) -> T:
        """GET `path` and return the peer's MessagePack answer; raises as `call` does."""
        request = self._http.build_request("GET", path, params=dict(params or {}))
        return unpack_answer(await self._sent(request), answer, self._target)

    async def fetch_bytes(self, path: str, params: Mapping[str, str | int] | None = None) -> bytes:
        """GET `path` and return the body as it is (a key set); raises as `call` does."""
        request = self._http.build_request("GET", path, params=dict(params or {}))
        return (await self._sent(request)).content

    async def _sent(self, request: httpx.Request) -> httpx.Response:
        request.headers["authorization"] = f"Bearer {self._signer.token_for(self._target)}"
        request.headers["accept"] = MEDIA_TYPE
        try:
            response = await self._http.send(request)
        except httpx.HTTPError:
            raise PeerUnavailable(self._target) from None
        if response.is_success:
            return response
        raise _refusal(self._target, response)


def unpack_answer(response: httpx.Response, answer: type[T], target: str) -> T:
    """Return the answer's message; one that cannot be read is the peer's refusal."""
    try:
        return unpack(response.content, answer)
    except MalformedMessage:
        raise PeerRefused(target, response.status_code, "unreadable-answer") from None


def _refusal(target: str, response: httpx.Response) -> DomainError:
    if response.status_code == httpx.codes.NOT_FOUND:
        return PeerNotFound(target)
    if response.status_code in (httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.TOO_MANY_REQUESTS):
        return PeerUnavailable(target, _seconds_of(response.headers.get("retry-after", "1")))
    return PeerRefused(target, response.status_code, _code_of(response))


def _seconds_of(header: str) -> int:
    return int(header) if header.isascii() and header.isdigit() and len(header) < 5 else 1  # noqa: PLR2004


def _code_of(response: httpx.Response) -> str:
    """Return the code of the peer's problem document, `unknown` when it sent none."""
    try:
        code = response.json()["code"]
    except (ValueError, KeyError, TypeError):
        return "unknown"
    return str(code)[:100]


def _reached(url: str) -> tuple[str | None, str]:
    """Return (socket path or None, base URL)."""
    address = address_of(url)
    if isinstance(address, UnixAddress):
        return address.path, "http://peer"
    host = f"[{address.host}]" if ":" in address.host else address.host
    return None, f"http://{host}:{address.port}"
