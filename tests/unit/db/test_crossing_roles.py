"""The table of crossing roles says what it means, or is refused."""

from pathlib import Path

import pytest

from libs.db.introspection import Grant
from libs.db.names import identifier_of, table_of
from libs.db.roles import read_crossing_roles, roles_of

ROLE = '[[role]]\nname = "sample_writer"\nservice = "sample"\npurpose = "Tries."\n'


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "roles.toml"
    path.write_text(text)
    return path


def test_columns_functions_and_whole_rows_become_rights(tmp_path: Path) -> None:
    text = (
        ROLE + 'execute = ["act"]\n[role.tables."sample.note"]\nselect = ["tenant", "note"]\ndelete = true\n'
    )
    (role,) = read_crossing_roles(written(tmp_path, text))
    assert role.grants == {
        Grant("sample_writer", "sample.note", "SELECT", "tenant"),
        Grant("sample_writer", "sample.note", "SELECT", "note"),
        Grant("sample_writer", "sample.note", "DELETE", None),
        Grant("sample_writer", "sample.act", "EXECUTE", None),
    }
    assert role.tables == {"sample.note"}
    assert roles_of("sample", [role]) == ("sample_app", "sample_writer")
    assert roles_of("other", [role]) == ("other_app",)


@pytest.mark.parametrize(
    "text",
    [
        ROLE + "superuser = true\n",
        ROLE + '[role.tables."sample.note"]\ntruncate = true\n',
        ROLE + '[role.tables."other.note"]\nselect = ["note"]\n',
        ROLE + '[role.tables."note"]\nselect = ["note"]\n',
        ROLE + '[role.tables."sample.note"]\nselect = ["note; DROP TABLE x"]\n',
        ROLE + '[role.tables."sample.note"]\nselect = ["*"]\n',
        ROLE.replace("sample_writer", "sample_app"),
        ROLE.replace("sample_writer", "sample_owner"),
        ROLE.replace("sample_writer", "Sample Writer"),
    ],
)
def test_a_row_that_says_something_unknown_or_too_much_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError):
        read_crossing_roles(written(tmp_path, text))


def test_every_published_role_has_a_purpose_and_some_right() -> None:
    for role in read_crossing_roles():
        assert role.purpose
        assert role.grants


@pytest.mark.parametrize("name", ["", "Note", "1note", "no te", "note;", 'no"te', "ñote", "n" * 64])
def test_a_name_that_would_need_quotes_is_refused(name: str) -> None:
    with pytest.raises(ValueError):
        identifier_of(name)


def test_a_table_is_named_with_its_schema() -> None:
    assert table_of("sample.note") == ("sample", "note")
    with pytest.raises(ValueError):
        table_of("note")
