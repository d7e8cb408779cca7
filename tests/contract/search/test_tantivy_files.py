"""What tantivy leaves in its files, and that the index sees it."""

import asyncio
from pathlib import Path
from unittest.mock import patch

import pytest
from tantivy import Query

from libs.kernel.ids import TenantId
from services.ediscovery.adapters import tantivy
from services.ediscovery.adapters.tantivy import TantivyIndex
from services.ediscovery.domain.documents import Change, Cursor, DocumentKey, Put, Removal
from services.ediscovery.domain.errors import ExpungeUnfinished, IndexUnavailable
from services.ediscovery.domain.query import Ids, Not, Scope, Term
from services.ediscovery.domain.wholeness import Reached
from tests.contract.search.reference import Log
from tests.contract.search.town import ANNA, BEN, CLEO, puts, said

STREAM = "messaging/7"
SECRET, OTHER = said(1, "canaryword"), said(2, "other")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give the folder of all tenants."""
    return tmp_path / "search"


@pytest.fixture
async def index(folder: Path, log: Log, tenant: TenantId) -> TantivyIndex:
    """Give an index with a secret in it that the log has forgotten."""
    index = TantivyIndex(folder, log)
    log.keep(tenant, [OTHER])
    await index.apply(tenant, puts([SECRET, OTHER]), Cursor(STREAM, 2))
    return index


def segments(folder: Path) -> set[str]:
    """Return the files of all segments of the month; tantivy gives each segment a name of its own."""
    found = (path.name for path in folder.rglob("*") if "2026-03" in str(path) and path.is_file())
    return {name for name in found if len(name.partition(".")[0]) == 32}


@pytest.mark.planted
async def test_a_plain_removal_leaves_the_term_in_the_dictionary(index: TantivyIndex, tenant: TenantId):
    await index.apply(tenant, [Removal(3, SECRET.key)], Cursor(STREAM, 3))
    assert await index.search(tenant, Term("canaryword"), Scope(), 10) == []
    assert "canaryword" in await index.terms(tenant)


@pytest.mark.planted
async def test_an_expunge_that_writes_nothing_anew_is_noticed(index: TantivyIndex, tenant: TenantId):
    async def nothing(*_: object) -> None:
        pass

    with patch.object(index, "_rewrite", nothing), pytest.raises(ExpungeUnfinished):
        await index.expunge(tenant, [SECRET.key])
    assert "canaryword" in await index.terms(tenant)
    await index.expunge(tenant, [SECRET.key])
    assert "canaryword" not in await index.terms(tenant)


@pytest.mark.planted
async def test_an_expunge_that_only_deletes_is_noticed_by_the_dictionary_alone(
    index: TantivyIndex, tenant: TenantId
):
    async def nothing(*_: object) -> None:
        pass

    believes = patch.object(tantivy._Month, "has_deletions", lambda _: False)
    with patch.object(index, "_rewrite", nothing), believes, pytest.raises(ExpungeUnfinished):
        await index.expunge(tenant, [SECRET.key])
    await index.expunge(tenant, [SECRET.key])
    assert await index.terms(tenant) == {"other"}


async def test_no_file_is_left_in_which_the_term_could_stand(
    index: TantivyIndex, tenant: TenantId, folder: Path
):
    before = segments(folder)
    assert before
    await index.expunge(tenant, [SECRET.key])
    assert segments(folder)
    assert before.isdisjoint(segments(folder))


async def test_a_month_in_which_only_cursors_were_replaced_is_not_written_anew(
    index: TantivyIndex, log: Log, tenant: TenantId, folder: Path
):
    await index.apply(tenant, [Put(3, third := said(3, "third"))], Cursor(STREAM, 3))
    log.keep(tenant, [third])
    month = next((folder / str(tenant)).glob("2026-03.*"))
    assert await index.remove(tenant, [DocumentKey(OTHER.key.conversation, 99)]) == []
    await index.expunge(tenant, [DocumentKey(OTHER.key.conversation, 99)])
    assert month.exists()
    assert await index.remove(tenant, [SECRET.key]) == ["2026-03"]
    await index.purge(tenant, "2026-03")
    assert not month.exists()


async def test_a_month_whose_survivors_cannot_be_had_stays_as_it_was(
    index: TantivyIndex, log: Log, tenant: TenantId, folder: Path
):
    log.forget(tenant, OTHER.key)
    with pytest.raises(ExpungeUnfinished):
        await index.expunge(tenant, [SECRET.key])
    assert len(await index.search(tenant, Term("other"), Scope(), 10)) == 1
    assert not (folder / str(tenant) / "2026-03.building").exists()
    log.keep(tenant, [OTHER])
    await index.expunge(tenant, [SECRET.key])
    assert "canaryword" not in await index.terms(tenant)


async def test_what_an_earlier_run_left_half_written_is_taken_away(
    index: TantivyIndex, log: Log, tenant: TenantId, folder: Path
):
    month = next((folder / str(tenant)).glob("2026-03.*"))
    half, newer = month.with_name("2026-03.building"), month.with_name(f"{month.name[:-1]}2")
    half.mkdir()
    (half / "half").write_bytes(b"canaryword")
    month.rename(newer)
    month.mkdir()
    again = TantivyIndex(folder, log)
    assert await again.count(tenant) == 2
    assert not half.exists()
    assert not month.exists()


async def test_a_stop_between_a_month_and_the_tenant_s_cursor_repeats_nothing(
    index: TantivyIndex, log: Log, tenant: TenantId, folder: Path
):
    third = said(3, "third")
    changes: list[Change] = [Put(3, third), Removal(4, OTHER.key)]

    def stops(*_: object) -> None:
        raise OSError("stopped")

    with patch.object(tantivy._Head, "note", stops), pytest.raises(IndexUnavailable):
        await index.apply(tenant, changes, Cursor(STREAM, 4))
    again = TantivyIndex(folder, log)
    assert await again.cursor(tenant, STREAM) == 2
    await again.expunge(tenant, [SECRET.key, third.key, OTHER.key])
    await again.apply(tenant, changes, Cursor(STREAM, 4))
    assert await again.cursor(tenant, STREAM) == 4
    assert await again.count(tenant) == 0


@pytest.mark.parametrize("harm", [b"{", b"[]", b'{"messaging/7": null}', None])
async def test_damaged_cursors_say_that_nothing_was_followed(
    index: TantivyIndex, log: Log, tenant: TenantId, folder: Path, harm: bytes | None
):
    (file,) = (folder / str(tenant)).glob("cursors.*")
    if harm is None:
        file.unlink()
    else:
        file.write_bytes(harm)
    for one in (index, TantivyIndex(folder, log)):
        reached = await one.reached(tenant)
        assert reached == Reached({}, frozenset({"2026-03"}))


async def test_those_who_took_part_are_kept_once_however_much_they_said(
    index: TantivyIndex, log: Log, tenant: TenantId
):
    many = [said(seq, "word", participants=[ANNA, BEN, CLEO]) for seq in range(10, 20)]
    log.keep(tenant, many)
    for first in (10, 15):
        some = many[first - 10 : first - 5]
        await index.apply(tenant, puts(some, first), Cursor(STREAM, first + 4))
    (month,) = index._of(tenant)._opened.values()
    searcher = month._index.searcher()
    audiences = Query.term_query(month._schema, "kind", "audience")
    assert len(searcher.search(audiences, 10).hits) == 2
    asked = Ids("participant", frozenset({CLEO}))
    for others in ([SECRET.key, OTHER.key], [OTHER.key]):
        found = await index.search(tenant, asked, Scope(), 100)
        assert [hit.key for hit in found] == [one.key for one in many]
        assert [hit.key for hit in await index.search(tenant, Not(asked), Scope(), 100)] == others
        await index.expunge(tenant, [SECRET.key])


async def test_a_folder_that_cannot_be_used_is_the_port_s_error(tmp_path: Path, log: Log, tenant: TenantId):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(IndexUnavailable):
        await TantivyIndex(tmp_path / "file", log).apply(tenant, puts([OTHER]), Cursor(STREAM, 1))


async def test_the_folders_are_closed_to_others(index: TantivyIndex, tenant: TenantId, folder: Path):
    for path in (folder / str(tenant)).iterdir():
        assert path.stat().st_mode & 0o077 == 0


async def test_what_comes_together_is_committed_together_and_nothing_of_it_is_lost(
    index: TantivyIndex, log: Log, tenant: TenantId
):
    commits = 0
    enter = tantivy._Commit.__enter__

    def counted(commit: tantivy._Commit) -> object:
        nonlocal commits
        commits += 1
        return enter(commit)

    texts = [said(number, f"word{number}") for number in range(10, 42)]
    streams = [index.apply(tenant, [Put(1, text)], Cursor(f"s{text.key.seq}", 1)) for text in texts]
    with patch.object(tantivy._Commit, "__enter__", counted):
        await asyncio.gather(
            *streams,
            # of one stream, one after the other: what the first puts, the second takes away
            index.apply(tenant, [Put(3, gone := said(50, "gone"))], Cursor(STREAM, 3)),
            index.apply(tenant, [Removal(4, gone.key)], Cursor(STREAM, 4)),
            index.apply(tenant, [Put(3, gone)], Cursor(STREAM, 3)),
        )
    assert commits <= 4
    assert await index.count(tenant) == 2 + len(texts)
    assert await index.cursor(tenant, STREAM) == 4
    assert [await index.cursor(tenant, f"s{text.key.seq}") for text in texts] == [1] * len(texts)


async def test_who_waits_with_a_commit_that_fails_is_told(index: TantivyIndex, log: Log, tenant: TenantId):
    def fails(*_: object) -> None:
        raise OSError("full")

    with patch.object(tantivy._Month, "apply", fails):
        answers = await asyncio.gather(
            *(index.apply(tenant, [Put(1, OTHER)], Cursor(f"s{number}", 1)) for number in range(3)),
            return_exceptions=True,
        )
    assert [type(answer) for answer in answers] == [IndexUnavailable] * 3
    await index.apply(tenant, [Put(1, said(60, "later"))], Cursor("s0", 1))
    assert await index.cursor(tenant, "s0") == 1
