"""The people of a demonstration: a fresh tenant, provisioned by SCIM, with one-time codes to sign in."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final
from uuid import UUID

import httpx
import msgspec

from services.runner.demo.script import Person
from services.runner.errors import RunnerError
from services.runner.peers import Operator

CODES_A_CALL: Final = 1000
CONCURRENT_CALLS: Final = 8
USER_SCHEMA: Final = "urn:ietf:params:scim:schemas:core:2.0:User"
_CREATED: Final = 201
_CONFLICT: Final = 409


class Tenant(msgspec.Struct, frozen=True):
    """A tenant, and the token of its directory."""

    tenant: UUID
    slug: str
    scim_token: str

    def __repr__(self) -> str:
        """Return which tenant it is, without the token."""
        return f"Tenant({self.slug})"


def make_tenant(operator: Operator, slug: str, name: str) -> Tenant:
    """Make a tenant and a SCIM token for it. Raises RunnerError."""
    made = operator.call("POST", "/internal/tenants", {"slug": slug, "name": name, "local_sign_in": True})
    return tenant_with_token(operator, made["tenant"], slug)


def tenant_with_token(operator: Operator, tenant: str, slug: str) -> Tenant:
    """Return a tenant that stands, with a new SCIM token. Raises RunnerError."""
    token = operator.call("POST", f"/internal/tenants/{tenant}/scim-tokens", {"label": "demo"})
    return Tenant(UUID(tenant), slug, token["token"])


async def provision(
    http: httpx.AsyncClient,
    origin: str,
    tenant: Tenant,
    people: Sequence[Person],
    report: Callable[[int], None],
) -> list[UUID]:
    """Provision `people` by SCIM and return their principals, in the same order. Raises RunnerError."""
    principals: list[UUID | None] = [None] * len(people)
    remaining = iter(enumerate(people))

    async def work() -> None:
        for number, person in remaining:
            principals[number] = await _provision_one(http, origin, tenant, person)
            report(len(people) - principals.count(None))

    await asyncio.gather(*(work() for _ in range(CONCURRENT_CALLS)))
    return [principal for principal in principals if principal is not None]


async def _provision_one(http: httpx.AsyncClient, origin: str, tenant: Tenant, person: Person) -> UUID:
    """Provision one person, or find whom the directory has under that name."""
    users = f"{origin}/scim/v2/{tenant.slug}/Users"
    body = {
        "schemas": [USER_SCHEMA],
        "userName": person.user_name,
        "displayName": person.display_name,
        "active": True,
    }
    answer = await _asked(http, tenant, "POST", users, json=body)
    if answer.status_code == _CONFLICT:
        wanted = f'userName eq "{person.user_name}"'
        answer = await _asked(http, tenant, "GET", users, params={"filter": wanted})
        found = answer.json().get("Resources") or [{}]
        return UUID(found[0]["id"])
    if answer.status_code != _CREATED:
        raise RunnerError(f"{person.user_name} was not provisioned: SCIM answered {answer.status_code}")
    return UUID(answer.json()["id"])


async def _asked(
    http: httpx.AsyncClient, tenant: Tenant, method: str, url: str, **what: Any
) -> httpx.Response:
    headers = {
        "authorization": f"Bearer {tenant.scim_token}",
        "content-type": "application/scim+json",
    }
    try:
        return await http.request(method, url, headers=headers, **what)
    except httpx.HTTPError as defect:
        raise RunnerError(f"the directory did not answer {method}: {type(defect).__name__}") from defect


def sign_in_codes(operator: Operator, tenant: Tenant, principals: Sequence[UUID]) -> list[str]:
    """Return a one-time code for each of `principals`, in the same order. Raises RunnerError."""
    codes: dict[UUID, str] = {}
    for start in range(0, len(principals), CODES_A_CALL):
        wanted = [str(principal) for principal in principals[start : start + CODES_A_CALL]]
        path = f"/internal/tenants/{tenant.tenant}/sign-in-codes"
        for made in operator.call("POST", path, {"principals": wanted})["codes"]:
            codes[UUID(made["principal"])] = made["code"]
    return [codes[principal] for principal in principals]
