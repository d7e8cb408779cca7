"""A walk along a log names the first entry that is bad, whoever changed what."""

from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.evidence.bundle import act_bundle
from libs.evidence.detail import Detail, detail_object
from libs.evidence.errors import EvidenceRefused, LogRefused
from libs.evidence.folder import FolderSource, write_details, write_log
from libs.evidence.leaf import Leaf
from libs.evidence.log import verify_log
from libs.evidence.verify import verify_path
from libs.merkle.hashing import leaf_hash
from libs.merkle.tiles import EntriesAt, TileAt
from libs.merkle.tree import inclusion_proof
from tests.unit.evidence.logs import (
    DETAIL,
    INSTANCE,
    SALT,
    STRANGER,
    TRUST,
    MadeLog,
    leaf_at,
    leaves_of,
    note_of,
)

SIZE = 600
LEAVES = leaves_of(SIZE)


def made() -> MadeLog:
    return MadeLog(list(LEAVES), further=[note_of(LEAVES[:size]) for size in (1, 300, 256)])


def refusal_of(log: MadeLog) -> LogRefused:
    with pytest.raises(LogRefused) as refused:
        verify_log(log, TRUST)
    return refused.value


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, SIZE])
def test_an_honest_log_holds(size: int):
    walked: list[Leaf] = []
    report = verify_log(MadeLog(LEAVES[:size]), TRUST, on_leaf=walked.append)
    assert (report.size, report.origin) == (size, f"{INSTANCE}/log/{report.log}")
    assert [leaf.index for leaf in walked] == list(range(size))


def test_every_checkpoint_and_tile_is_checked():
    report = verify_log(made(), TRUST)
    assert (report.checkpoints, report.tiles) == (4, 4)


@given(st.integers(0, SIZE - 1), st.data())
@settings(max_examples=60, deadline=None)
def test_a_flipped_byte_of_an_entry_is_named(index: int, data):
    log = made()
    entry = bytearray(log.leaves[index])
    entry[data.draw(st.integers(0, len(entry) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    log.leaves[index] = bytes(entry)
    assert refusal_of(log).index == index


@given(st.integers(0, SIZE - 1), st.integers(0, 31))
@settings(max_examples=20, deadline=None)
def test_a_flipped_byte_of_a_tile_is_named(index: int, byte: int):
    log = made()
    hashed = bytearray(log.hashed[index])
    hashed[byte] ^= 1
    log.hashed[index] = bytes(hashed)
    assert refusal_of(log).index == index


def test_a_flipped_byte_of_a_higher_tile_is_named_by_the_entries_under_it():
    log = made()
    at = TileAt(1, 0, 2)
    log.tiles[at] = log.tile(at)[:40] + bytes([log.tile(at)[40] ^ 1]) + log.tile(at)[41:]
    assert refusal_of(log).index == 256


def test_a_flipped_length_in_a_bundle_is_named():
    log = made()
    at = EntriesAt(1)
    bundle = bytearray(log.entries(at))
    bundle[sum(len(leaf) + 2 for leaf in LEAVES[256:260]) + 1] ^= 1
    log.bundles[at] = bytes(bundle)
    assert refusal_of(log).index == 260


def test_an_entry_that_was_removed_is_named():
    log = made()
    del log.leaves[17]
    log.leaves.append(leaf_at(SIZE))
    assert refusal_of(log).index == 17


def test_an_entry_that_was_added_is_named():
    log = made()
    log.leaves.insert(300, leaf_at(300, root=bytes(32)))
    assert refusal_of(log).index == 300


def test_entries_that_changed_places_are_named():
    log = made()
    log.leaves[40], log.leaves[41] = log.leaves[41], log.leaves[40]
    assert refusal_of(log).index == 40


@pytest.mark.planted
def test_a_superuser_who_rewrites_entry_and_tiles_is_found_by_the_checkpoints():
    log = made()
    log.leaves[299] = leaf_at(299, root=bytes(32))
    log.hashed[299] = leaf_hash(log.leaves[299])
    refused = refusal_of(log)
    assert refused.index == 256
    assert refused.where == "checkpoint of size 300"


def test_a_log_that_signs_its_rewriting_anew_is_found_by_an_older_checkpoint():
    leaves = [*LEAVES[:299], leaf_at(299, root=bytes(32)), *LEAVES[300:]]
    assert refusal_of(MadeLog(leaves, further=made().further)).index == 256


@pytest.mark.planted
def test_a_truncated_log_is_found_by_a_later_checkpoint():
    log = MadeLog(LEAVES[:-3], further=[note_of(LEAVES)])
    refused = refusal_of(log)
    assert "truncated" in refused.reason
    assert refused.index == SIZE - 3


def test_a_log_that_was_cut_off_and_signed_before_is_found_by_a_checkpoint_that_was_kept():
    before = MadeLog(LEAVES[:-3])
    assert verify_log(before, TRUST).size == SIZE - 3
    with pytest.raises(LogRefused, match="truncated") as refused:
        verify_log(before, TRUST, kept=[note_of(LEAVES)])
    assert refused.value.index == SIZE - 3


def test_entries_that_are_missing_under_their_checkpoint_are_named():
    log = made()
    log.leaves = log.leaves[:-3]
    assert refusal_of(log).index == SIZE - 3


@pytest.mark.planted
def test_two_checkpoints_of_one_size_with_other_roots_are_a_fork():
    forked = note_of([*LEAVES[:299], leaf_at(299, root=bytes(32))])
    log = made()
    log.further.append(forked)
    with pytest.raises(EvidenceRefused, match="forked"):
        verify_log(log, TRUST)


@pytest.mark.planted
def test_two_earlier_checkpoints_of_one_size_with_other_roots_are_a_fork():
    log = made()
    log.further += [note_of([*LEAVES[:255], leaf_at(255, root=bytes(32))])]
    with pytest.raises(EvidenceRefused, match="forked"):
        verify_log(log, TRUST)


def test_checkpoints_that_come_out_of_order_are_refused():
    class Disordered(MadeLog):
        def checkpoints(self) -> list[bytes]:
            return self.further

    with pytest.raises(EvidenceRefused, match="not in the order"):
        verify_log(Disordered(LEAVES, further=[note_of(LEAVES[:300]), note_of(LEAVES[:256])]), TRUST)


def test_a_checkpoint_of_an_unknown_key_or_of_a_key_for_another_use_is_refused():
    log = made()
    log.newest = note_of(LEAVES, STRANGER)
    with pytest.raises(EvidenceRefused, match="no key that is trusted"):
        verify_log(log, TRUST)


def test_an_entry_of_another_log_is_named():
    log = made()
    other = leaf_at(9, log=UUID(int=5))
    log.leaves[9] = other
    log.hashed[9] = leaf_hash(other)
    assert refusal_of(log).index == 9


def test_a_log_in_a_folder_holds_until_any_file_is_changed_or_gone(tmp_path: Path):
    write_log(tmp_path, made())
    assert verify_path(tmp_path, TRUST).entries == SIZE
    for path in sorted(p for p in tmp_path.rglob("*") if p.is_file()):
        data = path.read_bytes()
        path.write_bytes(data[:50] + bytes([data[50] ^ 1]) + data[51:] if len(data) > 50 else data[:-1])
        with pytest.raises(EvidenceRefused):
            verify_log(FolderSource(tmp_path), TRUST)
        path.unlink()
        if path.parent.name != "checkpoints":
            with pytest.raises(EvidenceRefused):
                verify_log(FolderSource(tmp_path), TRUST)
        path.write_bytes(data)
    assert verify_path(tmp_path, TRUST).size == SIZE


def test_logs_in_one_folder_are_checked_each_and_the_first_that_is_bad_is_named(tmp_path: Path):
    write_log(tmp_path / "a", made())
    write_log(tmp_path / "b", MadeLog(LEAVES[:300]))
    (tmp_path / "trust.json").write_text("{}")
    report = verify_path(tmp_path, TRUST)
    assert (report.kind, report.size, report.entries) == ("folder", SIZE, SIZE + 300)
    bad = tmp_path / "b" / EntriesAt(1, 44).path
    bad.write_bytes(bad.read_bytes().replace(b"identity", b"idenlity"))
    with pytest.raises(LogRefused) as refused:
        verify_path(tmp_path, TRUST)
    assert (refused.value.index, refused.value.where) == (256, "b: entry 256")


@pytest.mark.planted
def test_a_log_that_lost_its_checkpoint_is_not_read_over_among_others(tmp_path: Path):
    write_log(tmp_path / "a", made())
    write_log(tmp_path / "b", MadeLog(LEAVES[:300]))
    (tmp_path / "b" / "checkpoint").unlink()
    with pytest.raises(EvidenceRefused) as refused:
        verify_path(tmp_path, TRUST)
    assert (refused.value.reason, refused.value.where) == ("it is missing", "b: checkpoint")


@pytest.mark.planted
@pytest.mark.parametrize("name", ["act.json", "z.json"])
def test_evidence_of_a_fork_is_found_by_the_log_that_lies_beside_it(tmp_path: Path, name: str):
    forked = [*LEAVES[:299], leaf_at(299, detail=replace(DETAIL, outcome="refused"))]
    proof = inclusion_proof([leaf_hash(leaf) for leaf in forked], 299)
    (tmp_path / name).write_bytes(act_bundle(forked[299], proof, note_of(forked)))
    assert verify_path(tmp_path, TRUST).entries == 1
    write_log(tmp_path / "log", made())
    with pytest.raises(EvidenceRefused) as refused:
        verify_path(tmp_path, TRUST)
    assert "300" in refused.value.reason


@pytest.mark.planted
def test_two_copies_of_a_log_are_compared_whatever_their_sizes(tmp_path: Path):
    forked = [*LEAVES[:299], leaf_at(299, detail=replace(DETAIL, outcome="refused"))]
    write_log(tmp_path / "a", made())
    write_log(tmp_path / "b", MadeLog(LEAVES[:299]))
    verify_path(tmp_path, TRUST)
    write_log(tmp_path / "b", MadeLog(forked))
    with pytest.raises(EvidenceRefused) as refused:
        verify_path(tmp_path, TRUST)
    assert refused.value.where == "a: checkpoint of size 300"


def test_an_older_copy_of_a_log_holds_beside_newer_evidence(tmp_path: Path):
    proof = inclusion_proof([leaf_hash(leaf) for leaf in LEAVES], 299)
    (tmp_path / "act.json").write_bytes(act_bundle(LEAVES[299], proof, note_of(LEAVES)))
    write_log(tmp_path / "log", MadeLog(LEAVES[:300]))
    assert verify_path(tmp_path, TRUST).entries == 301


def test_details_beside_a_log_are_those_that_it_commits_to(tmp_path: Path):
    def written(*indexes: int, detail: Detail = DETAIL) -> None:
        write_details(tmp_path, [(index, detail_object(detail), SALT) for index in indexes])

    write_log(tmp_path, made())
    written(0, 7, 599)
    assert "details of 3 entries" in verify_path(tmp_path, TRUST).says[1]
    written(7, detail=replace(DETAIL, outcome="refused"))
    with pytest.raises(LogRefused, match="commits to") as refused:
        verify_path(tmp_path, TRUST)
    assert refused.value.index == 7
    for wrong in ((7, 3), (7, 7), (600,)):
        written(*wrong)
        with pytest.raises(EvidenceRefused, match="belongs to no leaf"):
            verify_path(tmp_path, TRUST)
