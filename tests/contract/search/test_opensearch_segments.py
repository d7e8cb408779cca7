"""What OpenSearch leaves in its segments, and that the index sees it."""

from unittest.mock import patch

import pytest
from opensearchpy import OpenSearch, OpenSearchException

from libs.kernel.ids import TenantId
from services.ediscovery.adapters import opensearch as adapter
from services.ediscovery.adapters.opensearch import OpenSearchIndex
from services.ediscovery.domain.documents import Change, Cursor, Put, Removal
from services.ediscovery.domain.errors import ExpungeUnfinished, IndexUnavailable
from services.ediscovery.domain.query import Scope, Term
from tests.contract.search.town import puts, said, town
from tests.support.keeper import free_port

STREAM = "messaging/7"
SECRET, OTHER = said(1, "canaryword"), said(2, "other")


@pytest.mark.engine("opensearch")
@pytest.mark.planted
async def test_a_plain_removal_leaves_the_term_in_the_dictionary(
    in_opensearch: OpenSearchIndex, tenant: TenantId
):
    await in_opensearch.apply(tenant, puts([SECRET, OTHER]), Cursor(STREAM, 2))
    await in_opensearch.apply(tenant, [Removal(3, SECRET.key)], Cursor(STREAM, 3))
    assert await in_opensearch.search(tenant, Term("canaryword"), Scope(), 10) == []
    assert "canaryword" in await in_opensearch.terms(tenant)


@pytest.mark.engine("opensearch")
@pytest.mark.planted
async def test_an_expunge_that_merges_nothing_is_noticed(
    in_opensearch: OpenSearchIndex, opensearch: OpenSearch, tenant: TenantId
):
    await in_opensearch.apply(tenant, puts([SECRET, OTHER]), Cursor(STREAM, 2))
    forgetful = OpenSearchIndex(opensearch, patience=2)
    with patch.object(forgetful, "_merge"), pytest.raises(ExpungeUnfinished):
        await forgetful.expunge(tenant, [SECRET.key])
    assert "canaryword" in await in_opensearch.terms(tenant)


@pytest.mark.engine("opensearch")
@pytest.mark.planted
async def test_an_expunge_that_only_deletes_is_noticed_by_the_dictionary_alone(
    in_opensearch: OpenSearchIndex, opensearch: OpenSearch, tenant: TenantId
):
    await in_opensearch.apply(tenant, puts([SECRET, OTHER]), Cursor(STREAM, 2))
    forgetful = OpenSearchIndex(opensearch, patience=2)
    believes = patch.object(forgetful, "_with_deletions", return_value=[])
    with believes, pytest.raises(ExpungeUnfinished):
        await forgetful.expunge(tenant, [SECRET.key])


@pytest.mark.engine("opensearch")
async def test_a_dictionary_of_many_pages_is_read_to_its_end(
    in_opensearch: OpenSearchIndex, tenant: TenantId
):
    await in_opensearch.apply(tenant, puts(town()), Cursor(STREAM, 9))
    expected = {token for one in town() for token in one.tokens}
    with patch.object(adapter, "_TERMS", 5):
        assert await in_opensearch.terms(tenant) == expected


@pytest.mark.engine("opensearch")
async def test_the_source_keeps_no_tokens(
    in_opensearch: OpenSearchIndex, opensearch: OpenSearch, tenant: TenantId
):
    await in_opensearch.apply(tenant, puts([SECRET]), Cursor(STREAM, 1))
    found = opensearch.search(index=f"muniment-{tenant.hex}-*", body={"query": {"exists": {"field": "seq"}}})
    assert len(found["hits"]["hits"]) == 1
    assert "canaryword" not in str(found)


@pytest.mark.engine("opensearch")
async def test_a_stop_between_the_batch_and_its_cursor_repeats_nothing(
    in_opensearch: OpenSearchIndex, opensearch: OpenSearch, tenant: TenantId
):
    changes: list[Change] = [Put(1, SECRET), Put(2, OTHER), Removal(3, SECRET.key)]
    with patch.object(opensearch, "index", side_effect=OpenSearchException):
        for _ in range(2):
            with pytest.raises(IndexUnavailable):
                await in_opensearch.apply(tenant, changes, Cursor(STREAM, 3))
    assert await in_opensearch.cursor(tenant, STREAM) == 0
    await in_opensearch.apply(tenant, changes, Cursor(STREAM, 3))
    assert await in_opensearch.cursor(tenant, STREAM) == 3
    assert await in_opensearch.count(tenant) == 1


@pytest.mark.engine("opensearch")
async def test_changes_that_go_in_many_portions_all_arrive(in_opensearch: OpenSearchIndex, tenant: TenantId):
    documents = [said(number, f"word{number}") for number in range(1, 31)]
    with patch.object(adapter, "_PORTION", 500):
        await in_opensearch.apply(tenant, puts(documents), Cursor(STREAM, 30))
        gone: list[Change] = [Removal(30 + one.key.seq, one.key) for one in documents[:10]]
        await in_opensearch.apply(tenant, gone, Cursor(STREAM, 60))
    assert await in_opensearch.count(tenant) == 20


@pytest.mark.engine("opensearch")
async def test_a_change_that_is_refused_moves_no_cursor(
    in_opensearch: OpenSearchIndex, opensearch: OpenSearch, tenant: TenantId
):
    await in_opensearch.apply(tenant, puts([OTHER]), Cursor(STREAM, 1))
    months = f"muniment-{tenant.hex}-v*"
    for blocked in (True, False):
        opensearch.indices.put_settings(index=months, body={"index.blocks.write": blocked})
        if blocked:
            with pytest.raises(IndexUnavailable, match="403"):
                await in_opensearch.apply(tenant, [Put(2, SECRET)], Cursor(STREAM, 2))
            assert await in_opensearch.cursor(tenant, STREAM) == 1
    await in_opensearch.apply(tenant, [Put(2, SECRET)], Cursor(STREAM, 2))
    assert await in_opensearch.count(tenant) == 2


@pytest.mark.parametrize(("kind", "status"), [("index", 404), ("index", 429), ("delete", 500)])
def test_what_is_refused_is_not_taken_for_done(kind: str, status: int):
    for known in (("index", 201), ("index", 409), ("delete", 404), ("delete", 409)):
        adapter._check_done(*known)
    with pytest.raises(IndexUnavailable, match=str(status)):
        adapter._check_done(kind, status)


async def test_a_cluster_that_is_away_is_the_port_s_error(tenant: TenantId):
    with OpenSearch(f"http://127.0.0.1:{free_port()}", max_retries=0) as client:
        index = OpenSearchIndex(client)
        with pytest.raises(IndexUnavailable):
            await index.count(tenant)
        with pytest.raises(IndexUnavailable):
            await index.apply(tenant, puts([OTHER]), Cursor(STREAM, 1))
        with pytest.raises(IndexUnavailable):
            await index.expunge(tenant, [OTHER.key])


@pytest.mark.parametrize(
    "broken", [{"timed_out": True, "_shards": {"failed": 0}}, {"_shards": {"failed": 1}}]
)
def test_a_part_of_an_answer_is_not_taken_for_all_of_it(broken: dict[str, object]):
    with pytest.raises(IndexUnavailable):
        adapter._check_whole(broken)
