"""`muniment tenant …`: make and list tenants, and give their directories a SCIM token."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from services.runner.deployment import read_facts
from services.runner.peers import Operator


def create_tenant(data: Path, slug: str, name: str, *, local_sign_in: bool) -> Mapping[str, Any]:
    """Make a tenant in the deployment that runs on `data`; return its id."""
    body = {"slug": slug, "name": name, "local_sign_in": local_sign_in}
    made: Mapping[str, Any] = Operator(read_facts(data)).call("POST", "/internal/tenants", body)
    return {**made, "slug": slug, "name": name}


def list_tenants(data: Path) -> list[Mapping[str, Any]]:
    """Return every tenant: tenant, slug, name."""
    answered = Operator(read_facts(data)).call("GET", "/internal/tenants")
    tenants: list[Mapping[str, Any]] = answered["tenants"]
    return tenants


def create_scim_token(data: Path, slug: str, label: str) -> Mapping[str, Any]:
    """Make a SCIM token for the tenant `slug`; return it (shown this once) and where SCIM is."""
    facts = read_facts(data)
    operator = Operator(facts)
    tenant = operator.call("GET", f"/internal/tenants/by-slug/{slug}")["tenant"]
    made = operator.call("POST", f"/internal/tenants/{tenant}/scim-tokens", {"label": label})
    return {**made, "address": f"{facts['origin']}/scim/v2/{slug}"}
