"""Settings: a file and an environment in, a frozen struct or one sentence out; secrets never printed."""

import tomllib
from pathlib import Path

import msgspec
import pytest

from libs.host.settings import SettingsError, print_settings, read_settings
from libs.kernel.secrets import Secret

CANARY = "correct-horse-battery"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    listen: str
    database: Secret
    redis: Secret | None = None
    peer_keys: dict[str, str] = {}
    dek_cache_seconds: float = 300.0
    max_frame_bytes: int = 65536
    mark: bool = False
    places: tuple[str, ...] = ()
    folder: Path = Path("/tmp")  # noqa: S108 - never opened
    limit: int | None = None


FILE = f"""
[messaging]
listen = "unix:/run/gw.sock"
database = "postgresql://app:{CANARY}@/m"

[messaging.peer_keys]
keys = "a2V5"

[identity]
whatever = 1
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "settings.toml"
    file.write_text(FILE)
    file.chmod(0o600)
    return file


def read(path: Path | None, **environ: str) -> Settings:
    return read_settings(Settings, "messaging", path, environ)


def refusal(path: Path | None, **environ: str) -> str:
    with pytest.raises(SettingsError) as refused:
        read(path, **environ)
    return str(refused.value)


def assert_one_sentence(text: str) -> None:
    assert text[0].isupper()
    assert text.endswith(".")
    assert "\n" not in text
    assert CANARY not in text


def test_the_file_gives_the_services_own_table(path: Path):
    settings = read(path)
    assert settings.listen == "unix:/run/gw.sock"
    assert settings.database.reveal() == f"postgresql://app:{CANARY}@/m"
    assert settings.peer_keys == {"keys": "a2V5"}
    assert settings.dek_cache_seconds == 300.0


def test_the_environment_overrides_the_file(path: Path):
    settings = read(
        path,
        MUNIMENT_MESSAGING_LISTEN="127.0.0.1:9801",
        MUNIMENT_MESSAGING_REDIS="unix:///v?password=1",
        MUNIMENT_MESSAGING_DEK_CACHE_SECONDS="12.5",
        MUNIMENT_MESSAGING_MAX_FRAME_BYTES="1024",
        MUNIMENT_MESSAGING_MARK="true",
        MUNIMENT_MESSAGING_PLACES='["a", "b"]',
        MUNIMENT_MESSAGING_PEER_KEYS='{"identity": "aWQ="}',
        MUNIMENT_MESSAGING_FOLDER="/var/lib/m",
        MUNIMENT_MESSAGING_LIMIT="9",
        MUNIMENT_IDENTITY_LISTEN="unix:/other",
        PATH="/bin",
    )
    assert settings.listen == "127.0.0.1:9801"
    assert settings.redis == Secret("unix:///v?password=1")
    assert settings.dek_cache_seconds == 12.5
    assert settings.max_frame_bytes == 1024
    assert settings.mark is True
    assert settings.places == ("a", "b")
    assert settings.peer_keys == {"identity": "aWQ="}
    assert settings.folder == Path("/var/lib/m")
    assert settings.limit == 9


def test_the_environment_alone_is_enough():
    settings = read(None, MUNIMENT_MESSAGING_LISTEN="unix:/x", MUNIMENT_MESSAGING_DATABASE="123")
    assert settings.database.reveal() == "123"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('listen = "unix:/run/gw.sock"', "", "The setting 'listen' of messaging is missing"),
        ("listen =", f'unknown = "{CANARY}"\nlisten =', "The setting 'unknown' in [messaging] of"),
        ('listen = "unix:/run/gw.sock"', "listen = 5", "listen: expected `str`"),
        ("database = ", "max_frame_bytes = 'x'\ndatabase = ", "max_frame_bytes: expected `int`"),
        (f'"postgresql://app:{CANARY}@/m"', "7", "database"),
        ("[messaging]", f"[messaging\npassword = '{CANARY}'", "is no TOML (at line"),
        ('keys = "a2V5"', "keys = 1", "peer_keys"),
    ],
)
def test_a_defect_of_the_file_is_one_sentence(path: Path, old: str, new: str, said: str):
    path.write_text(FILE.replace(old, new))
    text = refusal(path)
    assert said.replace("`", "") in text.replace("`", "")
    assert_one_sentence(text)


def test_a_table_that_is_none_is_one_sentence(path: Path):
    path.write_text(f"messaging = '{CANARY}'")
    text = refusal(path)
    assert "must be a table" in text
    assert_one_sentence(text)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MUNIMENT_MESSAGING_LISTN", CANARY),
        ("MUNIMENT_MESSAGING_MAX_FRAME_BYTES", CANARY),
        ("MUNIMENT_MESSAGING_DEK_CACHE_SECONDS", CANARY),
        ("MUNIMENT_MESSAGING_MARK", CANARY),
        ("MUNIMENT_MESSAGING_PEER_KEYS", CANARY),
        ("MUNIMENT_MESSAGING_PLACES", f'"{CANARY}"'),
        ("MUNIMENT_MESSAGING_LIMIT", CANARY),
    ],
)
def test_a_defect_of_the_environment_is_one_sentence(path: Path, variable: str, value: str):
    assert_one_sentence(refusal(path, **{variable: value}))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666, 0o620])
def test_a_file_that_others_may_touch_is_refused(path: Path, mode: int):
    path.chmod(mode)
    assert_one_sentence(refusal(path))


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path):
    assert_one_sentence(refusal(tmp_path / "none.toml"))
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    (tmp_path / "binary.toml").chmod(0o600)
    assert_one_sentence(refusal(tmp_path / "binary.toml"))


def test_printed_settings_hide_every_secret_and_read_as_toml(path: Path):
    shown = print_settings(read(path, MUNIMENT_MESSAGING_PLACES='["\\"a\\nb"]'), "messaging")
    assert CANARY not in shown
    table = tomllib.loads(shown)["messaging"]
    assert table["database"] == "***"
    assert table["listen"] == "unix:/run/gw.sock"
    assert table["peer_keys"] == {"keys": "a2V5"}
    assert table["places"] == ['"a\nb']
    assert table["mark"] is False
    assert "redis" not in table


def test_settings_print_no_secret_by_accident(path: Path):
    assert CANARY not in f"{read(path)!r} {read(path)}"


class Folded(msgspec.Struct, frozen=True):
    peers: dict[str, dict[str, int]]
    secrets: dict[str, Secret]
    listed: list[Secret]


def test_secrets_inside_tables_and_lists_are_hidden_too():
    settings = Folded({"a b": {"x": 1}}, {"k": Secret(CANARY)}, [Secret(CANARY)])
    shown = print_settings(settings, "keys")
    assert CANARY not in shown
    assert tomllib.loads(shown)["keys"] == {
        "listed": ["***"],
        "peers": {"a b": {"x": 1}},
        "secrets": {"k": "***"},
    }
