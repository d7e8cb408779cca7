"""Write what is counted by the minute: a tenant's counts at once, and none of them lost to an error."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence

from libs.kernel.denials import Denial, Denials
from libs.kernel.ids import TenantId


async def write_due(
    counts: Denials, write: Callable[[TenantId, Sequence[Denial]], Awaitable[None]], *, everything: bool
) -> None:
    """Write the counts whose minute is over, or all; what `write` could not is kept for the next time."""
    waiting: dict[TenantId, list[Denial]] = defaultdict(list)
    for count in counts.take_due(everything=everything):
        waiting[count.tenant].append(count)
    try:
        for tenant in list(waiting):
            await write(tenant, waiting[tenant])
            del waiting[tenant]
    finally:
        counts.put_back([count for left in waiting.values() for count in left])
