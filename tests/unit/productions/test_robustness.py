"""Whatever a forger writes into a production, the verifier refuses it or reads it; it never falls over."""

import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.evidence.canonical import canonical
from libs.evidence.completeness import parse_head
from libs.evidence.errors import EvidenceRefused
from libs.evidence.production.archive import stored, unstored
from libs.evidence.production.lines import parse_line
from libs.evidence.production.manifest import Format, Scope, dump_manifest, parse_manifest
from libs.evidence.production.readback import read_back
from services.ediscovery.domain.productions.eml import attachment_part, multipart, text_part
from services.ediscovery.domain.productions.items import File
from services.ediscovery.domain.productions.produce import map_files
from services.ediscovery.domain.productions.rsmf_rules import judge_manifest, judge_rsmf, judge_zip
from tests.unit.productions.made import LOG, SIGNED, Made

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FILES: dict[Format, list[File]] = {
    form: [file for file in Made(form).files()[0] if file.path.startswith("data/")][:4] for form in Format
}
LINES = [
    json.loads(line)
    for file in Made().files()[0]
    if file.path.startswith("index/")
    for line in file.data.splitlines()[:4]
]
HEADS = [
    json.loads(line)
    for scope in (Scope(), Made().scope, Scope(conversations=(LOG.heads[0].conversation,)))
    for file in map_files(LOG.opened(scope))
    for line in file.data.splitlines()
]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Give the path of every value within a JSON value."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in items:
        yield from places(each, (*path, key))


def with_another(value: Any, path: tuple[Any, ...], other: Any) -> Any:
    copied = json.loads(json.dumps(value))
    place = copied
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = other
    return copied


@settings(max_examples=300, deadline=None)
@given(st.data(), st.sampled_from(Format), st.binary(max_size=12))
def test_a_file_with_other_bytes_is_read_or_refused(data: st.DataObject, form: Format, other: bytes):
    file = data.draw(st.sampled_from(FILES[form]))
    begin = data.draw(st.integers(0, len(file.data)))
    end = data.draw(st.integers(begin, min(begin + 40, len(file.data))))
    with suppress(EvidenceRefused):
        list(read_back(form, file.data[:begin] + other + file.data[end:], file.path))


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(Format), st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(form: Format, data: bytes):
    with suppress(EvidenceRefused):
        list(read_back(form, data, "file"))
    judge_rsmf(data)
    judge_zip(data)
    judge_manifest(data)


def zipped(method: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("rsmf_manifest.json", b'{"events":[]}' + b" " * 100)
    return buffer.getvalue()


ZIPS = [
    zipped(method)
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2)
]


@settings(max_examples=1_500, deadline=None)
@given(st.data(), st.binary(max_size=3))
def test_a_zip_with_other_bytes_is_read_or_refused(data: st.DataObject, other: bytes):
    archive = data.draw(st.sampled_from(ZIPS))
    begin = data.draw(st.integers(0, len(archive)))
    end = data.draw(st.integers(begin, min(begin + 3, len(archive))))
    changed = archive[:begin] + other + archive[end:]
    judge_zip(changed)
    mail = multipart([], [text_part(""), attachment_part("rsmf.zip", "application/zip", changed)])
    with suppress(EvidenceRefused):
        list(read_back(Format.RSMF, mail, "file"))


SAID = Made(Format.EML).files()[0][1].data
LINE = FILES[Format.JSONL][0].data
DAY = FILES[Format.EML_DAY][0].data


@pytest.mark.planted
@pytest.mark.parametrize(
    ("form", "mail"),
    [
        (Format.JSONL, LINE.replace(b'"body":', b'"body_base64":"eA==","body":')),
        (Format.JSONL, LINE.replace(b'"body":', b'"body":"x","body":')),
        (Format.JSONL, LINE[:-1]),
        (Format.EML, SAID.replace(b"charset=utf-8", b"charset=utf-7")),
        (Format.EML, SAID.replace(b"text/plain", b"text/html")),
        (Format.EML, SAID.replace(b"Encoding: base64", b"Encoding: 7bit")),
        (Format.EML, SAID.replace(b"Subject:", b"Subject: one\r\nSubject:")),
        (Format.EML, SAID.replace(b"MIME-Version", b"Content-type: text/html\r\nMIME-Version")),
        (Format.EML, SAID[:-2] + b"-\r\n"),
        (Format.EML_DAY, DAY + b"and something behind"),
        (Format.EML_DAY, DAY.replace(b"\r\n\r\n--=_muniment\r\n", b"\r\n\r\nbefore\r\n--=_muniment\r\n", 1)),
        (Format.EML_DAY, DAY.replace(b"message/rfc822", b"message/global")),
        (Format.EML_DAY, DAY.replace(b"charset=utf-8", b"charset=utf-7", 1)),
        (Format.RSMF, FILES[Format.RSMF][0].data.replace(b"attachment; ", b"inline; ")),
        (Format.RSMF, FILES[Format.RSMF][0].data.replace(b"application/zip", b"application/pdf")),
    ],
)
def test_a_file_that_another_reader_would_read_otherwise_is_refused(form: Format, mail: bytes):
    assert mail not in (LINE, SAID, DAY, FILES[Format.RSMF][0].data)
    with pytest.raises(EvidenceRefused):
        list(read_back(form, mail, "file"))


@given(st.binary())
def test_a_zip_gives_what_was_put_in(content: bytes):
    assert unstored("a.json", stored("a.json", content), "zip") == content


@pytest.mark.planted
@pytest.mark.parametrize("archive", [*ZIPS[1:], b"", b"x" + ZIPS[0], ZIPS[0] + b"x", ZIPS[0] + ZIPS[0]])
def test_a_zip_in_another_spelling_is_refused(archive: bytes):
    with pytest.raises(EvidenceRefused):
        unstored("rsmf_manifest.json", archive, "zip")


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Any:
    made = Made().write(tmp_path_factory.mktemp("production"))
    assert parse_manifest(dump_manifest(made)) == made
    return json.loads(dump_manifest(made))


@settings(max_examples=300, deadline=None)
@given(st.data(), JSON)
def test_a_manifest_with_another_value_is_read_or_refused(manifest: Any, data: st.DataObject, other: Any):
    changed = with_another(manifest, data.draw(st.sampled_from(list(places(manifest)))), other)
    with suppress(EvidenceRefused):
        parse_manifest(canonical(changed))


@settings(max_examples=300, deadline=None)
@given(st.data(), JSON)
def test_a_line_with_another_value_is_read_or_refused(data: st.DataObject, other: Any):
    line = data.draw(st.sampled_from(LINES))
    changed = with_another(line, data.draw(st.sampled_from(list(places(line)))), other)
    with suppress(EvidenceRefused):
        parse_line(canonical(changed), "line")


@settings(max_examples=300, deadline=None)
@given(st.data(), JSON)
def test_a_conversation_of_the_map_with_another_value_is_read_or_refused(data: st.DataObject, other: Any):
    head = data.draw(st.sampled_from(HEADS))
    changed = with_another(head, data.draw(st.sampled_from(list(places(head)))), other)
    with suppress(EvidenceRefused):
        parse_head(changed, "head")


@settings(max_examples=60, deadline=None)
@given(st.data(), JSON)
def test_a_signed_production_with_another_value_is_judged_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, other: Any
):
    from libs.evidence.verify import verify_path  # noqa: PLC0415
    from tests.unit.productions.test_verification import lines_of, resigned  # noqa: PLC0415

    folder: Path = tmp_path_factory.mktemp("signed")
    Made().write(folder)
    path, lines = data.draw(st.sampled_from(list(lines_of(folder))))
    changed = with_another(lines, data.draw(st.sampled_from(list(places(lines)))), other)
    if not all(isinstance(line, dict) for line in changed):
        return
    path.write_bytes(b"".join(canonical(line) + b"\n" for line in changed))
    resigned(folder, lambda _: None)
    with suppress(EvidenceRefused):
        verify_path(folder, SIGNED)
