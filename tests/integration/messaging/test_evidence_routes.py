"""The route of evidence shows what the use case found, and refuses by problem documents."""

import base64
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import httpx
import pytest

from libs.authn.actor import Actor
from libs.authn.errors import Unauthenticated
from libs.host.app import create_app
from services.messaging.edge.http import evidence_routes
from services.messaging.edge.problems import PROBLEMS
from services.messaging.wiring import PREFIX
from tests.integration.messaging.gateways import Gateway
from tests.integration.messaging.test_evidence import busy

Three = tuple[Actor, Actor, Actor]


class Known:
    """Knows people by their ids, and nobody's session is revoked."""

    def __init__(self, *people: Actor) -> None:
        self.people = {str(each.principal): each for each in people}

    async def verify(self, token: str) -> Actor:
        if token not in self.people:
            raise Unauthenticated
        return self.people[token]

    def check(self, actor: Actor) -> None:
        """Let everybody pass."""


@pytest.fixture
async def http(one: Gateway, people: Three) -> AsyncIterator[httpx.AsyncClient]:
    known = Known(*people)
    routes = evidence_routes(PREFIX, verifier=known, revocations=known, take_evidence=one.core.take_evidence)
    app = create_app("messaging", title="Trial", prefix=PREFIX, routers=[routes], problems=PROBLEMS)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://messaging") as client:
        yield client


async def asked(
    http: httpx.AsyncClient, actor: Actor | None, conversation: UUID, first: object, last: object
) -> httpx.Response:
    return await http.get(
        f"{PREFIX}/conversations/{conversation}/evidence",
        params={"first": str(first), "last": str(last)},
        headers={} if actor is None else {"authorization": f"Bearer {actor.principal}"},
    )


async def test_entries_are_shown_with_their_openings_and_paths(
    one: Gateway, people: Three, http: httpx.AsyncClient
) -> None:
    ada, bo, _ = people
    plans = await one.group(ada, bo)
    await busy(one, ada, plans)
    one.rows("DELETE FROM messaging.payload WHERE conversation = %s AND seq = 3", plans)
    answer = await asked(http, bo, plans, 1, 3)
    assert answer.status_code == 200
    assert answer.json()["conversation"] == str(plans)
    proved = await one.core.take_evidence(bo, plans, 1, 3)
    for shown, entry in zip(answer.json()["entries"], proved, strict=True):
        assert (shown["seq"], shown["commit"]) == (entry.seq, str(entry.commit))
        assert (shown["place"], shown["size"]) == (entry.path.place, entry.path.size)
        assert [base64.b64decode(each) for each in shown["path"]] == list(entry.path.hashes)
        assert shown["metadata"] == (None if entry.metadata is None else entry.metadata.decode())
        assert shown["body"] == (None if entry.body is None else base64.b64encode(entry.body).decode())
        for name in ("metadata_salt", "metadata_commitment", "body_salt", "body_commitment"):
            value: bytes | None = getattr(entry, name)
            assert shown[name] == (None if value is None else value.hex())


async def test_refusals_are_problems_that_do_not_tell_the_absent_from_the_forbidden(
    one: Gateway, people: Three, http: httpx.AsyncClient
) -> None:
    ada, bo, cy = people
    plans = await one.group(ada, bo)
    await busy(one, ada, plans)
    codes = {}
    for name, question in {
        "nobody": (None, plans, 1, 2),
        "a stranger": (cy, plans, 1, 2),
        "an absent conversation": (ada, uuid4(), 1, 2),
        "beyond the end": (ada, plans, 15, 16),
        "backwards": (ada, plans, 2, 1),
        "too many": (ada, plans, 1, 1001),
        "none": (ada, plans, 0, 1),
        "no number": (ada, plans, "x", 1),
        "past every number": (ada, plans, 1, 2**63),
    }.items():
        answer = await asked(http, *question)
        codes[name] = (answer.status_code, answer.json()["code"])
    assert codes == {
        "nobody": (401, "unauthenticated"),
        "a stranger": (404, "not-found"),
        "an absent conversation": (404, "not-found"),
        "beyond the end": (404, "not-found"),
        "backwards": (422, "stretch-refused"),
        "too many": (422, "stretch-refused"),
        "none": (422, "invalid"),
        "no number": (422, "invalid"),
        "past every number": (422, "invalid"),
    }


async def test_evidence_is_documented(http: httpx.AsyncClient) -> None:
    paths = (await http.get(f"{PREFIX}/openapi.json")).json()["paths"]
    assert paths[f"{PREFIX}/conversations/{{conversation}}/evidence"]["get"]["summary"] == "Take evidence"
