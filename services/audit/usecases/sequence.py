"""Give every fact its entry: a dense index in its tenant's log, in the order of arrival."""

from collections.abc import Sequence
from typing import Final

from libs.contracts.actions import ACTIONS, LEGAL
from libs.contracts.facts import Fact
from libs.kernel.ids import TenantId
from libs.kernel.randomness import Randomness
from services.audit.domain.entries import (
    SALT_BYTES,
    Detail,
    Entry,
    RunNamed,
    SourcedFact,
    entries_of,
    unrepeated,
)
from services.audit.ports.writing import Journal

_UNKNOWN_VISIBILITY: Final = LEGAL
"""Of an act that this catalogue does not know yet: the class that shows it to the fewest."""


async def sequence(journal: Journal, facts: Sequence[SourcedFact], randomness: Randomness) -> int:
    """Write an entry for each of `facts`, which keep their order within a tenant; return their number.

    Logs are locked in the order of their tenants, whatever the order of the facts.
    """
    by_tenant: dict[TenantId, list[SourcedFact]] = {}
    for fact in facts:
        by_tenant.setdefault(fact.tenant, []).append(fact)
    if not by_tenant:
        return 0
    sizes = await journal.lock_logs(by_tenant)
    salts = randomness.bytes(SALT_BYTES * len(facts))
    entries: list[Entry] = []
    for tenant, told in by_tenant.items():
        drawn = [
            salts[start : start + SALT_BYTES]
            for start in range(SALT_BYTES * len(entries), SALT_BYTES * (len(entries) + len(told)), SALT_BYTES)
        ]
        entries += entries_of(told, sizes[tenant], drawn)
        sizes[tenant] += len(told)
    await journal.append(entries, sizes)
    return len(entries)


def detail_of(fact: Fact) -> Detail:
    """Return what a fact tells, as an entry's detail."""
    action = ACTIONS.get(fact.action)
    return Detail(
        action=fact.action,
        actor_kind=fact.actor.kind,
        actor_id=fact.actor.id,
        actor_name=fact.actor.name,
        at=fact.at,
        outcome=fact.outcome,
        count=fact.count,
        matter=fact.matter,
        approvals=fact.approvals,
        entities=unrepeated((entity.kind, entity.id) for entity in fact.entities),
        runs=tuple(RunNamed(run.conversation, run.first, run.last) for run in fact.runs),
        visibility=_UNKNOWN_VISIBILITY if action is None else action.visibility,
    )
