"""Bundles hold as they were made, and in no other way."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.evidence.bundle import (
    Commit,
    ShownEntry,
    Witness,
    act_bundle,
    conversation_bundle,
    log_range_bundle,
)
from libs.evidence.canonical import canonical
from libs.evidence.detail import Actor, Detail, Entity, Run, detail_bytes, detail_object, parse_detail
from libs.evidence.entry import body_commitment, entry_leaf, metadata_commitment
from libs.evidence.errors import EvidenceRefused
from libs.evidence.leaf import leaf_of, parse_leaf
from libs.evidence.trust import dump_trust, parse_trust
from libs.evidence.verify import verify_bundle, verify_path
from libs.merkle.hashing import leaf_hash
from libs.merkle.tree import consistency_proof, inclusion_proof, range_proof, root_of
from services.runner.verify import verify
from tests.unit.evidence.logs import DETAIL, SALT, STRANGER, TENANT, TRUST, leaf_at, leaves_of, note_of

CONVERSATION, OTHER = UUID(int=77), UUID(int=78)
SEQS = range(5, 9)
BODIES = {5: b"first", 6: None, 7: b"third", 8: "größte".encode()}
RUNS = (Run(str(CONVERSATION), 5, 8), Run(str(OTHER), 1, 1))
COMMITTED = Detail(
    "messaging.entries.committed", Actor("service", name="messaging"), "done", "operations", runs=RUNS
)


def metadata_of(seq: int) -> bytes:
    return canonical({"conversation": str(CONVERSATION), "seq": seq, "tenant": str(TENANT)})


def hash_of(seq: int) -> bytes:
    body = BODIES[seq]
    return entry_leaf(
        metadata_commitment(metadata_of(seq), SALT), None if body is None else body_commitment(body, SALT)
    )


COMMIT_TREE = [*(hash_of(seq) for seq in SEQS), leaf_hash(b"another conversation")]
LEAVES = [*leaves_of(20), leaf_at(20, root=root_of(COMMIT_TREE), detail=COMMITTED)]
HASHES = [leaf_hash(leaf) for leaf in LEAVES]
CHECKPOINT = note_of(LEAVES)
EARLIER = Witness(note_of(LEAVES[:9]), consistency_proof(HASHES, 9))


def shown(seq: int) -> ShownEntry:
    return ShownEntry(
        seq,
        0,
        inclusion_proof(COMMIT_TREE, seq - 5),
        metadata=metadata_of(seq),
        metadata_salt=SALT,
        body=BODIES[seq],
        body_salt=SALT if BODIES[seq] is not None else None,
    )


ACT = act_bundle(
    LEAVES[3], inclusion_proof(HASHES, 3), CHECKPOINT, detail=DETAIL, salt=SALT, others=[EARLIER]
)
RANGE = log_range_bundle(
    LEAVES[4:12], range_proof(HASHES, 4, 11), CHECKPOINT, details={5: (DETAIL, SALT)}, others=[EARLIER]
)
COMMIT = Commit(LEAVES[20], inclusion_proof(HASHES, 20), COMMITTED, SALT)
TALK = conversation_bundle(CONVERSATION, [shown(seq) for seq in SEQS], [COMMIT], CHECKPOINT)
ALL = {"act": ACT, "log-range": RANGE, "conversation-range": TALK}


@pytest.mark.parametrize(("kind", "entries"), [("act", 1), ("log-range", 8), ("conversation-range", 4)])
def test_a_bundle_holds_as_it_was_made(kind: str, entries: int):
    report = verify_bundle(ALL[kind], TRUST)
    assert (report.kind, report.entries, report.size) == (kind, entries, 21)


def every_text(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every string in a JSON value."""
    if isinstance(value, str):
        return [path]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, each in items for found in every_text(each, (*path, key))]


@pytest.mark.planted
@pytest.mark.parametrize("kind", ALL)
def test_no_changed_value_is_accepted(kind: str):
    original = json.loads(ALL[kind])
    accepted = []
    for path in every_text(original):
        for at in (0, -1):
            changed = json.loads(ALL[kind])
            place = changed
            for key in path[:-1]:
                place = place[key]
            text = place[path[-1]]
            letter = "1" if (text[at : at + 1 or None] or "x") != "1" else "2"
            place[path[-1]] = letter + text[1:] if at == 0 else text[:-1] + letter
            try:
                verify_bundle(json.dumps(changed).encode(), TRUST)
            except EvidenceRefused:
                continue
            accepted.append(path)
    assert accepted == []


def changed(kind: str, change: Callable[[Any], object]) -> bytes:
    value = json.loads(ALL[kind])
    change(value)
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("log-range", lambda b: b["leaves"].pop(3)),
        ("log-range", lambda b: b["leaves"].pop()),
        ("log-range", lambda b: b["leaves"].insert(3, b["leaves"][3])),
        ("log-range", lambda b: b["leaves"].reverse()),
        ("log-range", lambda b: b["leaves"].clear()),
        ("log-range", lambda b: b["details"][0].update(index="3")),
        ("conversation-range", lambda b: b["entries"].pop(1)),
        ("conversation-range", lambda b: b["entries"].insert(1, b["entries"][1])),
        ("conversation-range", lambda b: b["entries"].reverse()),
        ("conversation-range", lambda b: b["entries"].clear()),
        ("conversation-range", lambda b: b["entries"][0].pop("body")),
        ("conversation-range", lambda b: b["commits"].clear()),
        ("act", lambda b: b["proof"].pop()),
        ("act", lambda b: b.update(extra=1)),
        ("act", lambda b: b.update(v=2)),
        ("act", lambda b: b.pop("leaf")),
        ("act", lambda b: b["others"][0]["proof"].pop()),
        ("act", lambda b: b.update(leaf=b["leaf"].replace(":", ": ", 1))),
    ],
)
def test_a_bundle_with_another_shape_is_refused(kind: str, change: Callable[[Any], object]):
    with pytest.raises(EvidenceRefused):
        verify_bundle(changed(kind, change), TRUST)


def test_a_replaced_checkpoint_is_refused():
    for note in (note_of(LEAVES, STRANGER), note_of(LEAVES[:20]), note_of(leaves_of(21))):
        for bundle in ALL.values():
            forged = json.dumps({**json.loads(bundle), "checkpoint": note.decode()}).encode()
            with pytest.raises(EvidenceRefused):
                verify_bundle(forged, TRUST)


@pytest.mark.planted
def test_a_forked_checkpoint_beside_the_evidence_is_refused(tmp_path: Path):
    fork = note_of(leaves_of(21))
    forged = changed("act", lambda b: b.update(others=[{"checkpoint": fork.decode(), "proof": []}]))
    with pytest.raises(EvidenceRefused, match="forked"):
        verify_bundle(forged, TRUST)
    hashes = [leaf_hash(leaf) for leaf in leaves_of(21)]
    (tmp_path / "a.json").write_bytes(ACT)
    assert verify_path(tmp_path, TRUST).kind == "folder"
    (tmp_path / "b.json").write_bytes(act_bundle(leaf_at(3), inclusion_proof(hashes, 3), fork))
    with pytest.raises(EvidenceRefused, match="forked"):
        verify_path(tmp_path, TRUST)


def test_an_entry_is_shown_by_one_half_without_the_other():
    body = BODIES[7] or b""
    metadata, content = metadata_commitment(metadata_of(7), SALT), body_commitment(body, SALT)
    path = inclusion_proof(COMMIT_TREE, 2)
    halves = [
        ShownEntry(7, 0, path, metadata=metadata_of(7), metadata_salt=SALT, body_commitment=content),
        ShownEntry(7, 0, path, metadata_commitment=metadata, body=body, body_salt=SALT),
        ShownEntry(7, 0, path, metadata_commitment=metadata, body_commitment=content),
    ]
    for half in halves:
        verify_bundle(conversation_bundle(CONVERSATION, [half], [COMMIT], CHECKPOINT), TRUST)


@pytest.mark.parametrize(
    "other",
    [
        lambda leaf: b" " + leaf,
        lambda leaf: leaf + b"\n",
        lambda leaf: leaf.replace(b'"v":1', b'"v":1.0'),
        lambda leaf: leaf.replace(b'"index":"3"', b'"index":"03"'),
        lambda leaf: leaf.replace(b"identity", b"\\u0069dentity"),
        lambda leaf: leaf.replace(b'"v":1', b'"v":1,"v":1'),
        lambda leaf: canonical({**json.loads(leaf), "more": 1}),
        lambda leaf: leaf.replace(b"2026-11", b"2026-13"),
        lambda leaf: json.dumps(dict(reversed(json.loads(leaf).items())), separators=(",", ":")).encode(),
    ],
)
def test_a_leaf_in_another_spelling_is_refused(other: Callable[[bytes], bytes]):
    with pytest.raises(EvidenceRefused):
        parse_leaf(other(LEAVES[3]))


@pytest.mark.parametrize("index", [3, 20])
def test_a_leaf_is_what_rfc_8785_makes_of_its_object(index: int):
    assert canonical(json.loads(LEAVES[index])) == LEAVES[index] == leaf_of(parse_leaf(LEAVES[index]))


TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
MAYBE = st.none() | TEXTS
DETAILS = st.builds(
    Detail,
    action=TEXTS,
    actor=st.builds(Actor, kind=TEXTS, id=MAYBE, name=MAYBE),
    outcome=TEXTS,
    visibility=TEXTS,
    count=st.integers(0, 2**62),
    approvals=st.lists(TEXTS, max_size=3).map(tuple),
    entities=st.lists(st.builds(Entity, kind=TEXTS, id=TEXTS), max_size=3).map(tuple),
    matter=MAYBE,
    runs=st.lists(
        st.builds(Run, st.uuids().map(str), st.integers(0, 2**62), st.integers(0, 2**62)), max_size=3
    ).map(tuple),
)


@given(DETAILS)
def test_a_detail_is_what_rfc_8785_makes_of_its_object(detail: Detail):
    assert detail_bytes(detail) == canonical(detail_object(detail))
    assert parse_detail(json.loads(detail_bytes(detail))) == detail


def test_a_detail_that_has_no_canonical_form_is_refused():
    with pytest.raises(EvidenceRefused):
        detail_bytes(Detail("\ud800", Actor("service"), "done", "operations"))


def test_the_trusted_keys_are_read_back():
    assert parse_trust(dump_trust(TRUST)) == TRUST


def test_the_command_says_what_holds_and_what_does_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    trust, good, bad = (tmp_path / name for name in ("trust.json", "good.json", "bad.json"))
    trust.write_bytes(dump_trust(TRUST))
    good.write_bytes(ACT)
    bad.write_bytes(ACT.replace(b"session.started", b"session.startet"))
    assert verify(good, trust) == 0
    assert "is in the log" in capsys.readouterr().out
    assert verify(bad, trust, as_json=True) == 1
    said = capsys.readouterr()
    assert json.loads(said.out)["ok"] is False
    assert "commits to" in said.err
    assert verify(good, tmp_path / "absent") == 1
