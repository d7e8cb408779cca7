"""Foreign ids, forged tokens and revoked sessions."""

import asyncio
from uuid import UUID, uuid4

import pytest

from libs.client.errors import Refused
from libs.contracts.socket import CloseCode
from tests.faults.load import loaded
from tests.faults.raw_sockets import end_of, raw_socket
from tests.support.town import Town

pytestmark = pytest.mark.xdist_group("faults")
CONVERSATIONS = "/messaging/v1/conversations"


async def test_absent_and_foreign_conversations_get_the_same_answer(town: Town) -> None:
    async with loaded(town, people=2, senders=1) as load:
        await load.send(0)
        stranger = (await town.settle(2))[0]

        async def answer_for(conversation: UUID) -> list[tuple[int, str, str | None]]:
            answers = []
            for attempt in (
                stranger.get_conversation(conversation),
                stranger.history(conversation),
                stranger.post(conversation, "hello"),
                stranger.change_participants(conversation, add=[uuid4()]),
            ):
                with pytest.raises(Refused) as refused:
                    await attempt
                problem = refused.value.problem
                answers.append((problem.status, problem.code, problem.detail))
            return answers

        assert await answer_for(load.conversation) == await answer_for(uuid4())


@pytest.mark.parametrize("token", ["", "x", "eyJhbGciOiJub25lIn0.e30.", "a.b.c"])
async def test_a_forged_token_is_the_same_401_everywhere(town: Town, token: str) -> None:
    answers = [
        town.platform.get(path, {"authorization": f"Bearer {token}"})
        for path in (
            "/messaging/v1/conversations",
            f"/messaging/v1/conversations/{uuid4()}",
            "/identity/v1/me",
        )
    ]
    assert {answer.status for answer in answers} == {401}
    assert {answer.json["code"] for answer in answers} == {"unauthenticated"}


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
