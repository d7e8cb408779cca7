"""What was destroyed is found no more, and its words vanish from the files of the index."""

import time
from uuid import uuid4

import pytest

from libs.kernel.ids import TenantId
from services.ediscovery.adapters.tantivy import TantivyIndex
from tests.contract.search.reference import Log
from tests.e2e.retention.test_dry_runs import ADA, SENT, Bureau, bureau, carried_out, done
from tests.support.town import Town, town

__all__ = ["bureau", "town"]

pytestmark = pytest.mark.xdist_group("platform")

SECONDS = 60.0
WORD = "ocelotcanary77b0"


async def test_the_words_of_what_was_destroyed_are_in_no_file_of_the_index(bureau: Bureau, town: Town):
    tenant = TenantId(town.tenant.tenant)

    def index() -> TantivyIndex:
        return TantivyIndex(bureau.platform.data / "search", Log())

    async def comes_to(count: int) -> None:
        deadline = time.monotonic() + SECONDS
        while await index().count(tenant) != count:
            assert time.monotonic() < deadline, await index().count(tenant)

    body = {"id": str(uuid4()), "body": {"text": WORD}}
    await bureau.post(f"/messaging/v1/conversations/{bureau.room}/messages", body, "employee")
    await comes_to(2 * SENT + 1)
    assert WORD in await index().terms(tenant)
    await bureau.post("/retention/v1/erasures", {"subject": bureau.principals[ADA]})
    did = await done(bureau, await carried_out(bureau))
    assert did["destroyed"] == SENT + 1
    await comes_to(SENT)
    deadline = time.monotonic() + SECONDS
    while WORD in await index().terms(tenant):
        assert time.monotonic() < deadline
    assert await index().count(tenant) == SENT
    for path in (bureau.platform.data / "search" / str(tenant)).rglob("*"):
        assert not path.is_file() or WORD.encode() not in path.read_bytes(), path
