"""Who may know of retention, and change it: the words of the policies."""

from typing import Final

from libs.kernel.actors import Facts
from libs.kernel.ids import TenantId

READ: Final = "ReadRetention"
CHANGE: Final = "ChangeRetention"
ERASE: Final = "RequestErasure"
ORDER: Final = "OrderDisposition"
DECIDE: Final = "DecideDisposition"


def organisation(tenant: TenantId) -> Facts:
    """Return the organisation itself, whose rules these are."""
    return Facts("Tenant", tenant)
