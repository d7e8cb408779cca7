"""SCIM 2.0: a tenant's directory provisions its people.

Source: RFC 7644.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Query, Request, Security
from starlette.responses import Response

from libs.host.auth import Bearer
from libs.kernel.ids import PrincipalId
from services.identity.domain.acts import ScimClient
from services.identity.domain.errors import InvalidSyntax, InvalidValue, NotFound
from services.identity.domain.principals import Principal
from services.identity.domain.scim.patch import operations_of
from services.identity.edge.scim_filters import filter_of
from services.identity.edge.scim_forms import (
    MOST_RESULTS,
    list_of,
    projected,
    resource_of,
    scim_response,
    service_provider_config,
    version_of,
)
from services.identity.usecases.provision import (
    AdmitScimClient,
    ChangeUser,
    GetUser,
    ProvisionUser,
    RemoveUser,
    SearchUsers,
)

SCIM_PREFIX: Final = "/scim/v2"
_DEFAULT_RESULTS: Final = 100
_VERSION: Final = re.compile(r'(?:W/)?"(\d{1,9})"')
_NO_VERSION: Final = -1
_LARGEST_INDEX: Final = 1 << 31


@dataclass(frozen=True, slots=True)
class ScimActs:
    """What a directory can do."""

    admit: AdmitScimClient
    provision: ProvisionUser
    get: GetUser
    search: SearchUsers
    change: ChangeUser
    remove: RemoveUser


class Projection:
    """Which attributes a client wants to see."""

    def __init__(
        self,
        attributes: Annotated[str | None, Query(max_length=2000)] = None,
        excluded: Annotated[str | None, Query(alias="excludedAttributes", max_length=2000)] = None,
    ) -> None:
        """Refuse both at once (RFC 7644, section 3.9)."""
        if attributes and excluded:
            raise InvalidValue("attributes and excludedAttributes exclude each other")
        self._attributes = attributes
        self._excluded = excluded

    def of(self, resource: dict[str, Any]) -> dict[str, Any]:
        """Return the resource as it is wanted."""
        return projected(resource, self._attributes, self._excluded)


def scim_routes(acts: ScimActs) -> APIRouter:
    """Return the routes under /scim/v2/{tenant}."""

    async def admitted(slug: str, token: Annotated[str, Security(Bearer("SCIM token"))]) -> ScimClient:
        return await acts.admit(slug, token)

    router = APIRouter(prefix=f"{SCIM_PREFIX}/{{slug}}", tags=["scim"])
    client = Depends(admitted)
    _add_reading(router, acts, client)
    _add_writing(router, acts, client)
    _add_discovery(router, client)
    return router


def _add_reading(router: APIRouter, acts: ScimActs, admitted: Any) -> None:
    @router.get("/Users", summary="List users, all or those that a filter names")
    async def search(
        request: Request,
        projection: Annotated[Projection, Depends()],
        client: ScimClient = admitted,
        filter: Annotated[str | None, Query()] = None,  # noqa: A002 - the parameter's name in RFC 7644
        start: Annotated[int, Query(alias="startIndex")] = 1,
        count: Annotated[int, Query()] = _DEFAULT_RESULTS,
    ) -> Response:
        wanted = () if filter is None else filter_of(filter)
        first = min(max(start, 1), _LARGEST_INDEX)
        limit = min(max(count, 0), MOST_RESULTS)
        total, found = await acts.search(client.tenant, wanted, first - 1, limit)
        resources = [projection.of(resource_of(each, _location_of(request, each))) for each in found]
        return scim_response(list_of(resources, total, first))

    @router.get("/Users/{user}", summary="Read a user")
    async def get(
        request: Request,
        user: str,
        projection: Annotated[Projection, Depends()],
        client: ScimClient = admitted,
    ) -> Response:
        found = await acts.get(client.tenant, _id_of(user))
        if request.headers.get("if-none-match") == version_of(found):
            return Response(status_code=304, headers={"etag": version_of(found)})
        return _answer(request, found, projection)


def _add_writing(router: APIRouter, acts: ScimActs, admitted: Any) -> None:
    @router.post("/Users", summary="Provision a user")
    async def provision(
        request: Request,
        body: Annotated[Any, Body()],
        projection: Annotated[Projection, Depends()],
        client: ScimClient = admitted,
    ) -> Response:
        made = await acts.provision(client, body)
        return _answer(request, made, projection, status=201)

    @router.patch("/Users/{user}", summary="Change parts of a user")
    async def patch(
        request: Request,
        user: str,
        body: Annotated[Any, Body()],
        projection: Annotated[Projection, Depends()],
        client: ScimClient = admitted,
    ) -> Response:
        version = _wanted_version(request)
        changed = await acts.change.patch(client, _id_of(user), operations_of(body), version)
        return _answer(request, changed, projection)

    @router.put("/Users/{user}", summary="Replace a user")
    async def put(
        request: Request,
        user: str,
        body: Annotated[Any, Body()],
        projection: Annotated[Projection, Depends()],
        client: ScimClient = admitted,
    ) -> Response:
        changed = await acts.change.put(client, _id_of(user), body, _wanted_version(request))
        return _answer(request, changed, projection)

    @router.delete("/Users/{user}", status_code=204, summary="Take a user out of the directory")
    async def remove(request: Request, user: str, client: ScimClient = admitted) -> Response:
        await acts.remove(client, _id_of(user), _wanted_version(request))
        return Response(status_code=204)


def _add_discovery(router: APIRouter, admitted: Any) -> None:
    @router.get("/ServiceProviderConfig", summary="What this server can do")
    async def config(request: Request, slug: str, client: ScimClient = admitted) -> Response:
        del client
        base = str(request.base_url).rstrip("/")
        return scim_response(service_provider_config(f"{base}{SCIM_PREFIX}/{slug}/ServiceProviderConfig"))


def _answer(request: Request, principal: Principal, projection: Projection, *, status: int = 200) -> Response:
    location = _location_of(request, principal)
    headers = {"location": location, "etag": version_of(principal)}
    return scim_response(projection.of(resource_of(principal, location)), status, headers)


def _location_of(request: Request, principal: Principal) -> str:
    base = str(request.base_url).rstrip("/")
    return f"{base}{SCIM_PREFIX}/{request.path_params['slug']}/Users/{principal.principal}"


def _id_of(text: str) -> PrincipalId:
    """Return the id in an address; what is no id names nobody."""
    try:
        return PrincipalId(UUID(text))
    except ValueError:
        raise NotFound("User") from None


def _wanted_version(request: Request) -> int | None:
    """Return the version that If-Match asks for; one that this server never gave matches none."""
    header = request.headers.get("if-match")
    if header is None or header.strip() == "*":
        return None
    if "," in header:
        raise InvalidSyntax("If-Match names one version")
    version = _VERSION.fullmatch(header.strip())
    return _NO_VERSION if version is None else int(version[1])
