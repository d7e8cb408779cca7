"""Calls to a running deployment, on the services' own sockets: the operator's, and what anybody may ask."""

import base64
import http.client
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from libs.authn.service_tokens import ServiceTokenSigner
from libs.kernel.clock import SystemClock
from libs.kernel.ids import SystemIds
from libs.kernel.randomness import SystemRandomness
from services.runner.children import UnixConnection
from services.runner.deployment import OPERATOR
from services.runner.errors import RunnerError

_FIRST_ERROR_STATUS = 400
_ANSWER_SECONDS = 10.0
_ENGINE_SECONDS = 30.0
"""More than eDiscovery waits for its search engine."""


class Operator:
    """Who may make tenants, rotate keys and have acts counted: whoever can read the data folder."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        """Call the deployment of which `facts` tell."""
        self._facts = facts
        clock = SystemClock()
        seed = base64.b64decode(Path(facts["operator_seed"]).read_text(encoding="ascii"))
        self._signer = ServiceTokenSigner(OPERATOR, seed, clock, SystemIds(clock, SystemRandomness()))

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        *,
        service: str = "identity",
        timeout: float = _ANSWER_SECONDS,
    ) -> Any:
        """Return the answer of a service; RunnerError with its problem's sentence when it refuses.

        It may take `timeout` seconds.
        """
        headers = {
            "Authorization": f"Bearer {self._signer.token_for(service)}",
            "Content-Type": "application/json",
            "Accept": "application/json",
        }
        sent = None if body is None else json.dumps(body)
        content = _asked(self._facts, service, method, path, sent, headers, timeout)
        return json.loads(content) if content else {}


class EngineState(NamedTuple):
    """Whether the search engine answers, and what it says of itself or why it does not."""

    answers: bool
    said: str


def engine_state(facts: Mapping[str, Any]) -> EngineState:
    """Return how eDiscovery finds its search engine. Raises RunnerError when eDiscovery does not say."""
    path = "/internal/index/engine"
    answer = Operator(facts).call("GET", path, service="ediscovery", timeout=_ENGINE_SECONDS)
    return EngineState(answer["answers"], answer["said"])


def trusted_keys(facts: Mapping[str, Any]) -> bytes:
    """Return the deployment's `trust.json`: every key that ever signed. Raises RunnerError."""
    return _asked(facts, "keys", "GET", "/keys/v1/trust.json", None, {}, _ANSWER_SECONDS)


def _asked(
    facts: Mapping[str, Any],
    service: str,
    method: str,
    path: str,
    sent: str | None,
    headers: Mapping[str, str],
    timeout: float,
) -> bytes:
    """Return what a service answers on its own socket; RunnerError when it refuses or is not there."""
    connection = UnixConnection(Path(facts["services"][service].removeprefix("unix:")), timeout)
    try:
        connection.request(method, path, sent, dict(headers))
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, http.client.HTTPException):
        raise RunnerError(f"The {service} service does not answer; is `muniment up` still running?") from None
    finally:
        connection.close()
    if answer.status >= _FIRST_ERROR_STATUS:
        raise RunnerError(_sentence_of(content) or f"The {service} service answered {answer.status}.")
    return content


def _sentence_of(content: bytes) -> str | None:
    """Return what a problem document says, if this is one."""
    try:
        problem = json.loads(content)
    except ValueError:
        return None
    said = problem.get("detail") or problem.get("title") if isinstance(problem, dict) else None
    return None if said is None else str(said)
