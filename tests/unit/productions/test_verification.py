"""A production holds as it was made, and in no other way; what is proved and what is said stand apart."""

import hashlib
import json
import shutil
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from libs.evidence.bundle import Commit
from libs.evidence.canonical import canonical, encoded
from libs.evidence.entry import body_holding, find_member, metadata_commitment
from libs.evidence.errors import EvidenceRefused
from libs.evidence.production.lines import commit_line
from libs.evidence.production.manifest import Format, Reason, Scope
from libs.evidence.trust import Trust, dump_trust
from libs.evidence.verify import Report, verify_path
from libs.merkle.note import sign_note
from libs.merkle.tree import inclusion_proof
from services.ediscovery.domain.productions import eml, rsmf
from services.ediscovery.domain.productions.items import (
    Excluded,
    ExcludedRun,
    Failed,
    Item,
    Kind,
    Produced,
)
from services.runner.verify import verify
from tests.unit.evidence.logs import INSTANCE, KEY, SALT, START, STRANGER, TRUST
from tests.unit.productions.made import LOG, PEOPLE, SIGNED, TALKS, Log, Made, Said, conversation, talk

NAMED = Scope(conversations=(TALKS[0][0].conversation.id, TALKS[2][0].conversation.id))
CUSTODIAN = Scope(custodians=(PEOPLE[0].id, PEOPLE[1].id))
SPRING = Scope(custodians=(PEOPLE[0].id, PEOPLE[1].id), since=START, until=START + timedelta(hours=10))
EVERYTHING = Scope()


@pytest.mark.parametrize("form", Format)
@pytest.mark.parametrize("scope", [NAMED, CUSTODIAN, SPRING, EVERYTHING])
def test_a_production_holds_as_it_was_made(tmp_path: Path, form: Format, scope: Scope):
    manifest = Made(form, scope).write(tmp_path)
    report = verify_path(tmp_path, SIGNED)
    assert report.kind == "production"
    assert report.entries == manifest.counts.in_scope
    assert (report.size, report.origin) == (len(LOG.leaves), f"{INSTANCE}/log/{manifest.tenant}")
    assert "no conversation and no entry of the scope is left out" in report.says[1]
    assert report.attested == {}
    assert sum(report.proved.values()) == manifest.counts.in_scope


def test_what_is_proved_and_what_is_said_stand_apart(tmp_path: Path):
    items: list[Item] = []
    for item in LOG.items(SPRING, b"budget"):
        shown = isinstance(item, Produced) and item.conversation.is_direct
        items.append(
            replace(item, redacted=True, body=b"[redacted]", evidence=LOG.hidden(TALKS[2][item.seq - 1]))
            if isinstance(item, Produced) and shown and item.body is not None
            else item
        )
    items[-1] = Excluded(TALKS[2][0].conversation.id, len(TALKS[2]), Reason.PRIVILEGE)
    items[-2] = Failed(TALKS[2][0].conversation.id, len(TALKS[2]) - 1, "no-key")
    Made(scope=SPRING).write(tmp_path, items)
    report = verify_path(tmp_path, SIGNED)
    assert set(report.proved) == {"outside", "produced"}
    assert set(report.attested) == {"error", "privilege", "query"}
    assert sum([*report.proved.values(), *report.attested.values()]) == report.entries


def test_a_redaction_is_said_and_not_proved(tmp_path: Path):
    items = list(LOG.items(NAMED))
    at = next(
        at for at, item in enumerate(items) if isinstance(item, Produced) and item.body == b"one 3 budget"
    )
    items[at] = amended(
        items[at],
        redacted=True,
        body=b"one [...]",
        evidence=LOG.hidden(TALKS[0][at]),
    )
    Made(scope=NAMED).write(tmp_path, items)
    assert verify_path(tmp_path, SIGNED).attested == {"redacted": 1}


def test_without_the_map_nothing_is_said_to_be_complete(tmp_path: Path):
    Made(complete=False).write(tmp_path)
    assert "Nothing shows whether anything was left out." in verify_path(tmp_path, SIGNED).says


def test_the_command_takes_a_production_and_a_folder_of_several(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    for form in Format:
        Made(form).write(tmp_path / "all" / form)
    (tmp_path / "trust.json").write_bytes(dump_trust(SIGNED))
    assert verify(tmp_path / "all" / "eml", tmp_path / "trust.json", as_json=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["kind"], told["attested"]) == ("production", {})
    assert verify(tmp_path / "all", tmp_path / "trust.json") == 0
    shutil.copy(tmp_path / "trust.json", tmp_path / "all" / "eml" / "trust.json")
    assert verify(tmp_path / "all" / "eml", tmp_path / "all" / "eml" / "trust.json") == 0


def refused(folder: Path, trust: Trust = SIGNED) -> str:
    with pytest.raises(EvidenceRefused) as caught:
        verify_path(folder, trust)
    return f"{caught.value.reason} ({caught.value.where})"


@pytest.mark.planted
@pytest.mark.parametrize("form", Format)
def test_one_flipped_byte_of_any_file_is_refused(tmp_path: Path, form: Format):
    Made(form, SPRING).write(tmp_path)
    accepted = []
    for path in sorted(path for path in tmp_path.rglob("*") if path.is_file()):
        data = path.read_bytes()
        for at in {0, len(data) // 3, len(data) // 2, len(data) - 2, len(data) - 1}:
            path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
            try:
                verify_path(tmp_path, SIGNED)
            except EvidenceRefused:
                continue
            accepted.append((path.name, at))
        path.write_bytes(data)
    assert accepted == []
    verify_path(tmp_path, SIGNED)


@pytest.mark.planted
def test_a_file_that_is_missing_added_or_linked_is_refused(tmp_path: Path):
    Made(Format.EML).write(tmp_path)
    files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    for path in files:
        data = path.read_bytes()
        path.unlink()
        refused(tmp_path)
        path.write_bytes(data)
    (tmp_path / "data" / "more.eml").write_bytes(b"")
    assert "does not name" in refused(tmp_path)
    (tmp_path / "data" / "more.eml").unlink()
    elsewhere = tmp_path.parent / "elsewhere"
    files[1].rename(elsewhere)
    files[1].symlink_to(elsewhere)
    refused(tmp_path)


@pytest.mark.planted
def test_an_unknown_key_is_refused(tmp_path: Path):
    Made().write(tmp_path)
    stranger = STRANGER.public_key().public_bytes_raw()
    production = SIGNED.keys[-1]
    for keys in (
        TRUST.keys,
        (*TRUST.keys, replace(production, public=stranger)),
        (*TRUST.keys, replace(production, use="certificates")),
        (*TRUST.keys, replace(production, not_after=START)),
        (*TRUST.keys, replace(production, not_before=START + timedelta(days=1))),
    ):
        assert "manifest.note" in refused(tmp_path, Trust(INSTANCE, keys))
    assert "key that signed was not in use" in refused(
        tmp_path, Trust(INSTANCE, (*TRUST.keys, replace(production, not_after=START)))
    )
    refused(tmp_path, Trust("another.test", SIGNED.keys))


@pytest.mark.planted
def test_the_manifest_or_the_signature_of_another_set_is_refused(tmp_path: Path):
    Made(scope=NAMED).write(tmp_path / "a")
    Made(scope=SPRING).write(tmp_path / "b")
    for names in (("manifest.json",), ("manifest.note",), ("manifest.json", "manifest.note")):
        folder = tmp_path / "mixed"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(tmp_path / "a", folder)
        for name in names:
            shutil.copy(tmp_path / "b" / name, folder / name)
        refused(folder)


def amended(item: Item, **more: Any) -> Item:
    """Return a produced item with other members."""
    assert isinstance(item, Produced)
    return replace(item, **more)


Items = list[Item]


def body_of(items: Items, at: int, body: bytes) -> Items:
    return [*items[:at], amended(items[at], body=body), *items[at + 1 :]]


def swapped(items: Items) -> Items:
    """Return two messages of one conversation, each with what the other one said."""
    first, second = items[2], items[3]
    assert isinstance(first, Produced)
    assert isinstance(second, Produced)
    return [*items[:2], replace(first, body=second.body), replace(second, body=first.body), *items[4:]]


FORGERIES: dict[str, tuple[Callable[[Items], Items], str]] = {
    "one message removed": (lambda items: [*items[:3], *items[4:]], "is left out"),
    "the last message removed": (lambda items: items[:-1], "are left out"),
    "the first conversation left out": (
        lambda items: [item for item in items if place(item) != TALKS[0][0].conversation.id],
        "is in the scope and left out",
    ),
    "the last conversation left out": (
        lambda items: [item for item in items if place(item) != TALKS[2][0].conversation.id],
        "is in the scope and left out",
    ),
    "two messages with their texts exchanged": (swapped, "the proof does not hold"),
    "another text": (lambda items: body_of(items, 3, b"another"), "the proof does not hold"),
    "a message of another time": (
        lambda items: [*items[:3], amended(items[3], sent_at=START), *items[4:]],
        "another sender or time",
    ),
    "a message of another sender": (
        lambda items: [*items[:3], amended(items[3], sender=UUID(int=4)), *items[4:]],
        "another sender or time",
    ),
    "a body that is hidden as none": (
        lambda items: [
            *items[:3],
            amended(items[3], body=None, evidence=LOG.hidden(TALKS[0][3])),
            *items[4:],
        ],
        "proved and not shown",
    ),
    "a body that is shown without its salt": (
        lambda items: [*items[:3], amended(items[3], evidence=LOG.hidden(TALKS[0][3])), *items[4:]],
        "shown and not proved",
    ),
    "more entries than there were": (
        lambda items: [
            *items,
            ExcludedRun(place(items[-1]), len(TALKS[2]) + 1, len(TALKS[2]) + 3, Reason.QUERY),
        ],
        "entries, not",
    ),
    "a conversation that is not in the scope": (
        lambda items: [*items, Excluded(UUID(int=0x999), 1, Reason.QUERY)],
        "is not in the scope",
    ),
    "an entry excluded as outside that is within": (
        lambda items: [
            *items[:3],
            Excluded(place(items[3]), 4, Reason.OUTSIDE, evidence=LOG.hidden(TALKS[0][3])),
            *items[4:],
        ],
        "and is within",
    ),
    "the proof of another entry": (
        lambda items: [*items[:3], amended(items[3], evidence=LOG.evidence(TALKS[0][4])), *items[4:]],
        "of another entry",
    ),
}


def place(item: Item) -> UUID:
    return item.conversation.id if isinstance(item, Produced) else item.conversation


@pytest.mark.planted
@pytest.mark.parametrize("form", Format)
@pytest.mark.parametrize("forgery", FORGERIES)
def test_what_even_the_one_who_signs_cannot_forge_is_refused(tmp_path: Path, forgery: str, form: Format):
    forge, reason = FORGERIES[forgery]
    made = Made(form, CUSTODIAN)
    made.write(tmp_path, forge(list(LOG.items(CUSTODIAN))))
    assert reason in refused(tmp_path)


@pytest.mark.planted
@pytest.mark.parametrize("scope", [NAMED, CUSTODIAN, EVERYTHING])
def test_a_conversation_cannot_be_left_out_of_the_map_either(tmp_path: Path, scope: Scope):
    for left in (0, 2):
        gone = TALKS[left][0].conversation.id
        heads = [head for head in LOG.opened(scope) if head.head.conversation != gone]
        items = [item for item in LOG.items(scope) if place(item) != gone]
        Made(scope=scope).write(tmp_path, items, heads)
        assert "not shown" in (said := refused(tmp_path)) or "committed to" in said
    shorter = [replace(head, head=replace(head.head, last_seq=1)) for head in LOG.opened(scope)]
    Made(scope=scope).write(tmp_path, [item for item in LOG.items(scope) if seq(item) == 1], shorter)
    refused(tmp_path)


def seq(item: Item) -> int:
    return item.first if isinstance(item, ExcludedRun) else item.seq


@pytest.mark.planted
def test_a_custodian_cannot_be_hidden(tmp_path: Path):
    scope = Scope(custodians=(PEOPLE[1].id,))
    heads = list(LOG.opened(scope))
    absent = next(head for head in heads if head.head.conversation == TALKS[1][0].conversation.id)
    forged = [
        replace(heads[0], custodians=absent.custodians),
        replace(heads[0], custodians=()),
        replace(heads[0], tree=None, salt=None),
        replace(heads[0], tree=absent.tree, custodians=absent.custodians),
        replace(heads[0], salt=bytes(16)),
    ]
    items = [item for item in LOG.items(scope) if place(item) != TALKS[0][0].conversation.id]
    Made(scope=scope).write(tmp_path, LOG.items(scope), heads)
    verify_path(tmp_path, SIGNED)
    for head in forged:
        Made(scope=scope).write(tmp_path, items, [head, *heads[1:]])
        refused(tmp_path)


@pytest.mark.planted
def test_a_produced_message_outside_of_the_scope_is_refused(tmp_path: Path):
    Made(scope=SPRING).write(tmp_path, LOG.items(CUSTODIAN))
    assert "is outside of the scope" in refused(tmp_path)


def coming_and_going() -> Log:
    """Return a log in which the first person comes to the other two, and goes again."""
    about = conversation(1, PEOPLE[:3])
    first, second, third = (person.id for person in PEOPLE[:3])
    entries = [
        Said(about, 1, Kind.CREATED, None, START, second, (second, third)),
        Said(about, 2, Kind.MESSAGE, b"before", START, second),
        Said(about, 3, Kind.JOINED, None, START, second, (first,)),
        Said(about, 4, Kind.MESSAGE, b"while", START, third),
        Said(about, 5, Kind.LEFT, None, START, first, (first,)),
        Said(about, 6, Kind.MESSAGE, b"after", START, third),
    ]
    return Log([entries])


def absences(log: Log, *seqs: int) -> list[Item]:
    """Return the items of a log, of which some are excluded because no custodian was there."""
    items: list[Item] = []
    for entry in log.talks[0]:
        absent = Excluded(entry.conversation.id, entry.seq, Reason.ABSENT, evidence=log.hidden(entry))
        items.append(absent if entry.seq in seqs else entry.produced(log.evidence(entry)))
    return items


FIRST = Scope(custodians=(PEOPLE[0].id,))


def test_that_no_custodian_was_there_is_proved_by_who_came_and_went(tmp_path: Path):
    log = coming_and_going()
    made = Made(scope=FIRST, log=log)
    made.write(tmp_path, absences(log, 2, 6))
    assert verify_path(tmp_path, SIGNED).proved == {"absent": 2, "produced": 4}


@pytest.mark.planted
@pytest.mark.parametrize("seq", [4, 5])
def test_an_entry_excluded_as_no_custodians_though_one_was_there_is_refused(tmp_path: Path, seq: int):
    log = coming_and_going()
    Made(scope=FIRST, log=log).write(tmp_path, absences(log, seq))
    assert "and one was there" in refused(tmp_path)


@pytest.mark.planted
def test_who_hides_that_a_custodian_came_proves_nothing_of_what_follows(tmp_path: Path):
    log = coming_and_going()
    about = log.talks[0][0].conversation.id
    hidden: list[Item] = [
        Excluded(about, 3, Reason.PRIVILEGE),
        Excluded(about, 3, Reason.PRIVILEGE, evidence=replace(log.evidence(log.talks[0][2]), **HALF)),
        ExcludedRun(about, 3, 3, Reason.PRIVILEGE),
    ]
    for item in hidden:
        items = absences(log, 2, 4, 6)
        items[2] = item
        Made(scope=FIRST, log=log).write(tmp_path, items)
        report = verify_path(tmp_path, SIGNED)
        assert report.proved == {"absent": 1, "produced": 2}
        assert report.attested == {"absent": 2, "privilege": 1}


HALF: dict[str, Any] = {
    "metadata": None,
    "metadata_salt": None,
    "metadata_commitment": metadata_commitment(coming_and_going().talks[0][2].metadata(), SALT),
}


def test_a_message_whose_metadata_are_hidden_changes_nobodys_presence(tmp_path: Path):
    log = coming_and_going()
    said = log.talks[0][1]
    half = {**HALF, "metadata_commitment": metadata_commitment(said.metadata(), SALT)}
    items = absences(log, 6)
    items[1] = Excluded(said.conversation.id, 2, Reason.DISPOSED, evidence=replace(log.hidden(said), **half))
    Made(scope=FIRST, log=log).write(tmp_path, items)
    report = verify_path(tmp_path, SIGNED)
    assert (report.proved["absent"], report.attested) == (1, {"disposed": 1})


@pytest.mark.planted
@pytest.mark.parametrize("errors", [b"", b"other", b"twice"])
def test_a_list_of_errors_that_is_not_the_indexs_is_refused(tmp_path: Path, errors: bytes):
    items = [Failed(place(item), seq(item), "no-key") for item in LOG.items(EVERYTHING)]
    Made(scope=EVERYTHING).write(tmp_path, items)
    verify_path(tmp_path, SIGNED)
    path, lines = next(lines_of(tmp_path))
    assert lines[0]["path"] == "errors/000001.jsonl"
    listed = tmp_path / lines[0]["path"]
    data = listed.read_bytes()
    data = {b"": b"", b"other": data.replace(b"no-key", b"no-hay"), b"twice": data + data}[errors]
    listed.write_bytes(data)
    lines[0].update(sha256=hashlib.sha256(data).hexdigest(), size=str(len(data)))
    path.write_bytes(b"".join(canonical(line) + b"\n" for line in lines))
    resigned(tmp_path, lambda _: None)
    assert "list of errors" in refused(tmp_path)


def test_memory_stays_flat_while_a_production_is_checked(tmp_path: Path):
    peaks = []
    for count in (2, 12):
        log = Log([talk(conversation(number), [b"x" * 40] * 99) for number in range(count)])
        Made(scope=EVERYTHING, log=log, part_entries=50).write(tmp_path)
        tracemalloc.start()
        verify_path(tmp_path, SIGNED)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0] + 100_000


def lines_of(folder: Path) -> Iterator[tuple[Path, list[Any]]]:
    for path in sorted((folder / "index").iterdir()):
        yield path, [json.loads(line) for line in path.read_bytes().splitlines()]


def resigned(folder: Path, change: Callable[[Any], object]) -> None:
    """Change the manifest of a production, and sign it again as its maker could."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    change(manifest)
    for segment in manifest["segments"]:
        data = (folder / segment["path"]).read_bytes()
        segment.update(sha256=hashlib.sha256(data).hexdigest(), size=str(len(data)))
    data = canonical(manifest)
    (folder / "manifest.json").write_bytes(data)
    origin = f"{INSTANCE}/productions/{manifest['tenant']}"
    text = f"{origin}\n{manifest['production']}\n{encoded(hashlib.sha256(data).digest())}\n"
    note = sign_note(text, origin, KEY.public_key().public_bytes_raw(), KEY.sign)
    (folder / "manifest.note").write_bytes(note.encode())


MANIFESTS: dict[str, Callable[[Any], object]] = {
    "counts that do not add up": lambda m: m["counts"].update(in_scope="3"),
    "other counts": lambda m: m["counts"].update(errors="1", in_scope=str(int(m["counts"]["in_scope"]) + 1)),
    "another number of pages": lambda m: m["counts"].update(pages="1"),
    "a wider scope": lambda m: m["scope"].pop("until"),
    "another custodian": lambda m: m["scope"].update(custodians=[str(PEOPLE[2].id)]),
    "custodians out of order": lambda m: m["scope"]["custodians"].reverse(),
    "numbers from elsewhere": lambda m: m["bates"].update(start="2"),
    "a missing segment": lambda m: m["segments"].pop(1),
    "the last segment missing": lambda m: m["segments"].pop(),
    "segments in another order": lambda m: m["segments"].reverse(),
    "another format": lambda m: m.update(format="eml"),
    "a format that nobody knows": lambda m: m.update(format="pdf"),
    "another tenant": lambda m: m.update(tenant=str(UUID(int=3))),
    "no checkpoint": lambda m: m.pop("checkpoint"),
    "no map": lambda m: m.pop("completeness"),
    "another leaf": lambda m: m["completeness"].update(leaf=LOG.leaves[0].decode()),
    "another detail": lambda m: m["completeness"]["detail"].update(count="2"),
    "no proof of the leaf": lambda m: m["completeness"].update(proof=[]),
    "another version": lambda m: m.update(v=2),
    "an unknown member": lambda m: m.update(more=1),
    "a path that leads out": lambda m: m["segments"][0].update(path="index/../index/000001.jsonl"),
}


@pytest.mark.planted
@pytest.mark.parametrize("forgery", MANIFESTS)
def test_a_manifest_that_does_not_fit_is_refused_though_it_is_signed(tmp_path: Path, forgery: str):
    Made(scope=SPRING).write(tmp_path)
    resigned(tmp_path, lambda _: None)
    verify_path(tmp_path, SIGNED)
    resigned(tmp_path, MANIFESTS[forgery])
    refused(tmp_path)


MAP = Commit(LOG.leaves[-1], inclusion_proof(LOG.hashes, len(LOG.leaves) - 1), LOG.detail, SALT)
LINES: dict[str, Callable[[list[Any]], object]] = {
    "entries before their file": lambda lines: lines.reverse(),
    "two entries in another order": lambda lines: lines.insert(2, lines.pop(3)),
    "an entry twice": lambda lines: lines.append(lines[-1]),
    "an entry in another file": lambda lines: lines[-1].update(file="data/000009.jsonl"),
    "an entry whose status is another": lambda lines: lines[-1].update(status="error", reason="no-key"),
    "an entry without its number": lambda lines: lines[-1].pop("bates"),
    "an entry with another number": lambda lines: lines[-1].update(bates=["MUN00000099", "MUN00000099"]),
    "a redaction that is none": lambda lines: lines[-1].update(redacted=True),
    "an unknown kind": lambda lines: lines[-1].update(kind="rumour"),
    "an unknown member": lambda lines: lines[-1].update(more=1),
    "a commit that is not shown": lambda lines: lines[-1]["proof"].update(commit="7"),
    "a commit without its proof": lambda lines: lines[1].update(proof=[]),
    "a commit of another leaf": lambda lines: lines[1].update(leaf=LOG.leaves[1].decode()),
    "the map in the place of a commit": lambda lines: lines.__setitem__(1, json.loads(commit_line(0, MAP))),
    "a file twice": lambda lines: lines.insert(0, lines[0]),
    "a file of another part": lambda lines: lines[0].update(path="data/000002.jsonl"),
    "a file of another size": lambda lines: lines[0].update(size="1"),
}


@pytest.mark.planted
@pytest.mark.parametrize("forgery", LINES)
def test_a_line_that_does_not_fit_is_refused_though_it_is_signed(tmp_path: Path, forgery: str):
    Made(scope=SPRING).write(tmp_path)
    path, lines = next(lines_of(tmp_path))
    assert [line["kind"] for line in lines[:3]] == ["file", "commit", "entry"]
    LINES[forgery](lines)
    path.write_bytes(b"".join(canonical(line) + b"\n" for line in lines))
    resigned(tmp_path, lambda _: None)
    refused(tmp_path)


@pytest.mark.planted
@pytest.mark.parametrize("form", Format)
def test_entries_in_another_order_are_refused_without_any_map(tmp_path: Path, form: Format):
    made = Made(form, bates=None, complete=False)
    made.write(tmp_path)
    path, lines = next(lines_of(tmp_path))
    entries = [at for at, line in enumerate(lines) if line["kind"] == "entry"]
    lines[entries[0]], lines[entries[1]] = lines[entries[1]], lines[entries[0]]
    path.write_bytes(b"".join(canonical(line) + b"\n" for line in lines))
    resigned(tmp_path, lambda _: None)
    assert "out of order" in refused(tmp_path)


@pytest.mark.planted
def test_a_message_in_a_file_that_the_index_does_not_name_is_refused(tmp_path: Path):
    Made(complete=False).write(tmp_path)
    path, lines = next(lines_of(tmp_path))
    path.write_bytes(b"".join(canonical(line) + b"\n" for line in lines[:-1]))
    resigned(tmp_path, lambda _: None)
    assert "does not name" in refused(tmp_path)


def other_words(write: Callable[..., Any], was: Any, becomes: Any) -> Callable[..., Any]:
    """Return a writer that shows something else in one place."""

    def forged(*given: Any) -> Any:
        written = write(*given)
        if isinstance(written, dict):
            return {**written, **becomes} if written.keys() & becomes.keys() else written
        return written.replace(was, becomes)

    return forged


@pytest.mark.planted
@pytest.mark.parametrize(
    ("form", "module", "part", "was", "becomes", "reason"),
    [
        (Format.EML_DAY, eml, "transcript_of", "budget", "golf", "the transcript does not say"),
        (Format.RSMF, rsmf, "transcript_of", "budget", "golf", "the transcript does not say"),
        (Format.RSMF, rsmf, "transcript_of", "one 8\n", "one 8\nand more\n", "the transcript says more"),
        (Format.EML, eml, "date_of", "2026", "2016", "another date"),
        (Format.EML_DAY, eml, "date_of", "2026", "2016", "another date"),
        (Format.RSMF, rsmf, "_event", "", {"participant": str(PEOPLE[3].id)}, "another person's"),
        (Format.RSMF, rsmf, "_event", "", {"body": "x"}, "the transcript does not say"),
        (Format.RSMF, rsmf, "_event", "", {"type": "message"}, "another person's"),
    ],
)
def test_what_a_file_says_beside_its_messages_must_be_the_same(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    form: Format,
    module: Any,
    part: str,
    was: Any,
    becomes: Any,
    reason: str,
):
    monkeypatch.setattr(module, part, other_words(getattr(module, part), was, becomes))
    Made(form, CUSTODIAN).write(tmp_path)
    assert reason in refused(tmp_path)


@pytest.mark.planted
def test_an_edit_that_ends_in_another_text_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    edited = [
        amended(item, kind=Kind.REVISION, evidence=None) if isinstance(item, Produced) and item.body else item
        for item in LOG.items(CUSTODIAN)
    ]
    Made(Format.RSMF, CUSTODIAN).write(tmp_path, edited)
    verify_path(tmp_path, SIGNED)
    monkeypatch.setattr(rsmf, "_edit", other_words(rsmf._edit, "", {"new": "golf"}))
    Made(Format.RSMF, CUSTODIAN).write(tmp_path, edited)
    assert "an edit ends in another text" in refused(tmp_path)


def test_a_report_of_something_else_has_no_classes():
    assert "proved" not in Report("log", "o", 1, b"", 1, ()).as_json()


def spoken(*, first: str | None = None) -> Log:
    """Return a log whose bodies are objects with one text each, as clients write them."""
    about = conversation(1, PEOPLE[:3])
    one, two, three = (person.id for person in PEOPLE[:3])
    named = None if first is None else body_holding("name", first)
    said = [body_holding("text", text) for text in ('Größe " \\ \u2028 \x7f \0', "after")]
    return Log(
        [
            [
                Said(about, 1, Kind.CREATED, named, START, two, (one, two, three)),
                Said(about, 2, Kind.MESSAGE, said[0], START, two),
                Said(about, 3, Kind.MESSAGE, said[1], START, three),
            ]
        ]
    )


def texts_of(log: Log, **changes: Any) -> list[Item]:
    """Return the items of a log, of whose bodies the files show the text alone."""
    items: list[Item] = []
    for entry in log.talks[0]:
        item = entry.produced(log.evidence(entry))
        if entry.body is not None:
            found = find_member(entry.body)
            assert found is not None
            evidence = replace(log.evidence(entry), **{"body_member": found[0], **changes})
            item = replace(item, body=found[1].encode(), evidence=evidence)
        items.append(item)
    return items


@pytest.mark.parametrize("form", Format)
def test_a_file_shows_the_text_of_a_body_and_the_whole_body_is_proved(tmp_path: Path, form: Format):
    log = spoken(first="Zebra")
    Made(form, EVERYTHING, log).write(tmp_path, texts_of(log))
    assert verify_path(tmp_path, SIGNED).proved == {"produced": 3}
    assert not any(b'{"text"' in path.read_bytes() for path in tmp_path.glob("data/**/*.jsonl"))


@pytest.mark.planted
@pytest.mark.parametrize("member", ["name", "words", None])
def test_a_text_is_proved_as_what_it_was_alone(tmp_path: Path, member: str | None):
    log = spoken()
    Made(scope=EVERYTHING, log=log).write(tmp_path, texts_of(log, body_member=member))
    assert refused(tmp_path)


@pytest.mark.planted
def test_who_hides_who_began_a_conversation_behind_its_name_proves_nobodys_absence(tmp_path: Path):
    log = spoken(first="Zebra")
    begun = log.talks[0][0]
    half = {**HALF, "metadata_commitment": metadata_commitment(begun.metadata(), SALT)}
    items = absences(log, 2, 3)
    items[0] = Excluded(begun.conversation.id, 1, Reason.QUERY, evidence=replace(log.hidden(begun), **half))
    Made(scope=FIRST, log=log).write(tmp_path, items)
    assert verify_path(tmp_path, SIGNED).attested == {"absent": 2, "query": 1}


@pytest.mark.parametrize(
    "body",
    [
        b"plain",
        b"{}",
        b"[]",
        b'{"text":1}',
        b'{"text": "spaced"}',
        b'{"text":"a","name":"b"}',
        b'{"text":"\\ud800"}',
        b'{"x":"y"}',
    ],
)
def test_a_body_that_is_not_one_text_is_shown_whole(body: bytes):
    assert find_member(body) is None
