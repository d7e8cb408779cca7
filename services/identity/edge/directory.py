"""What people see of the directory."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from libs.authn.actor import Actor
from services.identity.domain.principals import Person
from services.identity.edge.sessions import CurrentActor
from services.identity.usecases.directory import ReadMe, SearchPeople


class TenantAnswer(BaseModel):
    """An organisation."""

    id: UUID
    slug: str
    name: str


class MeAnswer(BaseModel):
    """Who the caller is."""

    tenant: TenantAnswer
    principal: UUID
    session: UUID
    device: UUID
    user_name: str
    display_name: str
    roles: list[str]


class PersonAnswer(BaseModel):
    """A colleague."""

    principal: UUID
    user_name: str
    display_name: str
    active: bool


class PeopleAnswer(BaseModel):
    """Colleagues, by display name."""

    people: list[PersonAnswer]


def directory_routes(read_me: ReadMe, search: SearchPeople, current_actor: CurrentActor) -> APIRouter:
    """Return the routes /identity/v1/me and /identity/v1/people."""
    router = APIRouter(prefix="/identity/v1", tags=["directory"])

    @router.get("/me", summary="Who am I?")
    async def me(actor: Annotated[Actor, Depends(current_actor)]) -> MeAnswer:
        found = await read_me(actor)
        return MeAnswer(
            tenant=TenantAnswer(id=found.tenant.tenant, slug=found.tenant.slug, name=found.tenant.name),
            principal=actor.principal,
            session=actor.session,
            device=actor.device,
            user_name=found.person.user_name,
            display_name=found.person.display_name,
            roles=sorted(found.roles),
        )

    @router.get("/people", summary="Find colleagues by the beginnings of their names")
    async def people(
        actor: Annotated[Actor, Depends(current_actor)],
        query: Annotated[str, Query(max_length=200)] = "",
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> PeopleAnswer:
        found = await search(actor, query.replace("\x00", " "), limit)
        return PeopleAnswer(people=[_person_of(person) for person in found])

    return router


def _person_of(person: Person) -> PersonAnswer:
    return PersonAnswer(
        principal=person.principal,
        user_name=person.user_name,
        display_name=person.display_name,
        active=person.active,
    )
