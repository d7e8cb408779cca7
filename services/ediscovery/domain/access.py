"""What is asked of the policies."""

from typing import Final

from libs.kernel.actors import Facts
from libs.kernel.ids import TenantId

READ_LAG: Final = "ReadIndexLag"
CREATE_MATTER: Final = "CreateMatter"
READ_MATTER: Final = "ReadMatter"
SEARCH_MATTER: Final = "SearchMatter"
ADD_MEMBER: Final = "AddMatterMember"
REQUEST_PRODUCTION: Final = "RequestProduction"
DECIDE_PRODUCTION: Final = "DecideProduction"
READ_PRODUCTION: Final = "ReadProduction"
TAKE_PRODUCTION: Final = "TakeProduction"


def organisation(tenant: TenantId) -> Facts:
    """Return the organisation itself."""
    return Facts("Tenant", tenant)


def matter_of(tenant: TenantId, *, member: bool) -> Facts:
    """Return a matter as somebody stands to it, who is among its members or not."""
    return Facts("Matter", tenant, frozenset({"member"} if member else ()))
