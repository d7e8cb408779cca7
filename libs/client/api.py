"""HTTP with the platform: JSON in and out, problem documents as errors, one sentence for silence."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, NoReturn, TypeVar

import httpx
import msgspec

from libs.client.errors import Refused, SignedOut, Unreachable
from libs.contracts.problems import Problem

T = TypeVar("T")

TIMEOUT: Final = httpx.Timeout(30.0, connect=10.0)
UNAUTHENTICATED: Final = 401
_LEAST_ERROR: Final = 400

_ENCODER = msgspec.json.Encoder()


class Api:
    """The public routes under one origin; the HTTP client is the caller's and may be shared by many."""

    def __init__(self, origin: str, http: httpx.AsyncClient) -> None:
        """Call `origin` (`https://muniment.example`) through `http`."""
        self.origin = origin.rstrip("/")
        self._http = http

    async def call(
        self,
        method: str,
        path: str,
        answer: type[T],
        *,
        body: Any = None,
        query: Mapping[str, str | int] | None = None,
        token: str | None = None,
    ) -> T:
        """Return the answer to a call as `answer` (None for an empty one).

        Raises SignedOut for 401, Refused with the problem for every other refusal, Unreachable when
        nothing that speaks for the platform answered.
        """
        headers = {"accept": "application/json"}
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        content = None
        if body is not None:
            headers["content-type"] = "application/json"
            content = _ENCODER.encode(body)
        try:
            response = await self._http.request(
                method,
                self.origin + path,
                content=content,
                params=dict(query) if query else None,
                headers=headers,
                timeout=TIMEOUT,
            )
        except httpx.HTTPError as defect:
            raise self._silence(method, path, defect) from defect
        return _answer_of(response, answer)

    async def pieces(self, path: str, *, token: str) -> AsyncIterator[bytes]:
        """Give what lies at a path, whatever it is, piece by piece. Raises what `call` raises.

        What breaks off raises Unreachable: whoever keeps the pieces does not take them for the whole.
        """
        headers = {"authorization": f"Bearer {token}"}
        try:
            async with self._http.stream(
                "GET", self.origin + path, headers=headers, timeout=TIMEOUT
            ) as response:
                if response.status_code >= _LEAST_ERROR:
                    await response.aread()
                    _refuse(response)
                async for piece in response.aiter_bytes():
                    yield piece
        except httpx.HTTPError as defect:
            raise self._silence("GET", path, defect) from defect

    def _silence(self, method: str, path: str, defect: httpx.HTTPError) -> Unreachable:
        return Unreachable(f"{self.origin} did not answer {method} {path}: {type(defect).__name__}")


def _answer_of(response: httpx.Response, answer: type[T]) -> T:
    """Read an answer. Raises SignedOut, Refused or Unreachable."""
    if response.status_code >= _LEAST_ERROR:
        _refuse(response)
    try:
        return msgspec.json.decode(response.content or b"null", type=answer)
    except msgspec.DecodeError as defect:
        msg = f"{response.request.url} answered with something else than was agreed: {defect}"
        raise Unreachable(msg) from defect


def _refuse(response: httpx.Response) -> NoReturn:
    """Raise what a refusal is: SignedOut or Refused."""
    problem = _problem_of(response)
    if response.status_code == UNAUTHENTICATED:
        raise SignedOut(problem.detail or problem.title)
    raise Refused(problem)


def _problem_of(response: httpx.Response) -> Problem:
    """Return the problem document of a refusal, or one that says its status where there is none."""
    try:
        return msgspec.json.decode(response.content, type=Problem)
    except msgspec.DecodeError:
        return Problem(
            type="about:blank",
            title=f"{response.request.method} {response.request.url.path} answered {response.status_code}",
            status=response.status_code,
            code=f"status-{response.status_code}",
        )
