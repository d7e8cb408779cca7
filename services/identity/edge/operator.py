"""The operator's routes: make a tenant, and give its first people a way in."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints

from libs.host.auth import PeerVerifier, require_service
from libs.kernel.ids import PrincipalId, TenantId
from services.identity.domain.tenants import Tenant
from services.identity.usecases.operate import (
    CreateTenant,
    FindTenant,
    GrantRole,
    IssueScimToken,
    IssueSignInCodes,
    ListTenants,
    SetPassword,
)

OPERATOR: Final = "operator"
MOST_CODES: Final = 5000


class _Input(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True)


class NewTenant(_Input):
    """An organisation to make."""

    slug: str
    name: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00]*$"),
    ]
    local_sign_in: bool = False


class CodesWanted(_Input):
    """Who needs a way to sign in once."""

    principals: Annotated[list[UUID], Field(max_length=MOST_CODES)]


class NewPassword(_Input):
    """A person's password."""

    principal: UUID
    password: SecretStr


class NewRole(_Input):
    """A role for a person."""

    principal: UUID
    role: str


class TenantAnswer(BaseModel):
    """An organisation."""

    tenant: UUID
    slug: str
    name: str


class TenantsAnswer(BaseModel):
    """Every organisation, by slug."""

    tenants: list[TenantAnswer]


class TenantMade(BaseModel):
    """The new organisation's id."""

    tenant: UUID


class ScimTokenAnswer(BaseModel):
    """A token for the tenant's SCIM endpoint, shown once."""

    token: str
    expires_at: datetime


class CodeAnswer(BaseModel):
    """A person's one-time code, shown once."""

    principal: UUID
    code: str


class CodesAnswer(BaseModel):
    """The codes, in the order of the question."""

    codes: list[CodeAnswer]


@dataclass(frozen=True, slots=True)
class OperatorActs:
    """What the operator can do."""

    create_tenant: CreateTenant
    find_tenant: FindTenant
    list_tenants: ListTenants
    issue_scim_token: IssueScimToken
    issue_codes: IssueSignInCodes
    set_password: SetPassword
    grant_role: GrantRole


def operator_routes(verifier: PeerVerifier, acts: OperatorActs) -> APIRouter:
    """Return the routes under /internal/tenants, for the operator alone."""
    router = APIRouter(
        prefix="/internal/tenants",
        include_in_schema=False,
        dependencies=[Depends(require_service(verifier, [OPERATOR]))],
    )
    _add_tenant_routes(router, acts)
    _add_access_routes(router, acts)
    return router


def _add_tenant_routes(router: APIRouter, acts: OperatorActs) -> None:
    @router.get("")
    async def list_tenants() -> TenantsAnswer:
        return TenantsAnswer(tenants=[_answer_of(each) for each in await acts.list_tenants()])

    @router.post("", status_code=201)
    async def create(wanted: NewTenant) -> TenantMade:
        made = await acts.create_tenant(wanted.slug, wanted.name, local_sign_in=wanted.local_sign_in)
        return TenantMade(tenant=made)

    @router.get("/by-slug/{slug}")
    async def find(slug: str) -> TenantAnswer:
        return _answer_of(await acts.find_tenant(slug))


def _add_access_routes(router: APIRouter, acts: OperatorActs) -> None:
    @router.post("/{tenant}/scim-tokens", status_code=201)
    async def issue_scim_token(tenant: UUID) -> ScimTokenAnswer:
        issued = await acts.issue_scim_token(TenantId(tenant))
        return ScimTokenAnswer(token=issued.text, expires_at=issued.expires_at)

    @router.post("/{tenant}/sign-in-codes", status_code=201)
    async def issue_codes(tenant: UUID, wanted: CodesWanted) -> CodesAnswer:
        principals = [PrincipalId(principal) for principal in wanted.principals]
        issued = await acts.issue_codes(TenantId(tenant), principals)
        return CodesAnswer(codes=[CodeAnswer(principal=who, code=code) for who, code in issued])

    @router.post("/{tenant}/passwords", status_code=204)
    async def set_password(tenant: UUID, wanted: NewPassword) -> Response:
        password = wanted.password.get_secret_value()
        await acts.set_password(TenantId(tenant), PrincipalId(wanted.principal), password)
        return Response(status_code=204)

    @router.post("/{tenant}/roles", status_code=204)
    async def grant_role(tenant: UUID, wanted: NewRole) -> Response:
        await acts.grant_role(TenantId(tenant), PrincipalId(wanted.principal), wanted.role)
        return Response(status_code=204)


def _answer_of(tenant: Tenant) -> TenantAnswer:
    return TenantAnswer(tenant=tenant.tenant, slug=tenant.slug, name=tenant.name)
