"""A certificate holds as it was made, and nothing that was changed in it does."""

import hashlib
import io
import json
import random
import zipfile
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from libs.evidence import zipping
from libs.evidence.certificate.items import DestroyedLine
from libs.evidence.certificate.statement import LOG, NOTE, STATEMENT, Confirmation, Counts, paths_of
from libs.evidence.errors import EvidenceRefused
from libs.evidence.trust import Trust, TrustedKey
from libs.evidence.verify import verify_path
from libs.evidence.zipping import Zipping, zip_of
from tests.unit.certificates.made import DESK, NOON, SIGNED, STRANGER, Made, logged, resigned
from tests.unit.evidence.logs import INSTANCE, START, TRUST


def refusal(folder: Path, trust: Trust = SIGNED) -> str:
    """Return why a certificate is refused, and where."""
    with pytest.raises(EvidenceRefused) as refused:
        verify_path(folder, trust)
    return f"{refused.value.where}: {refused.value.reason}"


def zipped(made: Made) -> bytes:
    files = made.files()
    return b"".join(zip_of(paths_of(made.statement()), files.__getitem__))


def test_it_holds_as_it_was_made(tmp_path: Path) -> None:
    report = verify_path(Made().write(tmp_path), SIGNED)
    assert (report.kind, report.entries) == ("certificate", 12)
    assert (report.proved, report.attested) == ({"due": 12}, {"destroyed": 12})
    assert "entry 4 of muniment.test/log/" in report.says[1]
    assert "generation 4" in report.says[2]


def test_it_holds_as_one_file_that_everybodys_program_reads(tmp_path: Path) -> None:
    data = zipped(Made())
    file = tmp_path / "certificate.zip"
    file.write_bytes(data)
    assert verify_path(file, SIGNED) == verify_path(Made().write(tmp_path / "folder"), SIGNED)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == list(paths_of(Made().statement()))
        assert archive.read(STATEMENT) == Made().files()[STATEMENT]


def test_several_voices_speak_in_it() -> None:
    assert {each.voice for each in Made().lines} == {"erasure", "explicit-deletion", "implicit-deletion"}


@pytest.mark.planted
def test_one_flipped_byte_anywhere_is_refused(tmp_path: Path) -> None:
    chance = random.Random(5)
    Made().write(tmp_path)
    for path in [each for each in tmp_path.rglob("*") if each.is_file()]:
        whole = path.read_bytes()
        for _ in range(40):
            at = chance.randrange(len(whole))
            path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << chance.randrange(8))]) + whole[at + 1 :])
            with pytest.raises(EvidenceRefused):
                verify_path(tmp_path, SIGNED)
        path.write_bytes(whole)
    verify_path(tmp_path, SIGNED)


@pytest.mark.planted
@pytest.mark.parametrize("path", [STATEMENT, NOTE, LOG, "items/000002.jsonl"])
def test_a_missing_file_is_named(tmp_path: Path, path: str) -> None:
    (Made().write(tmp_path) / path).unlink()
    assert refusal(tmp_path).startswith(path)


@pytest.mark.planted
def test_a_file_that_nothing_names_is_refused(tmp_path: Path) -> None:
    (Made().write(tmp_path) / "items" / "000004.jsonl").write_bytes(b"")
    assert "does not name this file" in refusal(tmp_path)


@pytest.mark.planted
@pytest.mark.parametrize("how", ["removed", "added", "altered", "swapped"])
def test_a_line_that_is_not_as_it_was_signed_is_refused(tmp_path: Path, how: str) -> None:
    path = Made().write(tmp_path) / "items" / "000001.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    match how:
        case "removed":
            del lines[2]
        case "added":
            lines.append(lines[-1])
        case "altered":
            lines[1] = lines[1].replace(b'"bytes":"102"', b'"bytes":"103"')
        case "swapped":
            lines[0], lines[1] = lines[1], lines[0]
    path.write_bytes(b"".join(lines))
    assert refusal(tmp_path) == "items/000001.jsonl: the file is not the one that was signed"


def doubled(lines: list[DestroyedLine]) -> list[DestroyedLine]:
    return [*lines[:3], lines[2], *lines[3:]]


def disordered(lines: list[DestroyedLine]) -> list[DestroyedLine]:
    return [lines[1], lines[0], *lines[2:]]


def changed(number: int, **changes: Any) -> Callable[[list[DestroyedLine]], list[DestroyedLine]]:
    def change(lines: list[DestroyedLine]) -> list[DestroyedLine]:
        return [replace(each, **changes) if at == number else each for at, each in enumerate(lines)]

    return change


@pytest.mark.planted
@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(doubled, "stands twice", id="doubled"),
        pytest.param(disordered, "out of order", id="disordered"),
        pytest.param(
            changed(2, sent_at=NOON - timedelta(days=20)), "was not to be destroyed", id="sent too late"
        ),
        pytest.param(
            changed(2, due_at=NOON - timedelta(days=1)), "another word, or at another time", id="due date"
        ),
        pytest.param(
            changed(2, destroy_at=NOON - timedelta(days=1)), "another word, or at another time", id="its date"
        ),
        pytest.param(changed(2, voice="explicit-deletion"), "another word", id="another voice"),
        pytest.param(changed(2, source=DESK), "another word", id="another rule"),
        pytest.param(changed(2, version=1), "another word", id="another version"),
        pytest.param(
            changed(2, voice="retraction", source=None, version=None), "another word", id="retracted"
        ),
        pytest.param(changed(6, source=DESK), "was not to be destroyed", id="an erasure of nobody"),
        pytest.param(
            changed(8, conversation=DESK, conversation_type="direct", sent_at=NOON - timedelta(days=800)),
            "was not to be destroyed",
            id="a conversation that keeps longer",
        ),
        pytest.param(
            changed(6, destroyed_at=NOON - timedelta(days=30)), "before its time", id="destroyed too soon"
        ),
    ],
)
def test_who_signs_cannot_certify_what_the_terms_do_not_say(
    tmp_path: Path, change: Callable[[list[DestroyedLine]], list[DestroyedLine]], words: str
) -> None:
    made = Made()
    made.lines = change(made.lines)
    assert words in refusal(made.write(tmp_path))


def counts(**changes: int) -> Counts:
    return replace(Made().statement().counts, **changes)


def confirmations(*changes: Confirmation | str) -> tuple[Confirmation, ...]:
    stated = {each.store: each for each in Made().statement().confirmations}
    for change in changes:
        if isinstance(change, str):
            del stated[change]
        else:
            stated[change.store] = change
    return tuple(stated[name] for name in sorted(stated))


@pytest.mark.planted
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"counts": counts(destroyed=11)}, "not those of the items", id="count"),
        pytest.param({"counts": counts(bytes=1)}, "not those of the items", id="bytes"),
        pytest.param({"counts": counts(deks=4)}, "not those of the items", id="keys"),
        pytest.param({"counts": counts(hidden=99)}, "more was done than was approved", id="hidden"),
        pytest.param({"approvals": ()}, "nobody but who asked", id="approvals"),
        pytest.param({"confirmations": confirmations("ediscovery")}, "ediscovery has not", id="no index"),
        pytest.param({"confirmations": confirmations("keys")}, "keys has not confirmed", id="no keys"),
        pytest.param(
            {"confirmations": confirmations(Confirmation("ediscovery", NOON, items=11))},
            "fewer items",
            id="an index that kept one",
        ),
        pytest.param(
            {"confirmations": confirmations(Confirmation("keys", NOON, deks=4))},
            "another number of data keys",
            id="a key that was kept",
        ),
        pytest.param({"erased_live_at": NOON}, "last store confirmed", id="erased"),
        pytest.param({"unrecoverable_after": NOON}, "last backup", id="unrecoverable"),
        pytest.param({"made_at": START - timedelta(days=1)}, "not in use", id="before the key"),
        pytest.param({"segments": Made().statement().segments[1:]}, "a segment is missing", id="a segment"),
        pytest.param({"tenant": UUID(int=3)}, "", id="another tenant"),
    ],
)
def test_who_signs_cannot_state_what_does_not_add_up(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    assert words in refusal(resigned(Made(), **changes).write(tmp_path))


@pytest.mark.planted
def test_who_asked_cannot_have_approved(tmp_path: Path) -> None:
    (approval,) = Made().statement().approvals
    alone = replace(approval, approved_by=approval.requested_by)
    assert "nobody but who asked" in refusal(resigned(Made(), approvals=(alone,)).write(tmp_path))


@pytest.mark.planted
def test_a_result_that_was_not_approved_is_refused(tmp_path: Path) -> None:
    folder = Made().write(tmp_path)
    stated = json.loads((folder / STATEMENT).read_bytes())
    stated["result"]["terms"]["rules"][0]["period"]["years"] = 1
    (folder / STATEMENT).write_bytes(json.dumps(stated, sort_keys=True, separators=(",", ":")).encode())
    assert "not the one whose hash was approved" in refusal(folder)


@pytest.mark.planted
def test_a_key_that_is_not_trusted_or_of_another_use_signs_nothing(tmp_path: Path) -> None:
    made = Made()
    made.key = STRANGER
    assert "no key that is trusted" in refusal(made.write(tmp_path / "stranger"))
    folder = Made().write(tmp_path / "right")
    assert "no key that is trusted" in refusal(folder, TRUST)
    public = Made().key.public_key().public_bytes_raw()
    other = TrustedKey("p1", "productions", "ed25519", public, START, None)
    assert "no key that is trusted" in refusal(folder, Trust(INSTANCE, (*TRUST.keys, other)))


@pytest.mark.planted
def test_the_entry_of_another_certificate_is_refused(tmp_path: Path) -> None:
    folder = Made().write(tmp_path)
    data = (folder / STATEMENT).read_bytes()
    for entry, words in (
        (logged(data + b" "), "another certificate"),
        (logged(data, certificate=UUID(int=9)), "another certificate"),
        (logged(data, action="retention.order.issued"), "of no certificate"),
        (logged(data, source="messaging"), "of no certificate"),
        (logged(data, outcome="refused"), "of no certificate"),
    ):
        (folder / LOG).write_bytes(entry)
        assert words in refusal(folder)
    (folder / LOG).write_bytes(logged(data))
    verify_path(folder, SIGNED)


@pytest.mark.planted
@pytest.mark.parametrize("how", ["flipped", "behind", "before", "doubled", "elsewhere", "cut", "left out"])
def test_every_other_zip_is_refused(tmp_path: Path, how: str) -> None:
    data = bytearray(zipped(Made()))
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
            data[30:46] = b"../escape.jsonll"
        case "cut":
            del data[end:]
        case "left out":
            del data[:first]
    file = tmp_path / "certificate.zip"
    file.write_bytes(data)
    with pytest.raises(EvidenceRefused):
        verify_path(file, SIGNED)
    assert not (tmp_path / "escape.jsonll").exists()


def test_large_zips_say_where_things_stand_in_wide_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipping, "_FULL_16", 2)
    wide, plain = Zipping(), Zipping()
    for path in ("one.json", "two.json"):
        wide.whole(path, b"1")
    plain.whole("one.json", b"1")
    assert b"PK\6\6" in wide.end()
    assert b"PK\6\7" in wide.end()
    assert b"PK\6\6" not in plain.end()


def test_a_note_is_of_the_hash_of_the_statement() -> None:
    files = Made().files()
    digest = hashlib.sha256(files[STATEMENT]).digest()
    assert files[NOTE].decode().split("\n")[2] == b64encode(digest).decode()
