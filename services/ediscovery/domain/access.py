"""What is asked of the policies."""

from typing import Final

from libs.kernel.actors import Facts
from libs.kernel.ids import TenantId

READ_LAG: Final = "ReadIndexLag"


def organisation(tenant: TenantId) -> Facts:
    """Return the organisation itself."""
    return Facts("Tenant", tenant)
