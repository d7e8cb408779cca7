"""Transit of OpenBao or Vault, by AppRole, through hvac in threads."""

import threading
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

import anyio
import anyio.to_thread
import hvac
import hvac.exceptions
import requests

from libs.kernel.clock import Clock
from libs.kernel.secrets import Secret
from libs.telemetry.logs import get_logger
from libs.telemetry.metrics import Metrics
from services.keys.domain.deks import DEK_SIZE
from services.keys.domain.errors import VaultUnavailable
from services.keys.ports.vault import Clear, KekRefused, Wrapped

BATCH: Final = 150
"""Items a call: each has three texts with their names; OpenBao refuses bodies of more than 1,000 strings."""

_CONNECT_SECONDS: Final = 2.0
_ANSWER_SECONDS: Final = 4.0
_CALL_SECONDS: Final = 5.0
"""A caller waits no longer, whatever the thread still waits for."""
_THREADS: Final = 8
_FRESH_SECONDS: Final = 1.0
"""A token this young that is refused was not refused for its age."""
_UNLIMITED_LEASE_SECONDS: Final = 3600
_KEY_TYPE: Final = "aes256-gcm96"

T = TypeVar("T")
Answer = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class VaultAccess:
    """Where the vault is and how the service signs in; `ca` is a certificate file, empty for the system's."""

    url: str
    role_id: str
    secret_id: Secret
    mount: str = "transit"
    ca: str = ""


@dataclass(frozen=True, slots=True)
class _SignedIn:
    """A client with a token, since when it has it and when it is to be replaced, in monotonic seconds."""

    client: Any
    since: float
    until: float


@dataclass(eq=False)
class _Denied(Exception):
    """The token may not do that, or is none any more."""


class TransitVault:
    """The vault over HTTP.

    It signs in when it first must, again before the token's lease is half over, and again when a token is
    refused: after an outage, however long, it works by itself. It remembers neither keys nor answers.
    """

    def __init__(self, access: VaultAccess, clock: Clock, metrics: Metrics) -> None:
        """Connect to nothing yet."""
        self._access = access
        self._clock = clock
        self._session = requests.Session()
        self._session.trust_env = False  # neither proxies nor a .netrc stand between us and the vault
        self._signed_in: _SignedIn | None = None
        self._signing_in = threading.Lock()
        self._threads = anyio.CapacityLimiter(_THREADS)
        self._available = True
        self._calls = metrics.histogram("vault_call_seconds", "Calls to the vault.", ("operation", "outcome"))

    async def create_kek(self, name: str) -> None:
        """Make the key `name` unless it exists. Raises KekRefused."""
        body = {"type": _KEY_TYPE, "derived": True}
        await self._in_thread(partial(self._transit, "keys", name, body))

    async def wrap(self, kek: str, keys: Sequence[Clear]) -> list[str]:
        """Return the wrapped texts, in order; few calls for many keys. Raises KekRefused."""
        texts: list[str] = []
        for batch in _batches(keys):
            items = [{"plaintext": _text(key.key), **_bound(key)} for key in batch]
            results = await self._in_thread(partial(self._batch, "encrypt", kek, items))
            if any(result.get("error") for result in results):
                raise KekRefused(kek)
            texts += [str(result["ciphertext"]) for result in results]
        return texts

    async def unwrap(self, kek: str, keys: Sequence[Wrapped]) -> list[bytes | None]:
        """Return the keys in order, None for each that does not open as it is named. Raises KekRefused."""
        opened: list[bytes | None] = []
        for batch in _batches(keys):
            items = [{"ciphertext": key.text, **_bound(key)} for key in batch]
            results = await self._in_thread(partial(self._batch, "decrypt", kek, items))
            opened += [_key_of(result) for result in results]
        return opened

    async def answers(self) -> bool:
        """Say whether the vault is there and unsealed; raises VaultUnavailable when it is not there."""
        status = await self._in_thread(self._seal_status)
        return status.get("sealed") is False

    async def close(self) -> None:
        """Give the token back, if the vault still takes it, and close the connections."""
        with suppress(VaultUnavailable):
            await self._in_thread(self._sign_out)
        self._session.close()

    # What follows runs in threads.

    def _batch(self, operation: str, kek: str, items: Sequence[Mapping[str, str]]) -> list[Answer]:
        """Return the result of each item; a defect of one is its own."""
        # Without the code one item that fails would make it a 400.
        body = {"batch_input": items, "partial_failure_response_code": 200}
        results: list[Answer] = self._transit(operation, kek, body)["data"]["batch_results"]
        if len(results) != len(items):
            raise VaultUnavailable
        return results

    def _transit(self, operation: str, kek: str, body: Mapping[str, object]) -> Answer:
        """Return the answer to one call of Transit. Raises KekRefused and VaultUnavailable."""
        path = f"/v1/{self._access.mount}/{operation}/{kek}"
        begun = self._clock.monotonic()
        outcome = "unavailable"
        try:
            answer = self._permitted(lambda client: self._post(client, path, body))
            outcome = "done"
        except (_Denied, hvac.exceptions.InvalidRequest) as refusal:
            outcome = "refused"
            get_logger().error("vault refused", operation=operation, kek=kek, reason=_reason(refusal))
            raise KekRefused(kek) from None
        finally:
            self._calls.labels(operation, outcome).observe(self._clock.monotonic() - begun)
        return answer

    def _permitted(self, call: Callable[[Any], T]) -> T:
        """Call with a token; sign in anew, once, when the token is refused. Raises _Denied."""
        signed_in = self._sign_in()
        try:
            return call(signed_in.client)
        except _Denied:
            if self._clock.monotonic() - signed_in.since < _FRESH_SECONDS:
                raise
            return call(self._sign_in(instead_of=signed_in).client)

    def _sign_in(self, instead_of: _SignedIn | None = None) -> _SignedIn:
        """Return a client whose token is good for a while, as far as we know; threads share one."""
        with self._signing_in:
            current = self._signed_in
            if current is None or current is instead_of or current.until <= self._clock.monotonic():
                current = self._signed_in = self._signed_in_anew()
            return current

    def _signed_in_anew(self) -> _SignedIn:
        client = self._client()
        credentials = {"role_id": self._access.role_id, "secret_id": self._access.secret_id.reveal()}
        try:
            auth = self._post(client, "/v1/auth/approle/login", credentials)["auth"]
        except (_Denied, hvac.exceptions.InvalidRequest) as refusal:
            get_logger().error("the vault refuses this service's sign-in", reason=_reason(refusal))
            raise VaultUnavailable from None
        client.token = auth["client_token"]
        now = self._clock.monotonic()
        lease = float(auth["lease_duration"]) or _UNLIMITED_LEASE_SECONDS
        return _SignedIn(client, now, now + lease / 2)

    def _client(self) -> Any:
        """Return a client without a token; hvac would otherwise look for one in the environment."""
        return hvac.Client(
            self._access.url,
            token="",
            verify=self._access.ca or True,
            timeout=(_CONNECT_SECONDS, _ANSWER_SECONDS),
            session=self._session,
        )

    def _post(self, client: Any, path: str, body: Mapping[str, object]) -> Answer:
        """POST and return the JSON answer; what is neither an answer nor a refusal is VaultUnavailable."""
        try:
            answer = client.adapter.post(path, json=body)
        except hvac.exceptions.Forbidden:
            raise _Denied from None
        except hvac.exceptions.InvalidRequest as error:
            if not _has_results(error.json):
                raise
            answer = error.json  # every item failed, each with its own result: that is an answer
        except (requests.RequestException, hvac.exceptions.VaultError) as error:
            raise self._unavailable(error) from None
        self._note_available()
        return answer if isinstance(answer, Mapping) else {}

    def _seal_status(self) -> Answer:
        try:
            status = self._client().adapter.get("/v1/sys/seal-status")
        except (requests.RequestException, hvac.exceptions.VaultError) as error:
            raise self._unavailable(error) from None
        return status if isinstance(status, Mapping) else {}

    def _sign_out(self) -> None:
        with self._signing_in:
            signed_in, self._signed_in = self._signed_in, None
        if signed_in is not None:
            with suppress(_Denied, hvac.exceptions.InvalidRequest):  # it was none any more
                self._post(signed_in.client, "/v1/auth/token/revoke-self", {})

    def _unavailable(self, error: Exception) -> VaultUnavailable:
        """Say once that the vault went away, and return what the caller is to learn."""
        if self._available:
            self._available = False
            get_logger().error("the vault is unavailable", reason=_reason(error))
        return VaultUnavailable()

    def _note_available(self) -> None:
        if not self._available:
            self._available = True
            get_logger().info("the vault is available again")

    async def _in_thread(self, call: Callable[[], T]) -> T:
        """Run a call in one of this vault's threads; raises VaultUnavailable after `_CALL_SECONDS`."""
        try:
            with anyio.fail_after(_CALL_SECONDS):
                return await anyio.to_thread.run_sync(call, abandon_on_cancel=True, limiter=self._threads)
        except TimeoutError as error:
            raise self._unavailable(error) from None


def _batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]


def _bound(key: Clear | Wrapped) -> dict[str, str]:
    return {"context": _text(key.context), "associated_data": _text(key.binding)}


def _text(data: bytes) -> str:
    return b64encode(data).decode()


def _has_results(answer: Any) -> bool:
    return isinstance(answer, Mapping) and "batch_results" in (answer.get("data") or {})


def _key_of(result: Answer) -> bytes | None:
    """Return the key of one item's result; an answer of another size is no key of ours."""
    if result.get("error"):
        return None
    key = b64decode(result["plaintext"])
    return key if len(key) == DEK_SIZE else None


def _reason(error: Exception) -> str:
    """Return the error's class and what the vault said: its sentences name rules, never what was sent."""
    said = getattr(error, "errors", None) or []
    return ": ".join([type(error).__name__, *(str(sentence).strip()[:200] for sentence in said[:3])])
