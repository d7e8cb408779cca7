"""The routes by which another service learns the names of people; they are not routed from outside."""

from collections.abc import Iterable
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from starlette.responses import Response

from libs.contracts.internal import DirectoryPerson, FetchPeople, FindPeople, PeopleOf
from libs.host.auth import PeerVerifier, require_service
from libs.host.wire import wire_body, wire_response
from libs.kernel.ids import PrincipalId, TenantId
from services.identity.domain.principals import NamedPerson
from services.identity.usecases.people import NamePeople

_NAMES_PEOPLE: Final = ("ediscovery",)
"""Whose searches and productions name people, whom the log knows by ids alone."""


def people_routes(verifier: PeerVerifier, name_people: NamePeople) -> APIRouter:
    """Return the routes below /internal/people, for eDiscovery alone."""
    router = APIRouter(prefix="/internal/people", include_in_schema=False)
    caller = [Depends(require_service(verifier, _NAMES_PEOPLE))]

    @router.post("", dependencies=caller)
    async def people(wanted: Annotated[FetchPeople, Depends(wire_body(FetchPeople))]) -> Response:
        return _answer(
            await name_people.of(TenantId(wanted.tenant), list(map(PrincipalId, wanted.principals)))
        )

    @router.post("/find", dependencies=caller)
    async def find(wanted: Annotated[FindPeople, Depends(wire_body(FindPeople))]) -> Response:
        return _answer(await name_people.called(TenantId(wanted.tenant), wanted.text))

    return router


def _answer(found: Iterable[NamedPerson]) -> Response:
    return wire_response(
        PeopleOf(
            items=tuple(
                DirectoryPerson(principal=each.principal, name=each.name, email=each.email) for each in found
            )
        )
    )
