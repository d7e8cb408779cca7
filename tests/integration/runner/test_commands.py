"""The command line where nothing has to run for it: refusals are one sentence, secrets are stars."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from services.runner.configuration import Value, toml_of
from services.runner.deployment import locked
from services.runner.errors import AlreadyRunning
from tests.support.engines import ROOT


def ran(*arguments: object, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "services.runner", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def refusal(*arguments: object) -> str:
    """Run what must be refused, and return its one sentence."""
    refused = ran(*arguments)
    assert refused.returncode == 1, refused
    assert refused.stdout == ""
    assert refused.stderr.count("\n") == 1
    assert refused.stderr.startswith("muniment: ")
    return refused.stderr


def settings_file(folder: Path) -> Path:
    table: dict[str, Value] = {
        "listen": "unix:/tmp/keys",
        "database": "postgresql://keys_app:pa55word-of-app@/keys",
        "database_publisher": "postgresql://keys_publisher:pa55word-of-publisher@/keys",
        "database_projector": "postgresql://keys_projector:pa55word-of-projector@/keys",
        "database_shredder": "postgresql://keys_shredder:pa55word-of-shredder@/keys",
        "holds_url": "unix:/tmp/holds",
        "messaging_url": "unix:/tmp/messaging-relay",
        "redis": "unix:///tmp/valkey?password=pa55word-of-valkey",
        "vault_url": "http://127.0.0.1:1",
        "vault_role_id": "role",
        "vault_secret_id": "pa55word-of-vault",
        "service_key": "pa55word-of-service",
        "peer_keys": {"identity": "AAAA"},
    }
    path = folder / "settings.toml"
    path.write_text(toml_of({"keys": table}))
    path.chmod(0o600)
    return path


def test_settings_are_shown_with_their_secrets_as_stars(tmp_path):
    shown = ran(
        "serve", "keys", "--config", settings_file(tmp_path), "--print-config", "--listen", "127.0.0.1:9"
    )
    assert shown.returncode == 0, shown.stderr
    assert 'listen = "127.0.0.1:9"' in shown.stdout
    assert 'vault_secret_id = "***"' in shown.stdout
    assert "pa55word" not in shown.stdout


def test_the_environment_overrides_the_file(tmp_path):
    shown = ran(
        *("serve", "keys", "--config", settings_file(tmp_path), "--print-config"),
        MUNIMENT_KEYS_VAULT_URL="https://vault.example",
    )
    assert 'vault_url = "https://vault.example"' in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("serve", "nothing"), "no process 'nothing'"),
        (("serve", "keys", "--config", "missing.toml"), "missing.toml cannot be read"),
        (("serve", "keys"), "is missing"),
        (("migrate", "--config", "missing.toml"), "missing.toml cannot be read"),
    ],
)
def test_what_cannot_be_served_or_migrated_is_one_sentence(arguments, word):
    assert word in refusal(*arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        ("tenant", "list"),
        ("tenant", "create", "a", "A"),
        ("tenant", "scim-token", "a"),
        ("migrate",),
        ("keys", "rotate-signing", "--use", "checkpoints"),
        ("audit", "reconcile"),
        ("audit", "verify"),
    ],
)
def test_what_needs_a_running_platform_says_how_to_start_one(arguments, tmp_path):
    assert "muniment up --data" in refusal(*arguments, "--data", tmp_path)


def test_a_database_elsewhere_is_migrated_by_its_administrators_address(empty_database, engines, tmp_path):
    table = {"admin": empty_database.admin_dsn.reveal(), "passwords": {}}
    config = tmp_path / "migrate.toml"
    config.write_text(toml_of({"identity": table}))
    with engines.alone("migrations"):
        done = ran("migrate", "--config", config, "--json")
    assert done.returncode == 0, done.stderr
    (revision,) = json.loads(done.stdout).values()
    with psycopg.connect(empty_database.admin_dsn.reveal()) as connection:
        rows = connection.execute("SELECT version_num FROM identity.alembic_version").fetchall()
    assert rows == [(revision,)]


@pytest.mark.parametrize(
    ("tables", "word"),
    [
        ({"identity": {"passwords": {}}}, "lacks `admin`"),
        ({"nothing": {"admin": "postgresql:///x"}}, "no service 'nothing'"),
        ({"identity": {"admin": "postgresql://u:pa55word@/x?host=/nowhere"}}, "cannot be reached"),
    ],
)
def test_a_target_that_is_wrong_is_one_sentence_without_its_secret(tables, word, tmp_path):
    config = tmp_path / "migrate.toml"
    config.write_text(toml_of(tables))
    said = refusal("migrate", "--config", config)
    assert word in said
    assert "pa55word" not in said


def test_a_folder_is_held_once(tmp_path):
    with locked(tmp_path / "data"), pytest.raises(AlreadyRunning) as refused, locked(tmp_path / "data"):
        pass
    assert str(os.getpid()) in str(refused.value)
    with locked(tmp_path / "data"):
        pass


def test_doctor_finds_a_fresh_machine_well_and_an_open_folder_ill(tmp_path):
    fresh = ran("doctor", "--data", tmp_path / "new", "--port", "0", "--json")
    assert fresh.returncode == 0, fresh.stdout
    assert {finding["check"] for finding in json.loads(fresh.stdout)} >= {
        "PostgreSQL",
        "Valkey",
        "OpenBao",
        "Caddy",
    }
    (tmp_path / "open").mkdir(mode=0o755)
    ill = ran("doctor", "--data", tmp_path / "open", "--port", "0")
    assert ill.returncode == 1
    assert "chmod 700" in ill.stdout


def test_doctor_changes_nothing(tmp_path):
    ran("doctor", "--data", tmp_path / "new", "--port", "0")
    assert list(tmp_path.iterdir()) == []


def test_a_broken_keepsake_is_not_overwritten(tmp_path):
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / "kept.json").write_text('{"passwords": ')
    assert "kept.json cannot be read" in ran("up", "--data", data, "--port", "0").stderr
    assert (data / "kept.json").read_text() == '{"passwords": '
