"""Say how many acts there were, so that the audit log can be compared with what was done."""

from libs.contracts.internal import ActCount, ActsCounted
from services.keys.ports.acts import Acts


class CountActs:
    """Reads rows of every tenant, and tells numbers alone."""

    def __init__(self, acts: Acts) -> None:
        """Count by this port."""
        self._acts = acts

    async def __call__(self) -> ActsCounted:
        """Return the counts, by action and tenant, and the positions at which they hold."""
        counted = await self._acts.count()
        acts = sorted(counted.acts.items())
        return ActsCounted(
            positions=dict(counted.positions),
            acts=tuple(
                ActCount(action=action, tenant=tenant, count=count) for (action, tenant), count in acts
            ),
        )
