"""The routes of imports and of four eyes: ask, approve, begin, bring, end; refusals are problems."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest

from libs.authn.actor import Actor
from libs.host.app import create_app
from libs.host.approvals import approval_routes
from libs.kernel.clock import SystemClock
from libs.kernel.ids import TenantId
from services.messaging.domain.imports import Line, batch_digest
from services.messaging.edge.imports import import_routes
from services.messaging.edge.problems import PROBLEMS
from services.messaging.wiring import PREFIX
from tests.integration.messaging.gateways import Gateway, person
from tests.integration.messaging.test_evidence_routes import Known

SOURCE = "ab" * 32
LINES = [
    Line(1, "2019-03-01", "10:00", "#plans", "ada", "hello"),
    Line(2, "2019-03-01", "10:01", "#plans", "bo", "good morning"),
    Line(3, "2019-03-01", "24:99", "#plans", "bo", "when?"),
]

NOBODYS = UUID(int=77)


class Doors:
    """The routes, for people of one tenant."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def __call__(self, actor: Actor | None, method: str, path: str, body: Any = None) -> httpx.Response:
        headers = {} if actor is None else {"authorization": f"Bearer {actor.principal}"}
        return await self._http.request(method, PREFIX + path, json=body, headers=headers)


@pytest.fixture
def officer(tenant: TenantId) -> Actor:
    return person(tenant, ("compliance_officer",))


@pytest.fixture
def counsel(tenant: TenantId) -> Actor:
    return person(tenant, ("legal_counsel",))


@pytest.fixture
def employee(tenant: TenantId) -> Actor:
    return person(tenant)


@pytest.fixture
async def doors(one: Gateway, officer: Actor, counsel: Actor, employee: Actor) -> AsyncIterator[Doors]:
    known, clock = Known(officer, counsel, employee), SystemClock()
    routers = [
        import_routes(PREFIX, verifier=known, revocations=known, imports=one.core.imports, clock=clock),
        approval_routes(PREFIX, verifier=known, revocations=known, desk=one.core.approve, clock=clock),
    ]
    app = create_app("messaging", title="Trial", prefix=PREFIX, routers=routers, problems=PROBLEMS)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://messaging") as http:
        yield Doors(http)


def asking(**changes: Any) -> dict[str, Any]:
    return {
        "source": SOURCE,
        "name": "archive.jsonl",
        "lines": 3,
        "batches": [batch_digest(LINES).hex()],
        "sizes": [3],
        "reason": "matter 7",
        **changes,
    }


def lines_of(lines: list[Line]) -> dict[str, Any]:
    return {
        "lines": [
            {
                "line": line.number,
                **{name: value for name, value in line._asdict().items() if name != "number"},
            }
            for line in lines
        ]
    }


async def test_an_import_goes_through_its_doors(doors: Doors, officer: Actor, counsel: Actor):
    asked = await doors(officer, "POST", "/imports", asking())
    assert asked.status_code == 201
    wanted = asked.json()
    assert (wanted["state"], wanted["done"]) == ("pending", 0)
    place, request = f"/imports/{wanted['run']}", f"/approvals/{wanted['request']['request']}"
    assert (await doors(officer, "POST", f"{place}/begin")).json()["type"] == "urn:problem:not-approved"
    seen = (await doors(counsel, "GET", request)).json()
    assert (seen["reason"], seen["digest"], seen["subject"]) == ("matter 7", wanted["digest"], wanted["run"])
    decided = await doors(counsel, "POST", request, {"approves": True, "digest": seen["digest"]})
    assert decided.json()["state"] == "approved"
    assert (await doors(officer, "POST", f"{place}/begin")).json()["state"] == "begun"
    missing = await doors(officer, "POST", f"{place}/finish")
    assert (missing.status_code, missing.json()["type"]) == (409, "urn:problem:import-unfinished")
    brought = await doors(officer, "POST", f"{place}/batches/0", lines_of(LINES))
    assert brought.json() == {"number": 0, "imported": 2, "refused": 1, "repeated": False}
    assert (await doors(officer, "POST", f"{place}/batches/0", lines_of(LINES))).json()["repeated"]
    finished = (await doors(officer, "POST", f"{place}/finish")).json()
    assert finished["state"] == "finished"
    assert finished["request"]["state"] == "used"
    assert finished["report"] == {
        "lines": 3,
        "imported": 2,
        "refusals": 1,
        "refused": [{"line": 3, "why": "its date and time cannot be read"}],
        "conversations": 1,
        "first_at": "2019-03-01T10:00:00Z",
        "last_at": "2019-03-01T10:01:00Z",
    }
    assert (await doors(counsel, "GET", place)).json() == finished
    (listed,) = (await doors(officer, "GET", "/imports")).json()["imports"]
    assert listed["run"] == wanted["run"]
    author = (await doors(officer, "GET", f"{place}/authors/bo")).json()
    assert author["shown_as"].startswith("Imported author ")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/imports", asking()),
        ("GET", "/imports", None),
        ("GET", f"/imports/{NOBODYS}", None),
        ("POST", f"/imports/{NOBODYS}/begin", None),
        ("POST", f"/imports/{NOBODYS}/batches/0", lines_of(LINES)),
        ("POST", f"/imports/{NOBODYS}/finish", None),
        ("GET", f"/imports/{NOBODYS}/authors/bo", None),
        ("GET", "/approvals", None),
        ("GET", f"/approvals/{NOBODYS}", None),
        ("POST", f"/approvals/{NOBODYS}", {"approves": True, "digest": "0" * 64}),
    ],
)
async def test_every_door_is_closed_to_employees_and_strangers(
    doors: Doors, employee: Actor, method: str, path: str, body: Any
):
    assert (await doors(None, method, path, body)).status_code == 401
    assert (await doors(employee, method, path, body)).status_code in (403, 404)


@pytest.mark.parametrize(
    "changes",
    [
        {"source": "ab"},
        {"batches": []},
        {"batches": ["0" * 63]},
        {"sizes": [3, 1]},
        {"sizes": []},
        {"lines": 0},
        {"lines": 4},
        {"name": ""},
        {"reason": ""},
        {"reason": "x" * 1001},
        {"people": {"": str(NOBODYS)}},
    ],
    ids=str,
)
async def test_what_is_no_import_is_refused(doors: Doors, officer: Actor, changes: dict[str, Any]):
    answer = await doors(officer, "POST", "/imports", asking(**changes))
    assert answer.status_code == 422
    assert (await doors(officer, "GET", "/imports")).json() == {"imports": []}


async def test_a_request_is_decided_once_and_by_another(doors: Doors, officer: Actor, counsel: Actor):
    wanted = (await doors(officer, "POST", "/imports", asking())).json()
    place = f"/approvals/{wanted['request']['request']}"

    async def told(actor: Actor, *, approves: bool, digest: str) -> tuple[int, str]:
        answer = await doors(actor, "POST", place, {"approves": approves, "digest": digest})
        return answer.status_code, answer.json().get("type", answer.json().get("state"))

    own = await told(officer, approves=True, digest=wanted["digest"])
    assert own == (403, "urn:problem:approver-refused")
    other = await told(counsel, approves=True, digest="0" * 64)
    assert other == (409, "urn:problem:digest-differs")
    assert await told(counsel, approves=False, digest=wanted["digest"]) == (200, "refused")
    late = await told(counsel, approves=True, digest=wanted["digest"])
    assert late == (409, "urn:problem:request-decided")
