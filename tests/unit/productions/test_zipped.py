"""A production as one file: the same bytes each time, readable by everybody, and nothing else is taken."""

import io
import zipfile
from pathlib import Path

import pytest

from libs.evidence import zipping
from libs.evidence.errors import EvidenceRefused
from libs.evidence.production.manifest import Format
from libs.evidence.production.zipped import zip_pieces
from libs.evidence.verify import verify_path
from tests.unit.productions.made import SIGNED, Made


def made(folder: Path, form: Format = Format.EML) -> bytes:
    Made(form).write(folder)
    return b"".join(zip_pieces(folder))


@pytest.mark.parametrize("form", Format)
def test_a_zipped_production_holds_as_its_folder_does(tmp_path: Path, form: Format) -> None:
    data = made(tmp_path / "production", form)
    (tmp_path / "production.zip").write_bytes(data)
    assert verify_path(tmp_path / "production.zip", SIGNED) == verify_path(tmp_path / "production", SIGNED)
    assert data == b"".join(zip_pieces(tmp_path / "production"))


def test_everybodys_program_reads_it(tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(made(tmp_path))) as archive:
        assert archive.testzip() is None
        names = [info.filename for info in archive.infolist()]
        files = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
        assert sorted(names) == files
        for name in names:
            assert archive.read(name) == (tmp_path / name).read_bytes()


def test_large_numbers_are_written_wide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = made(tmp_path)
    assert b"PK\6\6" not in plain
    monkeypatch.setattr(zipping, "_FULL_16", 3)
    monkeypatch.setattr(zipping, "_FULL_32", 1000)
    assert b"PK\6\6" in b"".join(zip_pieces(tmp_path))


@pytest.mark.planted
@pytest.mark.parametrize("how", ["flipped", "behind", "before", "doubled", "elsewhere", "cut", "left out"])
def test_every_other_zip_is_refused(tmp_path: Path, how: str) -> None:
    data = bytearray(made(tmp_path / "production"))
    end = data.rindex(b"PK\1\2")
    first = data.index(b"PK\3\4", 4)
    match how:
        case "flipped":
            data[end + 12] ^= 1
        case "behind":
            data += b"more"
        case "before":
            data[:0] = b"#!/bin/sh\n"
        case "doubled":
            data[first:first] = data[:first]
        case "elsewhere":
            data[30:43] = b"../escape.jso"
        case "cut":
            del data[end:]
        case "left out":
            del data[:first]
    file = tmp_path / "production.zip"
    file.write_bytes(data)
    with pytest.raises(EvidenceRefused):
        verify_path(file, SIGNED)
    assert not (tmp_path / "escape.jso").exists()
