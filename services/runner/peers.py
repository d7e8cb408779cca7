"""The operator's calls to a running deployment: internal routes, on the services' own sockets."""

import base64
import http.client
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from libs.authn.service_tokens import ServiceTokenSigner
from libs.kernel.clock import SystemClock
from libs.kernel.ids import SystemIds
from libs.kernel.randomness import SystemRandomness
from services.runner.children import UnixConnection
from services.runner.deployment import OPERATOR
from services.runner.errors import RunnerError

_FIRST_ERROR_STATUS = 400


class Operator:
    """Who may make tenants: whoever can read the data folder."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        """Call the deployment of which `facts` tell."""
        self._facts = facts
        clock = SystemClock()
        seed = base64.b64decode(Path(facts["operator_seed"]).read_text(encoding="ascii"))
        self._signer = ServiceTokenSigner(OPERATOR, seed, clock, SystemIds(clock, SystemRandomness()))

    def call(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        """Return identity's answer to a call; RunnerError with its problem's sentence when it refuses."""
        headers = {
            "Authorization": f"Bearer {self._signer.token_for('identity')}",
            "Content-Type": "application/json",
            "Accept": "application/json",
        }
        connection = UnixConnection(Path(self._facts["identity"].removeprefix("unix:")), timeout=10)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            raise RunnerError(
                "The identity service does not answer; is `muniment up` still running?"
            ) from None
        finally:
            connection.close()
        answered = json.loads(content) if content else {}
        if answer.status >= _FIRST_ERROR_STATUS:
            raise RunnerError(
                answered.get("detail") or answered.get("title") or f"Identity answered {answer.status}."
            )
        return answered
