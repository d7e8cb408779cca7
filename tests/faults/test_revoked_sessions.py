"""A session that is revoked ends at every door: its socket closes, its token is refused."""

import asyncio

import pytest

from libs.contracts.socket import CloseCode
from tests.faults.raw_sockets import end_of, raw_socket
from tests.support.town import Town

pytestmark = pytest.mark.xdist_group("faults")


@pytest.mark.parametrize("how", ["signed out", "deactivated"])
async def test_the_socket_of_a_revoked_session_closes_within_a_second_or_so(town: Town, how: str) -> None:
    (ada,) = await town.settle(1)
    async with raw_socket(town.gateways[0], client=ada) as connection:
        token = await ada.session.access_token()
        if how == "signed out":
            answer = await town.http.delete(
                f"{town.platform.origin}/identity/v1/sessions/current",
                headers={"authorization": f"Bearer {token}"},
            )
        else:
            answer = await town.http.delete(
                f"{town.platform.origin}/scim/v2/{town.tenant.slug}/Users/{town.principals[0]}",
                headers={"authorization": f"Bearer {town.tenant.scim_token}"},
            )
        assert answer.status_code == 204
        async with asyncio.timeout(5):
            code, _ = await end_of(connection)
        assert code == CloseCode.REVOKED
    refused = town.platform.get("/messaging/v1/conversations", {"authorization": f"Bearer {token}"})
    assert refused.status == 401
