"""Every refusal of the key service has its problem document."""

from uuid import UUID

import pytest

from libs.host.problems import merged, problem_of, retry_after_of, uncovered
from libs.host.settings import SettingsError, read_settings
from libs.kernel.errors import DomainError
from libs.kernel.ids import TenantId
from services.keys import wiring
from services.keys.domain.errors import BatchTooLarge, InvalidAccess, KekUnavailable, VaultUnavailable
from services.keys.edge.problems import PROBLEMS
from services.keys.settings import Settings


def test_every_error_of_the_service_has_a_row() -> None:
    assert wiring.PROCESSES
    assert uncovered(PROBLEMS, "services.keys") == []


def test_an_unavailable_vault_says_when_to_come_back() -> None:
    error = VaultUnavailable()
    problem = problem_of(error, merged(PROBLEMS))
    assert (problem.status, problem.type) == (503, "urn:problem:key-service-unavailable")
    assert int(retry_after_of(error)["retry-after"]) >= 1


def test_a_destroyed_kek_does_not_invite_to_come_back() -> None:
    error = KekUnavailable(TenantId(UUID(int=1)))
    assert problem_of(error, merged(PROBLEMS)).type == "urn:problem:key-unavailable"
    assert retry_after_of(error) == {}


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (
            InvalidAccess("`act` takes 1 to 200 printable characters"),
            "`act` takes 1 to 200 printable characters",
        ),
        (BatchTooLarge(2000), "at most 2000 keys at once"),
    ],
)
def test_a_refused_request_says_which_rule_it_broke(error: DomainError, detail: str) -> None:
    assert problem_of(error, merged(PROBLEMS)).detail == detail


ENVIRONMENT = {
    "MUNIMENT_KEYS_LISTEN": "unix:/run/keys",
    "MUNIMENT_KEYS_DATABASE": "postgresql://a",
    "MUNIMENT_KEYS_DATABASE_PUBLISHER": "postgresql://b",
    "MUNIMENT_KEYS_DATABASE_PROJECTOR": "postgresql://c",
    "MUNIMENT_KEYS_DATABASE_SHREDDER": "postgresql://d",
    "MUNIMENT_KEYS_HOLDS_URL": "unix:/run/holds",
    "MUNIMENT_KEYS_MESSAGING_URL": "unix:/run/messaging-relay",
    "MUNIMENT_KEYS_REDIS": "unix:///valkey",
    "MUNIMENT_KEYS_VAULT_URL": "http://127.0.0.1:8200",
    "MUNIMENT_KEYS_VAULT_ROLE_ID": "role",
    "MUNIMENT_KEYS_VAULT_SECRET_ID": "secret",
    "MUNIMENT_KEYS_SERVICE_KEY": "c2VlZC4uLi4uLi4uLi4uLi4uLi4uLi4uLi4uLi4uLi4=",
    "MUNIMENT_KEYS_PEER_KEYS": '{"identity": "x"}',
}


def test_the_settings_come_from_the_environment_too() -> None:
    settings = read_settings(Settings, "keys", None, ENVIRONMENT)
    assert (settings.kek_mount, settings.signing_key_days) == ("transit", 30)
    assert settings.vault_secret_id.reveal() == "secret"


def test_a_misspelt_setting_is_refused() -> None:
    with pytest.raises(SettingsError, match="MUNIMENT_KEYS_VAULTURL"):
        read_settings(Settings, "keys", None, {**ENVIRONMENT, "MUNIMENT_KEYS_VAULTURL": "x"})


def test_building_the_process_connects_to_nothing() -> None:
    settings = read_settings(Settings, "keys", None, {**ENVIRONMENT, "MUNIMENT_KEYS_PEER_KEYS": "{}"})
    assert wiring.build(settings).title == "Muniment keys"
