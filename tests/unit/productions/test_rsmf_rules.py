"""RSMF files are judged as the official validator judges its own samples."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from libs.evidence.canonical import canonical_line
from libs.evidence.production.archive import stored
from services.ediscovery.domain.productions.eml import attachment_part, multipart, text_part
from services.ediscovery.domain.productions.items import Numbered
from services.ediscovery.domain.productions.rsmf import manifest_of, rsmf_of
from services.ediscovery.domain.productions.rsmf_rules import (
    BAD_HEADER,
    BAD_MAIL,
    BAD_ZIP,
    EXTRA_ATTACHMENT,
    INVALID_CONVERSATION_PARTICIPANT,
    INVALID_EVENT_CONVERSATION,
    INVALID_EVENT_PARENT,
    INVALID_EVENT_PARTICIPANT,
    MISSING_FILE,
    NO_ATTACHMENT,
    SCHEMA_VIOLATION,
    UNDEFINED_PROPERTY,
    judge_manifest,
    judge_rsmf,
    judge_zip,
)
from tests.unit.productions.made import DOMAIN, PEOPLE, TALKS

SAMPLES = Path(__file__).parents[4] / "shared/data/ediscovery/rsmf"
ENTRIES = [Numbered(entry.produced(None), None) for entry in TALKS[0]]
MANIFEST = manifest_of(ENTRIES, [PEOPLE[0].id])
MAIL = rsmf_of(ENTRIES, DOMAIN, [PEOPLE[0].id])
HEADERS = (("Message-ID", "<1@acme.example>"), ("X-RSMF-Version", "2.0.0"))
beside = pytest.mark.skipif(not SAMPLES.exists(), reason="the official samples are not beside this checkout")


@beside
def test_the_first_sample_has_a_participant_without_an_id():
    verdict = judge_manifest((SAMPLES / "Sample1" / "rsmf_manifest.json").read_bytes())
    assert [finding.name for finding in verdict.errors] == [SCHEMA_VIOLATION]
    assert "'id' is a required property" in verdict.errors[0].says


@beside
def test_the_second_sample_is_accepted_with_a_warning():
    verdict = judge_zip((SAMPLES / "Sample2" / "rsmf.zip").read_bytes())
    assert verdict.accepted
    assert [finding.name for finding in verdict.warnings] == [MISSING_FILE]


def test_a_second_attachment_is_refused_as_in_the_third_sample():
    zipped = attachment_part("rsmf.zip", "application/zip", stored("rsmf_manifest.json", encoded(MANIFEST)))
    avatar = attachment_part("avatar.png", "image/png", b"\x89PNG")
    assert judge_rsmf(multipart(HEADERS, [text_part(""), zipped])).accepted
    verdict = judge_rsmf(multipart(HEADERS, [text_part(""), zipped, avatar]))
    assert [finding.name for finding in verdict.errors] == [EXTRA_ATTACHMENT]


def test_an_id_that_is_a_number_is_refused_as_in_the_fourth_sample():
    verdict = judge_manifest(encoded(changed(lambda m: m["participants"][0].update(id=1))))
    assert [finding.name for finding in verdict.errors] == [SCHEMA_VIOLATION]
    assert "1 is not of type 'string'" in verdict.errors[0].says


@beside
def test_the_schema_is_the_official_one_unchanged():
    own = Path(__file__).parents[3] / "services/ediscovery/domain/productions/rsmf_schema_2_0_0.json"
    assert own.read_bytes() == (SAMPLES / "rsmf_schema_2_0_0.json").read_bytes()
    assert own.with_name("rsmf_schema_LICENSE.txt").read_text("utf-8") in (SAMPLES / "LICENSE").read_text(
        "utf-8"
    )


def test_a_file_of_ours_has_no_findings():
    verdict = judge_rsmf(MAIL)
    assert (verdict.errors, verdict.warnings) == ([], [])


def encoded(manifest: Any) -> bytes:
    return canonical_line(manifest)


def changed(change: Callable[[Any], object]) -> Any:
    manifest = json.loads(json.dumps(MANIFEST))
    change(manifest)
    return manifest


@pytest.mark.planted
@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda m: m.pop("events"), SCHEMA_VIOLATION),
        (lambda m: m["events"][0].update(type="shout"), SCHEMA_VIOLATION),
        (lambda m: m["events"][0]["custom"][0].update(value=""), SCHEMA_VIOLATION),
        (lambda m: m["conversations"][0]["participants"].append("x"), INVALID_CONVERSATION_PARTICIPANT),
        (lambda m: m["conversations"][0].update(custodian="x"), INVALID_CONVERSATION_PARTICIPANT),
        (lambda m: m["events"][1].update(participant="x"), INVALID_EVENT_PARTICIPANT),
        (lambda m: m["events"][1].update(edits=[{"participant": "x"}]), INVALID_EVENT_PARTICIPANT),
        (lambda m: m["events"][1].update(conversation="x"), INVALID_EVENT_CONVERSATION),
        (lambda m: m["events"][1].update(parent="x"), INVALID_EVENT_PARENT),
        (lambda m: m["events"][1].update(colour="red"), UNDEFINED_PROPERTY),
        (lambda m: m["events"][1].update(attachments=[{"id": "a.txt"}]), MISSING_FILE),
        (lambda m: m["participants"][0].update(avatar="a.png"), MISSING_FILE),
    ],
)
def test_a_manifest_with_a_defect_is_noticed(change: Callable[[Any], object], name: str):
    verdict = judge_manifest(encoded(changed(change)))
    assert {finding.name for finding in (*verdict.errors, *verdict.warnings)} == {name}
    assert verdict.accepted == (name is not SCHEMA_VIOLATION)


@pytest.mark.planted
@pytest.mark.parametrize(
    ("mail", "name"),
    [
        (MAIL.replace(b"X-RSMF-Version: 2.0.0\r\n", b""), BAD_HEADER),
        (MAIL.replace(b"X-RSMF-EventCount: 1", b"X-RSMF-EventCount: 2"), BAD_HEADER),
        (MAIL.replace(b"X-RSMF-Generator: Muniment", "X-RSMF-Generator: Größe".encode()), BAD_MAIL),
        (multipart(HEADERS, [text_part("")]), NO_ATTACHMENT),
        (multipart(HEADERS, [attachment_part("rsmf.zip", "application/zip", b"no zip")]), BAD_ZIP),
        (multipart(HEADERS, [attachment_part("rsmf.zip", "application/zip", stored("a", b""))]), BAD_ZIP),
    ],
)
def test_a_mail_with_a_defect_is_refused(mail: bytes, name: str):
    assert mail != MAIL
    assert name in {finding.name for finding in judge_rsmf(mail).errors}


def test_what_is_no_json_is_refused():
    assert not judge_manifest(b"{").accepted
    assert not judge_manifest(b"[]").accepted
    assert not judge_zip(b"PK").accepted
