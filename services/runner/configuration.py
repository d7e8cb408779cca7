"""The settings of every service, written for one deployment."""

import base64
import json
from collections.abc import Mapping

import msgspec

from infra.engines.folders import write_private
from libs.authn.service_tokens import public_key_of
from services.runner.deployment import Deployment

INSTANCE = "muniment.local"
"""Begins the origin of every log, and stands in trust.json: both services must be told the same."""

Value = str | int | bool | Mapping[str, str]


def settings_of(deployment: Deployment) -> dict[str, dict[str, Value]]:
    """Return one table for each service. Where several processes share one, `serve` overrides `listen`."""
    layout, kept = deployment.layout, deployment.kept

    def common(service: str) -> dict[str, Value]:
        return {
            "listen": layout.address(service),
            "database": deployment.role_dsn(f"{service}_app").reveal(),
            "database_publisher": deployment.role_dsn(f"{service}_publisher").reveal(),
            "redis": deployment.engines.valkey.url().reveal(),
            "service_key": kept.seeds[service],
            "peer_keys": {name: _public_key(seed) for name, seed in kept.seeds.items() if name != service},
        }

    return {
        "audit": {
            **common("audit"),
            "database_sequencer": deployment.role_dsn("audit_sequencer").reveal(),
            "keys_url": layout.address("keys"),
            "ediscovery_url": layout.address("ediscovery"),
            "holds_url": layout.address("holds"),
            "identity_url": layout.address("identity"),
            "messaging_url": layout.address("messaging-relay"),
            "retention_url": layout.address("retention"),
            "log_origin": INSTANCE,
        },
        "ediscovery": {
            **common("ediscovery"),
            "database_projector": deployment.role_dsn("ediscovery_projector").reveal(),
            "keys_url": layout.address("keys"),
            "identity_url": layout.address("identity"),
            "holds_url": layout.address("holds"),
            "messaging_url": layout.address("messaging-relay"),
            "audit_url": layout.address("audit"),
            **_search_of(deployment),
            "productions_folder": str(layout.data / "productions"),
            "instance": INSTANCE,
        },
        "holds": {
            **common("holds"),
            "database_projector": deployment.role_dsn("holds_projector").reveal(),
            "ediscovery_url": layout.address("ediscovery"),
            "keys_url": layout.address("keys"),
            "identity_url": layout.address("identity"),
            "messaging_url": layout.address("messaging-relay"),
        },
        "identity": {
            **common("identity"),
            "database_resolver": deployment.role_dsn("identity_resolver").reveal(),
            "keys_url": layout.address("keys"),
        },
        "keys": {
            **common("keys"),
            "database_projector": deployment.role_dsn("keys_projector").reveal(),
            "database_shredder": deployment.role_dsn("keys_shredder").reveal(),
            "holds_url": layout.address("holds"),
            "messaging_url": layout.address("messaging-relay"),
            "vault_url": deployment.engines.openbao.address,
            "vault_role_id": kept.vault_role_id,
            "vault_secret_id": kept.vault_secret_id,
            "instance": INSTANCE,
        },
        "messaging": {
            **common("messaging"),
            "listen": layout.address("messaging-relay"),
            "database_writer": deployment.role_dsn("messaging_writer").reveal(),
            "database_projector": deployment.role_dsn("messaging_projector").reveal(),
            "database_closer": deployment.role_dsn("messaging_closer").reveal(),
            "database_disposer": deployment.role_dsn("messaging_disposer").reveal(),
            "database_mapper": deployment.role_dsn("messaging_mapper").reveal(),
            "holds_url": layout.address("holds"),
            "retention_url": layout.address("retention"),
            "keys_url": layout.address("keys"),
            "identity_url": layout.address("identity"),
        },
        "retention": {
            **common("retention"),
            "database_projector": deployment.role_dsn("retention_projector").reveal(),
            "keys_url": layout.address("keys"),
            "identity_url": layout.address("identity"),
            "ediscovery_url": layout.address("ediscovery"),
            "audit_url": layout.address("audit"),
            "messaging_url": layout.address("messaging-relay"),
            "instance": INSTANCE,
        },
    }


def write_settings(deployment: Deployment) -> None:
    """Write the settings file of the deployment, readable by its owner alone."""
    write_private(deployment.layout.settings, toml_of(settings_of(deployment)).encode())


def toml_of(tables: Mapping[str, Mapping[str, Value]]) -> str:
    """Return the tables as TOML, whose basic strings are JSON's with DEL escaped. Source: TOML 1.0."""
    lines: list[str] = []
    for name, table in tables.items():
        lines += [f"[{name}]", *(f"{key} = {_value(value)}" for key, value in table.items()), ""]
    return "\n".join(lines)


def _search_of(deployment: Deployment) -> dict[str, Value]:
    """Return what eDiscovery is told of engines: the one of before, too, so that no word stays there."""
    searching = deployment.kept.searching
    told: dict[str, Value] = {
        "search": searching.engine,
        "index_folder": str(deployment.layout.data / "search"),
    }
    if (cluster := searching.cluster) is not None:
        told |= {f"opensearch_{name}": value for name, value in msgspec.to_builtins(cluster).items()}
    return told


def _value(value: Value) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_value(inner)}" for key, inner in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _public_key(seed: str) -> str:
    return base64.b64encode(public_key_of(base64.b64decode(seed))).decode()
