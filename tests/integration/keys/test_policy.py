"""What the key service's own sign-in can do in the vault: make, wrap, unwrap, and nothing else."""

from base64 import b64encode
from collections.abc import Mapping

import pytest

from infra.engines.openbao import OpenBaoServer, VaultRefused
from libs.kernel.secrets import Secret
from tests.integration.keys.service import POLICY
from tests.support.engines import Engines

KEK = {"type": "aes256-gcm96", "derived": True}
NAME = "tenant-of-the-policy"
ABSENT = "tenant-that-never-was"
FORBIDDEN = 403
CONTEXT = b64encode(bytes(16)).decode()


@pytest.fixture
def token(engines: Engines) -> Secret:
    """Give a token of the policy alone, with a tenant's key made by it."""
    bao = engines.openbao
    with engines.alone("vault-policy"):
        role = bao.provision(policy=POLICY)
    body = {"role_id": role.role_id, "secret_id": role.secret_id.reveal()}
    signed_in = bao.call("POST", "auth/approle/login", body=body)["auth"]
    bao.call("POST", f"transit/keys/{NAME}", token=Secret(signed_in["client_token"]), body=KEK)
    return Secret(signed_in["client_token"])


def is_forbidden(
    bao: OpenBaoServer, token: Secret, method: str, path: str, body: Mapping[str, object] | None
) -> bool:
    try:
        bao.call(method, path, token=token, body=body)
    except VaultRefused as refusal:
        return refusal.status == FORBIDDEN
    return False


def test_the_policy_allows_what_the_service_does(engines: Engines, token: Secret) -> None:
    bao = engines.openbao
    item = {"plaintext": CONTEXT, "context": CONTEXT}
    made = bao.call("POST", f"transit/encrypt/{NAME}", token=token, body={"batch_input": [item]})
    text = made["data"]["batch_results"][0]["ciphertext"]
    item = {"ciphertext": text, "context": CONTEXT}
    opened = bao.call("POST", f"transit/decrypt/{NAME}", token=token, body={"batch_input": [item]})
    assert opened["data"]["batch_results"][0]["plaintext"] == CONTEXT
    bao.call("POST", f"transit/keys/{NAME}", token=token, body=KEK)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", f"transit/keys/{NAME}", None),
        ("LIST", "transit/keys", None),
        ("DELETE", f"transit/keys/{NAME}", None),
        ("POST", f"transit/keys/{NAME}/config", {"deletion_allowed": True}),
        ("POST", f"transit/keys/{NAME}/config", {**KEK, "deletion_allowed": True}),
        ("POST", f"transit/keys/{NAME}/config", KEK),
        ("POST", f"transit/keys/{NAME}/rotate", {}),
        ("POST", f"transit/keys/{NAME}/rotate", KEK),
        ("POST", f"transit/keys/{NAME}/trim", {**KEK, "min_available_version": 1}),
        ("POST", f"transit/keys/{NAME}/import", KEK),
        ("GET", f"transit/export/encryption-key/{NAME}", None),
        ("GET", f"transit/export/encryption-key/{NAME}/1", None),
        ("GET", f"transit/backup/{NAME}", None),
        ("POST", f"transit/restore/{NAME}", {"backup": "x"}),
        ("POST", f"transit/rewrap/{NAME}", {"batch_input": []}),
        ("POST", f"transit/datakey/plaintext/{NAME}", {"context": CONTEXT}),
        ("POST", f"transit/keys/{ABSENT}", {**KEK, "exportable": True}),
        ("POST", f"transit/keys/{ABSENT}", {**KEK, "allow_plaintext_backup": True}),
        ("POST", f"transit/keys/{ABSENT}", {**KEK, "convergent_encryption": True}),
        ("POST", f"transit/keys/{ABSENT}", {**KEK, "derived": False}),
        ("POST", f"transit/keys/{ABSENT}", {**KEK, "type": "ed25519"}),
        ("POST", f"transit/keys/{ABSENT}", {"type": "aes256-gcm96"}),
        ("POST", f"transit/keys/{ABSENT}", {}),
        (
            "POST",
            f"transit/encrypt/{ABSENT}",
            {"batch_input": [{"plaintext": CONTEXT, "context": CONTEXT}]},
        ),
        ("GET", "sys/policies/acl/keys", None),
        ("PUT", "sys/policies/acl/keys", {"policy": 'path "*" { capabilities = ["sudo"] }'}),
        ("GET", "sys/mounts", None),
        ("POST", "sys/mounts/other", {"type": "transit"}),
        ("DELETE", "sys/mounts/transit", None),
        ("GET", "sys/auth", None),
        ("GET", "sys/audit", None),
        ("PUT", "sys/seal", None),
        ("PUT", "sys/step-down", None),
        ("GET", "sys/storage/raft/snapshot", None),
        ("GET", "sys/raw/core/keyring", None),
        ("POST", "auth/token/create", {}),
        ("POST", "auth/approle/role/keys/secret-id", {}),
        ("GET", "auth/approle/role/keys/role-id", None),
        ("LIST", "auth/token/accessors", None),
    ],
)
def test_the_policy_forbids_everything_else(
    engines: Engines, token: Secret, method: str, path: str, body: Mapping[str, object] | None
) -> None:
    assert is_forbidden(engines.openbao, token, method, path, body)


def test_the_list_of_the_forbidden_can_fail(engines: Engines) -> None:
    bao = engines.openbao
    assert not is_forbidden(bao, bao.root_token(), "GET", "sys/mounts", None)
