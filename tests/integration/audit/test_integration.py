"""Entries get into their trees once, under a signed checkpoint, and never over a damaged log."""

import asyncio
from collections.abc import AsyncIterator, Callable
from uuid import uuid4

import pytest

from libs.evidence.log import trusted_checkpoint
from libs.evidence.trust import origin_of
from libs.kernel.ids import TenantId
from libs.merkle.hashing import leaf_hash
from libs.merkle.tree import root_of
from services.audit.store.journal import PostgresJournal
from services.audit.store.ledger import PostgresLedgers
from services.audit.usecases.integrate import Integrate
from tests.integration.audit.logs import INSTANCE, TRUST, Logs, act, logs_in
from tests.support.engines import ServiceDatabase

ONE, TWO = TenantId(uuid4()), TenantId(uuid4())


@pytest.fixture
async def logs(database_of: Callable[[str], ServiceDatabase]) -> AsyncIterator[Logs]:
    async with logs_in(database_of("audit")) as opened:
        yield opened


def published(logs: Logs, tenant: TenantId) -> list[tuple[int, bytes, str]]:
    return logs.rows("SELECT size, root, note FROM audit.checkpoint WHERE tenant = %s ORDER BY size", tenant)


def leaves_of(logs: Logs, tenant: TenantId) -> list[bytes]:
    return [
        leaf for (leaf,) in logs.rows("SELECT leaf FROM audit.entry WHERE tenant = %s ORDER BY index", tenant)
    ]


def assert_whole(logs: Logs, tenant: TenantId, entries: int) -> None:
    """Compare the last checkpoint with a tree that is computed from the stored leaves."""
    size, root, note = published(logs, tenant)[-1]
    leaves = leaves_of(logs, tenant)
    assert size == len(leaves) == entries
    assert root == root_of([leaf_hash(leaf) for leaf in leaves])
    checkpoint = trusted_checkpoint(note.encode(), TRUST)
    assert (checkpoint.origin, checkpoint.size, checkpoint.root) == (origin_of(INSTANCE, tenant), size, root)


async def test_every_log_that_grew_has_a_checkpoint_over_all_of_it(logs: Logs) -> None:
    await logs.sequence([(ONE, act()), (TWO, act()), (ONE, act())])
    await logs.integrate()
    assert_whole(logs, ONE, 2)
    assert_whole(logs, TWO, 1)
    sizes = "SELECT DISTINCT integrated = sequenced FROM audit.log JOIN audit.tree USING (tenant)"
    assert logs.rows(sizes) == [(True,)]


async def test_a_new_integrator_goes_on_where_the_old_one_stopped(logs: Logs) -> None:
    """Over a full tile of leaves and a second level, with a restart at many sizes."""
    sizes = [1, 255, 256, 257, 700, 1024]
    before = 0
    for size in sizes:
        await logs.sequence([(ONE, act())] * (size - before))
        await logs.integrate()  # each time one that has seen nothing
        assert_whole(logs, ONE, size)
        before = size
    assert [size for size, _, _ in published(logs, ONE)] == sizes
    tiles = logs.rows("SELECT level, number, hashes FROM audit.tile ORDER BY level, number")
    hashes = b"".join(leaf_hash(leaf) for leaf in leaves_of(logs, ONE))
    assert [(level, number) for level, number, _ in tiles] == [(0, 0), (0, 1), (0, 2), (0, 3)]
    assert b"".join(tile for _, _, tile in tiles) == hashes


async def test_a_round_takes_no_more_than_its_share_and_the_rest_follows(
    logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.audit.usecases.integrate._ENTRIES_A_ROUND", 3)
    await logs.sequence([(tenant, act()) for tenant in (ONE, ONE, TWO, TWO, TWO)])
    await logs.integrate()
    assert_whole(logs, ONE, 2)
    assert_whole(logs, TWO, 3)


async def test_without_a_key_entries_wait_and_get_in_when_there_is_one(logs: Logs) -> None:
    signer, logs.key.signer = logs.key.signer, None
    integrator = logs.integrator()
    await logs.sequence([(ONE, act())])
    await logs.integrate(integrator)
    assert published(logs, ONE) == []
    logs.key.signer = signer
    await logs.integrate(integrator)
    assert_whole(logs, ONE, 1)


async def test_a_tree_grows_while_somebody_adds_to_its_log(logs: Logs) -> None:
    """In a row of both, each would wait for the other's commit."""
    await logs.sequence([(ONE, act())])
    async with logs.sequencing.begin() as tx:
        assert await PostgresJournal(tx).lock_logs([ONE]) == {ONE: 1}
        async with asyncio.timeout(5):
            await logs.integrate()
        assert_whole(logs, ONE, 1)


async def test_there_is_one_integrator_at_a_time(logs: Logs) -> None:
    async with PostgresLedgers(logs.sequencing).hold() as first:
        assert first is not None
        async with PostgresLedgers(logs.sequencing).hold() as second:
            assert second is None
    async with PostgresLedgers(logs.sequencing).hold() as third:
        assert third is not None


@pytest.mark.planted
@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE audit.entry SET leaf = 'another' WHERE index = 257",
        "DELETE FROM audit.entry WHERE index = 256",
        "UPDATE audit.tile SET hashes = set_byte(hashes, 0, get_byte(hashes, 0) # 1)",
        "DELETE FROM audit.tile",
        "ALTER TABLE audit.tile DROP CONSTRAINT tile_hashes_check; UPDATE audit.tile SET hashes = 'short'",
        "ALTER TABLE audit.tile ALTER hashes DROP NOT NULL; UPDATE audit.tile SET hashes = NULL",
        "UPDATE audit.checkpoint SET root = set_byte(root, 0, get_byte(root, 0) # 1)",
        "DELETE FROM audit.checkpoint WHERE size = 300",
        "UPDATE audit.tree SET integrated = 299",
        "DELETE FROM audit.tree",
        "INSERT INTO audit.checkpoint SELECT tenant, 301, root, note FROM audit.checkpoint",
    ],
)
async def test_nothing_is_signed_over_a_damaged_log_and_the_others_go_on(logs: Logs, harm: str) -> None:
    await logs.sequence([(ONE, act())] * 300)
    await logs.integrate()
    logs.rows(harm)
    before = published(logs, ONE)
    await logs.sequence([(ONE, act()), (TWO, act())])
    await logs.integrate()
    assert published(logs, ONE) == before
    assert_whole(logs, TWO, 1)
    assert b"muniment_audit_damaged_logs 1.0" in logs.metrics.exposition()


@pytest.mark.parametrize(
    "harm",
    [
        "INSERT INTO audit.tile SELECT %s, 0, 1, hashes FROM audit.tile",
        "UPDATE audit.tree SET integrated = 1 WHERE tenant = %s",
    ],
)
async def test_an_integrator_that_runs_leaves_a_log_alone_that_was_meddled_with(
    logs: Logs, harm: str
) -> None:
    integrator: Integrate = logs.integrator()
    await logs.sequence([(ONE, act())] * 300)
    await logs.integrate(integrator)
    logs.rows(harm, ONE)
    await logs.sequence([(ONE, act())] * 300 + [(TWO, act())])
    await logs.integrate(integrator)
    assert [size for size, _, _ in published(logs, ONE)] == [300]
    assert_whole(logs, TWO, 1)
